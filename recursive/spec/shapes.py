"""The shape of every name at one step, batch first: ``(None, dim)``, where None is a size not known yet.

Each layer brings its own rule (:class:`ShapeRule`); this module only carries shapes along the graph, forwards from
the inputs and, for an input whose dim was not given, backwards from the layer that reads it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from recursive.errors import MergeError, NodeError, ShapeError, StateError
from recursive.spec.graph import (
    KINDS,
    GraphSpec,
    InputSpec,
    NodeSpec,
    OutputSpec,
    PortSpec,
    StateSpec,
)
from recursive.spec.history import resolve, with_implicit_states
from recursive.spec.merging import CONCAT, JOIN, MODES, Shape
from recursive.spec.names import Ref
from recursive.spec.order import ordered

Shapes = Shape | dict[str, Shape]
"""One shape, or several by name."""


class ShapeRule(Protocol):
    """What a layer tells about shapes."""

    input_dim: int | None
    """Of what the first port reads."""

    def get_output_shape_for(self, input_shape: Shapes) -> Shapes:
        """The shape of the layer's output, for an input of ``input_shape``; both by name where there are several."""


def input_shape(spec: GraphSpec, item: InputSpec) -> Shape:
    """The shape of an input at one step; the loop has taken the time axis away.

    >>> input_shape(GraphSpec(loop=True), InputSpec("x", ndim=3, dim=4))
    (None, 4)
    """
    ndim = item.ndim - (spec.loop and item.is_sequence)
    has_dim = ndim > 1
    return (None,) * (ndim - has_dim) + ((item.dim,) if has_dim else ())


def infer(spec: GraphSpec, rules: Mapping[str, ShapeRule]) -> dict[str, Shape]:
    """The shape of every input, state, node and output.

    Raises:
        ShapeError: where a layer reads another dim than it was made for, or merged dims do not agree.
        StateError: where a state has another dim than the node that feeds it.
    """
    states = with_implicit_states(spec)
    known: dict[str, Shape | None] = {
        state.name: (None, state.dim) if state.dim else None for state in states
    }
    known.update({item.name: input_shape(spec, item) for item in spec.inputs})
    nodes = ordered(spec)
    for _ in range(len(states) + 2):
        before = dict(known)
        for node in nodes:
            known |= _values(
                node, node_shape(spec, node, rules, known), rules[node.name]
            )
        for state in states:
            _check_state(state, known[state.input], open_rows=bool(spec.inputs))
            known[state.name] = (None, state.dim) if state.dim else known[state.input]
        if known == before:
            break
    else:
        _raise_growing(states, before, known)
    for output in spec.outputs:
        known[output.name] = merged_shape(spec, output, known)
        if known[output.name] == ():
            raise ShapeError.about(
                "output",
                output.name,
                takes="a value for each row",
                because="rows are its first axis",
                got=f"one for them all from {output.refs[0]}",
                do="Leave it out, or let its node keep the axis of the batch.",
            )
    for state in spec.states:
        _check_start(state, known)
    return known


def _values(node: NodeSpec, given: Shapes, rule: ShapeRule) -> dict[str, Shape]:
    """The shape of each value of a node, by the name that it is read by."""
    found = rule.get_output_shape_for(given)
    if isinstance(found, dict) and set(found) == set(
        node.outputs
    ):  # in whatever order its rule says them
        found = {name: found[name] for name in node.outputs}
    shapes = list(found.values()) if isinstance(found, dict) else [found]
    handed_on = (
        isinstance(found, dict)
        and node.has_one_port
        and MODES[node.ports[0].merge_mode].is_by_name
    )
    if len(shapes) != len(node.values) or (handed_on and len(shapes) == 1):
        if node.has_one_port:
            _raise_joined(node)
        _raise_without_rule(node, found)
    return dict(zip(node.values, shapes, strict=True))


ROWS = 7
"""A number of rows to ask with: one that no layer makes of itself."""


