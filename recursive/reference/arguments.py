"""Checks of the arguments of ``run``, and their casts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from recursive.errors import (
    ConfigError,
    DataError,
    NodeError,
    RecursiveError,
    ShapeError,
    UnknownNameError,
    suggest,
)
from recursive.reference.arrays import Array, Value, is_float, prefixed, unprefixed
from recursive.reference.attention import SCORES
from recursive.reference.masks import joined
from recursive.reference.parts import walk
from recursive.reference.table import LAYERS, look_up, unknown_layer
from recursive.spec.graph import GraphSpec, InputSpec, Ref

Arrays = Mapping[str, Array]


def check_formulas(spec: GraphSpec) -> None:
    """Raise an UnknownNameError for a layer, at any depth, without a formula here.

    That is a Lambda, a user-defined class, or a layer with a user-defined activation.
    """
    for path, class_name, config in walk(spec):
        if class_name not in LAYERS:
            raise unknown_layer(class_name, path)
        for name, value in config.items():
            if name.endswith("activation") and callable(value):
                function = getattr(value, "__name__", value)
                raise UnknownNameError.about(
                    "node",
                    path,
                    takes=f"an {name} of the library, by its name",
                    because="the reference runs no code but its own",
                    got=f"the function {function!r} in {class_name}",
                    do="Compare this layer with a formula of your own.",
                )


def check_settings(spec: GraphSpec) -> None:
    """Raise an error for what a declaration says and no array can make right.

    Raises:
        ConfigError: for a share that is no probability, or an unknown score.
        NodeError: for a value that is read, but given in training only.
    """
    for path, class_name, config in walk(spec):
        share = config.get("share", 1.0)
        if class_name == "Teacher" and not _is_share(share):
            raise ConfigError.about(
                "layer",
                path,
                takes="a share from 0 to 1, or the name of a port",
                got=repr(share),
                do="Correct the share.",
            )
        if class_name == "Attention":
            look_up("score", config.get("score", "dot"), SCORES, ConfigError)
        if "spec" in config:
            _check_training_only(GraphSpec.from_dict(config["spec"]))
    _check_training_only(spec)


def _is_share(share: object) -> bool:
    if isinstance(share, str):
        return True
    return isinstance(share, int | float) and share is not True and 0 <= share <= 1


def _check_training_only(spec: GraphSpec) -> None:
    """Raise a NodeError unless a Teacher alone reads what is given in training only."""
    absent = {item.name for item in spec.inputs if item.training_only}
    reads = {f"output {item.name}": item.refs for item in spec.outputs}
    for state in spec.states:
        if isinstance(state.initial, str):
            reads[f"state {state.name}"] = (Ref(state.initial),)
    for node in spec.nodes:
        for port in node.ports:
            is_truth = node.layer.class_name == "Teacher" and port.name == "truth"
            if not is_truth:
                reads[f"node {node.name}, port {port.name}"] = port.refs
    for place, refs in reads.items():
        for ref in refs:
            if ref.name in absent:
                raise NodeError.about(
                    "input",
                    ref.name,
                    takes="a Teacher that reads it, at the port truth",
                    because="it is given in training only",
                    got=place,
                    do="Read it there alone.",
                )


def check_rules(spec: GraphSpec) -> None:
    """Raise a ConfigError for a penalty on the output of a layer."""
    for path, class_name, config in walk(spec):
        is_layer = class_name == "ActivityRegularization"
        if is_layer or config.get("activity_regularizer"):
            raise ConfigError.about(
                "layer",
                path,
                takes="penalties on parameters alone",
                because="the reference knows no penalty on an output",
                got=class_name if is_layer else "activity_regularizer",
                do="Leave it out.",
            )


def float_type(params: Arrays, others: Iterable[Array]) -> np.dtype:
    """The dtype of floats: that of the parameters, or of the others if there are none.

    It is complex if any array is.
    """
    # Complex inputs make everything complex: the tests differentiate in this way.
    own = _float_types(params.values())
    others = _float_types(others)
    complex_types = [dtype for dtype in others if dtype.kind == "c"]
    return np.result_type(*(own or others or [np.float64]), *complex_types)


def _float_types(arrays: Iterable[Array]) -> list[np.dtype]:
    return [array.dtype for array in map(np.asarray, arrays) if is_float(array)]


def cast_all(arrays: Arrays, dtype: np.dtype) -> dict[str, Array]:
    """All arrays cast to ``dtype``."""
    return {name: np.asarray(value, dtype) for name, value in arrays.items()}


def at_all_places(params: Arrays, shared: Mapping[str, str]) -> dict[str, Array]:
    """The parameters of shared layers at each of their places.

    >>> at_all_places({"once.W": 1}, {"twice": "once"})
    {'once.W': 1, 'twice.W': 1}
    """
    found = dict(params)
    # The first place may have a shared layer inside, whose own first place comes before
    # it: with each round, one more level of sharing has its parameters.
    for _ in shared:
        before = len(found)
        for second, first in shared.items():
            found |= prefixed(unprefixed(found, first), second)
        if len(found) == before:
            break
    return found


def at_first_place(name: str, shared: Mapping[str, str]) -> str:
    """The name of a parameter at the first place of its layer.

    >>> at_first_place("twice.W", {"twice": "once"})
    'once.W'
    """
    # The layer at the first place may have a shared layer inside.
    for _ in shared:
        for second, first in shared.items():
            if name.startswith(second + "."):
                name = first + name.removeprefix(second)
    return name


def split_masks(
    spec: GraphSpec, mask: Array | Arrays | None
) -> tuple[dict[str, Array], Array | None]:
    """The masks of inputs by name, and the mask of the loop."""
    if mask is None:
        return {}, None
    if isinstance(mask, Mapping):
        check_known("mask", mask, [item.name for item in spec.inputs])
        return {name: joined([value]) for name, value in mask.items()}, None
    mask = joined([mask])
    if not spec.loop:
        # A Graph has no loop: the mask is that of every input with steps.
        masks = {}
        for item in spec.inputs:
            if item.ndim > 1 + (item.dtype == "float"):
                masks[item.name] = mask
        return masks, None
    if mask.ndim != 2:
        raise ShapeError.about(
            "mask",
            "mask",
            takes="2 axes, (batch, time)",
            got=mask.shape,
            do="Pass a deeper one by the name of its input: mask={'x': mask}.",
        )
    return {}, mask


def check_mask(name: str, mask: Array, value: Array) -> None:
    """Raise a ShapeError unless the mask has at least two leading axes of its input."""
    deepest = value.ndim - is_float(value)
    if not 2 <= mask.ndim <= deepest or mask.shape != value.shape[: mask.ndim]:
        raise ShapeError.about(
            "mask",
            name,
            takes="the leading axes of its input, at least 2",
            got=f"{mask.shape} for an input of {value.shape}",
            do="Pass (batch, time), or (batch, sentence, word) for documents.",
        )


def cast(item: InputSpec, value: Array, dtype: np.dtype) -> Array:
    """An input as its declaration wants it; raise a ShapeError if it does not fit."""
    value = np.asarray(value)
    if value.ndim != item.ndim:
        raise ShapeError.about(
            "input",
            item.name,
            takes=f"{item.ndim} axes",
            got=f"an array of {value.ndim}",
            do="Reshape it, or declare another ndim.",
        )
    if item.dim is not None and value.shape[-1] != item.dim:
        raise ShapeError.about(
            "input",
            item.name,
            takes=f"a last axis of {item.dim}",
            got=str(value.shape[-1]),
            do="Correct the data, or declare another dim.",
        )
    if item.dtype == "bool":
        return value != 0
    if item.dtype == "float":
        return value.astype(dtype)
    # Integers are int32, as states of integers are.
    narrow = value.astype(np.int32) if value.dtype.kind in "iu" else value
    return narrow if np.array_equal(narrow, value) else value


def check_complete(
    kind: str, given: Arrays, names: list[str], required: list[str] | None = None
) -> None:
    """Raise a DataError unless these names are given, and all that are ``required``.

    All of them are, if ``required`` is None.
    """
    for name in set(names if required is None else required) - set(given):
        raise _wrong_name(kind, name, names, "none")
    check_known(kind, given, names)


def with_zeros_for_training(spec: GraphSpec, inputs: Arrays) -> Arrays:
    """The inputs, with zeros for those that are missing and for training only.

    A declaration reads such an input through a Teacher, which reads its own prediction
    outside training.

    Raises:
        DataError: if neither another sequence nor ``n_steps`` has the number of steps.
    """
    sequences = [name for name in spec.sequence_names if name in inputs]
    steps = np.shape(inputs[sequences[0]])[1] if sequences else spec.n_steps
    found = dict(inputs)
    for item in spec.inputs:
        if item.training_only and item.name not in inputs and inputs:
            if steps is None:
                raise DataError.about(
                    "input",
                    item.name,
                    takes="another sequence, or n_steps, next to it",
                    because="it is given in training only",
                    got="neither",
                    do="Pass it, or declare n_steps.",
                )
            rows = len(next(iter(inputs.values())))
            dims = (item.dim,) if item.dtype == "float" else ()
            dtype = float if dims else int
            found[item.name] = np.zeros((rows, steps, *dims), dtype)
    return found


def check_known(
    kind: str,
    given: Iterable[str],
    names: list[str],
    error: type[RecursiveError] = DataError,
) -> None:
    """Raise an error if other names than these are given."""
    for name in set(given) - set(names):
        raise _wrong_name(kind, name, names, "an unknown name", error)


def _wrong_name(
    kind: str,
    name: str,
    names: list[str],
    got: str,
    error: type[RecursiveError] = DataError,
) -> RecursiveError:
    takes = f"the names {', '.join(map(repr, names))}"
    return error.about(kind, name, takes=takes, got=got, do=suggest(name, names))


def check_rows(values: Mapping[str, Value], mask: Array | None) -> None:
    """Raise a ShapeError unless inputs and mask have the same number of rows."""
    arrays = {name: value.array for name, value in values.items()}
    if mask is not None:
        arrays["mask"] = mask
    if len(set(map(len, arrays.values()))) > 1:
        raise ShapeError.about(
            "input",
            " and ".join(arrays),
            takes="the same number of rows",
            got=shapes_of(arrays),
            do="Cut them to the same number of rows.",
        )


def shapes_of(arrays: Arrays) -> str:
    """Names and shapes, as errors list them."""
    return ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
