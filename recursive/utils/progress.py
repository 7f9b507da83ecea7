"""Progress of a running model: a bar with running means, or one line at the end."""

from __future__ import annotations

from types import TracebackType

from tqdm import tqdm


class Bar:
    """Progress over ``rows``.

    ``verbose`` is 1 for a bar, 2 for one line at the end, 0 for nothing.
    """

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
        """End the line of the bar."""
        self._bar.close()

    def advance(self, rows: int, logs: dict[str, float]) -> None:
        """Advance by ``rows`` and show ``logs``."""
        # ``update`` redraws, and not more often than a terminal can show.
        self._bar.set_postfix(_formatted(logs), refresh=False)
        self._bar.update(rows)

    def end(self, logs: dict[str, float]) -> None:
        """Show the final numbers."""
        formatted = _formatted(logs)
        self._bar.set_postfix(formatted)
        if self._verbose == 2:
            print(self._title, *map("=".join, formatted.items()))


def _formatted(logs: dict[str, float]) -> dict[str, str]:
    return {name: f"{value:.4f}" for name, value in logs.items()}