def check_rows(
    spec: GraphSpec, rules: Mapping[str, ShapeRule], known: Mapping[str, Shape]
) -> None:
    """Raise a NodeError where a state or an output of a loop has other rows than the batch.

    scan would repeat a single one, and say nothing. ``known`` are the shapes that were inferred.
    """
    if not (spec.loop and spec.inputs):
        return
    asked = {
        name: (ROWS, *shape[1:]) if shape[:1] == (None,) else shape
        for name, shape in known.items()
    }
    try:
        for node in ordered(spec):
            asked |= _values(
                node, node_shape(spec, node, rules, asked), rules[node.name]
            )
    except Exception:  # whatever a layer of the user's own raises that is made for another number of rows
        return
    handed_on = (ref.name for output in spec.outputs for ref in output.refs)
    for name in (*(state.input for state in with_implicit_states(spec)), *handed_on):
        if known[name][:1] == (None,) and asked[name][0] not in (None, ROWS):
            raise NodeError.about(
                "node",
                name,
                takes="a row for each row of the batch",
                because="they go through the loop side by side",
                got=f"{asked[name][0]} of {ROWS}",
                do="Keep the first axis as it is, in its layer and in those before it.",
            )


def _raise_joined(node: NodeSpec) -> None:
    raise MergeError.about(
        "node",
        node.name,
        takes="its inputs merged into one",
        because=f"its {node.layer.class_name} is a function of one value",
        got=f"merge_mode {JOIN.name!r}",
        do=f"Say merge_mode={CONCAT.name!r}, for example, or use a layer with several inputs.",
    )


def _raise_without_rule(node: NodeSpec, found: Shapes) -> None:
    names = "one shape" if len(node.values) == 1 else f"{len(node.values)} shapes"
    raise NodeError.about(
        "node",
        node.name,
        takes=f"a layer whose get_output_shape_for returns {names}",
        because="other nodes read its output",
        got=f"{found} from its {node.layer.class_name}",
        do="Give the layer a get_output_shape_for(self, input_shape), which is given the shapes by port.",
    )


def node_shape(
    spec: GraphSpec,
    node: NodeSpec,
    rules: Mapping[str, ShapeRule],
    known: Mapping[str, Shape | None],
) -> Shapes:
    """The shape that reaches ``node``, by port where it has several, checked against what its layer was made for."""
    shapes = {port.name: merged_shape(spec, node, known, port) for port in node.ports}
    first = node.ports[0]
    _check_dim(node, first, shapes[first.name], rules[node.name].input_dim)
    return shapes[first.name] if node.has_one_port else shapes


def _check_dim(
    node: NodeSpec, port: PortSpec, shape: Shapes, wanted: int | None
) -> None:
    """Raise a ShapeError unless ``shape`` has the ``wanted`` values a row."""
    if wanted is not None and isinstance(shape, dict):
        _raise_joined(node)
    if wanted is not None and (len(shape) < 2 or shape[-1] not in (None, wanted)):
        raise ShapeError.about(
            "node",
            node.name,
            takes=f"{wanted} values a row",
            because=f"its {node.layer.class_name} was made for them",
            got=f"{shape[-1] if len(shape) > 1 else 'one number'} from {' + '.join(map(str, port.refs))}",
            do="Mend the layer's input_dim, or leave it out and it will be found.",
        )


def merged_shape(
    spec: GraphSpec,
    item: NodeSpec | OutputSpec,
    known: Mapping[str, Shape | None],
    read: PortSpec | None = None,
) -> Shapes:
    """The shape of what ``item`` reads, once its several values are merged into one."""
    read = read or item
    mode = MODES[read.merge_mode]
    shapes = [_shape_of(spec, ref, known) for ref in read.refs]
    if mode.is_by_name:
        by_name = zip(read.refs, shapes, strict=True)
        return {str(ref): shape or (None, None) for ref, shape in by_name}
    if all(shape is None for shape in shapes):
        return (None, None)
    _check_mergeable(item, read, shapes)
    if mode.binary:
        _check_two(item, read)
    return mode.merged_shape(shapes)


def _shape_of(
    spec: GraphSpec, ref: Ref, known: Mapping[str, Shape | None]
) -> Shape | None:
    """The shape behind a reference; a bare state and a past node are found through their history."""
    return known.get(resolve(spec, ref).name)


