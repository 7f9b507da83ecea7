r"""The C text that every loop starts with: types, tanh, and the product kernel.

**The product** of a step multiplies a few rows by a matrix of weights,
``(rows, K) @ (K, N)``. BLAS is made for large products: it copies both factors into
buffers each time, and its threads wait for each other at the end of each product. Here
the weights are copied once before the loop, in the order in which they will be read,
and no thread waits.

A processor reaches its peak if it adds products to numbers that stay in registers. A
*tile* of the result, ``TILE_ROWS`` rows by ``TILE_VECTORS`` vectors, is such a set::

    for each k:   w = the vectors of row k of the weights          (loaded once)
                  for each row r of the tile:  tile[r] += a[r, k] * w

With AVX-512 a vector holds 16 floats and there are 32 registers: 8 rows by 2 vectors
take 16 of them. The weights are stored panel by panel, a panel being the columns of one
tile, so that the inner loop reads them one after the other.

**Rounding.** Each number of the result is one sum over k, from first to last, whatever
the tile: so the result for a row depends on that row alone, bit for bit, and not on the
number of rows or threads. Tiles of fewer rows, at the end of a block, use the same
order.

**tanh and sigmoid** in float32 are the arithmetic of ``vectorized.py``.
"""

from __future__ import annotations

from recursive.backend import vectorized

PRODUCT = r"""
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <pthread.h>
#ifdef __linux__
#include <sched.h>
#endif
using namespace std;

typedef unsigned char npy_bool;
typedef signed char npy_byte;
typedef int8_t npy_int8;
typedef int16_t npy_int16;
typedef int32_t npy_int32;
typedef int64_t npy_int64;
typedef uint8_t npy_uint8;
typedef uint16_t npy_uint16;
typedef uint32_t npy_uint32;
typedef uint64_t npy_uint64;
typedef float npy_float32;
typedef double npy_float64;
typedef npy_int64 npy_intp;

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, TILE_ROWS = 8, TILE_VECTORS = 2 };
#elif defined(__AVX__)
enum { VECTOR_BYTES = 32, TILE_ROWS = 4, TILE_VECTORS = 3 };
#else
enum { VECTOR_BYTES = 16, TILE_ROWS = 4, TILE_VECTORS = 2 };
#endif

template <typename T> struct Vector {};
template <> struct Vector<float> {
    typedef float type __attribute__((vector_size(VECTOR_BYTES), aligned(4)));
};
template <> struct Vector<double> {
    typedef double type __attribute__((vector_size(VECTOR_BYTES), aligned(8)));
};
template <typename T> INLINE constexpr long lanes() {
    return VECTOR_BYTES / (long) sizeof(T);
}
// The numbers that packed weights take: each row is filled up to whole vectors.
template <typename T> INLINE long packed_size(long K, long N) {
    return K * ((N + lanes<T>() - 1) / lanes<T>()) * lanes<T>();
}

// Copies (K, N) weights panel by panel; the rest of the last vector is zeros.
template <typename T>
static void pack(long K, long N, const T* w, long k_stride, long n_stride, T* out) {
    const long L = lanes<T>();
    for (long n = 0; n < N;) {
        const long width = n + TILE_VECTORS * L <= N ? TILE_VECTORS * L : L;
        const long filled = N - n < width ? N - n : width;
        for (long k = 0; k < K; k++, out += width) {
            const T* from = w + k * k_stride + n * n_stride;
            if (n_stride == 1) for (long j = 0; j < filled; j++) out[j] = from[j];
            else for (long j = 0; j < filled; j++) out[j] = from[j * n_stride];
            for (long j = filled; j < width; j++) out[j] = T(0);
        }
        n += width;
    }
}

// One tile: ROWS rows by VECTORS vectors, of which ``width`` numbers are stored. It is
// added to what is there if GOES_ON, which then has whole vectors.
template <typename T, int ROWS, int VECTORS, bool GOES_ON = false>
INLINE void tile(long K, const T* a, long a_row, const T* w, T* c, long c_row,
                 long width, long a_step = 1) {
    typedef typename Vector<T>::type vector;
    const long L = lanes<T>();
    vector sums[ROWS][VECTORS];
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < VECTORS; v++)
            sums[r][v] = GOES_ON ? *(const vector*) (c + r * c_row + v * L) : vector{};
    for (long k = 0; k < K; k++, w += VECTORS * L) {
        vector weights[VECTORS];
        for (int v = 0; v < VECTORS; v++) weights[v] = *(const vector*) (w + v * L);
        for (int r = 0; r < ROWS; r++) {
            const vector x = a[r * a_row + k * a_step] - vector{};
            for (int v = 0; v < VECTORS; v++) sums[r][v] += x * weights[v];
        }
    }
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < VECTORS; v++) {
            if ((v + 1) * L <= width)
                *(vector*) (c + r * c_row + v * L) = sums[r][v];
            else
                for (long j = v * L; j < width; j++)
                    c[r * c_row + j] = sums[r][v][j - v * L];
        }
}

// All rows of one panel.
template <typename T, int VECTORS>
INLINE void panel(long rows, long K, const T* a, long a_row, const T* w, T* c,
                  long c_row, long width) {
    long r = 0;
    for (; r + TILE_ROWS <= rows; r += TILE_ROWS)
        tile<T, TILE_ROWS, VECTORS>(K, a + r * a_row, a_row, w, c + r * c_row, c_row,
                                    width);
    for (; r + 4 <= rows; r += 4)
        tile<T, 4, VECTORS>(K, a + r * a_row, a_row, w, c + r * c_row, c_row, width);
    for (; r + 2 <= rows; r += 2)
        tile<T, 2, VECTORS>(K, a + r * a_row, a_row, w, c + r * c_row, c_row, width);
    for (; r < rows; r++)
        tile<T, 1, VECTORS>(K, a + r * a_row, a_row, w, c + r * c_row, c_row, width);
}

// c = a @ w, for weights that ``pack`` has copied.
template <typename T>
static __attribute__((noinline)) void product(long rows, long K, long N, const T* a,
                                              long a_row, const T* w, T* c,
                                              long c_row) {
    const long L = lanes<T>(), wide = TILE_VECTORS * L;
    long n = 0;
    for (; n + wide <= N; n += wide)
        panel<T, TILE_VECTORS>(rows, K, a, a_row, w + n * K, c + n, c_row, wide);
    for (; n < N; n += L)
        panel<T, 1>(rows, K, a, a_row, w + n * K, c + n, c_row, N - n < L ? N - n : L);
}
"""
"""The C text of types and of the product kernel."""

