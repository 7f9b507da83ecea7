"""tanh and sigmoid in float32 as plain arithmetic, computed several values at a time.

On C and Numba a call of the mathematical library for each value takes most of the time
of a step. Compilers turn plain arithmetic into vector instructions instead.

Both functions use one exponential. With n an integer and r at most log(2) / 2::

    x = n log(2) + r        exp(x) = 2**n exp(r)

exp(r) is a polynomial, and 2**n is put into the exponent bits of a float. Then::

    sigmoid(x) = 1 / (1 + exp(-x))
    tanh(x) = 1 - 2 / (1 + exp(2 x))    for x >= 0, and -tanh(-x) below

Near zero that difference loses digits, so there tanh is a polynomial itself. The
coefficients are minimax fits computed for this module. For arguments up to 87 in size,
tanh is within 2 units in the last place of the true value and sigmoid within 3.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import GraphRewriter, dfs_rewriter, node_rewriter
from pytensor.scalar.basic import Tanh, UnaryScalarOp, same_out
from pytensor.scalar.math import Sigmoid
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.variable import TensorVariable

LOG2_E = 1.4426950408889634
LOG_2 = (0.693359375, -2.12194440054690583e-4)
"""log(2) as a sum: the first term has few digits, so its product with n is exact."""
EXP = (
    0.4999999403953552,
    0.16666515171527863,
    0.04166845604777336,
    0.008369418792426586,
    0.0013813144760206342,
)
"""``(exp(r) - 1 - r) / r**2`` for r up to log(2) / 2 in size, lowest power first."""
TANH = (
    -0.3333328366279602,
    0.13331490755081177,
    -0.05374349653720856,
    0.020650586113333702,
    -0.005717044696211815,
)
"""``(tanh(x) - x) / x**3`` in powers of ``x**2``, for x up to SMALL in size."""
SMALL = 0.625
ROUNDS = 12582912.0
"""Added and subtracted, it rounds to an integer: gcc does not vectorize floorf."""
LARGEST = 88.0
"""exp of a larger number is outside the range of float32."""


class Float32Function(UnaryScalarOp):
    """A function of a float32, which in C is the ``routine`` of C_CODE."""

    routine = ""

    def c_support_code(self, **kwargs: object) -> str:
        return C_CODE

    def c_code(
        self,
        node: Apply,
        name: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        sub: object,
    ) -> str:
        return f"{outputs[0]} = {self.routine}({inputs[0]});"

    def c_code_cache_version(self) -> tuple[int, ...]:
        return (4,)


class Float32Tanh(Float32Function):
    """tanh of a float32."""

    routine = "recursive_tanh"

    def impl(self, x: np.float32) -> np.float32:
        """The value in plain Python, by NumPy's tanh, which is as close."""
        return np.tanh(x)

    def pullback(
        self, inputs: Sequence, outputs: Sequence, output_grads: Sequence
    ) -> list:
        return [output_grads[0] * (1 - outputs[0] * outputs[0])]


class Float32Sigmoid(Float32Function):
    """1 / (1 + exp(-x)) of a float32."""

    routine = "recursive_sigmoid"

    def impl(self, x: np.float32) -> np.float32:
        """The value in plain Python, by NumPy's exp, which is as close."""
        return np.float32(1) / (np.float32(1) + np.exp(-x))

    def pullback(
        self, inputs: Sequence, outputs: Sequence, output_grads: Sequence
    ) -> list:
        return [output_grads[0] * outputs[0] * (1 - outputs[0])]


class Unfused:
    """An operation that PyTensor does not fuse with others on the same elements.

    Numba stops vectorizing a loop that holds two such functions.
    """

    def supports_c_code(self, inputs: Sequence, outputs: Sequence) -> bool:
        """False, because PyTensor fuses only what has C code."""
        return False


class UnfusedTanh(Unfused, Float32Tanh):
    """tanh of a float32, for Numba."""


class UnfusedSigmoid(Unfused, Float32Sigmoid):
    """1 / (1 + exp(-x)) of a float32, for Numba."""


Arithmetic = Mapping[type[UnaryScalarOp], Elemwise]
"""The operation that replaces each function of a float32."""

FUSED: Arithmetic = {
    Tanh: Elemwise(Float32Tanh(same_out, name="tanh32")),
    Sigmoid: Elemwise(Float32Sigmoid(same_out, name="sigmoid32")),
}
UNFUSED: Arithmetic = {
    Tanh: Elemwise(UnfusedTanh(same_out, name="tanh32")),
    Sigmoid: Elemwise(UnfusedSigmoid(same_out, name="sigmoid32")),
}


