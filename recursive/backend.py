"""Where tensors become programs: the one place that knows C, Numba and JAX, and the one that calls ``scan``.

Everything above speaks of tensors only. A program is described by a ``build`` function from typed inputs to outputs
and updates; :class:`Program` compiles it when it is first called. JAX needs every shape to be known, so there
``build`` runs once for each combination of shapes; the others compile once for all shapes.
"""

from __future__ import annotations

import functools
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.op import Op
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.variable import TensorVariable
from threadpoolctl import ThreadpoolController

from recursive import contiguous, rewrites, vectorized
from recursive.available import is_installed
from recursive.draws import draw_updates
from recursive.errors import (
    BackendError,
    RecursiveError,
    ShapesChangeWarning,
)
from recursive.locked import locked
from recursive.quiet import quiet
from recursive.sizes import Size

try:
    from pytensor.conditional.op import IfElse
    from pytensor.conditional.op import ifelse as lazy_ifelse
except ImportError:  # PyTensor 3.0
    from pytensor.ifelse import IfElse
    from pytensor.ifelse import ifelse as lazy_ifelse

_target: ContextVar[str | None] = ContextVar("target", default=None)


def target() -> str | None:
    """The backend of the Program that is being built; None where tensors are made for the user's own use."""
    return _target.get()


def floatX() -> str:  # noqa: N802 (PyTensor's own name for it)
    """The dtype of floats: PyTensor's ``config.floatX``."""
    return pytensor.config.floatX


def dtype_of(declared: str) -> str:
    """The dtype of an input that was declared ``float``, ``int`` or ``bool``."""
    return {"float": floatX(), "int": "int32", "bool": "bool"}[declared]


def shared(value: object, name: str | None = None) -> SharedVariable:
    """``value`` as a shared variable of floatX whose shape is part of its type.

    The static shape is what lets a state of dim 1 through scan, and what JAX compiles from.

    >>> shared([[1.0, 2.0, 3.0]]).type.shape
    (1, 3)
    """
    value = np.asarray(value, dtype=floatX())
    return pytensor.shared(value, name=name, shape=value.shape)


def tensor(name: str, dtype: str, shape: Sequence[int | None]) -> TensorVariable:
    """A symbolic input; None is an axis whose size is known only when it runs."""
    return pt.TensorType(dtype, shape=tuple(shape))(name)


def multiplies_apart() -> bool:
    """Whether the backend makes products with the same input faster one by one than as a large one.

    C and Numba compute with the pieces of a large one value by value, since they do not lie in one piece.
    """
    return target() in ("c", "numba")


def in_rows(x: TensorVariable) -> TensorVariable:
    """``x`` row after row in memory, where the backend multiplies such matrices faster than turned ones."""
    return contiguous.in_rows(x) if target() == "numba" and x.ndim > 1 else x


def _openblas_flags() -> dict[str, str]:
    """What links C code with the OpenBLAS of the extra ``c``, where it is installed and no other BLAS was chosen.

    Its symbols carry a prefix, which the preprocessor puts on PyTensor's calls.
    """
    if not is_installed("scipy_openblas32"):
        return {}
    import scipy_openblas32

    folder = scipy_openblas32.get_lib_dir()
    routines = (
        kind + routine for kind in "sd" for routine in ("gemm", "gemv", "ger", "dot")
    )
    prefixed = " ".join(f"-D{routine}_=scipy_{routine}_" for routine in routines)
    return {
        "blas__ldflags": f"-L{folder} -Wl,-rpath,{folder} -l{scipy_openblas32.get_library()}",
        "gcc__cxxflags": f"{pytensor.config.gcc__cxxflags} {prefixed}".strip(),
    }


@contextmanager
def _compiling(backend: str, floats: str) -> Iterator[Mode]:
    """The mode of ``backend``, and PyTensor's configuration set for it while it compiles."""
    modes = {
        "python": ("py", "fast_compile"),
        "c": ("cvm", "fast_run"),
        "numba": ("numba", "fast_run"),
    }
    flags = {
        "python": {"cxx": "", "mode": "FAST_COMPILE", "linker": "py"},
        "c": _openblas_flags(),
    }
    with (
        quiet(),
        _running(backend, floats),
        pytensor.config.change_flags(**flags.get(backend, {})),
    ):
        mode = pytensor.compile.mode.JAX if backend == "jax" else Mode(*modes[backend])
        yield rewrites.for_backend(mode, backend)


def _running(backend: str, floats: str) -> AbstractContextManager:
    """What holds while a function is made and while it runs: JAX has a switch of its own for float64."""
    return _jax().enable_x64(floats == "float64") if backend == "jax" else nullcontext()


LACKING = (
    "No JAX conversion",
    "No JAX implementation",
    "JAX does not support",
    "JAX requires",
    "module 'jax",
    "Slice entries must be static",
    "Array slice indices must have static",
    "Shapes must be 1D sequences",
    "Array boolean indices must be concrete",
    "Abstract tracer value",
)
"""How PyTensor and JAX say that an operation cannot be had there, or not with sizes that are computed."""


