"""The growth of time and memory with the number of steps, rows, dims and nodes.

Each contender is measured alone here: how it grows is compared with itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tests.bench.contestants import QUICK, Contender, Sizes
from tests.bench.results import Row
from tests.bench.session import Session, Settings

GROWING = {
    "steps": (100, 300, 1000, 3000, 10_000),
    "batch": (8, 32, 128, 512),
    "dim": (32, 64, 128, 256, 512),
    "nodes": (5, 10, 20, 40, 80),
}
"""The values of each size. One size grows at a time, the others are as usual."""
TITLES = {
    "steps": "steps",
    "batch": "rows of a batch",
    "dim": "values of a state",
    "nodes": "nodes",
}
NETWORK = {"nodes": "random"}
"""The axes whose network is not the LSTM."""


def points(sizes: Sizes) -> dict[str, list[Sizes]]:
    """All sizes by axis; two small ones of each if ``sizes`` are those of ``--quick``.

    >>> [point.nodes for point in points(Sizes())["nodes"]]
    [5, 10, 20, 40, 80]
    """
    if sizes == QUICK:
        return {
            axis: [sizes, sizes.but(**{axis: 2 * getattr(sizes, axis)})]
            for axis in GROWING
        }
    return {
        axis: [sizes.but(**{axis: value}) for value in values]
        for axis, values in GROWING.items()
    }


def growing(contenders: Sequence[Contender], axis: str) -> list[Contender]:
    """The contenders along ``axis``: the container, and PyTorch's own loop if it has one."""
    network = NETWORK.get(axis, "lstm")
    torch = "torch-loop" if network == "random" else "torch-nn"
    return [
        contender
        for contender in contenders
        if contender.name in ("lax", torch) or contender.module == "container"
    ]


def measure(
    session: Session, sizes: Sizes, contenders: Sequence[Contender]
) -> dict[str, list[Row]]:
    """The rows of every size, by what grows."""
    session.settings = few(session.settings)
    return {
        axis: [
            row
            for point in several
            for contender in growing(contenders, axis)
            for row in session.measure(NETWORK.get(axis, "lstm"), point, [contender])
        ]
        for axis, several in points(sizes).items()
    }


def few(settings: Settings) -> Settings:
    """Fewer turns: a size takes up to half a minute a call."""
    return replace(
        settings,
        rounds=min(settings.rounds, 3),
        calls=min(settings.calls, 2),
        cold=False,
    )


def steps_of(settings: Settings, sizes: Sizes, contenders: Sequence[Contender]) -> int:
    """The number of times that ``measure`` reports its progress."""
    return sum(
        len(several) * len(growing(contenders, axis))
        for axis, several in points(sizes).items()
    ) * (few(settings).rounds + 1)


def exponent(rows: Sequence[Row], axis: str, kind: str = "train") -> float | None:
    """The exponent of time in size, from the middle size to the largest: 1 is linear.

    None if one of the two was not measured.
    """
    middle, last = rows[(len(rows) - 1) // 2], rows[-1]
    if middle.why or last.why:
        return None
    return math.log(last.median(kind) / middle.median(kind)) / math.log(
        last.sizes[axis] / middle.sizes[axis]
    )


def by_contender(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each contender, by its label."""
    return {
        label: [row for row in rows if row.label == label]
        for label in dict.fromkeys(row.label for row in rows)
    }
