"""What a declaration computes, and its gradients, for arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recursive.errors import DataError, ShapeError, UnknownNameError, suggest
from recursive.reference import cells, composed, layers, noise, recurrent  # noqa: F401 (they fill the table of layers)
from recursive.reference.arrays import Array, Given, Params, Value, Whole, is_float
from recursive.reference.containers import run_container
from recursive.reference.formulas import check_formulas
from recursive.reference.masks import joined
from recursive.reference.order import Names
from recursive.spec.graph import GraphSpec, InputSpec

Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Result:
    """What came out.

    Args:
        outputs: by name, ``(batch, time, dim)``, or the last step, ``(batch, dim)``.
        finals: each state after the last step, ``(batch, dim)``, or ``(lag, batch, dim)``, oldest first.
        values: every value of every node by name, ``(batch, time, dim)``; of a Graph, as it is.
        updates: what layers keep beside their parameters, as it is after this batch; of training only.
        masks: of the outputs that have one, which entries are data: ``(batch, time)``, or deeper.
    """

    outputs: Arrays
    finals: Arrays
    values: Arrays
    updates: Arrays
    masks: Arrays


@dataclass(frozen=True)
class Gradients:
    """The gradient of a loss with respect to all that was given, each of the shape of what was given.

    Args:
        params: by name; zeros where the loss does not depend on one.
        inputs: by name, those that are floats.
        states: of the states that were given.
    """

    params: Arrays
    inputs: Arrays
    states: Arrays


def run(
    spec: GraphSpec,
    params: Arrays,
    inputs: Arrays,
    *,
    mask: Array | Arrays | None = None,
    states: Arrays | None = None,
    draws: Arrays | None = None,
    train: bool = False,
    shared: Mapping[str, str] | None = None,
) -> Result:
    """What the declaration ``spec`` computes.

    Args:
        spec: the declaration.
        params: the weights, as ``node.W``; the learned start of a state as ``state.initial``; of a layer inside
            another as ``node.layer_0.W`` or ``outer.inner.W``.
        inputs: by name: sequences ``(batch, time, dim)``, whole numbers ``(batch, time)``, contexts ``(batch, dim)``.
        mask: which steps are data, ``(batch, time)``, beside a mask that is declared: of all inputs that have steps; or
            a dict with the masks of inputs by name, which may be deeper, ``(batch, sentence, word)``.
        states: what stateful states go on from, ``(batch, dim)`` or ``(lag, batch, dim)``, oldest first.
        draws: the random numbers of nodes, as ``node.keep``: ``(batch, time, ...)``, or ``(batch, ...)`` where one
            holds for all steps.
        train: turns noise on.
        shared: where a layer stands a second time: that place, and the first, ``{"twice": "once"}``.

    Raises:
        RecursiveError: a child of it, for arrays that are missing or do not fit, and layers that have no formula here.

    >>> from recursive.spec.graph import InputSpec, LayerSpec, NodeSpec, OutputSpec, PortSpec, Ref
    >>> dense = LayerSpec("Dense", {"output_dim": 1})
    >>> node = NodeSpec("y", dense, (PortSpec("input", (Ref("x"), Ref("y", -1))),))
    >>> spec = GraphSpec(free=True, inputs=(InputSpec("x"),), nodes=(node,), outputs=(OutputSpec("y", (Ref("y"),)),))
    >>> params = {"y.W": np.ones((2, 1)), "y.b": np.zeros(1)}
    >>> run(spec.replace(return_sequences=True), params, {"x": np.ones((1, 3, 1))}).outputs["y"].ravel().tolist()
    [1.0, 2.0, 3.0]
    """
    found = run_whole(spec, params, inputs, mask, states, draws, train, shared)
    return Result(
        found.computed.value,
        found.computed.finals,
        found.values,
        found.computed.updates,
        found.computed.masks,
    )


def gradients(
    spec: GraphSpec,
    params: Arrays,
    inputs: Arrays,
    cotangents: Arrays,
    *,
    mask: Array | Arrays | None = None,
    states: Arrays | None = None,
    draws: Arrays | None = None,
    train: bool = False,
    shared: Mapping[str, str] | None = None,
) -> Gradients:
    """The gradient of ``sum(cotangents[output] * outputs[output])``, by a loop that runs backwards over time.

    Args:
        cotangents: by output, each of its shape; one that is left out counts as zeros.
        spec, params, inputs, mask, states, draws, train, shared: as in :func:`run`.

    Raises:
        RecursiveError: a child of it, as :func:`run` does, and for cotangents of no output, or of another shape.

    >>> from recursive.spec.graph import InputSpec, LayerSpec, NodeSpec, OutputSpec, PortSpec, Ref
    >>> dense = LayerSpec("Dense", {"output_dim": 1})
    >>> node = NodeSpec("y", dense, (PortSpec("input", (Ref("x"), Ref("y", -1))),))
    >>> spec = GraphSpec(free=True, inputs=(InputSpec("x"),), nodes=(node,), outputs=(OutputSpec("y", (Ref("y"),)),))
    >>> params = {"y.W": np.ones((2, 1)), "y.b": np.zeros(1)}
    >>> found = gradients(spec, params, {"x": np.ones((1, 3, 1))}, {"y": np.ones((1, 1))})
    >>> found.params["y.W"].ravel().tolist(), found.inputs["x"].ravel().tolist()
    ([3.0, 3.0], [1.0, 1.0, 1.0])
    """
    found = run_whole(spec, params, inputs, mask, states, draws, train, shared)
    return pulled_back(found, cotangents, params, inputs, states or {}, shared or {})


def pulled_back(
    found: Whole,
    cotangents: Arrays,
    params: Arrays,
    inputs: Arrays,
    states: Arrays,
    shared: Mapping[str, str],
) -> Gradients:
    """The gradients of what has been run."""
    outputs = found.computed.value
    listed = ", ".join(f"{name} {value.shape}" for name, value in outputs.items())
    for name, d in cotangents.items():
        if name not in outputs or np.shape(d) != outputs[name].shape:
            raise DataError.about(
                "cotangent",
                name,
                takes="the name and shape of an output",
                because="it is its gradient",
                got=f"an array of {np.shape(d)}",
                do=f"There are: {listed}.",
            )
    pulled = found.computed.back(
        {name: np.asarray(d) for name, d in cotangents.items()}
    )
    of_params: dict[str, Array] = {}
    for name, d in pulled.params.items():
        first = _first_place(name, shared)
        of_params[first] = of_params[first] + d if first in of_params else d
    return Gradients(
        _complete(of_params, params),
        _complete(pulled.x, _floats(inputs)),
        _complete(pulled.states, states),
    )


def run_whole(
    spec: GraphSpec,
    params: Arrays,
    inputs: Arrays,
    mask: Array | Arrays | None,
    states: Arrays | None,
    draws: Arrays | None,
    train: bool,
    shared: Mapping[str, str] | None,
) -> Whole:
    """What :func:`run` runs, with the way back."""
    check_formulas(spec)
    states = states or {}
    dtype = _float_type(params, inputs, states)
    own = {name: np.asarray(value, dtype) for name, value in params.items()}
    everywhere = {
        second + name.removeprefix(first): value
        for second, first in (shared or {}).items()
        for name, value in own.items()
        if name.startswith(first + ".")
    }
    _check_names("input", inputs, [item.name for item in spec.inputs])
    _check_states(spec, states)
    states = {name: np.asarray(value, dtype) for name, value in states.items()}
    arrays = {item.name: _cast(item, inputs[item.name], dtype) for item in spec.inputs}
    by_input, beside = _masks(spec, mask)
    for name, own_mask in by_input.items():
        _check_mask(name, own_mask, arrays[name])
    _check_rows({**arrays, **({} if beside is None else {"mask": beside})})
    values = {name: Value(array, by_input.get(name)) for name, array in arrays.items()}
    given = Given(Params(own | everywhere), draws or {}, states, beside, train, dtype)
    return run_container(spec, values, given)


def _masks(
    spec: GraphSpec, mask: Array | Arrays | None
) -> tuple[dict[str, Array], Array | None]:
    """The masks of inputs by name, and the one beside the inputs of a loop, which need not have sequences."""
    if mask is None:
        return {}, None
    if isinstance(mask, Mapping):
        _check_known("mask", mask, [item.name for item in spec.inputs])
        return {name: joined([value]) for name, value in mask.items()}, None
    mask = joined([mask])
    if spec.loop and mask.ndim != 2:
        raise ShapeError.about(
            "mask",
            "mask",
            takes="(batch, time)",
            because="it says which steps are data",
            got=mask.shape,
            do="Give a deeper one by the name of its input: mask={'x': mask}.",
        )
    if spec.loop:
        return {}, mask
    with_steps = [
        item.name for item in spec.inputs if item.ndim > 1 + (item.dtype == "float")
    ]
    return dict.fromkeys(with_steps, mask), None


def _check_mask(name: str, mask: Array, value: Array) -> None:
    """Raise a ShapeError unless the mask has two axes or more, and the leading ones of its input."""
    deepest = value.ndim - is_float(value)
    if not 2 <= mask.ndim <= deepest or mask.shape != value.shape[: mask.ndim]:
        raise ShapeError.about(
            "mask",
            name,
            takes="the leading axes of its input, two at least",
            because="it says which of its entries are data",
            got=f"{mask.shape} for an input of {value.shape}",
            do="Give (batch, time), or (batch, sentence, word) for documents.",
        )


def _float_type(params: Arrays, *others: Arrays) -> np.dtype:
    """The type of floats: that of the parameters, or of the rest where there are none; complex where anything is."""
    first, *rest = (
        [
            kind
            for value in arrays.values()
            if np.issubdtype(kind := np.asarray(value).dtype, np.inexact)
        ]
        for arrays in (params, *others)
    )
    rest = [kind for kinds in rest for kind in kinds]
    return np.result_type(
        *(first or rest or [np.float64]), *(kind for kind in rest if kind.kind == "c")
    )


def _cast(item: InputSpec, value: Array, dtype: np.dtype) -> Array:
    value = np.asarray(value)
    if value.ndim != item.ndim:
        raise ShapeError.about(
            "input",
            item.name,
            takes=f"{item.ndim} axes",
            because=f"it has ndim={item.ndim}",
            got=f"an array of {value.ndim}",
            do="Reshape it, or declare another ndim.",
        )
    if item.dim is not None and value.shape[-1] != item.dim:
        raise ShapeError.about(
            "input",
            item.name,
            takes=f"{item.dim} values a row",
            because="that is its dim",
            got=str(value.shape[-1]),
            do="Mend the data, or declare another dim.",
        )
    if item.dtype == "bool":
        return value != 0
    return value.astype(dtype) if item.dtype == "float" else value


def _check_names(kind: str, given: Arrays, names: list[str]) -> None:
    for name in set(names) - set(given):
        raise _wrong_name(kind, name, names, "none")
    _check_known(kind, given, names)


def _check_known(kind: str, given: Arrays, names: list[str]) -> None:
    for name in set(given) - set(names):
        raise _wrong_name(kind, name, names, "an unknown name")


def _wrong_name(kind: str, name: str, names: list[str], got: str) -> DataError:
    return DataError.about(
        kind,
        name,
        takes=f"the names {', '.join(map(repr, names))}",
        because="these were declared",
        got=got,
        do=suggest(name, names),
    )


def _check_rows(arrays: Arrays) -> None:
    """Raise a ShapeError unless all inputs, and the mask, have one number of rows."""
    if len({len(value) for value in arrays.values()}) > 1:
        raise ShapeError.about(
            "input",
            " and ".join(arrays),
            takes="one number of rows",
            because="they are one batch",
            got=", ".join(f"{name} {value.shape}" for name, value in arrays.items()),
            do="Cut them to one number of rows.",
        )


def _check_states(spec: GraphSpec, states: Arrays) -> None:
    names = [state.name for state in Names(spec).histories]
    for name in states:
        if spec.loop and name not in names:
            raise UnknownNameError.about(
                "state",
                name,
                takes="the name of a state",
                because="it starts from it",
                got="an unknown name",
                do=suggest(name, names),
            )


def _first_place(name: str, shared: Mapping[str, str]) -> str:
    """The name of a parameter at the first place of its layer."""
    for second, first in shared.items():
        if name.startswith(second + "."):
            return first + name.removeprefix(second)
    return name


def _floats(arrays: Arrays) -> Arrays:
    return {
        name: value
        for name, value in arrays.items()
        if np.issubdtype(np.asarray(value).dtype, np.inexact)
    }


def _complete(found: Mapping[str, Array | None], given: Arrays) -> dict[str, Array]:
    """A gradient for everything that was given, zeros where none has arrived."""
    return {
        name: np.zeros_like(np.asarray(value))
        if found.get(name) is None
        else found[name]
        for name, value in given.items()
    }
