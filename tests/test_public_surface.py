"""What the package offers: sorted, documented, loaded when it is first used."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec

import pytest

import recursive
from tests.bench.contestants import CONTENDERS


def test_all_is_sorted_and_everything_in_it_is_there():
    assert recursive.__all__ == sorted(recursive.__all__)
    assert all(getattr(recursive, name) is not None for name in recursive.__all__)


def test_the_names_of_the_proposal_can_be_imported():
    from recursive import Activation, Dense, Graph, Recursive, Sequential

    assert {
        thing.__name__ for thing in (Activation, Dense, Graph, Recursive, Sequential)
    } == {"Activation", "Dense", "Graph", "Recursive", "Sequential"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Recursivee"):
        recursive.Recursivee  # noqa: B018


def installed(name):
    """A peer of the bench, or a port, needs a library of its own, which need not be there."""
    library = name.rpartition(".adapters.")[2]
    if library != name and library in ("torch", "jax", "keras"):
        return find_spec(library) is not None
    if name.endswith(".wrappers.scikit_learn"):
        return find_spec("sklearn") is not None
    return not any(
        name.endswith(f".contenders.{contender.module}")
        for contender in CONTENDERS
        if contender.backend is None and contender.missing
    )


def public_things():
    for info in pkgutil.walk_packages(recursive.__path__, "recursive."):
        if not installed(info.name):
            continue
        module = importlib.import_module(info.name)
        yield info.name, module
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != info.name:
                continue
            yield f"{info.name}.{name}", thing
            if inspect.isclass(thing):
                for attribute, value in vars(thing).items():
                    if not attribute.startswith("_") and (
                        inspect.isfunction(value) or isinstance(value, property)
                    ):
                        yield (
                            f"{info.name}.{name}.{attribute}",
                            getattr(thing, attribute),
                        )


def test_every_public_name_has_a_docstring():
    """A method that overrides a documented one inherits its docstring; a rule's name is its sentence."""
    bare = [
        name
        for name, thing in public_things()
        if not inspect.getdoc(thing) and not name.startswith("recursive.spec.checks.")
    ]
    assert bare == []


def test_the_version_is_one_and_the_same_everywhere():
    assert re.fullmatch(r"\d+\.\d+\.\d+", recursive.__version__)
    printed = subprocess.run(
        [sys.executable, "-m", "recursive.cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.strip() == f"recursive {recursive.__version__}"


def test_the_installed_package_says_the_same_version_and_is_typed():
    try:
        installed = metadata.distribution("recursive-rnn")
    except metadata.PackageNotFoundError:
        pytest.skip("reason: runs from a checkout that is not installed")
    assert installed.version == recursive.__version__
    assert any(str(path).endswith("py.typed") for path in installed.files or [])
