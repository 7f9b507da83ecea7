"""The merge modes: how several values become one.

This is the only module in ``spec`` that knows the modes by name. The others ask a mode
for what they need: the shape of its result, or its text. A new mode is an entry in the
table below and a tensor function in :mod:`recursive.loop.merges`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

Shape = tuple[int | None, ...]
"""The size of each axis, batch first; None for a size that is not known yet."""


class Result(Enum):
    """The shape of a merge's result."""

    ELEMENTWISE = "has the shape that all values have"
    JOINED = "has the last axes of all values, end to end"
    SUMMED = "has a last axis of size 1"
    BY_NAME = "is not one value: the layer takes the values by name"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeMode:
    """One way to merge several values into one.

    Args:
        name: the mode in a declaration.
        meaning: the result in words that follow "it is".
        result: the shape of the result.
        binary: True if it takes exactly two values.
        broadcasts: True if a value of dim 1 may be merged with values of any dim.
        operator: the operator between the values in text. Without one, the text calls a
            function that has the mode's name.
        body: the body of that function, which takes the list ``values``. The array
            library is called ``xp``.
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
        """True if the result has the shape that all values have."""
        return self.result is Result.ELEMENTWISE

    @property
    def joins_last_axis(self) -> bool:
        """True if the last axes of all values are joined end to end."""
        return self.result is Result.JOINED

    @property
    def is_by_name(self) -> bool:
        """True if nothing is merged and the layer takes the values by name."""
        return self.result is Result.BY_NAME

    def merged_shape(self, shapes: Sequence[Shape | None]) -> Shape:
        """The shape of the result.

        None stands for a value of unknown shape. At least one shape is known.

        >>> CONCAT.merged_shape([(None, 4), (None, 6)])
        (None, 10)
        >>> DOT.merged_shape([(None, 4), (None, 4)])
        (None, 1)
        """
        first = next(shape for shape in shapes if shape is not None)
        if self.result is Result.SUMMED:
            return (*first[:-1], 1)
        if self.joins_last_axis and len(shapes) > 1:
            sizes = [shape[-1] if shape else None for shape in shapes]
            return (*first[:-1], None if None in sizes else sum(sizes))

        # A value of unknown shape may have any size along each axis.
        unknown = (None,) * len(first)
        merged = []
        axes = zip(*(shape or unknown for shape in shapes), strict=True)
        for axis, sizes in enumerate(axes):
            if axis == 0:
                # An unknown batch may be larger than the 1 row of a constant.
                merged.append(None if None in sizes else max(sizes))
            else:
                merged.append(self._merged_size(sizes))
        return tuple(merged)

    def _merged_size(self, sizes: Sequence[int | None]) -> int | None:
        """The size of an axis of the result, from the sizes that are known."""
        known = [size for size in sizes if size is not None]
        some_are_unknown = len(known) < len(sizes)
        # If values are broadcast, a 1 says nothing about the sizes that are not known.
        if self.broadcasts and some_are_unknown and set(known) <= {1}:
            return None
        return max(known, default=None)

    def shared_axes(self, shape: Shape) -> Shape:
        """The axes of a ``shape`` that must have equal sizes in all values."""
        return shape[:-1] if self.joins_last_axis else shape

    def sizes_agree(self, shapes: Sequence[Shape]) -> bool:
        """True if values of these ``shapes``, of equally many axes, can be merged.

        An unknown size agrees with any size.

        >>> MUL.sizes_agree([(None, 4), (None, 1)])
        True
        >>> SUM.sizes_agree([(None, 4), (None, 1)])
        False
        """
        axes = list(zip(*map(self.shared_axes, shapes), strict=True))
        # One row may be merged with each of many, unless it is the only axis.
        broadcast_axes = set()
        if len(axes) > 1:
            broadcast_axes.add(0)
            if self.broadcasts:
                broadcast_axes.add(len(axes) - 1)
        for axis, sizes in enumerate(axes):
            different = set(sizes) - {None}
            if axis in broadcast_axes:
                different.discard(1)
            if len(different) > 1:
                return False
        return True

    def text(self, values: Sequence[str]) -> str:
        """The text of the merge of ``values``, which are texts of expressions.

        >>> SUM.text(["a", "b"]), CONCAT.text(["a", "b"])
        ('a + b', 'concat([a, b])')
        """
        if self.operator:
            return f" {self.operator} ".join(values)
        return f"{self.name}([{', '.join(values)}])"

    @property
    def function(self) -> str:
        """The Python code of the function that ``text`` calls."""
        return f"def {self.name}(values):\n{textwrap.indent(self.body, '    ')}"


CONCAT = MergeMode(
    name="concat",
    meaning="the concatenation along the last axis",
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
    meaning="the maximum, element by element",
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
"""The modes that are functions in the text of a step."""

DEFAULT = CONCAT.name
"""The mode that merges a list of names if none is given."""
