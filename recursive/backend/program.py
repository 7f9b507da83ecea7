"""Compiled functions of NumPy arrays."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable
from threadpoolctl import ThreadpoolController

from recursive.backend import table
from recursive.backend.c_loop.binary import CompilerError, why_scan
from recursive.backend.c_loop.refusal import TranslationError
from recursive.backend.c_loop.threads import set_count, thread_count
from recursive.backend.choose import note_missing_blas
from recursive.backend.compiling import compile_for, compile_function, running
from recursive.backend.messages import notify_once, quiet
from recursive.backend.scanning import building_for
from recursive.backend.table import BACKENDS, Backend, names_with
from recursive.backend.tensors import floatX, tensor
from recursive.errors import ShapesChangeWarning
from recursive.locked import locked

Build = Callable[
    [list[TensorVariable]],
    tuple[list[TensorVariable], list[tuple[SharedVariable, TensorVariable]]],
]
"""A function from typed inputs to outputs and updates of shared variables."""

Shapes = tuple[tuple[int, ...], ...] | None
"""The shapes that a function was compiled for; None for any."""

KEPT_SHAPES = 32
"""The number of shapes for which a program keeps its functions."""

MANY_SHAPES = 16
"""The number of shapes after which a program warns that they keep changing."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One input of a program. In its shape, None is an axis of any size.

    Integers that are indices run from 0 to ``limit`` - 1.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    limit: int | None = field(default=None, repr=False)


class Program:
    """A compiled function of NumPy arrays, created from ``build`` at its first call.

    Calls return a list of NumPy arrays, in the order of the outputs. Only one thread
    at a time calls any Program.

    >>> double = Program(
    ...     [Argument("x", "float64", (None,))],
    ...     lambda inputs: ([2 * inputs[0]], []),
    ...     "python",
    ... )
    >>> double(np.array([1.0, 2.0]))[0].tolist()
    [2.0, 4.0]
    """

    def __init__(self, arguments: Sequence[Argument], build: Build, backend: str):
        self.arguments = list(arguments)
        self.build = build
        self.backend = backend
        self._traits = BACKENDS[backend]
        # Why the loops of the program are PyTensor's, if they could have been in C.
        self.refusal: TranslationError | None = None
        self._floats = floatX()
        self._functions: OrderedDict[Shapes, Callable] = OrderedDict()
        self._compiled = 0
        self._pools: ThreadpoolController | None = None

    @locked
    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        shapes = None
        if self._traits.fixes_shapes:
            shapes = tuple(array.shape for array in arrays)
        is_new = shapes not in self._functions
        function = self._function_for(shapes)
        if not self._traits.holds_own_arrays:
            to_numpy(function.get_shared())
        # Compilers warn when a function runs for the first time. Filters of warnings
        # belong to all threads, so they are left alone if nothing can be compiled.
        may_compile = is_new or self._traits.recompiles
        with (
            quiet() if may_compile else nullcontext(),
            running(self._traits, self._floats),
            self._blas_threads(),
        ):
            return [np.asarray(value) for value in function(*arrays)]

    def _function_for(self, shapes: Shapes) -> Callable:
        """The function for arrays of these shapes; the last ones used are kept."""
        if shapes not in self._functions:
            self._functions[shapes] = self._compile(shapes)
            self._compiled += 1
            # A compiled function may load a BLAS: look for thread pools again.
            if not self._traits.manages_threads:
                self._pools = ThreadpoolController()
            if self._compiled == MANY_SHAPES:
                self._warn_of_shapes(shapes)
            while len(self._functions) > KEPT_SHAPES:
                self._functions.popitem(last=False)
        self._functions.move_to_end(shapes)  # the first entry is the longest unused
        return self._functions[shapes]

    def _warn_of_shapes(self, shapes: Shapes) -> None:
        others = names_with("fixes_shapes", False)
        warnings.warn(
            f"Backend {self.backend} has compiled for {MANY_SHAPES} different shapes, "
            f"of which {shapes[0]} is the last; each costs seconds. Pad batches and "
            "sequences to a few sizes and mask the padding, or choose backend "
            f"{others}.",
            ShapesChangeWarning,
            stacklevel=4,
        )

    def _blas_threads(self) -> AbstractContextManager:
        """The context that limits the threads of BLAS.

        The products of a loop are small: on busy cores two threads took ten times as
        long as one. A loop in C has none, so BLAS computes large ones only.
        """
        if self._pools is None:
            return nullcontext()
        limit = 1
        if self._traits.fallback is not None:
            if set_count() is None:
                return nullcontext()  # BLAS itself reads OMP_NUM_THREADS
            limit = thread_count()
        return self._pools.limit(limits=limit, user_api="blas")

    def _compile(self, shapes: Shapes) -> Callable:
        inputs = self._inputs(shapes)
        row = self._traits
        if row.fallback is None:
            return self._built(inputs, row)
        try:
            return self._built(inputs, row)
        except TranslationError as refusal:
            self.refusal = refusal
            self._traits = row.fallback
            note_missing_blas()
        except CompilerError as error:
            # PyTensor's C code needs the same compiler.
            self._traits = table.FALLBACK
            notify_once(why_scan(error))
        return self._built(inputs, self._traits)

    @locked
    def compile_loops(self) -> None:
        """Compile a program whose loops have to become C functions.

        Raises:
            TranslationError: if one of them cannot be translated.
            CompilerError: if the compiler fails.
        """
        self._functions[None] = self._built(self._inputs(None), self._traits)
        self._pools = ThreadpoolController()

    def _inputs(self, shapes: Shapes) -> list[TensorVariable]:
        inputs = []
        for index, argument in enumerate(self.arguments):
            shape = shapes[index] if shapes else argument.shape
            inputs.append(tensor(argument.name, argument.dtype, shape))
        return inputs

    def _built(self, inputs: list[TensorVariable], row: Backend) -> Callable:
        with building_for(row):
            outputs, updates = self.build(inputs)
        return compile_for(row, inputs, outputs, updates)


def to_numpy(variables: Iterable[SharedVariable]) -> None:
    """Replace the value of each variable by a NumPy array, if it is another array.

    A program on JAX leaves JAX arrays. They cannot be written to, other backends refuse
    them, and ``copy.deepcopy`` of such a variable fails.
    """
    for variable in variables:
        # get_value and set_value take longer than the copy of a small array.
        storage = variable.container.storage
        value = storage[0]
        if hasattr(value, "__array__") and not isinstance(value, np.ndarray):
            storage[0] = np.array(value)


@locked
def copied_state(holder: object) -> dict[str, object]:
    """The attributes of ``holder`` to copy or pickle, with NumPy arrays as values."""
    attributes = dict(vars(holder))
    to_numpy(_variables_in(attributes))
    return attributes


def _variables_in(value: object) -> Iterator[SharedVariable]:
    """The shared variables in ``value`` and in the containers inside it."""
    if isinstance(value, SharedVariable):
        yield value
    elif isinstance(value, Mapping):
        # A key may be a variable too: updates are stored by variable.
        for pair in value.items():
            yield from _variables_in(pair)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _variables_in(item)


@locked
def evaluate(
    outputs: Sequence[TensorVariable],
    values: dict[TensorVariable, np.ndarray],
    backend: str = "python",
) -> list[np.ndarray]:
    """The values of ``outputs`` for these inputs, compiled for this call alone."""
    function = compile_function(list(values), list(outputs), [], backend)
    row = BACKENDS[backend]
    if not row.holds_own_arrays:
        to_numpy(function.get_shared())
    with quiet(), running(row, floatX()):
        return [np.asarray(value) for value in function(*values.values())]
