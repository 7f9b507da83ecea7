"""A container as a stand-alone script that calls PyTensor's scan."""

from __future__ import annotations

from recursive.shown.script import Script, assembled, gap_lines, lengths
from recursive.spec.plan import Recurrence, Sequence

HEAD = '''\
"""A recurrent network as a scan: run(weights, inputs) returns its outputs by name, build() the tensors."""

import numpy as np
import pytensor
import pytensor.tensor as pt
{until}
FLOATS = "{floats}"
'''

HELPERS = '''\
def tanh(x):
    return pt.tanh(x)


def sigmoid(x):
    return pt.sigmoid(x)


def hard_sigmoid(x):
    return pt.clip(0.2 * x + 0.5, 0, 1)


def relu(x):
    return (x + abs(x)) / 2


def softplus(x):
    return pt.softplus(x)


def softmax(x):
    return pt.special.softmax(x, axis=-1)


def concat(values):
    return pt.concatenate(values, axis=-1)


def ave(values):
    return sum(values[1:], values[0]) / len(values)


def max(values):
    largest = values[0]
    for value in values[1:]:
        largest = pt.maximum(largest, value)
    return largest


def dot(values):
    left, right = values
    return (left * right).sum(axis=-1, keepdims=True)


def join(values):
    return values


def padded(sequence, lag):
    """A sequence with zeros in front of it, so that its past can be read at the first step."""
    return pt.concatenate([pt.zeros_like(sequence[:1])] * lag + [sequence], axis=0)


def turned(start):
    """(batch, lag, dim) as (lag, batch, dim)."""
    return start.swapaxes(0, 1)


def rows(initial, lag, batch, dim):
    """What a state is before the first step, (lag, batch, dim), oldest first."""
    return pt.alloc(pt.as_tensor(initial).astype(FLOATS), lag, batch, dim)
'''

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
    return dict(zip(outputs, function(*arrays)))
'''


def pytensor_script(script: Script) -> str:
    """The text of the script."""
    symbols = [
        f"        {name!r}: pt.tensor({name!r}, dtype={dtype!r}, shape={shape}),"
        for name, (dtype, shape) in script.inputs.items()
    ]
    body = "\n".join(_build(script)) + "\n\n\n" + RUN.format(symbols="\n".join(symbols))
    until = "from pytensor.scan.utils import until\n" if script.spec.until else ""
    return assembled(
        HEAD.format(floats=script.floats, until=until),
        HELPERS,
        script.step(),
        body.rstrip(),
    )


def _build(script: Script) -> list[str]:
    turned, plan = "[::-1]" if script.spec.go_backwards else "", script.plan
    infos = [*map(_started, plan.recurrences), *(["None"] * len(plan.collected))]
    constants = [
        *(f"inputs[{name!r}]" for name in plan.contexts),
        *(f"weights[{name!r}]" for name in plan.constants),
    ]
    sizes = [
        tuple((None, *script.shapes[name][1:])[: len(script.shapes[name])])
        for name in plan.results
    ]
    stop = (
        f", until({script.result(script.spec.until)}.all())"
        if script.spec.until
        else ""
    )
    return [
        "def build(weights, inputs):",
        '    """Outputs by name, as tensors. Sequences are (batch, time, dim), contexts (batch, dim)."""',
        *gap_lines(script),
        f"    sequences = {{name: inputs[name].swapaxes(0, 1){turned} for name in {script.sequences}}}",
        *lengths(script, "{}.shape[{}]"),
        "    starts = {",
        *(f"        {item.name!r}: {script.start(item)}," for item in plan.recurrences),
        "    }",
        "",
        "    def typed(*arguments):",
        '        """The step, its results with the sizes that are known: scan compares them with the starts."""',
        f"        sizes = {sizes}",
        "        results = [pt.specify_shape(value, size) for value, size in zip(step(*arguments), sizes)]",
        f"        return results{stop}",
        "",
        "    results = pytensor.scan(",
        "        typed,",
        "        sequences=[",
        *(f"            {_sequence(item)}," for item in plan.sequences),
        "        ],",
        "        outputs_info=[",
        *(f"            {info}," for info in infos),
        "        ],",
        "        non_sequences=[",
        *(f"            {name}," for name in constants),
        "        ],",
        "        n_steps=steps,",
        "        strict=True,",
        "        return_list=True,",
        "        return_updates=False,",
        "    )",
        "    return {",
        *_outputs(script),
        "    }",
    ]


def _sequence(item: Sequence) -> str:
    lag = -min(item.taps)
    value = f"sequences[{item.name!r}]"
    return f"dict(input={f'padded({value}, {lag})' if lag else value}, taps={list(item.taps)})"


def _started(item: Recurrence) -> str:
    first = "[0]" if item.taps == (-1,) else ""
    return f"dict(initial=starts[{item.name!r}]{first}, taps={list(item.taps)})"


def _outputs(script: Script) -> list[str]:
    shape = "{}.swapaxes(0, 1)" if script.spec.return_sequences else "{}[-1]"
    return [
        *(
            f"        {name!r}: {shape.format(script.result(value))},"
            for name, value in script.outputs.items()
        ),
        *(
            f"        {name!r}: {_final(script, item)},"
            for name, item in script.finals.items()
        ),
    ]


def _final(script: Script, item: Recurrence) -> str:
    values = script.result(item.node)
    if item.lag == 1:
        return f"{values}[-1]"
    return f"pt.concatenate([starts[{item.name!r}], {values}], axis=0)[-{item.lag}:].swapaxes(0, 1)"
