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
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.math import Dot

from recursive.backend.c_loop.binary import Binary
from recursive.backend.c_loop.buffers import BUFFERS
from recursive.backend.c_loop.kernel import PRODUCT, THREADS
from recursive.backend.c_loop.outside import ColumnSums
from recursive.backend.c_loop.threads import thread_count

WORTH_A_THREAD = 2_000_000
"""The number of multiplications that are worth another thread."""

TEXT = (
    PRODUCT
    + THREADS
    + r"""
#define ALIGNED(bytes) (((bytes) + 63) / 64 * 64)
enum { ROWS_AT_A_TIME = 48, STEPS_AT_A_TIME = 128 };

template <typename T> struct Task {
    long M, K, N;
    const T* a;
    long a_row, a_step;
    const T* b;
    long b_row;
    T* c;
    T* column_sums;  // of b, if they are wanted
    const T* packed;
    long columns;    // of a group
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

// Copies STEPS columns of ``a`` tile by tile: for each step, the rows of a tile.
template <typename T>
INLINE void pack_tiles(const Task<T>& task, long k, long steps, T* out) {
    for (long m = 0; m < task.M; m += TILE_ROWS)
        for (long i = 0; i < steps; i++)
            for (long r = 0; r < TILE_ROWS; r++)
                *out++ = m + r < task.M
                    ? task.a[(m + r) * task.a_row + (k + i) * task.a_step] : T(0);
}

// Copies STEPS rows of one panel of ``b``, and adds them to ``totals``.
//
// Sums of float32 lose digits: so they are added up in float64, some steps at a time.
template <typename T>
INLINE void pack_panel(const Task<T>& task, long k, long steps, long n, T* out,
                       double* totals) {
    const long wide = TILE_VECTORS * lanes<T>();
    const long width = task.N - n < wide ? task.N - n : wide;
    T sums[TILE_VECTORS * VECTOR_BYTES / sizeof(T)] = {};
    for (long i = 0; i < steps; i++, out += wide) {
        const T* from = task.b + (k + i) * task.b_row + n;
        if (width == wide) {
            for (long j = 0; j < wide; j++) sums[j] += out[j] = from[j];
        } else {
            for (long j = 0; j < wide; j++)
                sums[j] += out[j] = j < width ? from[j] : T(0);
        }
    }
    for (long j = 0; j < wide; j++) totals[j] += sums[j];
}

// Groups of columns of ``a @ b``, whose sums are long.
template <typename T> static void* long_sums(void* given) {
    Task<T>& task = *(Task<T>*) given;
    const long wide = TILE_VECTORS * lanes<T>();
    const long rows = (task.M + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    const long count = STEPS_AT_A_TIME * (rows + wide) + rows * task.columns;
    T* memory = (T*) aligned_alloc(64, ALIGNED(count * (long) sizeof(T)));
    if (!memory) {
        __atomic_store_n(&task.failed, 1, __ATOMIC_RELAXED);
        return nullptr;
    }
    T* panel = memory + STEPS_AT_A_TIME * rows;
    T* sums = panel + STEPS_AT_A_TIME * wide;
    double totals[task.columns];
    for (;;) {
        const long first =
            __atomic_fetch_add(&task.next, task.columns, __ATOMIC_RELAXED);
        if (first >= task.N) break;
        const long left = task.N - first;
        const long columns = left < task.columns ? left : task.columns;
        memset(sums, 0, rows * task.columns * sizeof(T));
        memset(totals, 0, sizeof totals);
        for (long k = 0; k < task.K; k += STEPS_AT_A_TIME) {
            const long rest = task.K - k;
            const long steps = rest < STEPS_AT_A_TIME ? rest : STEPS_AT_A_TIME;
            pack_tiles(task, k, steps, memory);
            for (long n = 0; n < columns; n += wide) {
                pack_panel(task, k, steps, first + n, panel, totals + n);
                for (long m = 0; m < rows; m += TILE_ROWS)
                    tile<T, TILE_ROWS, TILE_VECTORS, true>(
                        steps, memory + m * steps, 1, panel, sums + n * rows + m * wide,
                        wide, wide, TILE_ROWS);
            }
        }
        for (long n = 0; n < columns; n += wide) {
            const long width = columns - n < wide ? columns - n : wide;
            for (long m = 0; m < task.M; m++)
                memcpy(task.c + m * task.N + first + n, sums + n * rows + m * wide,
                       width * sizeof(T));
            if (task.column_sums)
                for (long j = 0; j < width; j++)
                    task.column_sums[first + n + j] = (T) totals[n + j];
        }
    }
    free(memory);
    return nullptr;
}

template <typename T>
static int multiply(long M, long K, long N, const void* a, long a_row, long a_step,
                    const void* b, long b_row, void* c, void* column_sums,
                    long threads) {
    Task<T> task = {M, K, N, (const T*) a, a_row, a_step, (const T*) b, b_row, (T*) c,
                    (T*) column_sums, nullptr, 0, 0, 0};
    void* (*work)(void*) = long_sums<T>;
    // Two groups for each thread, so that a thread that is late has less left to do.
    const long wide = TILE_VECTORS * lanes<T>(), panels = (N + wide - 1) / wide;
    task.columns = (panels + 2 * threads - 1) / (2 * threads) * wide;
    T* packed = nullptr;
    if (a_step == 1 && K <= M + 1024 && !column_sums) {
        work = many_rows<T>;
        const long size = packed_size<T>(K, N) * (long) sizeof(T) + 64;
        packed = (T*) aligned_alloc(64, ALIGNED(size));
        if (!packed) return 1;
        pack<T>(K, N, (const T*) b, b_row, 1, packed);
        task.packed = packed;
    }
    on_threads(work, &task, threads);
    free(packed);
    return task.failed;
}

extern "C" int loop(long is_double, const long* sizes, const void* a, const void* b,
                    void* c, void* column_sums, long threads) {
    const auto function = is_double ? multiply<double> : multiply<float>;
    return function(sizes[0], sizes[1], sizes[2], a, sizes[3], sizes[4], b, sizes[5], c,
                    column_sums, threads);
}
"""
)
"""The C text of both kinds of products."""