def _check_two(item: NodeSpec | OutputSpec, read: PortSpec | OutputSpec) -> None:
    mode = MODES[read.merge_mode]
    if len(read.refs) != 2:
        raise MergeError.about(
            KINDS[type(item)],
            item.name,
            takes=f"two inputs for merge_mode {mode.name!r}",
            because=f"it is {mode.meaning}",
            got=str(len(read.refs)),
            do="Name two, or merge some of them in a node before it.",
        )


def _check_mergeable(
    item: NodeSpec | OutputSpec,
    read: PortSpec | OutputSpec,
    shapes: list[Shape | None],
) -> None:
    """Raise a MergeError unless values of these ``shapes`` can be merged."""
    mode = MODES[read.merge_mode]
    known = [shape for shape in shapes if shape is not None]
    ranks = {len(shape) for shape in known}
    listed = ", ".join(
        f"{ref} {shape}" for ref, shape in zip(read.refs, shapes, strict=True)
    )
    if mode.joins_last_axis and len(shapes) > 1 and 1 in ranks:
        raise MergeError.about(
            KINDS[type(item)],
            item.name,
            takes=f"inputs of two axes or more for merge_mode {mode.name!r}",
            because="the last is joined",
            got=listed,
            do="Put an Embedding before it, or use sum.",
        )
    if len(ranks) > 1 or not mode.sizes_agree(known):
        how = "along the last axis" if mode.joins_last_axis else "element by element"
        raise MergeError.about(
            KINDS[type(item)],
            item.name,
            takes=f"inputs of one shape for merge_mode {mode.name!r}",
            because=f"they are merged {how}",
            got=listed,
            do=_how_to_merge(len(ranks) > 1, mode.joins_last_axis),
        )


def _how_to_merge(axes_differ: bool, along_last: bool) -> str:
    """What to do about values of shapes that do not merge."""
    if axes_differ:
        return (
            "Give them the same number of axes first: RepeatVector(n) adds one to (batch, dim), "
            "Flatten() or a Lambda that takes one step or a mean removes one."
        )
    return f"Bring them to one shape with a Dense first{'.' if along_last else ', or use concat.'}"


def _check_state(state: StateSpec, shape: Shape, open_rows: bool) -> None:
    if len(shape) != 2 or (open_rows and shape[0] == 1):
        raise StateError.about(
            "state",
            state.name,
            takes="values of (batch, dim)",
            because="it starts from rows of zeros",
            got=f"{shape} from node {state.input!r}",
            do=f"Let {state.input!r} return two axes at each step, a row for each row.",
        )
    _check_initial(state, state.dim or shape[-1])
    if state.dim is not None and shape[-1] not in (None, state.dim):
        raise StateError.about(
            "state",
            state.name,
            takes=f"{state.dim} values a row",
            because=f"add_state gave it dim={state.dim}",
            got=f"{shape} from node {state.input!r}",
            do=f"Mend the dim, or let {state.input!r} return {state.dim}.",
        )


def _check_initial(state: StateSpec, dim: int | None) -> None:
    """Raise a StateError unless a row of initial numbers has as many as the state."""
    row = state.initial
    while isinstance(row, tuple) and isinstance(row[0], tuple):
        row = row[0]
    if isinstance(row, tuple) and dim is not None and len(row) != dim:
        raise StateError.about(
            "state",
            state.name,
            takes=f"initial rows of {dim} numbers",
            because="it has so many values a row",
            got=str(len(row)),
            do="Give one number for each value, or one for all.",
        )


def _check_start(state: StateSpec, known: Mapping[str, Shape]) -> None:
    """Raise a StateError unless the context that a state starts from has its dim."""
    given = known.get(state.initial) if isinstance(state.initial, str) else None
    dim = known[state.name][-1]
    if given is not None and (
        len(given) not in (2, 3) or (None not in (given[-1], dim) and given[-1] != dim)
    ):
        raise StateError.about(
            "state",
            state.name,
            takes=f"a start of (batch, {dim}) or (batch, taps, {dim})",
            because="that is its dim",
            got=f"{given} from {state.initial!r}",
            do="Bring it to that dim with a Dense before it comes in.",
        )


def _raise_growing(
    states: tuple[StateSpec, ...],
    before: Mapping[str, Shape],
    after: Mapping[str, Shape],
) -> None:
    name = next(
        state.name for state in states if before[state.name] != after[state.name]
    )
    raise StateError.about(
        "state",
        name,
        takes="values of one dim at all times",
        because="scan keeps it in one array",
        got="a dim that grows with each step",
        do="Bring it back to its dim with a Dense.",
    )


