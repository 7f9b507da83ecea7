"""A container as a script in PyTensor or NumPy that runs without this library."""

from __future__ import annotations

from recursive import backend
from recursive.errors import UnknownNameError, suggest
from recursive.layers.graph import Graph
from recursive.layers.identity import own_methods
from recursive.shown.language import written
from recursive.shown.loops_in_c import c_source
from recursive.shown.numpy_script import NUMPY
from recursive.shown.pytensor_script import PYTENSOR
from recursive.shown.script import Script

LANGUAGES = {"numpy": NUMPY, "pytensor": PYTENSOR}
"""The languages of scripts, by the library that a script imports."""


def source(rnn: Graph, library: str) -> str:
    """The text of a script that computes the outputs of ``rnn`` outside of training.

    For ``c`` it is the C function of the loop instead, as backend ``c`` compiles it.

    Raises:
        UnknownNameError: for an unknown library.
        RecursiveError: a subclass of it, for a container that is not complete.
    """
    if library == "c":
        return c_source(rnn)
    if library not in LANGUAGES:
        raise UnknownNameError.about(
            "library",
            str(library),
            takes=f"{', '.join(LANGUAGES)} or c",
            got=repr(library),
            do=suggest(str(library), [*LANGUAGES, "c"]),
        )
    inputs = {item.name: (item.dtype, item.shape) for item in rnn.arguments()}
    script = Script(
        spec=rnn.spec,
        plan=rnn.declared_plan,
        params=rnn.param_names,
        shapes=rnn.shapes,
        inputs=inputs,
        floats=backend.floatX(),
        own=own_methods(type(rnn)),
    )
    return written(script, LANGUAGES[library])
