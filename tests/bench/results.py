"""The results of a session as plain data, which JSON can hold."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from recursive.errors import ConfigError

VERSION = 1
KINDS = ("forward", "train", "bare")
"""The timed calls: a forward pass, a train step, and its compiled function alone."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds of a call: the median over all rounds, the fastest round and the slowest.

    The number of a round is the median of its calls.

    >>> Spread.over([[3.0, 1.0, 2.0], [4.0, 4.0, 9.0]])
    Spread(median=3.0, fastest=2.0, slowest=4.0, rounds=2)
    """

    median: float
    fastest: float
    slowest: float
    rounds: int

    @classmethod
    def over(cls, rounds: Iterable[Sequence[float]]) -> Spread:
        """The spread over ``rounds``, each the seconds of its calls."""
        found = [statistics.median(calls) for calls in rounds]
        return cls(statistics.median(found), min(found), max(found), len(found))


@dataclass(slots=True)
class Row:
    """One contender on one network.

    Attributes:
        why: why there are no numbers: what is missing and how to install it, or the error; empty where there are.
        imports: seconds from the start of its process until everything was imported.
        cold, warm: seconds from the start of its process until the first train step was done, building and compiling
            included, with empty caches on disk and with full ones; None if not measured.
        times: by what is timed.
        base, peak: megabytes of the process once everything was imported, and at most while it ran.
        pools: threads of each BLAS or OpenMP library, if threadpoolctl is installed.
    """

    network: str
    contender: str
    label: str
    why: str = ""
    imports: float | None = None
    cold: float | None = None
    warm: float | None = None
    times: dict[str, Spread] = field(default_factory=dict)
    base: float | None = None
    peak: float | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    pools: dict[str, int] = field(default_factory=dict)

    def median(self, kind: str) -> float | None:
        """Seconds; None if it was not measured."""
        return self.times[kind].median if kind in self.times else None


@dataclass(slots=True)
class Report:
    """A session: machine, sizes and rows. ``scaling`` has rows at other sizes, by axis."""

    machine: dict[str, object]
    sizes: dict[str, int]
    rows: list[Row]
    scaling: dict[str, list[Row]] = field(default_factory=dict)

    def find(self, network: str, contender: str) -> Row | None:
        """The row of a contender on a network."""
        return next(
            (
                row
                for row in self.rows
                if (row.network, row.contender) == (network, contender)
            ),
            None,
        )

    @property
    def networks(self) -> list[str]:
        """The contenders that were measured, in order."""
        return list(dict.fromkeys(row.network for row in self.rows))

    def to_json(self) -> str:
        """As JSON, with its version."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, place: str = "of a session") -> Report:
        """Read a report from the text that :meth:`to_json` wrote into the file ``place``.

        Raises:
            ConfigError: for anything else.
        """
        try:
            found = json.loads(text)
            if found.pop("version") != VERSION:
                raise ValueError(f"another version than {VERSION}")
            rows = [_row(fields) for fields in found.pop("rows")]
            scaling = {
                axis: [_row(fields) for fields in several]
                for axis, several in found.pop("scaling").items()
            }
            return cls(rows=rows, scaling=scaling, **found)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError.about(
                "file",
                place,
                takes="what python -m tests.bench --json wrote",
                because="it is shown again",
                got=f"{type(error).__name__}: {error}",
                do="Measure again with --json FILE.",
            ) from error


def _row(fields: dict) -> Row:
    times = {kind: Spread(**spread) for kind, spread in fields.pop("times").items()}
    return Row(times=times, **fields)


def read(path: str | Path) -> Report:
    """The report in a file.

    Raises:
        ConfigError: if it cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError.about(
            "file",
            str(path),
            takes="a file that can be read",
            because="a session is in it",
            got=str(error),
            do="Write one with --json FILE.",
        ) from error
    return Report.from_json(text, str(path))
