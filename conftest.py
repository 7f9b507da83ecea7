"""Doctests skip contenders of the bench and ports whose library is not installed."""

from importlib.util import find_spec

from tests.bench.contestants import CONTENDERS

collect_ignore = [
    f"tests/bench/contenders/{contender.module}.py"
    for contender in CONTENDERS
    if contender.backend is None and contender.missing
]
PORTS = {"torch": ("torch",), "jax": ("jax",), "keras": ("keras", "jax")}
"""What each port of the conformance suite needs."""

collect_ignore += [
    f"recursive/conformance/adapters/{port}.py"
    for port, packages in PORTS.items()
    if None in map(find_spec, packages)
]
if find_spec("sklearn") is None:
    collect_ignore.append("recursive/wrappers/scikit_learn.py")
