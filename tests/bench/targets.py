"""The aims of the library, as ratios of two contenders in one session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.contestants import NETWORKS
from tests.bench.results import Report


@dataclass(frozen=True, slots=True)
class Aim:
    """A contender takes at most ``limit`` times the time of a peer.

    ``peer_network`` is the peer's, if it differs: PyTorch's GRU resets after the product.
    """

    network: str
    kind: str
    contender: str
    peer: str
    limit: float
    peer_network: str | None = None

    def ratio(self, report: Report) -> float | None:
        """The ratio of the medians; None if one of the two was not measured."""
        own = report.find(self.network, self.contender)
        other = report.find(self.peer_network or self.network, self.peer)
        if (
            own is None
            or other is None
            or None in (own.median(self.kind), other.median(self.kind))
        ):
            return None
        return own.median(self.kind) / other.median(self.kind)

    def __str__(self) -> str:
        what = {"train": "train step", "forward": "forward"}[self.kind]
        return f"{NETWORKS[self.network]}, {what}: {self.contender} against {self.peer}"


@dataclass(frozen=True, slots=True)
class StartAim:
    """A contender finishes its first LSTM train step in ``limit`` seconds."""

    contender: str
    caches: str
    limit: float

    def ratio(self, report: Report) -> float | None:
        """The seconds; None if they were not measured."""
        row = report.find("lstm", self.contender)
        return None if row is None else row.cold if self.caches == "empty" else row.warm

    def __str__(self) -> str:
        return f"LSTM, seconds to the first train step, {self.caches} caches: {self.contender}"


def _aims() -> Iterator[Aim | StartAim]:
    for network in ("lstm", "gru"):
        yield Aim(network, "train", "recursive-jax", "lax", 0.5)
        yield Aim(network, "train", "recursive-jax", "keras", 0.6)
        yield Aim(
            network,
            "train",
            "recursive-jax",
            "torch-nn",
            1.25,
            peer_network="gru-after" if network == "gru" else None,
        )
        yield Aim(network, "train", "recursive-numba", "recursive-jax", 2.5)
        yield Aim(network, "train", "recursive-numba", "torch-loop", 1.0)
        yield Aim(network, "train", "recursive-numba", "lax", 1.0)
    yield Aim("lstm", "train", "recursive-c", "torch-nn", 1.0)
    yield Aim("gru-after", "train", "recursive-c", "torch-nn", 0.4)
    for network in NETWORKS:
        yield Aim(network, "train", "recursive-c", "recursive-jax", 0.6)
        yield Aim(network, "train", "recursive-c", "lax", 0.35)
    for peer in ("lax", "lax-hoisted", "keras", "torch-loop", "scan-jax"):
        yield Aim("feedback", "train", "recursive-jax", peer, 1.0)
    for network in ("lstm", "gru"):
        for backend in ("jax", "numba", "c", "python"):
            yield Aim(
                network, "forward", f"recursive-{backend}", f"scan-{backend}", 1.02
            )
            yield Aim(network, "train", f"recursive-{backend}", f"scan-{backend}", 0.7)
    for backend, limit in (("jax", 4.0), ("c", 4.0), ("numba", 30.0), ("python", 3.0)):
        yield StartAim(f"recursive-{backend}", "empty", limit)
    for backend, limit in (("c", 1.5), ("numba", 2.0), ("python", 2.0)):
        yield StartAim(f"recursive-{backend}", "full", limit)


AIMS = tuple(_aims())


def lines_of(report: Report) -> list[tuple[str, ...]]:
    """A line for each measured aim: the value, the limit, and whether it is met."""
    found = [(aim, aim.ratio(report)) for aim in AIMS]
    return [
        (
            str(aim),
            f"{ratio:.2f}",
            f"{aim.limit:g}",
            "yes" if ratio <= aim.limit else "no",
        )
        for aim, ratio in found
        if ratio is not None
    ]
