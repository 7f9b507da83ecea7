"""The house: imports go down only, and the pure rooms never load a tensor library."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import recursive

PACKAGE = Path(recursive.__file__).parent

LEVELS = (
    ("errors",),
    ("limits",),
    ("spec", "utils", "locked", "draws"),
    ("backend", "drawing", "reference", "preprocessing"),
    (
        "activations",
        "callbacks",
        "constraints",
        "initializations",
        "objectives",
        "optimizers",
        "regularizers",
        "scan",
    ),
    ("loop", "metrics"),
    ("layers",),
    ("training", "utils.layer_utils"),
    ("shown",),
    ("models",),
    ("recipes", "wrappers", "conformance", "generation"),
    ("demos",),
    ("cli",),
)
"""From the ground up: a package may import from itself and from the levels below its own.

``utils.layer_utils`` is there for its path of 2015 alone. Inside a package no module imports one that imports it.
"""

SHOWN_ON_DEMAND = {("layers.recursive", "shown")}
"""A loop loads what shows it when it is asked to show itself."""

PURE = (
    "recursive",
    "recursive.errors",
    "recursive.limits",
    "recursive.spec.explain",
    "recursive.spec.checks",
    "recursive.drawing",
    "recursive.conformance.case",
    "recursive.conformance.runner",
    "recursive.conformance.stdio",
    "recursive.conformance.remote",
    "recursive.conformance.forms",
    "recursive.conformance.report",
    "recursive.conformance.command",
    "recursive.reference",
    "recursive.cli",
)


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name.removesuffix("__init__").removesuffix("."), path


def level_of(module):
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        room = ".".join(parts[:length])
        for level, rooms in enumerate(LEVELS):
            if room in rooms:
                return level
    return None


def imported(path):
    """The modules of the package that the file at ``path`` imports, and the outside packages."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = node.module == "recursive" or node.module.startswith("recursive.")
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if inside
                else [node.module]
            )
            yield from names


def room_of(name):
    """``loop.step`` for ``recursive.loop.step.make_step``; None for what is not a module of the package."""
    parts = name.removeprefix("recursive.").split(".")
    known = {module for module, _ in modules()}
    return next(
        (
            ".".join(parts[:n])
            for n in range(len(parts), 0, -1)
            if ".".join(parts[:n]) in known
        ),
        None,
    )


def test_every_module_has_its_level():
    assert [name for name, _ in modules() if name and level_of(name) is None] == []


@pytest.mark.parametrize(
    ("module", "path"),
    [item for item in modules() if item[0]],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_imports_go_down_only(module, path):
    own_package = module.partition(".")[0]
    for name in imported(path):
        room = room_of(name)
        if room is None or room.partition(".")[0] == own_package:
            continue
        if (module, room.partition(".")[0]) in SHOWN_ON_DEMAND:
            continue
        assert level_of(room) < level_of(module), f"{module} imports {room}"


def test_no_module_imports_one_that_imports_it():
    imports = {module: set() for module, _ in modules()}
    for module, path in modules():
        for name in imported(path):
            room = room_of(name)
            if (
                room
                and room != module
                and (module, room.partition(".")[0]) not in SHOWN_ON_DEMAND
            ):
                imports[module].add(room)
    order = graphlib.TopologicalSorter(imports)
    order.prepare()  # raises a CycleError that names the modules


def test_the_loop_calls_layers_but_never_imports_them():
    for module, path in modules():
        if module.startswith("loop"):
            assert [name for name in imported(path) if "layers" in name] == []


def test_scan_is_called_in_one_place():
    calls = [
        module for module, path in modules() if "pytensor.scan(" in path.read_text()
    ]
    assert calls == [
        "backend.scanning",
        "shown.pytensor_script",
    ]
    # the second writes it into a script


@pytest.mark.parametrize("module", PURE)
def test_pure_rooms_load_no_tensor_library(module):
    check = f"import sys, {module}; print([name for name in ('pytensor', 'jax', 'numba') if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_spec_needs_the_standard_library_only():
    for module, path in modules():
        if module.startswith("spec") or module in ("errors", "limits"):
            outside = {name.partition(".")[0] for name in imported(path)} - {
                "recursive",
                "__future__",
            }
            assert outside <= set(sys.stdlib_module_names)


def test_there_is_no_assert_and_no_bare_exception_in_the_product():
    for module, path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, ast.Assert), module
            if (
                isinstance(node, ast.Raise)
                and isinstance(node.exc, ast.Call)
                and isinstance(node.exc.func, ast.Name)
            ):
                assert node.exc.func.id not in ("Exception", "AssertionError"), module
