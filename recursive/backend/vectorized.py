"""tanh and sigmoid in float32 as plain arithmetic, which C and Numba compute several values at a time.

A call of the mathematical library for each value is most of the time of a step there. Both are made of one exponential:
``exp(x) = 2**n * exp(r)`` for ``x = n * log(2) + r``, with a polynomial for ``exp(r)``; tanh near zero is a polynomial
of its own. The coefficients are minimax fits, made for this module. tanh stays within 2 units in the last place of the
true value and sigmoid within 3, for arguments up to 87 in size.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

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
"""log(2) in two parts, the first of which has few digits, so that a product with a whole number is exact."""
EXP = (
    0.4999999403953552,
    0.16666515171527863,
    0.04166845604777336,
    0.008369418792426586,
    0.0013813144760206342,
)
"""``(exp(r) - 1 - r) / r**2`` for r up to half of log(2) in size, lowest power first."""
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
"""Added and taken away again it leaves a whole number: gcc makes no vector of floorf."""
LARGEST = 88.0
"""Beyond it exp would leave the range of float32."""


class Float32Function(UnaryScalarOp):
    """A function of a float32, which in C is the ``routine`` below."""

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
        """NumPy's, which is as close."""
        return np.tanh(x)

    def pullback(
        self, inputs: Sequence, outputs: Sequence, output_grads: Sequence
    ) -> list:
        return [output_grads[0] * (1 - outputs[0] * outputs[0])]


class Float32Sigmoid(Float32Function):
    """1 / (1 + exp(-x)) of a float32."""

    routine = "recursive_sigmoid"

    def impl(self, x: np.float32) -> np.float32:
        """By NumPy's exp, which is as close."""
        return np.float32(1) / (np.float32(1) + np.exp(-x))

    def pullback(
        self, inputs: Sequence, outputs: Sequence, output_grads: Sequence
    ) -> list:
        return [output_grads[0] * outputs[0] * (1 - outputs[0])]


class Apart:
    """Stays apart from operations on the same elements: two such functions in one loop Numba calls for each value."""

    def supports_c_code(self, inputs: Sequence, outputs: Sequence) -> bool:
        """PyTensor joins only what does."""
        return False


class UnfusedTanh(Apart, Float32Tanh):
    """tanh of a float32, by Numba."""


class SigmoidApart(Apart, Float32Sigmoid):
    """1 / (1 + exp(-x)) of a float32, by Numba."""


FUNCTIONS = {
    "c": {
        Tanh: Elemwise(Float32Tanh(same_out, name="tanh32")),
        Sigmoid: Elemwise(Float32Sigmoid(same_out, name="sigmoid32")),
    },
    "numba": {
        Tanh: Elemwise(UnfusedTanh(same_out, name="tanh32")),
        Sigmoid: Elemwise(SigmoidApart(same_out, name="sigmoid32")),
    },
}
"""What is computed for each function, by backend."""


def rewriter(target: str) -> GraphRewriter:
    """What puts arithmetic in the place of the functions in a graph that ``target`` compiles."""
    used = FUNCTIONS[target]
    if target == "numba":
        register_numba()

    @node_rewriter([Elemwise])
    def as_arithmetic(graph: FunctionGraph, node: Apply) -> list[TensorVariable] | None:
        op = used.get(type(node.op.scalar_op))
        return (
            [op(*node.inputs)]
            if op is not None and node.outputs[0].type.dtype == "float32"
            else None
        )

    return dfs_rewriter(as_arithmetic)


def as_arithmetic(outputs: Sequence[Variable], target: str) -> list[Variable]:
    """``outputs`` by arithmetic."""
    graph = FunctionGraph(outputs=list(outputs), clone=False)
    rewriter(target).rewrite(graph)
    return list(graph.outputs)


def _horner(coefficients: Sequence[float], x: str) -> str:
    """A polynomial as the text of C."""
    return functools.reduce(
        lambda text, value: f"({text} * {x} + {value!r}f)",
        coefficients[-2::-1],
        f"{coefficients[-1]!r}f",
    )


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
    """Tell PyTensor's way to Numba how it computes them."""
    from llvmlite import ir
    from numba.core import types
    from numba.core.extending import intrinsic
    from pytensor.link.numba.dispatch import basic

    @intrinsic
    def from_bits(typing_context, bits):
        def code(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], ir.FloatType())

        return types.float32(types.int32), code

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

    for kind, function in ((Float32Tanh, tanh), (Float32Sigmoid, sigmoid)):
        _register(basic, kind, function)


def _register(basic: object, kind: type, function: Callable) -> None:
    @basic.register_funcify_and_cache_key(kind)
    def funcify(op, node=None, **kwargs):
        return function, f"{kind.__name__}_2"
