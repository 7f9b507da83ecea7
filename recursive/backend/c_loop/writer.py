"""The writer of the C text of a loop: arrays, sizes, scratch memory and statements.

The C function has this shape::

    static int block(const Call& call, long first_row, long rows, char* scratch) {
        sizes, strides, pointers to arrays without time
        for (long t = 0; t < T; t++) {
            pointers to the slices of step t
            statements, each of them a loop over the rows of the block
        }
    }

Every thread calls it for block after block until none is left. The other parts of the
text, which call it, are in ``program.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from pytensor.graph.basic import Constant, Variable

from recursive.backend.c_loop.axes import Axes, Axis
from recursive.backend.c_loop.refusal import TranslationError
from recursive.backend.c_loop.values import (
    Number,
    Value,
    contiguous_strides,
    plus,
    product,
    times,
)

KINDS = {
    name: f"npy_{name}"
    for name in (
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float32",
        "float64",
    )
}
"""The C type of each dtype."""


def kind_of(value: Variable) -> str:
    """The C type of the numbers of a value.

    Raises:
        TranslationError: for other types, such as float16 or generators.
    """
    dtype = getattr(value.type, "dtype", None)
    if dtype not in KINDS:
        raise TranslationError("a value", f"of type {value.type}")
    return KINDS[dtype]


@dataclass(frozen=True, slots=True)
class Array:
    """An array that the C function is given.

    Args:
        variable: the value of a step that it holds.
        row_axis: the axis of rows of that value; None if there is none.
        has_time: True if the array has an axis of time in front.
        ring: True if the position in time counts modulo the length, as in the buffer of
            a state.
        any_strides: True if the C code takes any strides along all axes.
        first_long: where its numbers begin among the numbers of the call: the length if
            it is a ring, then the strides.
        stride_axes: the axes of the array whose strides are passed.
        source: where the array comes from: ``("input", 3)``, the fourth input of the
            loop; ``("output", 0)``; or ``("constant", 0)``.
    """

    variable: Variable
    row_axis: int | None
    has_time: bool
    ring: bool
    any_strides: bool
    first_long: int
    stride_axes: tuple[int, ...]
    source: tuple[str, int]

    @property
    def contiguous_from(self) -> int:
        """The axis of the array from which on there are no gaps."""
        return len(self.stride_axes)


@dataclass
class Writer:
    """The text of one loop, as far as it is written.

    Args:
        axes: the axes of all values.
        rows: the class of the axes of rows.
    """

    axes: Axes
    rows: Axis
    arrays: list[Array] = field(default_factory=list)
    constants: list[np.ndarray] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    values: dict[Variable, Value] = field(default_factory=dict)
    # Where a value has to be computed, if there is such a place.
    places: dict[Variable, Value] = field(default_factory=dict)
    support: dict[str, None] = field(default_factory=dict)
    step_begin: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    packing: list[str] = field(default_factory=list)
    cost: int = 0
    # (array, axis) of each size that is passed, by its class.
    size_of: dict[Axis, Number] = field(default_factory=dict)
    size_sources: list[tuple[int, int]] = field(default_factory=list)
    size_checks: list[tuple[int, int, Axis | int]] = field(default_factory=list)
    size_lines: list[str] = field(default_factory=list)
    # The (array, axis) that tells the size of this name.
    named_sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    _longs: int = 0
    _names: int = 0
    _scratch: list[tuple[str, str, Number]] = field(default_factory=list)
    packs: list[tuple[str, Number, Number]] = field(default_factory=list)
    _packed: dict[Variable, str] = field(default_factory=dict)

    # Names, axes and sizes

    def name(self, prefix: str = "v") -> str:
        """A new name."""
        self._names += 1
        return f"{prefix}{self._names}"

    def row_axis(self, value: Variable) -> int | None:
        """The axis of rows of a value; None if there is none."""
        return self.axes.axis_in(value, self.rows)

    def other_axes(self, value: Variable) -> list[int]:
        """The axes of a value but the axis of rows."""
        rows = self.row_axis(value)
        return [axis for axis in range(value.type.ndim) if axis != rows]

    def size(self, value: Variable, axis: int) -> Number:
        """The size of an axis of a value."""
        known = self.axes.size(value, axis)
        root = self.axes.find(value, axis)
        if root == self.rows:
            return "R"
        if known is not None:
            return known
        if root not in self.size_of:
            raise TranslationError("a step", "has a size that no array of it tells")
        return self.size_of[root]

    def shape(self, value: Variable) -> tuple[Number, ...]:
        """The sizes of a value along all axes but the axis of rows."""
        return tuple(self.size(value, axis) for axis in self.other_axes(value))

    def define_size(self, value: Variable, axis: int, size: Number) -> None:
        """Note the size of a class of axes that follows from other sizes."""
        root = self.axes.find(value, axis)
        known = self.axes.size(value, axis)
        if known is None:
            known = self.size_of.get(root)
        if known is None:
            name = self.name("n")
            self.size_lines.append(f"const long {name} = {size};")
            self.size_of[root] = name
        elif known != size and root != self.rows:
            self.size_lines.append(f"if ({known} != {size}) return WRONG_SIZE;")

    # Arrays

    def add_array(
        self,
        value: Variable,
        source: tuple[str, int],
        has_time: bool = False,
        ring: bool = False,
        any_strides: bool = False,
    ) -> int:
        """Add an array that the function is given; returns its number."""
        row_axis = self.row_axis(value)
        time = int(has_time)
        if any_strides:
            passed = range(time + value.type.ndim)
        elif row_axis is None:
            passed = range(time)
        else:
            passed = range(time + row_axis + 1)
        first = self._longs
        self._longs += int(ring) + len(passed)
        array = Array(
            value,
            row_axis,
            has_time,
            ring,
            any_strides,
            first,
            tuple(passed),
            source,
        )
        self.arrays.append(array)
        return len(self.arrays) - 1

    def read_sizes(self, number: int) -> None:
        """Let an array that is passed tell the sizes that the types do not."""
        array = self.arrays[number]
        for axis in range(array.variable.type.ndim):
            place = axis + int(array.has_time)
            root = self.axes.find(array.variable, axis)
            known = self.axes.size(array.variable, axis)
            if root == self.rows:
                self.size_checks.append((number, place, root))
            elif known is not None:
                self.size_checks.append((number, place, known))
            else:
                if root not in self.size_of:
                    self.size_of[root] = self.name("n")
                    self.size_sources.append((number, place))
                    name = self.size_of[root]
                    self.named_sizes[name] = (number, place)
                    self.size_lines.append(
                        f"const long {name} = call.sizes[{len(self.size_sources) - 1}];"
                    )
                self.size_checks.append((number, place, root))

    def view(self, number: int, at: str = "", before: bool = False) -> Value:
        """An array as a value of the step.

        Args:
            number: the number of the array.
            at: the position in time, in C; empty if it has no time.
            before: True to compute the pointer before the loop.
        """
        array = self.arrays[number]
        value = array.variable
        kind = kind_of(value)
        strides = {}
        place = array.first_long + int(array.ring)
        for axis in array.stride_axes:
            strides[axis] = f"call.longs[{place}]"
            place += 1
        time = int(array.has_time)
        others = self.other_axes(value)
        shape = self.shape(value)
        tail = contiguous_strides(
            [self.size(value, axis) for axis in range(value.type.ndim)]
        )
        found: list[Number] = []
        for axis in others:
            stride = strides.get(axis + time, tail[axis])
            found.append(self._local_long(stride))
        row: Number = 0
        if array.row_axis is not None:
            row = self._local_long(strides[array.row_axis + time])
        base = self.name("a")
        offset = f" + first_row * {row}" if row else ""
        if at:
            offset += f" + {at} * {strides[0]}"
        line = f"{kind}* {base} = ({kind}*) call.arrays[{number}]{offset};"
        (self.size_lines if before or not at else self.step_begin).append(line)
        if value.type.ndim == 0 and array.row_axis is None:
            return Value(kind, f"{base}[0]", is_number=True)
        return Value(kind, base, row, shape, tuple(found))

    def _local_long(self, expression: Number) -> Number:
        if isinstance(expression, int) or not expression.startswith("call."):
            return expression
        name = self.name("s")
        self.size_lines.append(f"const long {name} = {expression};")
        return name

    def ring_position(self, number: int, offset: int) -> str:
        """The position in time of step ``t + offset`` in a ring, in C."""
        length = f"call.longs[{self.arrays[number].first_long}]"
        return f"((t + {offset}) % {length})"

    # Values

    def value(self, variable: Variable) -> Value:
        """The C value of a variable, which must have been computed."""
        if variable not in self.values and isinstance(variable, Constant):
            self.values[variable] = self._constant(variable)
        return self.values[variable]

    def number(self, variable: Variable) -> str:
        """A number that is the same in all rows, in C."""
        found = self.value(variable)
        return found.base if found.is_number else f"{found.base}[0]"

    def _constant(self, variable: Constant) -> Value:
        kind = kind_of(variable)
        data = np.asarray(variable.data)
        if data.ndim == 0:
            return Value(kind, literal(data), is_number=True)
        if (
            data.size
            and not (data != data.flat[0]).any()
            and data.flat[0] == data.flat[0]
        ):
            # The same number everywhere needs no array.
            name = self.name("c")
            text = literal(data.flat[0])
            self.size_lines.append(f"{kind} {name}[1] = {{{text}}};")
            shape = self.shape(variable)
            return Value(kind, name, 0, shape, (0,) * len(shape))
        self.constants.append(data)
        number = self.add_array(variable, ("constant", len(self.constants) - 1))
        self.read_sizes(number)
        return self.view(number)

    def scratch(self, variable: Variable) -> Value:
        """New memory for a value, one for each thread."""
        kind = kind_of(variable)
        shape = self.shape(variable)
        name = self.name("w")
        numbers = product(shape)
        self._scratch.append((kind, name, numbers))
        row = 0 if self.row_axis(variable) is None else numbers
        return Value(kind, name, row, shape, contiguous_strides(shape))

    def place(self, variable: Variable) -> Value:
        """The memory in which a value is to be computed."""
        if variable not in self.places:
            self.places[variable] = self.scratch(variable)
        return self.places[variable]

    def row_count(self, variable: Variable) -> str:
        """How many rows of a value a block computes, in C."""
        return "1" if self.row_axis(variable) is None else "rows"

    def scratch_lines(self) -> Iterator[str]:
        """The lines that place the scratch memory."""
        yield "char* memory = scratch;"
        for kind, name, numbers in self._scratch:
            size = times(numbers, f"sizeof({kind})")
            yield f"{kind}* {name} = ({kind}*) memory;"
            yield f"memory += ALIGNED({times(size, 'call.block')});"

    def scratch_size(self) -> str:
        """The bytes of scratch memory of a thread, in C."""
        total = "64"
        for kind, _, numbers in self._scratch:
            size = times(numbers, f"sizeof({kind})")
            total += f" + ALIGNED({times(size, 'call.block')})"
        return total

    # Weights

    def packed(self, weights: Variable, matrix: Value) -> str:
        """The name of a packed copy of weights that are the same at every step."""
        if weights not in self._packed:
            name = self.name("p")
            K, N = matrix.shape
            k_stride, n_stride = matrix.strides
            kind = matrix.kind
            self.packing.append(
                f"pack<{kind}>({K}, {N}, {matrix.base}, {k_stride}, {n_stride}, "
                f"({kind}*) packed);"
            )
            self.packs.append((kind, K, N))
            index = len(self.packs) - 1
            self.size_lines.append(
                f"const {kind}* {name} = ({kind}*) call.packed[{index}];"
            )
            self._packed[weights] = name
        return self._packed[weights]


def literal(number: np.generic) -> str:
    """A number in C, exactly.

    >>> literal(np.float32(0.5)), literal(np.int64(3)), literal(np.bool_(True))
    ('((npy_float32) 0x1.0000000000000p-1)', '((npy_int64) 3)', '((npy_bool) 1)')
    """
    number = np.asarray(number)[()]
    kind = KINDS[number.dtype.name]
    if number.dtype.kind == "f":
        if np.isnan(number):
            text = "NAN"
        elif np.isinf(number):
            text = "INFINITY" if number > 0 else "(-INFINITY)"
        else:
            text = float(number).hex()
    else:
        text = str(int(number))
        if number.dtype.name == "uint64":
            text += "u"
        elif int(number) == -(2**63):
            text = "INT64_MIN"
    return f"(({kind}) {text})"


__all__ = ["Array", "Writer", "kind_of", "literal", "plus"]