def format_shape(shape: Iterable[object]) -> str:
    """A shape in an error; sizes that are not known are ``any``.

    >>> format_shape((None, 4))
    '(any, 4)'
    """
    return (
        "("
        + ", ".join(str(size) if isinstance(size, int) else "any" for size in shape)
        + ")"
    )


def common_shape(shapes: Iterable[Shape]) -> Shape | None:
    """The one shape that ``shapes`` may all be, sizes that are not known left open; None where there is none.

    >>> common_shape([(None, 4), (None, None)]), common_shape([(None, 4), (None, 5)])
    ((None, 4), None)
    """
    shapes = list(shapes)
    columns = [{*sizes} - {None} for sizes in zip(*shapes, strict=False)]
    if len({len(shape) for shape in shapes}) > 1 or any(
        len(column) > 1 for column in columns
    ):
        return None
    return tuple(next(iter(column), None) for column in columns)


def find_input_dims(spec: GraphSpec, rules: Mapping[str, ShapeRule]) -> GraphSpec:
    """``spec`` with the dim of each input filled in where a layer that reads it alone tells it, the first that does.

    Where a layer reads a concat, the one dim that is missing is what the others leave over.
    """
    dims = {item.name: item.dim for item in (*spec.inputs, *spec.states)}
    missing = {
        item.name
        for item in spec.inputs
        if item.dim is None and len(input_shape(spec, item)) > 1
    }
    ports = [
        (node.ports[0], wanted)
        for node in spec.nodes
        if missing and (wanted := rules[node.name].input_dim)
    ]
    filled = spec
    while missing:
        known = dims
        if any(_waits(port, dims, missing) for port, _ in ports):
            known = _dims_of_values(filled, rules) | {
                name: dim for name, dim in dims.items() if dim
            }
        told = [
            pair
            for port, wanted in ports
            for pair in _dims_from(spec, port, wanted, known, missing)
        ]
        if not told:
            break
        dims |= dict(reversed(told))
        missing -= {name for name, _ in told}
        filled = _with_input_dims(spec, dims)
    return filled


def _with_input_dims(spec: GraphSpec, dims: Mapping[str, int | None]) -> GraphSpec:
    return spec.replace(
        inputs=tuple(
            dataclasses.replace(item, dim=dims[item.name]) for item in spec.inputs
        )
    )


def _waits(port: PortSpec, dims: Mapping[str, int | None], missing: set[str]) -> bool:
    """Whether a concat has one missing input, and other parts whose dims have to be inferred."""
    names = [ref.name for ref in port.refs]
    others = [name for name in names if name not in missing]
    return (
        MODES[port.merge_mode].joins_last_axis
        and len(names) - len(others) == 1
        and any(dims.get(name) is None for name in others)
    )


def _dims_of_values(
    spec: GraphSpec, rules: Mapping[str, ShapeRule]
) -> dict[str, int | None]:
    """The dims of all values, as far as they follow from the dims of inputs that are known by now."""
    try:
        shapes = infer(spec, rules)
    except Exception:  # what does not fit is told of when all dims are known; a rule of a user's layer may need them
        return {}
    return {name: shape[-1] for name, shape in shapes.items() if len(shape) > 1}


def _dims_from(
    spec: GraphSpec,
    port: PortSpec,
    wanted: int,
    dims: Mapping[str, int | None],
    missing: set[str],
) -> Iterator[tuple[str, int]]:
    """The dims of missing inputs that follow from ``wanted`` values a row at ``port``."""
    unknown = [ref.name for ref in port.refs if ref.name in missing]
    mode = MODES[port.merge_mode]
    if mode.is_elementwise or len(port.refs) == 1:
        yield from ((name, wanted) for name in unknown)
    elif mode.joins_last_axis and len(unknown) == 1:
        others = [
            dims.get(resolve(spec, ref).name)
            for ref in port.refs
            if ref.name != unknown[0]
        ]
        if None not in others and wanted > sum(others):
            yield unknown[0], wanted - sum(others)
