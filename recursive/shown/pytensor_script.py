"""Scripts that call PyTensor's scan."""

from __future__ import annotations

from recursive.shown.language import Language, Lines
from recursive.shown.script import Script
from recursive.spec.plan import Recurrence, Sequence

FUNCTIONS = {
    "sigmoid": """\
def sigmoid(x):
    return xp.sigmoid(x)""",
    "softplus": """\
def softplus(x):
    return xp.softplus(x)""",
    "softmax": """\
def softmax(x):
    return xp.special.softmax(x, axis=-1)""",
    "rows": '''\
def rows(initial, lag, batch, dim):
    """A state before the first step, (lag, batch, dim), oldest first."""
    return xp.alloc(xp.as_tensor(initial).astype(FLOATS), lag, batch, dim)''',
    "whole": '''\
def whole(initial, dtype, lag, batch):
    """A state of integers before the first step, (lag, batch), oldest first."""
    return xp.alloc(xp.as_tensor(initial).astype(dtype), lag, batch)''',
    "until_end": '''\
def until_end(words, ended, end):
    """The words, or the end symbol in rows that have ended, and which rows end."""
    words = xp.switch(ended, end, words).astype("int32")
    return words, xp.eq(words, end)''',
    "padded": '''\
def padded(sequence, lag):
    """A sequence after zeros, so that the first step can read its past."""
    return xp.concatenate([xp.zeros_like(sequence[:1])] * lag + [sequence], axis=0)''',
}
"""PyTensor's own activations, and functions that prepare scan's arguments."""

RUN = '''\


def run(weights, inputs, mode=None):
    """Outputs by name, for arrays by name."""
    shared = {{}}
    for name, value in weights.items():
        shared[name] = pytensor.shared(value, name, shape=value.shape)
    symbols = {{
{symbols}
    }}
    outputs = build(shared, symbols)
    function = pytensor.function(
        list(symbols.values()),
        list(outputs.values()),
        mode=mode,
        on_unused_input="ignore",
    )
    arrays = []
    for name, symbol in symbols.items():
        arrays.append(np.asarray(inputs[name], dtype=symbol.dtype))
    return dict(zip(outputs, function(*arrays)))'''
"""The function that compiles a script, as a template of its input variables."""


def _run(script: Script) -> Lines:
    """The function that compiles the outputs of ``build`` and runs them."""
    symbols = []
    for name, (dtype, shape) in script.inputs.items():
        symbol = f"pt.tensor({name!r}, dtype={dtype!r}, shape={shape})"
        symbols.append(f"        {name!r}: {symbol},")
    return RUN.format(symbols="\n".join(symbols)).splitlines()


def _scan(script: Script) -> Lines:
    """A call of scan, which returns all steps of each result in one tensor."""
    plan = script.plan
    sizes = []
    for name in plan.results:
        shape = script.shapes[name]
        sizes.append((None, *shape[1:]) if shape else ())
    stop = ""
    if script.spec.until:
        stop = f", until({script.result(script.spec.until)}.all())"
    outputs_info = [_recurrence(item) for item in plan.recurrences]
    outputs_info += ["None"] * len(plan.collected)
    constants = [f"inputs[{name!r}]" for name in plan.contexts]
    constants += [f"weights[{name!r}]" for name in plan.param_names]
    return [
        "",
        "    def typed(*arguments):",
        '        """The step, its results with their known sizes."""',
        f"        sizes = {sizes}",
        "        results = list(map(pt.specify_shape, step(*arguments), sizes))",
        f"        return results{stop}",
        "",
        "    results = pytensor.scan(",
        "        typed,",
        *_listed("sequences", [_sequence(item) for item in plan.sequences]),
        *_listed("outputs_info", outputs_info),
        *_listed("non_sequences", constants),
        "        n_steps=steps,",
        "        strict=True,",
        "        return_list=True,",
        "        return_updates=False,",
        "    )",
    ]


def _listed(name: str, items: Lines) -> Lines:
    """The lines of an argument that is a list, with one item on each line."""
    lines = [f"            {item}," for item in items]
    return [f"        {name}=[", *lines, "        ],"]


def _sequence(item: Sequence) -> str:
    lag = -min(item.taps)
    value = f"sequences[{item.name!r}]"
    if lag:
        value = f"padded({value}, {lag})"
    return f"dict(input={value}, taps={list(item.taps)})"


def _recurrence(item: Recurrence) -> str:
    first = "[0]" if item.taps == (-1,) else ""
    return f"dict(initial=starts[{item.name!r}]{first}, taps={list(item.taps)})"


PYTENSOR = Language(
    title="A recurrent network as a scan: run returns arrays by name, build tensors.",
    imports=("import numpy as np", "import pytensor", "import pytensor.tensor as pt"),
    imports_until=("from pytensor.scan.utils import until",),
    module="pt",
    functions=FUNCTIONS,
    name="build",
    returns="Outputs by name, as tensors",
    starts="starts",
    start="{}",
    loop=_scan,
    all_steps="{result}.swapaxes(0, 1)",
    last_step="{result}[-1]",
    last_row="{result}[-1]",
    last_rows="xp.concatenate([starts[{state!r}], {result}], axis=0)"
    "[-{lag}:].swapaxes(0, 1)",
    after=_run,
)