class Product(Op):
    """The product of two matrices of floats, by the kernel of the loops.

    Args:
        binary: the C program.
        has_sums: True for a second output, the sum of each column of the right factor,
            which is read for the product anyway.
    """

    __props__ = ("has_sums",)

    def __init__(self, binary: Binary, has_sums: bool = False):
        self.binary = binary
        self.has_sums = has_sums
        self._function = None

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.has_sums == other.has_sums

    def __hash__(self) -> int:
        return hash((type(self), self.has_sums))

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_function": None}

    def make_node(self, left: Variable, right: Variable) -> Apply:
        outputs = [pt.dot(left, right).type()]
        if self.has_sums:
            outputs.append(right[0].type())
        return Apply(self, [left, right], outputs)

    def load(self) -> None:
        """Load the C function; waits for the compiler."""
        self._function = self.binary.load(
            [ctypes.c_long, *[ctypes.c_void_p] * 5, ctypes.c_long]
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
        result = BUFFERS.empty((M, N), left.dtype)
        sums = np.empty(N, left.dtype) if self.has_sums else None
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
            None if sums is None else sums.ctypes.data,
            threads,
        )
        if failed:
            raise MemoryError("a product needs more memory than there is")
        outputs[0][0] = result
        if sums is not None:
            outputs[1][0] = sums


def _whole_strides(matrix: np.ndarray) -> np.ndarray:
    """``matrix``, copied if its numbers are not aligned."""
    is_whole = all(stride % matrix.itemsize == 0 for stride in matrix.strides)
    return matrix if is_whole and matrix.flags.aligned else matrix.copy()


def use_kernel(graph: FunctionGraph, binary: Binary) -> None:
    """Put :class:`Product` in place of the products of a graph."""
    sums = {}
    for node in graph.toposort():
        if isinstance(node.op, ColumnSums):
            sums[node.inputs[0]] = node
    ops = [Product(binary), Product(binary, has_sums=True)]
    for node in graph.toposort():
        if not _is_product(node):
            continue
        left, right = node.inputs
        old = [node.outputs[0]]
        # A gradient of weights goes with that of their bias.
        has_sums = right in sums and _is_transposed(left)
        if has_sums:
            old.append(sums.pop(right).outputs[0])
        types = [output.type() for output in old]
        new = Apply(ops[has_sums], [left, right], types).outputs
        pairs = list(zip(old, new, strict=True))
        graph.replace_all_validate(pairs, reason="use_kernel")
    for op in ops:
        op.load()


def _is_product(node: Apply) -> bool:
    """True for a product of two matrices of the same float type."""
    if not isinstance(node.op, Dot):
        return False
    matrices = [*node.inputs, *node.outputs]
    dtypes = {matrix.type.dtype for matrix in matrices}
    has_axes = all(matrix.type.ndim == 2 for matrix in matrices)
    return has_axes and len(dtypes) == 1 and dtypes <= {"float32", "float64"}


def _is_transposed(matrix: Variable) -> bool:
    node = matrix.owner
    return (
        node is not None
        and isinstance(node.op, DimShuffle)
        and tuple(node.op.new_order) == (1, 0)
    )
