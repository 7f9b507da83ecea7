"""A container as a stand-alone script in NumPy, with a plain loop over time."""

from __future__ import annotations

from recursive.shown.script import Script, assembled, gap_lines, lengths, seen

HEAD = '''\
"""A recurrent network as a plain loop: run(weights, inputs) returns its outputs by name."""

import numpy as np

FLOATS = "{floats}"
'''

HELPERS = '''\
def tanh(x):
    return np.tanh(x)


def sigmoid(x):
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1) / (1 + small)


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def relu(x):
    return (x + np.abs(x)) / 2


def softplus(x):
    return np.logaddexp(0, x)


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def concat(values):
    return np.concatenate(values, axis=-1)


def ave(values):
    return sum(values) / len(values)


def max(values):
    largest = values[0]
    for value in values[1:]:
        largest = np.maximum(largest, value)
    return largest


def dot(values):
    left, right = values
    return (left * right).sum(axis=-1, keepdims=True)


def join(values):
    return values


def at(sequence, t):
    """The slice at t; zeros before the first."""
    return sequence[t] if t >= 0 else np.zeros_like(sequence[0])


def turned(start):
    """(batch, lag, dim) as (lag, batch, dim)."""
    return np.swapaxes(start, 0, 1)


def rows(initial, lag, batch, dim):
    """What a state is before the first step, (lag, batch, dim), oldest first."""
    return np.broadcast_to(np.asarray(initial, dtype=FLOATS), (lag, batch, dim))
'''


def numpy_script(script: Script) -> str:
    """The text of the script."""
    return assembled(
        HEAD.format(floats=script.floats),
        HELPERS,
        script.step(),
        "\n".join(_run(script)),
    )


def _run(script: Script) -> list[str]:
    turned = "[::-1]" if script.spec.go_backwards else ""
    plan, values = script.plan, dict.fromkeys(script.outputs.values())
    stop = (
        [f"        if {script.result(script.spec.until)}.all():", "            break"]
        if script.spec.until
        else []
    )
    return [
        "def run(weights, inputs):",
        '    """Outputs by name. Sequences are (batch, time, dim), contexts (batch, dim)."""',
        *gap_lines(script),
        f"    sequences = {{name: np.swapaxes(inputs[name], 0, 1){turned} for name in {script.sequences}}}",
        *lengths(script, "{}.shape[{}]"),
        "    states = {",
        *(
            f"        {item.name!r}: list({script.start(item)}),"
            for item in plan.recurrences
        ),
        "    }",
        f"    found = {{name: [] for name in {list(values)}}}",
        "    for t in range(steps):",
        "        results = step(",
        *(f"            {seen(ref, script)}," for ref in plan.arguments),
        "        )",
        *(
            f"        states[{item.name!r}].append({script.result(item.node)})"
            for item in plan.recurrences
        ),
        *(
            f"        found[{value!r}].append({script.result(value)})"
            for value in values
        ),
        *stop,
        "    return {",
        *_outputs(script),
        "    }",
    ]


def _outputs(script: Script) -> list[str]:
    shape = (
        "np.stack(found[{!r}], axis=1)"
        if script.spec.return_sequences
        else "found[{!r}][-1]"
    )
    last = "states[{0!r}][-1]", "np.stack(states[{0!r}][-{1}:], axis=1)"
    return [
        *(
            f"        {name!r}: {shape.format(value)},"
            for name, value in script.outputs.items()
        ),
        *(
            f"        {name!r}: {last[item.lag > 1].format(item.name, item.lag)},"
            for name, item in script.finals.items()
        ),
    ]
