"""Large products outside the loops, with the kernel and the threads of the loops.

NumPy's BLAS is as fast on an idle machine. But its threads wait for each other by
spinning: when another process wants the processor, or when a loop of ours runs next,
a product may take ten times as long. Here threads take piece after piece of the result
and end when none is left.

Two shapes occur around a loop over many steps:

- ``(time * batch, n) @ (n, dim)``: many rows. The weights are packed once, and threads
  take blocks of rows.
- ``(time * batch, n).T @ (time * batch, dim)``, the gradient of weights: each number is
  a sum over many steps. Threads take panels of columns. The rows of a panel are packed
  some at a time, so that they stay in the cache while all rows of the result use them.

Either way each number of the result is one sum in a fixed order, for any number of
threads.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.tensor.math import Dot

from recursive.backend.c_loop.binary import Binary
from recursive.backend.c_loop.kernel import PRODUCT
from recursive.backend.c_loop.threads import thread_count

WORTH_A_THREAD = 2_000_000
"""The number of multiplications that are worth another thread."""

TEXT = (
    PRODUCT
    + r"""
#define ALIGNED(bytes) (((bytes) + 63) / 64 * 64)
enum { ROWS_AT_A_TIME = 48, STEPS_AT_A_TIME = 256 };

template <typename T> struct Task {
    long M, K, N;
    const T* a;
    long a_row, a_step;
    const T* b;
    long b_row;
    T* c;
    const T* packed;
    long next;
    int failed;
};

// Blocks of rows of ``a @ b``, with ``b`` packed.
template <typename T> static void* many_rows(void* given) {
    Task<T>& task = *(Task<T>*) given;
    for (;;) {
        const long first =
            __atomic_fetch_add(&task.next, (long) ROWS_AT_A_TIME, __ATOMIC_RELAXED);
        if (first >= task.M) break;
        const long left = task.M - first;
        product<T>(left < ROWS_AT_A_TIME ? left : ROWS_AT_A_TIME, task.K, task.N,
                   task.a + first * task.a_row, task.a_row, task.packed,
                   task.c + first * task.N, task.N);
    }
    return nullptr;
}

template <typename T, int ROWS>
INLINE void rows_of_panel(long K, const Task<T>& task, const T* a, const T* w, T* c) {
    tile<T, ROWS, TILE_VECTORS, true>(K, a, task.a_row, w, c, TILE_VECTORS * lanes<T>(),
                                      TILE_VECTORS * lanes<T>(), task.a_step);
}

// Panels of columns of ``a @ b``, whose sums are long.
template <typename T> static void* long_sums(void* given) {
    Task<T>& task = *(Task<T>*) given;
    const long L = lanes<T>(), wide = TILE_VECTORS * L;
    const long bytes = (STEPS_AT_A_TIME + task.M) * wide * (long) sizeof(T);
    T* memory = (T*) aligned_alloc(64, ALIGNED(bytes));
    if (!memory) {
        __atomic_store_n(&task.failed, 1, __ATOMIC_RELAXED);
        return nullptr;
    }
    T* sums = memory + STEPS_AT_A_TIME * wide;
    for (;;) {
        const long n = __atomic_fetch_add(&task.next, wide, __ATOMIC_RELAXED);
        if (n >= task.N) break;
        const long width = task.N - n < wide ? task.N - n : wide;
        memset(sums, 0, task.M * wide * sizeof(T));
        for (long k = 0; k < task.K; k += STEPS_AT_A_TIME) {
            const long left = task.K - k;
            const long steps = left < STEPS_AT_A_TIME ? left : STEPS_AT_A_TIME;
            for (long i = 0; i < steps; i++) {
                const T* from = task.b + (k + i) * task.b_row + n;
                T* to = memory + i * wide;
                if (width == wide) memcpy(to, from, wide * sizeof(T));
                else for (long j = 0; j < wide; j++) to[j] = j < width ? from[j] : T(0);
            }
            const T* a = task.a + k * task.a_step;
            long m = 0;
            for (; m + TILE_ROWS <= task.M; m += TILE_ROWS)
                rows_of_panel<T, TILE_ROWS>(steps, task, a + m * task.a_row, memory,
                                            sums + m * wide);
            for (; m < task.M; m++)
                rows_of_panel<T, 1>(steps, task, a + m * task.a_row, memory,
                                    sums + m * wide);
        }
        for (long m = 0; m < task.M; m++)
            memcpy(task.c + m * task.N + n, sums + m * wide, width * sizeof(T));
    }
    free(memory);
    return nullptr;
}

