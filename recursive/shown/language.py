"""Writes scripts, from a table of the differences between array libraries.

A script is Python text. Its first part is shared: the functions that it calls, the step
and the preparation of ``sequences``, ``steps``, ``batch`` and starts. A
:class:`Language` fills in the rest: the imports, the loop and how results are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from recursive.shown.script import Script
from recursive.spec.merging import CALLED, MODES

Lines = list[str]

FUNCTIONS = {
    "tanh": """\
def tanh(x):
    return xp.tanh(x)""",
    "sigmoid": """\
def sigmoid(x):
    small = xp.exp(-xp.abs(x))
    return xp.where(x < 0, small, 1) / (1 + small)""",
    "hard_sigmoid": """\
def hard_sigmoid(x):
    return xp.clip(0.2 * x + 0.5, 0, 1)""",
    "relu": """\
def relu(x):
    return (x + xp.abs(x)) / 2""",
    "softplus": """\
def softplus(x):
    return xp.logaddexp(0, x)""",
    "softmax": """\
def softmax(x):
    powers = xp.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)""",
    "argmax": """\
def argmax(x):
    return xp.argmax(x, axis=-1).astype("int32")""",
    "until_end": '''\
def until_end(words, ended, end):
    """The words, or the end symbol in rows that have ended, and which rows end."""
    words = xp.where(ended, end, words).astype("int32")
    return words, xp.equal(words, end)''',
    **{name: MODES[name].function for name in CALLED},
    "at": '''\
def at(sequence, t):
    """The slice at t; zeros before the first."""
    return sequence[t] if t >= 0 else xp.zeros_like(sequence[0])''',
    "turned": '''\
def turned(start):
    """(batch, lag, dim) as (lag, batch, dim)."""
    return xp.swapaxes(start, 0, 1)''',
    "rows": '''\
def rows(initial, lag, batch, dim):
    """A state before the first step, (lag, batch, dim), oldest first."""
    return xp.broadcast_to(xp.asarray(initial, dtype=FLOATS), (lag, batch, dim))''',
    "whole": '''\
def whole(initial, dtype, lag, batch):
    """A state of integers before the first step, (lag, batch), oldest first."""
    return xp.broadcast_to(xp.asarray(initial, dtype=dtype), (lag, batch))''',
}
"""The functions that scripts call, by name, for a library with NumPy's functions."""


def _no_lines(script: Script) -> Lines:
    """No lines, for a language without a part after the function."""
    return []


@dataclass(frozen=True, kw_only=True)
class Language:
    """The part of a script that depends on the array library.

    In functions and templates, ``xp`` stands for the library. The templates of results
    may use ``{value}`` and ``{state}`` for names, ``{result}`` for the variable that
    holds the value in the loop, and ``{lag}`` for the number of steps that a state
    keeps.

    Args:
        title: the first line of the script.
        imports: the lines that import the library.
        imports_until: a further import, for a loop that may stop early.
        module: the name of the library in the text.
        functions: functions by name that replace those of FUNCTIONS or are added.
        name: the name of the function with the loop, of ``weights`` and ``inputs``.
        returns: the first sentence of its docstring.
        starts: the variable that holds the first steps of each state.
        start: the template of one of them, ``(lag, batch, dim)``.
        loop: writes the lines of the loop.
        all_steps: the template of an output at all steps.
        last_step: the template of an output at the last step.
        last_row: the template of the last step of a state.
        last_rows: the template of the last steps of a state that keeps several.
        after: writes the lines after the function, such as one that compiles it.
    """

    title: str
    imports: tuple[str, ...]
    imports_until: tuple[str, ...] = ()
    module: str
    functions: Mapping[str, str] = field(default_factory=dict)
    name: str = "run"
    returns: str = "Outputs by name"
    starts: str
    start: str
    loop: Callable[[Script], Lines]
    all_steps: str
    last_step: str
    last_row: str
    last_rows: str
    after: Callable[[Script], Lines] = _no_lines

    @property
    def all_functions(self) -> dict[str, str]:
        """The text of every function that a script may call, by name."""
        texts = {**FUNCTIONS, **self.functions}
        return {name: self.in_library(text) for name, text in texts.items()}

    def in_library(self, text: str) -> str:
        """``text`` with the name of the library in place of ``xp``."""
        return re.sub(r"\bxp\.", f"{self.module}.", text)

    @property
    def reserved(self) -> set[str]:
        """The names that no variable of the step may have."""
        imported = {line.split()[-1] for line in self.imports + self.imports_until}
        return {*imported, *self.all_functions, "step"}


def written(script: Script, language: Language) -> str:
    """The text of a script in one language.

    Only the functions that it calls are in it.
    """
    step = script.step(language.reserved)
    body = "\n".join([*_over_time(script, language), *language.after(script)])
    called = []
    for name, text in language.all_functions.items():
        if re.search(rf"\b{name}\(", f"{step}\n{body}"):
            called.append(text)
    return "\n\n\n".join([_head(script, language), *called, step, body]) + "\n"


def _head(script: Script, language: Language) -> str:
    lines = [f'"""{language.title}"""', "", *language.imports]
    if script.spec.until:
        lines += language.imports_until
    lines += ["", f'FLOATS = "{script.floats}"']
    return "\n".join(lines)


def _over_time(script: Script, language: Language) -> Lines:
    """The function with the loop."""
    order = "[::-1]" if script.spec.go_backwards else ""
    steps_first = language.in_library(f"xp.swapaxes(inputs[name], 0, 1){order}")
    starts = []
    for item in script.plan.recurrences:
        start = language.start.format(script.start(item))
        starts.append(f"        {item.name!r}: {start},")
    shapes = "Sequences are (batch, time, dim), contexts (batch, dim)."
    return [
        f"def {language.name}(weights, inputs):",
        f'    """{language.returns}. {shapes}"""',
        *_gaps(script),
        f"    sequences = {{name: {steps_first} for name in {script.sequences}}}",
        *_lengths(script),
        f"    {language.starts} = {{",
        *starts,
        "    }",
        *language.loop(script),
        "    return {",
        *_outputs(script, language),
        *_finals(script, language),
        "    }",
    ]


def _gaps(script: Script) -> Lines:
    """An error for each thing that the loop does and the script does not."""
    lines = []
    for sentence in script.gaps:
        lines += ["    # GAP", f"    raise NotImplementedError({sentence!r})"]
    return lines


def _lengths(script: Script) -> Lines:
    """The lines that set the number of steps and of rows."""
    steps, rows = script.spec.n_steps, 1
    if script.sequences:
        steps = f"sequences[{script.sequences[0]!r}].shape[0]"
    if script.inputs:
        rows = f"inputs[{next(iter(script.inputs))!r}].shape[0]"
    return [f"    steps = {steps}", f"    batch = {rows}"]


def _outputs(script: Script, language: Language) -> Lines:
    lines = []
    for name, value in script.outputs.items():
        template = language.last_step
        if script.spec.return_sequences:
            template = language.all_steps
        text = language.in_library(template).format(
            value=value, result=script.result(value)
        )
        lines.append(f"        {name!r}: {text},")
    return lines


def _finals(script: Script, language: Language) -> Lines:
    """The last steps of the states that are outputs."""
    lines = []
    for name, item in script.finals.items():
        template = language.last_row if item.lag == 1 else language.last_rows
        text = language.in_library(template).format(
            state=item.name, result=script.result(item.node), lag=item.lag
        )
        lines.append(f"        {name!r}: {text},")
    return lines
