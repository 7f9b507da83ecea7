"""A container as a script that stands alone: in PyTensor or NumPy, without this library."""

from __future__ import annotations

from recursive import backend
from recursive.errors import UnknownNameError, suggest
from recursive.layers.graph import Graph
from recursive.layers.identity import own_methods
from recursive.shown.numpy_script import numpy_script
from recursive.shown.pytensor_script import pytensor_script
from recursive.shown.script import Script

WRITERS = {"numpy": numpy_script, "pytensor": pytensor_script}
"""What writes a script, by the library that it needs."""


def source(rnn: Graph, library: str) -> str:
    """The text of a script that computes what ``rnn`` does outside of training.

    Raises:
        UnknownNameError: for another library.
        RecursiveError: a child of it, for a container that is not complete.
    """
    if library not in WRITERS:
        raise UnknownNameError.about(
            "library",
            str(library),
            takes="numpy or pytensor",
            because="scripts are written for these",
            got=repr(library),
            do=suggest(str(library), WRITERS),
        )
    plan = rnn.declared_plan
    inputs = {item.name: (item.dtype, item.shape) for item in rnn.arguments()}
    return WRITERS[library](
        Script(
            rnn.spec,
            plan,
            rnn.param_names,
            rnn.shapes,
            inputs,
            backend.floatX(),
            own_methods(type(rnn)),
        )
    )