template <typename T>
static int multiply(long M, long K, long N, const void* a, long a_row, long a_step,
                    const void* b, long b_row, void* c, long threads) {
    Task<T> task = {M, K, N, (const T*) a, a_row, a_step, (const T*) b, b_row, (T*) c,
                    nullptr, 0, 0};
    void* (*work)(void*) = long_sums<T>;
    T* packed = nullptr;
    if (a_step == 1 && K <= M + 1024) {
        work = many_rows<T>;
        const long size = packed_size<T>(K, N) * (long) sizeof(T) + 64;
        packed = (T*) aligned_alloc(64, ALIGNED(size));
        if (!packed) return 1;
        pack<T>(K, N, (const T*) b, b_row, 1, packed);
        task.packed = packed;
    }
    pthread_t helpers[threads];
    long started = 0;
    while (started < threads - 1
           && !pthread_create(&helpers[started], nullptr, work, &task)) started++;
    work(&task);
    for (long i = 0; i < started; i++) pthread_join(helpers[i], nullptr);
    free(packed);
    return task.failed;
}

extern "C" int loop(long is_double, const long* sizes, const void* a, const void* b,
                    void* c, long threads) {
    const auto function = is_double ? multiply<double> : multiply<float>;
    return function(sizes[0], sizes[1], sizes[2], a, sizes[3], sizes[4], b, sizes[5], c,
                    threads);
}
"""
)
"""The C text of both kinds of products."""


class Product(Op):
    """The product of two matrices of floats, by the kernel of the loops."""

    __props__ = ()

    def __init__(self, binary: Binary):
        self.binary = binary
        self._function = None

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_function": None}

    def make_node(self, left: Variable, right: Variable) -> Apply:
        return Apply(self, [left, right], [pt.dot(left, right).type()])

    def load(self) -> None:
        """Load the C function; waits for the compiler."""
        self._function = self.binary.load(
            [ctypes.c_long, *[ctypes.c_void_p] * 4, ctypes.c_long]
        )

    def perform(
        self, node: Apply, inputs: Sequence[np.ndarray], outputs: Sequence[list]
    ) -> None:
        left, right = inputs
        (M, K), (rows, N) = left.shape, right.shape
        if rows != K:
            raise ValueError(f"cannot multiply {left.shape} by {right.shape}")
        size = left.itemsize
        # The kernel reads any strides of the left factor, and rows of the right one.
        left = _whole_strides(left)
        right = _whole_strides(right)
        if right.strides[1] != size:
            right = np.ascontiguousarray(right)
        result = np.empty((M, N), left.dtype)
        numbers = (M, K, N, *(left.strides[axis] // size for axis in (0, 1)))
        sizes = (ctypes.c_long * 6)(*numbers, right.strides[0] // size)
        threads = min(thread_count(), 1 + M * K * N // WORTH_A_THREAD)
        if self._function is None:
            self.load()
        failed = self._function(
            int(left.dtype == "float64"),
            sizes,
            left.ctypes.data,
            right.ctypes.data,
            result.ctypes.data,
            threads,
        )
        if failed:
            raise MemoryError("a product needs more memory than there is")
        outputs[0][0] = result


def _whole_strides(matrix: np.ndarray) -> np.ndarray:
    """``matrix``, copied if its numbers are not aligned."""
    is_whole = all(stride % matrix.itemsize == 0 for stride in matrix.strides)
    return matrix if is_whole and matrix.flags.aligned else matrix.copy()


def use_kernel(graph: FunctionGraph, binary: Binary) -> None:
    """Put :class:`Product` in place of the products of a graph."""
    op = Product(binary)
    for node in graph.toposort():
        if not isinstance(node.op, Dot):
            continue
        left, right = node.inputs
        [old] = node.outputs
        kinds = {left.type.dtype, right.type.dtype, old.type.dtype}
        if left.type.ndim != 2 or right.type.ndim != 2 or len(kinds) > 1:
            continue
        if not kinds <= {"float32", "float64"}:
            continue
        new = Apply(op, [left, right], [old.type()]).outputs[0]
        graph.replace_validate(old, new, reason="use_kernel")
    op.load()
