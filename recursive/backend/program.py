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

from recursive.backend.compiling import compile_function, running, translate_jax_errors
from recursive.backend.quiet import quiet
from recursive.backend.scanning import building_for
from recursive.backend.tensors import floatX, tensor
from recursive.errors import ShapesChangeWarning
from recursive.locked import locked

Build = Callable[
    [list[TensorVariable]],
    tuple[list[TensorVariable], list[tuple[SharedVariable, TensorVariable]]],
]
"""From typed inputs to outputs and updates of shared variables."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One input of a program: its name, dtype, and shape with None where any size will do.

    Whole numbers that number something run from 0 to one below ``limit``.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    limit: int | None = field(default=None, repr=False)


KEPT_SHAPES, MANY_SHAPES = 32, 16
"""How many shapes a program on JAX keeps its functions for, and after how many it warns."""


class Program:
    """A compiled function of NumPy arrays, made from ``build`` when it is first called.

    Calls return a list of NumPy arrays, in the order of the outputs. One thread calls at a time, whichever Program.

    >>> double = Program([Argument("x", "float64", (None,))], lambda inputs: ([2 * inputs[0]], []), "python")
    >>> double(np.array([1.0, 2.0]))[0].tolist()
    [2.0, 4.0]
    """

    def __init__(self, arguments: Sequence[Argument], build: Build, backend: str):
        self.arguments = list(arguments)
        self.build = build
        self.backend = backend
        self._floats = floatX()
        self._functions: OrderedDict[object, Callable] = OrderedDict()
        self._compiled = 0
        self._pools: ThreadpoolController | None = None

    @locked
    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        shapes = None
        if self.backend == "jax":
            shapes = tuple(array.shape for array in arrays)
        is_new = shapes not in self._functions
        function = self._made_for(shapes)
        if self.backend != "jax":
            to_numpy(function.get_shared())
        # Compilers warn when a function first runs. Numba may compile again later, for arrays of another layout.
        # Elsewhere the filters are left alone: they belong to all threads.
        may_compile = is_new or self.backend == "numba"
        with (
            quiet() if may_compile else nullcontext(),
            running(self.backend, self._floats),
            translate_jax_errors(),
            self._one_thread(),
        ):
            return [np.asarray(value) for value in function(*arrays)]

    def _made_for(self, shapes: tuple[tuple[int, ...], ...] | None) -> Callable:
        """The function for arrays of these shapes: JAX compiles for each, and those used last are kept."""
        if shapes not in self._functions:
            self._functions[shapes] = self._compile(shapes)
            self._compiled += 1
            self._pools = None if self.backend == "jax" else ThreadpoolController()
            if self._compiled == MANY_SHAPES:
                warnings.warn(
                    f"JAX has compiled for {MANY_SHAPES} different shapes, of which {shapes[0]} is the last; "
                    "each costs seconds. Pad batches and sequences to a few sizes, and mask what is padded, "
                    "or choose backend numba or c.",
                    ShapesChangeWarning,
                    stacklevel=3,
                )
            while len(self._functions) > KEPT_SHAPES:
                self._functions.popitem(last=False)
        self._functions.move_to_end(shapes)
        return self._functions[shapes]

    def _one_thread(self) -> AbstractContextManager:
        """One BLAS thread: the products of a loop are small, and on busy cores two took ten times as long as one.

        JAX has threads of its own, and knows when to use them.
        """
        return (
            nullcontext()
            if self._pools is None
            else self._pools.limit(limits=1, user_api="blas")
        )

    def _compile(self, shapes: tuple[tuple[int, ...], ...] | None) -> Callable:
        inputs = [
            tensor(
                argument.name,
                argument.dtype,
                shapes[index] if shapes else argument.shape,
            )
            for index, argument in enumerate(self.arguments)
        ]
        with building_for(self.backend):
            outputs, updates = self.build(inputs)
        return compile_function(inputs, outputs, updates, self.backend)


def to_numpy(variables: Iterable[SharedVariable]) -> None:
    """Make each variable hold a NumPy array: a program on JAX leaves arrays of its own, which nothing else takes.

    They cannot be written to, other backends refuse them, and ``copy.deepcopy`` of such a variable fails.
    """
    for variable in variables:
        # The storage itself: get_value and set_value take longer than the copy of a small array.
        storage = variable.container.storage
        value = storage[0]
        if hasattr(value, "__array__") and not isinstance(value, np.ndarray):
            storage[0] = np.array(value)


@locked
def copied_state(holder: object) -> dict[str, object]:
    """The attributes of ``holder``, to be copied or pickled: its shared variables hold NumPy arrays."""
    attributes = dict(vars(holder))
    to_numpy(_variables_in(attributes))
    return attributes


def _variables_in(value: object) -> Iterator[SharedVariable]:
    """The shared variables in ``value``, and in the lists, tuples and dicts of it, keys too."""
    if isinstance(value, SharedVariable):
        yield value
    elif isinstance(value, Mapping):
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
    """The values of ``outputs`` for ``values`` of the inputs, compiled for this one call."""
    function = compile_function(list(values), list(outputs), [], backend)
    if backend != "jax":
        to_numpy(function.get_shared())
    with quiet(), running(backend, floatX()):
        return [np.asarray(value) for value in function(*values.values())]
