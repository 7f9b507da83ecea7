"""The house: imports go down only, and the pure rooms never load a tensor library."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import recursive

PACKAGE = Path(recursive.__file__).parent

FLOORS = (
    ("errors",),
    ("spec", "arguments", "layers.settings"),
    (
        "registry",
        "extras",
        "files",
        "interrupt",
        "locked",
        "utils.np_utils",
        "utils.series",
        "utils.test_utils",
    ),
    ("utils.generic_utils", "vectorized", "contiguous"),
    ("sizes",),
    ("rewrites", "lengths", "draws", "quiet"),
    ("available",),
    ("drawing", "conformance", "reference"),
    ("backend", "callbacks", "progress", "rollback", "serialization"),
    (
        "activations",
        "initializations",
        "regularizers",
        "constraints",
        "merges",
        "objectives",
        "data",
        "layers.states",
        "layers.products",
        "layers.given",
        "layers.own",
        "layers.identity",
        "loop.axes",
        "loop.call",
        "loop.until",
        "loop.anatomy",
        "loop.adjoint",
        "loop.backward",
        "loop.reversible",
    ),
    (
        "layers.chain",
        "layers.masks",
        "loop.step",
        "loop.state",
        "loop.masked",
        "optimizers",
        "row_weights",
        "carried",
        "chunks",
        "training",
    ),
    ("layers.linked", "layers.parameters"),
    (
        "loop.outside",
        "loop.unrolled",
        "loop.inner_masks",
        "layers.surface",
        "layers.layer",
    ),
    ("layers.learned", "layers.masking"),
    ("layers.parts",),
    (
        "layers.advanced_activations",
        "layers.composed",
        "layers.maxout",
        "layers.noise",
        "layers.normalization",
        "layers.shaping",
    ),
    ("layers.core", "layers.wrappers", "layers.cells"),
    ("layers.jzs", "layers.rnn"),
    (
        "loop.run",
        "layers.inner",
        "layers.embeddings",
        "layers.recurrent",
        "layers.split",
        "layers.choice",
    ),
    ("layers.graph",),
    ("feed",),
    ("layers.loop_run",),
    ("shown",),
    ("layers.sequential", "layers.recursive"),
    ("layers.containers", "functions", "utils.layer_utils"),
    ("saving",),
    ("stored",),
    ("learning",),
    ("models",),
    ("recipes", "conformance.adapters.pytensor"),
    ("demos", "bench"),
    ("cli",),
)
"""From the ground up: a module may import from its own floor and from those below."""

PURE = (
    "recursive",
    "recursive.errors",
    "recursive.spec.explain",
    "recursive.spec.checks",
    "recursive.drawing",
    "recursive.conformance.case",
    "recursive.conformance.runner",
    "recursive.conformance.stdio",
    "recursive.conformance.remote",
    "recursive.conformance.forms",
    "recursive.conformance.report",
    "recursive.conformance.generate",
    "recursive.conformance.mutants",
    "recursive.conformance.command",
    "recursive.reference",
    "recursive.bench.command",
    "recursive.bench.sitting",
    "recursive.cli",
)


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name.removesuffix("__init__").removesuffix("."), path


def floor_of(module):
    matches = [
        (len(room), floor)
        for floor, rooms in enumerate(FLOORS)
        for room in rooms
        if module == room or module.startswith(room + ".")
    ]
    return max(matches)[1] if matches else None


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


def test_every_module_has_its_floor():
    rooms = [
        module
        for module, _ in modules()
        if module not in ("", "layers", "loop", "utils")
    ]
    assert [module for module in rooms if floor_of(module) is None] == []


@pytest.mark.parametrize(
    ("module", "path"),
    [item for item in modules() if floor_of(item[0]) is not None],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_imports_go_down_only(module, path):
    rooms = {
        room_of(name) for name in imported(path) if name.startswith("recursive.")
    } - {None}
    above = [
        room
        for room in rooms
        if floor_of(room) is not None and floor_of(room) > floor_of(module)
    ]
    assert above == []


def test_the_loop_calls_layers_but_never_imports_them():
    for module, path in modules():
        if module.startswith("loop"):
            assert [name for name in imported(path) if "layers" in name] == []


def test_scan_is_called_in_one_place():
    calls = [
        module for module, path in modules() if "pytensor.scan(" in path.read_text()
    ]
    assert calls == [
        "backend",
        "bench.contenders.pytensor_scan",
        "shown.pytensor_script",
    ]
    # the second is what the first is compared with, the third writes it into a script


@pytest.mark.parametrize("module", PURE)
def test_pure_rooms_load_no_tensor_library(module):
    check = f"import sys, {module}; print([name for name in ('pytensor', 'jax', 'numba') if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_spec_needs_the_standard_library_only():
    for module, path in modules():
        if module.startswith("spec") or module == "errors":
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
