"""The merge modes: how several values become one.

This table is the only module in ``spec`` that knows the modes by name. The others ask a mode for what they need: the
shape of its result, or how it is written as text. A new mode is an entry here and a tensor function in
:mod:`recursive.loop.merges`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

Shape = tuple[int | None, ...]
"""The sizes of a value, batch first; None for a size that is not known yet."""


class Result(Enum):
    """The result of a merge, as far as shapes go."""

    ELEMENTWISE = "has the one shape of all values"
    JOINED = "has the last axes of all values, end to end"
    SUMMED = "has one number for the last axis, which has the same size in all values"
    BY_NAME = "is not one value: the layer takes the values by name"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeMode:
    """One way in which several values become one.

    Args:
        name: the mode in a declaration.
        meaning: the result in words that follow "it is".
        result: the shape of the result.
        binary: True if it takes exactly two values.
        broadcasts: True if one value a row may be merged with a whole row.
        operator: the operator between the values in text. Without one, the text calls a function of the mode's name.
        body: the body of that function, which takes the list ``values``. The array library is called ``xp``.
    """

    name: str
    meaning: str
    result: Result = Result.ELEMENTWISE
    binary: bool = False
    broadcasts: bool = False
    operator: str | None = None
    body: str = ""

    @property
    def is_elementwise(self) -> bool:
        """True if the result has the one shape of all values."""
        return self.result is Result.ELEMENTWISE

    @property
    def joins_last_axis(self) -> bool:
        """True if the last axis of the result holds those of all values."""
        return self.result is Result.JOINED

    @property
    def is_by_name(self) -> bool:
        """True if nothing is merged, and a layer with several inputs takes the values by name."""
        return self.result is Result.BY_NAME

    def merged_shape(self, shapes: Sequence[Shape | None]) -> Shape:
        """The shape of the result. At least one of the ``shapes`` is known; None stands for any other.

        >>> CONCAT.merged_shape([(None, 4), (None, 6)]), DOT.merged_shape([(None, 4), (None, 4)])
        ((None, 10), (None, 1))
        """
        first = next(shape for shape in shapes if shape is not None)
        if self.result is Result.SUMMED:
            return (*first[:-1], 1)
        if self.joins_last_axis and len(shapes) > 1:
            sizes = [shape[-1] if shape else None for shape in shapes]
            return (*first[:-1], None if None in sizes else sum(sizes))
        # A value of unknown shape may have any size along each axis, so it counts as unknown along all of them.
        unknown = (None,) * len(first)
        axes = list(zip(*(shape or unknown for shape in shapes), strict=True))
        rows = [None if None in sizes else max(sizes) for sizes in axes[:1]]
        return (*rows, *(self._merged_size(sizes) for sizes in axes[1:]))

    def _merged_size(self, sizes: Sequence[int | None]) -> int | None:
        """The size of an axis of the result, from the sizes that are known."""
        known = [size for size in sizes if size is not None]
        some_are_unknown = len(known) < len(sizes)
        # Where values are broadcast, a 1 says nothing about the sizes that are not known.
        if self.broadcasts and some_are_unknown and set(known) <= {1}:
            return None
        return max(known, default=None)

    def shared_axes(self, shape: Shape) -> Shape:
        """The part of a ``shape`` in which all values agree."""
        return shape[:-1] if self.joins_last_axis else shape

    def sizes_agree(self, shapes: Sequence[Shape]) -> bool:
        """True if values of these ``shapes``, all of as many axes, can be merged. An unknown size agrees with any.

        >>> MUL.sizes_agree([(None, 4), (None, 1)]), SUM.sizes_agree([(None, 4), (None, 1)])
        (True, False)
        """
        columns = zip(*map(self.shared_axes, shapes), strict=True)
        sizes = [{size for size in column if size} for column in columns]
        if len(sizes) > 1:
            # One row may be merged with each of many.
            sizes[0] -= {1}
            if self.broadcasts:
                sizes[-1] -= {1}
        return all(len(different) <= 1 for different in sizes)

    def text(self, values: Sequence[str]) -> str:
        """The merge of ``values``, which are the text of expressions, as the text of an expression.

        >>> SUM.text(["a", "b"]), CONCAT.text(["a", "b"])
        ('a + b', 'concat([a, b])')
        """
        if self.operator:
            return f" {self.operator} ".join(values)
        return f"{self.name}([{', '.join(values)}])"

    @property
    def function(self) -> str:
        """The text of the Python function that ``text`` calls."""
        return f"def {self.name}(values):\n{textwrap.indent(self.body, '    ')}"


CONCAT = MergeMode(
    name="concat",
    meaning="the values side by side along the last axis",
    result=Result.JOINED,
    body="return xp.concatenate(values, axis=-1)",
)
SUM = MergeMode(
    name="sum",
    meaning="the sum, element by element",
    operator="+",
)
MUL = MergeMode(
    name="mul",
    meaning="the product, element by element",
    broadcasts=True,
    operator="*",
)
AVE = MergeMode(
    name="ave",
    meaning="the mean, element by element",
    body="return sum(values[1:], values[0]) / len(values)",
)
MAX = MergeMode(
    name="max",
    meaning="the largest, element by element",
    body="""\
largest = values[0]
for value in values[1:]:
    largest = xp.maximum(largest, value)
return largest""",
)
DOT = MergeMode(
    name="dot",
    meaning="the inner product of two",
    result=Result.SUMMED,
    binary=True,
    body="""\
left, right = values
return (left * right).sum(axis=-1, keepdims=True)""",
)
JOIN = MergeMode(
    name="join",
    meaning="the values by name, as a dict",
    result=Result.BY_NAME,
    body="return values",
)

MODES = {mode.name: mode for mode in (CONCAT, SUM, MUL, AVE, MAX, DOT, JOIN)}
"""Every merge mode by name."""

MODE_NAMES = tuple(MODES)
"""The names of the merge modes."""

CALLED = tuple(name for name, mode in MODES.items() if mode.operator is None)
"""The modes that the text of a step calls as functions."""

DEFAULT = CONCAT.name
"""The mode of a list of names for which no mode is given."""
