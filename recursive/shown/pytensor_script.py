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
    """What a state is before the first step, (lag, batch, dim), oldest first."""
    return xp.alloc(xp.as_tensor(initial).astype(FLOATS), lag, batch, dim)''',
    "padded": '''\
def padded(sequence, lag):
    """A sequence with zeros in front of it, so that its past can be read at the first step."""
    return xp.concatenate([xp.zeros_like(sequence[:1])] * lag + [sequence], axis=0)''',
}
"""PyTensor's own activations, and the functions that scan needs."""

RUN = '''\


def run(weights, inputs, mode=None):
    """The numbers: outputs by name, for arrays by name."""
    held = {{name: pytensor.shared(value, name, shape=value.shape) for name, value in weights.items()}}
    symbols = {{
{symbols}
    }}
    outputs = build(held, symbols)
    function = pytensor.function(list(symbols.values()), list(outputs.values()), mode=mode, on_unused_input="ignore")
    arrays = [np.asarray(inputs[name], dtype=symbol.dtype) for name, symbol in symbols.items()]
    return dict(zip(outputs, function(*arrays)))'''


def _run(script: Script) -> Lines:
    """The function that compiles what ``build`` returns and runs it."""
    symbols = [
        f"        {name!r}: pt.tensor({name!r}, dtype={dtype!r}, shape={shape}),"
        for name, (dtype, shape) in script.inputs.items()
    ]
    return RUN.format(symbols="\n".join(symbols)).splitlines()


def _scan(script: Script) -> Lines:
    """A call of scan. It returns one tensor of all steps for each result of the step."""
    plan = script.plan
    sizes = []
    for name in plan.results:
        shape = script.shapes[name]
        sizes.append((None, *shape[1:]) if shape else ())
    stop = ""
    if script.spec.until:
        stop = f", until({script.result(script.spec.until)}.all())"
    recurrences = [_recurrence(item) for item in plan.recurrences]
    constants = [f"inputs[{name!r}]" for name in plan.contexts]
    constants += [f"weights[{name!r}]" for name in plan.constants]
    return [
        "",
        "    def typed(*arguments):",
        '        """The step, its results with the sizes that are known: scan compares them with the starts."""',
        f"        sizes = {sizes}",
        "        results = [pt.specify_shape(value, size) for value, size in zip(step(*arguments), sizes)]",
        f"        return results{stop}",
        "",
        "    results = pytensor.scan(",
        "        typed,",
        *_listed("sequences", [_sequence(item) for item in plan.sequences]),
        *_listed("outputs_info", [*recurrences, *["None"] * len(plan.collected)]),
        *_listed("non_sequences", constants),
        "        n_steps=steps,",
        "        strict=True,",
        "        return_list=True,",
        "        return_updates=False,",
        "    )",
    ]


def _listed(name: str, items: Lines) -> Lines:
    """A list as an argument of a call, one item a line."""
    return [
        f"        {name}=[",
        *(f"            {item}," for item in items),
        "        ],",
    ]


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
    title="A recurrent network as a scan: run(weights, inputs) returns its outputs by name, build() the tensors.",
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
    last_rows="xp.concatenate([starts[{state!r}], {result}], axis=0)[-{lag}:].swapaxes(0, 1)",
    after=_run,
)
