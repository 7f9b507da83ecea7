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

from recursive.backend.c_loop.refusal import NotTranslatable, describe

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
            NotTranslatable: if there is none.
        """
        candidates = [self.find(results[0], axis) for axis in range(results[0].ndim)]
        for candidate in candidates:
            if candidate in self._mixed_by:
                continue
            counts = [self.count(value, candidate) for value in results]
            if all(count == 1 for count in counts):
                if all(self.count(value, candidate) <= 1 for value in everything):
                    return candidate
        for candidate in candidates:
            if candidate in self._mixed_by:
                raise NotTranslatable(describe(self._mixed_by[candidate]), MIXES)
        raise NotTranslatable("a result of the step", "has no axis of rows")

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