def rewriter(arithmetic: Arithmetic) -> GraphRewriter:
    """The rewriter that puts ``arithmetic`` in place of the functions in a graph."""

    @node_rewriter([Elemwise])
    def replaced(graph: FunctionGraph, node: Apply) -> list[TensorVariable] | None:
        op = arithmetic.get(type(node.op.scalar_op))
        if op is None or node.outputs[0].type.dtype != "float32":
            return None
        return [op(*node.inputs)]

    return dfs_rewriter(replaced)


def as_arithmetic(
    outputs: Sequence[Variable], arithmetic: Arithmetic
) -> list[Variable]:
    """``outputs``, with ``arithmetic`` in place of the functions that they apply."""
    # Not cloned: the placeholders of scan are among the inputs of this graph.
    graph = FunctionGraph(outputs=list(outputs), clone=False)
    rewriter(arithmetic).rewrite(graph)
    return list(graph.outputs)


def _horner(coefficients: Sequence[float], x: str) -> str:
    """The C code of a polynomial in ``x``: ``((c2 * x + c1) * x + c0)``."""
    *lower, highest = coefficients
    text = f"{highest!r}f"
    for coefficient in reversed(lower):
        text = f"({text} * {x} + {coefficient!r}f)"
    return text


C_CODE = f"""
#ifndef RECURSIVE_VECTORIZED
#define RECURSIVE_VECTORIZED
#include <cstring>
#include <cmath>
static inline __attribute__((always_inline)) float recursive_exp(float x) {{
    float n = (x * {LOG2_E!r}f + {ROUNDS!r}f) - {ROUNDS!r}f;
    float r = x - n * {LOG_2[0]!r}f;
    r = r - n * {LOG_2[1]!r}f;
    float p = {_horner(EXP, "r")} * (r * r) + r + 1.0f;
    int bits = ((int) n + 127) << 23;
    float scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}}
static inline __attribute__((always_inline)) float recursive_tanh(float x) {{
    float a = fabsf(x), u = x * x;
    float small = x * (1.0f + u * {_horner(TANH, "u")});
    float bound = a > 10.0f ? 10.0f : a;
    float large = copysignf(1.0f - 2.0f / (1.0f + recursive_exp(2.0f * bound)), x);
    return a < {SMALL!r}f ? small : large;
}}
static inline __attribute__((always_inline)) float recursive_sigmoid(float x) {{
    float low = -x > {LARGEST!r}f ? {LARGEST!r}f : -x;
    float bound = low < -87.0f ? -87.0f : low;
    return 1.0f / (1.0f + recursive_exp(bound));
}}
#endif
"""


@functools.cache
def register_numba() -> None:
    """Register both functions with PyTensor's Numba backend."""
    from llvmlite import ir
    from numba.core import types
    from numba.core.extending import intrinsic
    from pytensor.link.numba.dispatch import basic

    # The float32 that has the bits of an int32: Numba has no function for it.
    @intrinsic
    def from_bits(typing_context, bits):
        def code(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], ir.FloatType())

        return types.float32(types.int32), code

    # Constants of float32: a Python float would make Numba compute in float64.
    one, two, half = map(np.float32, (1, 2, 0.5))
    log2_e, high, low = map(np.float32, (LOG2_E, *LOG_2))
    e0, e1, e2, e3, e4 = map(np.float32, EXP)
    t0, t1, t2, t3, t4 = map(np.float32, TANH)
    small_end, largest, smallest, saturated = map(np.float32, (SMALL, LARGEST, -87, 10))

    @basic.numba_njit(forceinline=True, fastmath=False)
    def exp(x):
        n = np.floor(x * log2_e + half)
        r = x - n * high
        r = r - n * low
        p = ((((e4 * r + e3) * r + e2) * r + e1) * r + e0) * (r * r) + r + one
        return p * from_bits(np.int32((np.int32(n) + np.int32(127)) << np.int32(23)))

    @basic.numba_njit(forceinline=True, fastmath=False)
    def tanh(x):
        a, u = np.abs(x), x * x
        small = x * (one + u * ((((t4 * u + t3) * u + t2) * u + t1) * u + t0))
        bound = saturated if a > saturated else a
        large = np.copysign(one - np.divide(two, one + exp(two * bound)), x)
        return small if a < small_end else large

    @basic.numba_njit(forceinline=True, fastmath=False)
    def sigmoid(x):
        bound = largest if -x > largest else -x
        bound = smallest if bound < smallest else bound
        return np.divide(one, one + exp(bound))

    _register(basic, Float32Tanh, tanh)
    _register(basic, Float32Sigmoid, sigmoid)


def _register(basic: object, kind: type, function: Callable) -> None:
    @basic.register_funcify_and_cache_key(kind)
    def funcify(op, node=None, **kwargs):
        return function, f"{kind.__name__}_2"