THREADS = r"""
struct Helper {
    void* (*work)(void*);
    void* task;
#ifdef __linux__
    cpu_set_t allowed;
#endif
};

static void* help(void* given) {
    Helper& helper = *(Helper*) given;
#ifdef __linux__
    pthread_setaffinity_np(pthread_self(), sizeof(cpu_set_t), &helper.allowed);
#endif
    return helper.work(helper.task);
}

// Runs ``work`` on this thread and on others, and waits for all.
//
// Linux may start a thread on the processor of its parent, where it waits until the
// parent has finished. So each starts on a processor of its own; then it may move.
static void on_threads(void* (*work)(void*), void* task, long threads) {
    pthread_t started[threads];
    Helper helper = {work, task};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
#ifdef __linux__
    const bool is_known =
        !pthread_getaffinity_np(pthread_self(), sizeof(cpu_set_t), &helper.allowed);
    int processor = sched_getcpu();
#endif
    long count = 0;
    while (count < threads - 1) {
#ifdef __linux__
        if (is_known && processor >= 0) {
            do processor = (processor + 1) % CPU_SETSIZE;
            while (!CPU_ISSET(processor, &helper.allowed));
            cpu_set_t first;
            CPU_ZERO(&first);
            CPU_SET(processor, &first);
            pthread_attr_setaffinity_np(&attributes, sizeof first, &first);
        }
#endif
        if (pthread_create(&started[count], &attributes, help, &helper)) break;
        count++;
    }
    pthread_attr_destroy(&attributes);
    work(task);
    for (long i = 0; i < count; i++) pthread_join(started[i], nullptr);
}
"""
"""The C text that runs a function on several threads."""

PROLOGUE = PRODUCT + THREADS + vectorized.C_CODE
"""The beginning of the C text of every loop."""
