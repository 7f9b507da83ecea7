"""The text of a whole C program: what threads do around the loop of one block.

The function ``loop`` packs the weights, then lets threads compute block after block of
rows; each takes the next block that nobody has taken yet. The number of rows of a block
is such that every thread gets as many, and at most ``LARGEST_BLOCK``: then the values
of a step stay in the cache of the processor. Threads are created for each call. That
takes some 20 microseconds, and a process can be forked at any time between calls.
"""

from __future__ import annotations

from recursive.backend.c_loop.kernel import PROLOGUE
from recursive.backend.c_loop.values import times
from recursive.backend.c_loop.writer import Writer

WRONG_INDEX, NO_MEMORY, WRONG_SIZE = 1, 2, 3
"""What the C function returns if it fails."""

FIRST_FAILURE = 100
"""What it returns for the first of the errors that operations may raise."""

LARGEST_BLOCK = 32

DECLARATIONS = f"""
#define ALIGNED(bytes) (((bytes) + 63) / 64 * 64)
enum {{ WRONG_INDEX = {WRONG_INDEX}, NO_MEMORY = {NO_MEMORY},
        WRONG_SIZE = {WRONG_SIZE} }};

struct Call {{
    void** arrays;
    const long* longs;   // lengths and strides of the arrays
    const long* sizes;   // sizes that are known only now
    void** packed;
    long T, R, block, scratch_bytes;
    long next;           // the first row that no thread has taken
    int failed;
}};
"""

THREADS = f"""
static void* work(void* given) {{
    Call& call = *(Call*) given;
    char* scratch = (char*) aligned_alloc(64, ALIGNED(call.scratch_bytes));
    int failed = scratch ? 0 : NO_MEMORY;
    while (!failed) {{
        const long first = __atomic_fetch_add(&call.next, call.block, __ATOMIC_RELAXED);
        if (first >= call.R) break;
        const long left = call.R - first;
        failed = run_block(call, first, left < call.block ? left : call.block, scratch);
    }}
    free(scratch);
    if (failed) __atomic_store_n(&call.failed, failed, __ATOMIC_RELAXED);
    return nullptr;
}}

extern "C" int loop(void** arrays, const long* longs, const long* sizes, long T, long R,
                    long threads) {{
    void* packed[PACKS + 1] = {{}};
    Call call = {{arrays, longs, sizes, packed, T, R, 0, 0, 0, 0}};
    if (threads > R) threads = R;
    if (threads < 1) threads = 1;
    const long largest = {LARGEST_BLOCK} * threads;
    const long blocks = threads * ((R + largest - 1) / largest);
    call.block = (R + blocks - 1) / blocks;
    call.failed = prepare(call);
    if (!call.failed) {{
        on_threads(work, &call, threads);
    }}
    for (long i = 0; i < PACKS; i++) free(packed[i]);
    return call.failed;
}}
"""


def text(writer: Writer) -> str:
    """The C text of a loop whose step has been written."""
    known = ["const long T = call.T, R = call.R;", *writer.size_lines]
    parts = [
        PROLOGUE,
        *writer.support,
        DECLARATIONS,
        f"enum {{ PACKS = {len(writer.packs)} }};",
        "static int run_block(const Call& call, const long first_row, const long rows, "
        "char* scratch) {",
        *known,
        *writer.scratch_lines(),
        "for (long t = 0; t < T; t++) {",
        *writer.step_begin,
        *writer.statements,
        "}",
        "return 0;",
        "}",
        "static int prepare(Call& call) {",
        "const long first_row = 0; void* packed; (void) packed;",
        *known,
        *_packing(writer),
        f"call.scratch_bytes = {writer.scratch_size()};",
        "return 0;",
        "}",
        THREADS,
    ]
    return "\n".join(parts) + "\n"


def _packing(writer: Writer) -> list[str]:
    lines = []
    for number, ((kind, K, N), call) in enumerate(
        zip(writer.packs, writer.packing, strict=True)
    ):
        size = times(f"packed_size<{kind}>({K}, {N})", f"sizeof({kind})")
        lines.append(
            f"call.packed[{number}] = packed = aligned_alloc(64, ALIGNED({size} + 64));"
        )
        lines.append("if (!packed) return NO_MEMORY;")
        lines.append(call)
    return lines
