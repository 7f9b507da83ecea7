"""What a user sees while a model works: a bar with the running means in it, or a line an epoch."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

from tqdm import tqdm


class Mean:
    """The means of the numbers called ``names``, each batch weighted by its rows.

    >>> mean = Mean(["loss"])
    >>> mean.add({"loss": 1.0, "acc": 0.5}, rows=3)
    >>> mean.add({"loss": 2.0}, rows=1)
    >>> mean.values()
    {'loss': 1.25}
    """

    def __init__(self, names: Iterable[str]):
        self.rows = 0
        self._sums = dict.fromkeys(names, 0.0)

    def add(self, logs: dict[str, float], rows: int) -> None:
        """Count the numbers of one batch."""
        self.rows += rows
        for name in self._sums:
            self._sums[name] += logs[name] * rows

    def values(self) -> dict[str, float]:
        """The means so far."""
        return {name: total / self.rows for name, total in self._sums.items()}


class Bar:
    """Progress over ``rows``: a bar for ``verbose=1``, one line at the end for 2, nothing for 0."""

    def __init__(self, title: str, rows: int, verbose: int):
        self._title = title
        self._verbose = verbose
        self._bar = tqdm(
            total=rows, desc=title, unit="row", disable=verbose != 1, leave=True
        )

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the line."""
        self._bar.close()

    def advance(self, rows: int, logs: dict[str, float]) -> None:
        """Move on by ``rows``, and show ``logs``."""
        self._bar.set_postfix(_formatted(logs), refresh=False)
        self._bar.update(rows)

    def end(self, logs: dict[str, float]) -> None:
        """Show the last numbers."""
        self._bar.set_postfix(_formatted(logs))
        if self._verbose == 2:
            print(
                self._title,
                *(f"{name}={value}" for name, value in _formatted(logs).items()),
            )


def _formatted(logs: dict[str, float]) -> dict[str, str]:
    return {name: f"{value:.4f}" for name, value in logs.items()}