@contextmanager
def _gaps_told() -> Iterator[None]:
    """Put into words what PyTensor lacks on JAX: some operations, and truncation of a gradient that goes on before."""
    try:
        yield
    except AssertionError as error:
        if "get_partial_traces" not in [
            frame.name for frame in traceback.extract_tb(error.__traceback__)
        ]:
            raise
        raise BackendError.about(
            "backend",
            "jax",
            takes="a truncated gradient with respect to weights inside the loop only",
            because="PyTensor cannot cut a sequence's gradient there",
            got="truncate_gradient in a loop that runs over what parameters have computed",
            do="Choose backend numba, c or python, or truncate_gradient=-1.",
        ) from error
    except (NotImplementedError, AttributeError, TypeError, IndexError) as error:
        if not str(error).startswith(LACKING):
            raise
        raise BackendError.about(
            "backend",
            "jax",
            takes="operations that PyTensor knows there, of sizes that are known",
            because="it compiles for fixed shapes",
            got=str(error).splitlines()[0],
            do="Choose backend numba, c or python, or write it with other operations.",
        ) from error


@functools.cache
def _jax() -> ModuleType:
    """JAX, and PyTensor's way to it. Their first import draws from numpy's global generator: put that back."""
    state = np.random.get_state()
    import jax
    import pytensor.link.jax.dispatch  # noqa: F401

    np.random.set_state(state)
    return jax


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
            _running(self.backend, self._floats),
            _gaps_told(),
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
        token = _target.set(self.backend)
        try:
            outputs, updates = self.build(inputs)
        finally:
            _target.reset(token)
        return _function(inputs, outputs, updates, self.backend)


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
def _function(
    inputs: list[TensorVariable],
    outputs: list[TensorVariable],
    updates: list[tuple[SharedVariable, TensorVariable]],
    backend: str,
) -> Callable:
    """The one call of ``pytensor.function``."""
    computed = [*outputs, *(value for _, value in updates)]
    with _compiling(backend, floatX()) as mode, _gaps_told():
        return pytensor.function(
            inputs,
            outputs,
            updates=[*updates, *draw_updates(computed)],
            mode=mode,
            on_unused_input="ignore",
        )


@locked
def evaluate(
    outputs: Sequence[TensorVariable],
    values: dict[TensorVariable, np.ndarray],
    backend: str = "python",
) -> list[np.ndarray]:
    """The values of ``outputs`` for ``values`` of the inputs, compiled for this one call."""
    function = _function(list(values), list(outputs), [], backend)
    if backend != "jax":
        to_numpy(function.get_shared())
    with quiet(), _running(backend, floatX()):
        return [np.asarray(value) for value in function(*values.values())]


def if_else(
    condition: TensorVariable, then: TensorVariable, otherwise: TensorVariable
) -> TensorVariable:
    """``then`` or ``otherwise``, of which the one that is not taken need not be computed."""
    return lazy_ifelse(condition, then, otherwise)


def is_lazy(op: Op) -> bool:
    """Whether an operation computes one of its branches only."""
    return isinstance(op, IfElse)


def scan(
    step: Callable,
    sequences: list,
    outputs_info: list,
    non_sequences: list,
    n_steps: int | TensorVariable,
    truncate_gradient: int = -1,
    name: str | None = None,
) -> list[TensorVariable]:
    """The one call of ``pytensor.scan``: strict, no hidden updates, always a list."""
    slices = sum(
        len(entry["taps"]) if isinstance(entry, dict) else 1 for entry in sequences
    )

    def vectorized_step(*args: TensorVariable) -> object:
        found = step(*map(in_rows, args[:slices]), *args[slices:])
        return (
            vectorized.as_arithmetic(found, target())
            if isinstance(found, list)
            else found
        )

    return pytensor.scan(
        vectorized_step if target() in vectorized.FUNCTIONS else step,
        sequences=sequences,
        outputs_info=outputs_info,
        non_sequences=non_sequences,
        n_steps=n_steps,
        truncate_gradient=truncate_gradient,
        name=name,
        strict=True,
        return_list=True,
        return_updates=False,
    )


def checked(
    value: TensorVariable, condition: bool | TensorVariable, error: RecursiveError
) -> TensorVariable:
    """``value``; else the ``error``, at once where the condition is known, or when it runs."""
    if isinstance(condition, bool):
        if not condition:
            raise error
        return value
    return CheckAndRaise(type(error), str(error))(value, condition)


def with_rows(variable: SharedVariable, rows: Size) -> TensorVariable:
    """A carried state, ``(lag, batch, dim)``, for a batch whose number of rows may be known."""
    known = rows if isinstance(rows, int) else None
    return pt.specify_shape(variable, (None, known, None))
