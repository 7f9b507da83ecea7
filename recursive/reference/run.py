"""The outputs of a declaration, and their gradients, from arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recursive.errors import DataError, UnknownNameError

# These modules register their layers in the table.
from recursive.reference import (  # noqa: F401
    attention,
    composed,
    decoding,
    noise,
    recurrent,
)
from recursive.reference.arguments import (
    Arrays,
    at_all_places,
    at_first_place,
    cast,
    cast_all,
    check_complete,
    check_formulas,
    check_known,
    check_mask,
    check_rows,
    check_settings,
    float_type,
    shapes_of,
    split_masks,
    with_zeros_for_training,
)
from recursive.reference.arrays import (
    Array,
    GraphResult,
    Params,
    Scope,
    Value,
    add,
    is_float,
)
from recursive.reference.containers import run_container
from recursive.reference.order import Names
from recursive.spec.graph import GraphSpec


@dataclass(frozen=True)
class Result:
    """The results of a run, each by name.

    Args:
        outputs: ``(batch, time, dim)``, or the last step, ``(batch, dim)``.
        finals: each state after the last step, ``(batch, dim)``, or ``(lag, batch,
            dim)``, oldest first.
        values: every value of every node, ``(batch, time, dim)``; of a Graph, as it is.
        updates: the running means of layers after this batch; in training only.
        masks: of the outputs that have one: ``(batch, time)``, or deeper.
    """

    outputs: Arrays
    finals: Arrays
    values: Arrays
    updates: Arrays
    masks: Arrays


@dataclass(frozen=True)
class Gradients:
    """The gradients with respect to all arguments, each of the argument's shape.

    Args:
        params: by name; zeros for a parameter without influence.
        inputs: by name, for inputs of floats.
        states: by name, for the states that were given.
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
    """Compute the outputs of a declaration.

    Args:
        spec: the declaration.
        params: the weights: ``node.W``; ``node.layer_0.W`` or ``outer.inner.W`` for a
            layer inside another; ``state.initial`` for a learned initial value.
        inputs: by name: sequences ``(batch, time, dim)``, integers ``(batch, time)``,
            contexts ``(batch, dim)``.
        mask: True for unmasked steps, ``(batch, time)``, in addition to a declared
            mask; or a dict with the masks of inputs by name, which may be deeper,
            ``(batch, sentence, word)``.
        states: the states to continue from, ``(batch, dim)``, or ``(lag, batch, dim)``,
            oldest first.
        draws: the random numbers of nodes: ``node.keep``, ``(batch, time, ...)``, or
            ``(batch, ...)`` if all steps share them.
        train: turns noise on.
        shared: layers that stand at two places, the second by the first:
            ``{"twice": "once"}``.

    Raises:
        RecursiveError: one of its subclasses, for arrays that are missing or do not
            fit, and for layers without a formula here.

    >>> from recursive.spec.graph import (
    ...     InputSpec, LayerSpec, NodeSpec, OutputSpec, PortSpec, Ref
    ... )
    >>> port = PortSpec("input", (Ref("x"), Ref("y", -1)))
    >>> node = NodeSpec("y", LayerSpec("Dense", {"output_dim": 1}), (port,))
    >>> output = OutputSpec("y", (Ref("y"),))
    >>> spec = GraphSpec(inputs=(InputSpec("x"),), nodes=(node,), outputs=(output,))
    >>> params = {"y.W": np.ones((2, 1)), "y.b": np.zeros(1)}
    >>> spec = spec.replace(return_sequences=True)
    >>> run(spec, params, {"x": np.ones((1, 3, 1))}).outputs["y"].ravel().tolist()
    [1.0, 2.0, 3.0]
    """
    result = run_graph(spec, params, inputs, mask, states, draws, train, shared)
    return Result(
        result.value, result.finals, result.nodes, result.updates, result.masks
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
    """The gradients of the sum of ``cotangents[output] * outputs[output]``.

    Args:
        cotangents: by output, each of its shape; zeros for an output that is left out.
        spec, params, inputs, mask, states, draws, train, shared: as in :func:`run`.

    Raises:
        RecursiveError: one of its subclasses, as in :func:`run`, and for cotangents of
            no output, or of another shape.

    >>> from recursive.spec.graph import (
    ...     InputSpec, LayerSpec, NodeSpec, OutputSpec, PortSpec, Ref
    ... )
    >>> port = PortSpec("input", (Ref("x"), Ref("y", -1)))
    >>> node = NodeSpec("y", LayerSpec("Dense", {"output_dim": 1}), (port,))
    >>> output = OutputSpec("y", (Ref("y"),))
    >>> spec = GraphSpec(inputs=(InputSpec("x"),), nodes=(node,), outputs=(output,))
    >>> params = {"y.W": np.ones((2, 1)), "y.b": np.zeros(1)}
    >>> x, dy = np.ones((1, 3, 1)), np.ones((1, 1))
    >>> found = gradients(spec, params, {"x": x}, {"y": dy})
    >>> found.params["y.W"].ravel().tolist(), found.inputs["x"].ravel().tolist()
    ([3.0, 3.0], [1.0, 1.0, 1.0])
    """
    result = run_graph(spec, params, inputs, mask, states, draws, train, shared)
    return gradients_of(result, cotangents, params, inputs, states, shared)


def run_graph(
    spec: GraphSpec,
    params: Arrays,
    inputs: Arrays,
    mask: Array | Arrays | None,
    states: Arrays | None,
    draws: Arrays | None,
    train: bool,
    shared: Mapping[str, str] | None,
) -> GraphResult:
    """Run a declaration; the arguments are those of :func:`run`."""
    check_formulas(spec)
    check_settings(spec)
    states = states or {}
    dtype = float_type(params, [*inputs.values(), *states.values()])
    names = [item.name for item in spec.inputs]
    optional = {state.given for state in spec.states}
    if not train:
        inputs = with_zeros_for_training(spec, inputs)
    required = [name for name in names if name not in optional]
    check_complete("input", inputs, names, required)
    if spec.loop:
        check_known("state", states, list(Names(spec).fed_by), UnknownNameError)
    masks, loop_mask = split_masks(spec, mask)
    values = {}
    for item in spec.inputs:
        if item.name not in inputs:
            continue
        array = cast(item, inputs[item.name], dtype)
        own_mask = masks.get(item.name)
        if own_mask is not None:
            check_mask(item.name, own_mask, array)
        values[item.name] = Value(array, own_mask)
    check_rows(values, loop_mask)
    scope = Scope(
        Params(at_all_places(cast_all(params, dtype), shared or {})),
        draws or {},
        _cast_floats(states, dtype),
        loop_mask,
        train,
        dtype,
        shared=shared or {},
    )
    return run_container(spec, values, scope)


def _cast_floats(states: Arrays, dtype: np.dtype) -> dict[str, Array]:
    """The given states, floats as ``dtype``. A state casts integers as declared."""
    found = {}
    for name, value in states.items():
        value = np.asarray(value)
        found[name] = value.astype(dtype) if is_float(value) else value
    return found


def gradients_of(
    result: GraphResult,
    cotangents: Arrays,
    params: Arrays,
    inputs: Arrays,
    states: Arrays | None,
    shared: Mapping[str, str] | None,
) -> Gradients:
    """The gradients of what has been run with these arguments."""
    _check_cotangents(cotangents, result.value)
    cotangents = {name: np.asarray(d) for name, d in cotangents.items()}
    found = result.back(cotangents)
    d_params: dict[str, Array] = {}
    # A shared layer has one gradient: the sum over its places.
    for name, d in found.params.items():
        add(d_params, at_first_place(name, shared or {}), d)
    # There is no gradient with respect to integers and truth values.
    floats = {}
    for name, value in inputs.items():
        if is_float(np.asarray(value)):
            floats[name] = value
    return Gradients(
        _completed(d_params, params),
        _completed(found.x, floats),
        _completed(found.states, states or {}),
    )


def _check_cotangents(cotangents: Arrays, outputs: Arrays) -> None:
    for name, d in cotangents.items():
        if name not in outputs or np.shape(d) != outputs[name].shape:
            raise DataError.about(
                "cotangent",
                name,
                takes="the name and shape of an output",
                got=f"an array of {np.shape(d)}",
                do=f"There are: {shapes_of(outputs)}.",
            )


def _completed(found: Mapping[str, Array | None], given: Arrays) -> dict[str, Array]:
    """A gradient for each argument: zeros if nothing depends on it."""
    complete = {}
    for name, value in given.items():
        d = found.get(name)
        complete[name] = np.zeros_like(np.asarray(value)) if d is None else d
    return complete
