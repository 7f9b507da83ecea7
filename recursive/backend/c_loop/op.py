"""The operation that runs a translated loop, with the inputs and outputs of a Scan.

``perform`` checks the arrays, allocates the results and calls the C function with
pointers, strides and sizes. Arrays of any memory layout are read where they lie, except
that the values of one row must lie one after the other; else the array is copied.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.tensor.subtensor import Subtensor

from recursive.backend.c_loop import program
from recursive.backend.c_loop.binary import Binary
from recursive.backend.c_loop.buffers import BUFFERS
from recursive.backend.c_loop.outside import reads_backwards
from recursive.backend.c_loop.threads import thread_count
from recursive.backend.c_loop.translate import Loop, Translation

NANOSECONDS = 0.15
"""About the time of one unit of a translation's cost."""

WORTH_A_THREAD = 40_000.0
"""The nanoseconds of work that are worth another thread."""


class CLoop(Op):
    """A loop in C.

    Args:
        name: the name of the loop.
        translation: the loop in C.
        binary: its program, which may still be compiling.
    """

    __props__ = ()

    def __init__(self, name: str | None, translation: Translation, binary: Binary):
        self.name = name
        self.translation = translation
        self.binary = binary
        # The collected outputs that are stored from the last step to the first.
        self.reversed: frozenset[int] = frozenset()
        self._function = None

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __str__(self) -> str:
        return f"CLoop{{{self.name}}}"

    def __getstate__(self) -> dict[str, object]:
        # A function in memory cannot be copied: the copy loads its own.
        return {**vars(self), "_function": None}

    def find_reversed(self, graph: FunctionGraph, node: Apply) -> None:
        """Find the outputs that are only read from the last step to the first.

        A backward loop writes them in this order. Stored the other way round, what is
        read lies in memory in the order of time.
        """
        first = sum(state.is_traced for state in self.translation.states)
        found = []
        for number in range(first, first + len(self.translation.collected)):
            clients = graph.clients[node.outputs[number]]
            if clients and all(_is_reversal(client) for client, _ in clients):
                found.append(number)
        self.reversed = frozenset(found)

    def apply_to(self, loop: Loop) -> list[Variable]:
        """The outputs of this operation in place of those of the Scan of ``loop``."""
        outputs = [output.type() for output in loop.node.outputs]
        return Apply(self, loop.inputs, outputs).outputs

    def make_node(self, *inputs: object) -> Apply:
        raise NotImplementedError("a loop is put in place of a Scan: see apply_to")

    def load(self) -> None:
        """Load the C function; waits for the compiler."""
        self._function = self.binary.load(
            [*[ctypes.c_void_p] * 3, *[ctypes.c_long] * 3]
        )

    def perform(
        self, node: Apply, inputs: Sequence[np.ndarray], outputs: Sequence[list]
    ) -> None:
        if self._function is None:
            self.load()
        n_steps = int(inputs[0])
        self._check_steps(inputs, n_steps)
        found = self._run(node, inputs, n_steps)
        for storage, value in zip(outputs, found, strict=True):
            storage[0] = value

    def _check_steps(self, inputs: Sequence[np.ndarray], n_steps: int) -> None:
        if n_steps < 0:
            raise IndexError(f"a loop was asked to run for {n_steps} steps")
        for index in self.translation.sequences:
            length = inputs[index].shape[0]
            if length < n_steps:
                raise ValueError(
                    f"a sequence of a loop has {length} steps, fewer than {n_steps}"
                )

    def _run(
        self, node: Apply, inputs: Sequence[np.ndarray], n_steps: int
    ) -> list[np.ndarray]:
        """Allocate the results, call the C function, and put results in order."""
        made = self.translation
        arrays: list[np.ndarray | None] = []
        for array in made.arrays:
            kind, index = array.source
            if kind == "input":
                arrays.append(_readable(inputs[index], array.contiguous_from))
            elif kind == "constant":
                arrays.append(_readable(made.constants[index], array.contiguous_from))
            else:
                arrays.append(None)
        buffers, lengths = self._states(node, inputs, n_steps)
        collected_from = sum(state.is_traced for state in made.states)
        for number, array in enumerate(made.arrays):
            if array.source[0] == "output" and array.source[1] in buffers:
                arrays[number] = buffers[array.source[1]]
        rows, sizes = self._sizes(arrays)
        for place, index in enumerate(made.collected):
            output = collected_from + place
            shape = [
                rows if size == "R" else self._size(size, arrays)
                for size in made.output_shapes[output]
            ]
            length = int(inputs[index])
            lengths[output] = length
            dtype = node.outputs[output].type.dtype
            buffer = BUFFERS.empty((max(length, 1), *shape), dtype)
            buffers[output] = buffer[::-1] if output in self.reversed else buffer
        for number, array in enumerate(made.arrays):
            if array.source[0] == "output":
                arrays[number] = buffers[array.source[1]]
        if n_steps and rows:
            self._call(arrays, sizes, n_steps, rows)
        return self._in_order(buffers, lengths, n_steps)

    def _states(
        self, node: Apply, inputs: Sequence[np.ndarray], n_steps: int
    ) -> tuple[dict[int, np.ndarray], dict[int, int]]:
        """The buffer of each state with its first rows, and the length wanted of it."""
        buffers, lengths = {}, {}
        traced = sum(state.is_traced for state in self.translation.states)
        untraced_from = traced + len(self.translation.collected)
        for number, state in enumerate(self.translation.states):
            given = inputs[state.input_index]
            if state.is_traced:
                output, first = number, given[: state.lag]
                lengths[output] = given.shape[0]
                # One more than what a step reads: no step writes what it reads.
                length = max(given.shape[0], state.lag + 1)
                shape = given.shape[1:]
            else:
                output, first = untraced_from + number - traced, given
                lengths[output], length, shape = 1, 2, given.shape
            buffers[output] = BUFFERS.empty((length, *shape), given.dtype)
            buffers[output][: state.lag] = first
        return buffers, lengths

    def _sizes(self, arrays: Sequence[np.ndarray | None]) -> tuple[int, list[int]]:
        """The number of rows and the sizes that the C function takes.

        Raises:
            ValueError: if arrays disagree about a size.
        """
        made = self.translation
        known: dict = {}
        for number, axis, expected in made.size_checks:
            size = arrays[number].shape[axis]
            if not isinstance(expected, int):
                expected = known.setdefault(expected, size)
            if size != expected:
                raise ValueError(
                    f"an array of a loop has the shape {arrays[number].shape}; its "
                    f"axis {axis} should have {expected} entries"
                )
        sizes = [arrays[number].shape[axis] for number, axis in made.size_sources]
        return known[made.rows], sizes

    def _size(self, size: int | str, arrays: Sequence[np.ndarray | None]) -> int:
        if isinstance(size, int):
            return size
        number, axis = self.translation.named_sizes[size]
        return arrays[number].shape[axis]

    def _call(
        self,
        arrays: Sequence[np.ndarray],
        sizes: Sequence[int],
        n_steps: int,
        rows: int,
    ) -> None:
        longs = []
        for array, value in zip(self.translation.arrays, arrays, strict=True):
            if array.ring:
                longs.append(value.shape[0])
            for axis in array.stride_axes:
                longs.append(value.strides[axis] // value.itemsize)
        pointers = [value.ctypes.data for value in arrays]
        work = self.translation.cost * n_steps * rows * NANOSECONDS
        threads = min(thread_count(), 1 + int(work / WORTH_A_THREAD))
        failed = self._function(
            (ctypes.c_void_p * len(pointers))(*pointers),
            (ctypes.c_long * max(len(longs), 1))(*longs),
            (ctypes.c_long * max(len(sizes), 1))(*sizes),
            n_steps,
            rows,
            threads,
        )
        if failed == program.WRONG_INDEX:
            raise IndexError("a step of a loop reads at an index out of bounds")
        if failed == program.NO_MEMORY:
            raise MemoryError("a loop needs more memory than there is")
        if failed >= program.FIRST_FAILURE:
            raise self.translation.failures[failed - program.FIRST_FAILURE]
        if failed:
            raise ValueError("values of a step have sizes that do not fit together")

    def _in_order(
        self, buffers: dict[int, np.ndarray], lengths: dict[int, int], n_steps: int
    ) -> list[np.ndarray]:
        """The results: the last values of each, oldest first."""
        states = [state for state in self.translation.states if state.is_traced]
        lags = {number: state.lag for number, state in enumerate(states)}
        untraced_from = len(states) + len(self.translation.collected)
        found = []
        for output in range(len(buffers)):
            buffer, length = buffers[output], lengths[output]
            if output >= untraced_from:
                found.append(buffer[n_steps % 2])
                continue
            written = n_steps + lags.get(output, 0)
            if n_steps == 0 and output not in lags:
                found.append(buffer[:0])
            elif written <= len(buffer):
                buffer[written:] = 0
                # A buffer may be longer than wanted, by the row that is written.
                found.append(
                    buffer[:length]
                    if written <= length
                    else buffer[written - length : written]
                )
            else:
                oldest = (written - length) % len(buffer)
                found.append(np.roll(buffer, -oldest, axis=0)[:length])
        return found


def _is_reversal(node: Apply) -> bool:
    """True for ``array[::-1]``, and for parts of it such as ``array[::-1, :, 3:]``."""
    return isinstance(node.op, Subtensor) and reads_backwards(node)


def _readable(value: np.ndarray, contiguous_from: int) -> np.ndarray:
    """``value``, copied if the C code cannot read it where it lies."""
    value = np.asarray(value)
    expected = value.itemsize
    is_fine = value.flags.aligned
    for axis in range(value.ndim - 1, -1, -1):
        size, stride = value.shape[axis], value.strides[axis]
        if axis < contiguous_from:
            is_fine = is_fine and stride % value.itemsize == 0
        elif size != 1 and stride != expected:
            is_fine = False
        expected *= size
    return value if is_fine else np.ascontiguousarray(value).reshape(value.shape)
