"""Writes a report into a page, between two marks; the rest of the page stays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from recursive.errors import ConfigError
from recursive.utils.files import write_text

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def check(path: Path) -> None:
    """Check that a page can take a report.

    Raises:
        ConfigError: for a file that cannot be read, or that has not both marks, in order, once.
    """
    _around(path)


def fill(path: Path, text: str) -> None:
    """Put ``text`` between the marks."""
    before, after = _around(path)
    whole = f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}"
    write_text(path, whole)


def shown(pictures: Mapping[str, Path], page: Path) -> str:
    """Markdown that shows pictures on a page, by their descriptions.

    >>> shown({"How time grows.": Path("docs/images/bench.svg")}, Path("docs/performance.md"))
    '![How time grows.](images/bench.svg)\\n\\n'
    """
    return "".join(
        f"![{words}]({Path(os.path.relpath(path, page.parent)).as_posix()})\n\n"
        for words, path in pictures.items()
    )


def _around(path: Path) -> tuple[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError.about(
            "page",
            str(path),
            takes="a page that can be read",
            because="a report is put into it",
            got=str(error),
            do=f"Write one with {BEGIN} and {END} in it.",
        ) from error
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in before + after:
        raise ConfigError.about(
            "page",
            str(path),
            takes=f"{BEGIN} and then {END}, once each",
            because="the report goes between them",
            got="a page without",
            do="Add them to it.",
        )
    return before, after
