"""Which axis of each value of a step is the axis of rows.

A step computes with arrays, and in most of them one axis counts the rows of the batch.
Nothing marks it: ``(32, 128)`` may be rows and values, or weights. It follows from how
the values are used. Axes that run through the same index belong together::

    z = dot(h, U)       z[r, j] = sum over k of h[r, k] * U[k, j]

Here axis 0 of ``z`` and axis 0 of ``h`` run through ``r``. Axis 1 of ``h`` and axis 0
of ``U`` run through ``k``, which is *mixed*: one value of the result is computed from
all ``k``. So the axes of all values fall into classes (a union-find), and a class is
mixed if any operation mixes it.

A class is the class of rows if each result of the step has exactly one axis in it, no
value has two, and it is not mixed. Then the step treats each row alone, and rows may be
computed in any order, by any thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytensor.graph.basic import Apply, Variable

from recursive.backend.c_loop.refusal import TranslationError, describe

Axis = tuple[Variable, int]


class Axes:
    """The classes of the axes of all values of a step."""

    def __init__(self) -> None:
        self._parent: dict[Axis, Axis] = {}
        self._size: dict[Axis, int] = {}
        self._mixed_by: dict[Axis, Apply] = {}

    def find(self, variable: Variable, axis: int) -> Axis:
        """The axis that stands for the class of this one."""
        member = (variable, axis)
        if member not in self._parent:
            self._parent[member] = member
            size = variable.type.shape[axis]
            if size is not None:
                self._size[member] = size
            return member
        path = []
        while self._parent[member] != member:
            path.append(member)
            member = self._parent[member]
        for passed in path:
            self._parent[passed] = member
        return member

    def tie(self, first: Variable, i: int, second: Variable, j: int) -> None:
        """Put two axes in one class: they run through the same index."""
        one, other = self.find(first, i), self.find(second, j)
        if one == other:
            return
        self._parent[other] = one
        size = self._size.pop(other, None)
        if size is not None:
            self._size.setdefault(one, size)
        node = self._mixed_by.pop(other, None)
        if node is not None:
            self._mixed_by.setdefault(one, node)

    def tie_all(self, first: Variable, second: Variable) -> None:
        """Put each axis of one value in the class of the same axis of the other."""
        for axis in range(first.type.ndim):
            self.tie(first, axis, second, axis)

    def mix(self, variable: Variable, axis: int, node: Apply) -> None:
        """Note that ``node`` computes a value from several positions of an axis."""
        self._mixed_by.setdefault(self.find(variable, axis), node)

    def size(self, variable: Variable, axis: int) -> int | None:
        """The size of an axis if the type of any axis in its class has it."""
        return self._size.get(self.find(variable, axis))

    def rows(self, results: Sequence[Variable], everything: Sequence[Variable]) -> Axis:
        """The class of rows.

        Args:
            results: the results of the step.
            everything: all values of the step.

        Raises:
            TranslationError: if there is none.
        """
        rows: Axis | None = None
        for result in results:
            if rows is not None and self.count(result, rows):
                continue
            found = self._candidate(result)
            if rows is not None:
                # Results that have nothing to do with each other, such as two loops
                # that PyTensor has merged: their rows are the same ones.
                sizes = {self._size.get(rows), self._size.get(found)} - {None}
                if len(sizes) > 1:
                    raise TranslationError("a result of the step", "has other rows")
                self.tie(*rows, *found)
            rows = self.find(*found)
        for value in everything:
            wanted = (1,) if value in results else (0, 1)
            if self.count(value, rows) not in wanted:
                raise TranslationError("a value of the step", "has no axis of rows")
        return rows

    def _candidate(self, result: Variable) -> Axis:
        """The class that may be that of the rows of a result."""
        axes = [self.find(result, axis) for axis in range(result.type.ndim)]
        free = [axis for axis in axes if axis not in self._mixed_by]
        if not free:
            if axes:
                raise TranslationError(describe(self._mixed_by[axes[0]]), MIXES)
            raise TranslationError("a result of the step", "has no axis of rows")
        # The number of rows is hardly ever part of a type.
        unknown = [axis for axis in free if axis not in self._size]
        return (unknown or free)[0]

    def count(self, value: Variable, rows: Axis) -> int:
        """The number of axes of ``value`` in the class of rows."""
        return sum(self.find(value, axis) == rows for axis in range(value.type.ndim))

    def axis_in(self, value: Variable, rows: Axis) -> int | None:
        """The axis of ``value`` in the class of rows; None if there is none."""
        for axis in range(value.type.ndim):
            if self.find(value, axis) == rows:
                return axis
        return None


MIXES = "computes one row from several"
