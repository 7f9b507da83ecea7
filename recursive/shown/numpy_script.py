"""Scripts in NumPy, with a ``for`` loop over time."""

from __future__ import annotations

from recursive.shown.language import Language, Lines
from recursive.shown.script import Script
from recursive.spec.names import Ref


def plain_loop(script: Script) -> Lines:
    """A loop that appends to lists.

    ``states`` has one by state, ``found`` one by the value that an output reads.
    """
    values = list(dict.fromkeys(script.outputs.values()))
    lines = [
        f"    found = {{name: [] for name in {values}}}",
        "    for t in range(steps):",
        "        results = step(",
    ]
    for ref in script.plan.arguments:
        lines.append(f"            {_argument(ref, script)},")
    lines.append("        )")
    for item in script.plan.recurrences:
        result = script.result(item.node)
        lines.append(f"        states[{item.name!r}].append({result})")
    for value in values:
        lines.append(f"        found[{value!r}].append({script.result(value)})")
    if script.spec.until:
        stops = script.result(script.spec.until)
        lines += [f"        if {stops}.all():", "            break"]
    return lines


def _argument(ref: Ref, script: Script) -> str:
    """An argument of the step at time ``t``."""
    if ref.name in {item.name for item in script.plan.recurrences}:
        return f"states[{ref.name!r}][{ref.tap}]"
    if ref.name in script.sequences:
        sequence = f"sequences[{ref.name!r}]"
        return f"at({sequence}, t - {-ref.tap})" if ref.tap else f"{sequence}[t]"
    holder = "inputs" if ref.name in script.inputs else "weights"
    return f"{holder}[{ref.name!r}]"


NUMPY = Language(
    title="A recurrent network as a loop: run returns its outputs by name.",
    imports=("import numpy as np",),
    module="np",
    starts="states",
    start="list({})",
    loop=plain_loop,
    all_steps="xp.stack(found[{value!r}], axis=1)",
    last_step="found[{value!r}][-1]",
    last_row="states[{state!r}][-1]",
    last_rows="xp.stack(states[{state!r}][-{lag}:], axis=1)",
)
