"""The pure layer as a whole: what it may load."""

import os
import subprocess
import sys
from pathlib import Path

import recursive

MODULES = sorted(
    path.stem for path in (Path(recursive.__file__).parent / "spec").glob("*.py")
)

PROGRAM = """
import importlib, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module("recursive.spec" if name == "__init__" else "recursive.spec." + name)
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new - set(sys.stdlib_module_names)))
"""


def test_every_module_of_the_spec_loads_the_standard_library_and_nothing_else():
    assert {
        "names",
        "graph",
        "checks",
        "history",
        "order",
        "shapes",
        "plan",
        "text",
        "explain",
    } <= set(MODULES)
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(recursive.__file__).parents[1]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *MODULES],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["recursive"]
