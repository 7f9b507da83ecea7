"""``python -m tests.notebooks [name ...]``: run the notebooks and the solutions of their exercises, asserts included.

They are kept as text; here they become notebooks in a folder that is thrown away. The extra ``notebooks`` has what this
needs, and ``tox -e notebooks`` runs it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "notebooks"
SECONDS_A_CELL = 60


def sources(names: Iterable[str] = ()) -> list[Path]:
    """The notebooks, then the solutions; only those whose file name has one of ``names`` in it, where any are given."""
    wanted = tuple(names)
    found = [*sorted(SOURCES.glob("*.md")), *sorted(SOURCES.glob("solutions/*.md"))]
    return [
        path
        for path in found
        if not wanted or any(name in path.name for name in wanted)
    ]


def convert(path: Path, folder: Path) -> Path:
    """Write the notebook of the text at ``path`` into ``folder``, under the same name."""
    import jupytext  # an extra; this module is also imported where it is not installed

    target = (folder / path.relative_to(SOURCES)).with_suffix(".ipynb")
    target.parent.mkdir(parents=True, exist_ok=True)
    jupytext.write(jupytext.read(path), target)
    return target


def main(names: Iterable[str] = ()) -> int:
    """Run them; the exit code is pytest's, and 2 where a name fits none."""
    chosen = sources(names)
    if not chosen:
        print(f"no notebook is called {' or '.join(names)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        targets = [str(convert(path, Path(folder))) for path in chosen]
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--nbmake",
            f"--nbmake-timeout={SECONDS_A_CELL}",
            "--durations=0",
            "-p",
            "no:cacheprovider",
            *targets,
        ]
        path = os.pathsep.join(
            [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
        return subprocess.run(
            command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
