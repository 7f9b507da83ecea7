"""The shape of every name at one step, batch first: ``(None, dim)``.

None is a size that is not known yet. Sizes of the batch stay None. The time axis is
gone: the loop takes it away before a step sees a sequence. Each layer has a rule for
its output shape (:class:`ShapeRule`). This module passes shapes along the graph.

**Forwards** (:func:`infer`): from inputs through nodes to outputs. States make a loop
here too: a state has the shape of the node that feeds it, and that node may read the
state. So states start with unknown shapes, and all nodes are passed again and again
until a pass changes nothing. Each pass settles one more state at least. If shapes still
change after as many passes, some dim grows at every step, which is an error.

**Backwards** (:func:`find_input_dims`): a layer that was built for ``input_dim`` values
gives the missing dim of an input that it reads. If it reads a concatenation, that is
what the other dims leave over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn, Protocol

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
from recursive.spec.history import fed_values, resolve, with_implicit_states
from recursive.spec.merging import CONCAT, JOIN, MODES, Shape
from recursive.spec.order import ordered
from recursive.spec.starts import start_name

Shapes = Shape | dict[str, Shape]
"""One shape, or several by name."""


class ShapeRule(Protocol):
    """The attributes of a layer that decide shapes."""

    input_dim: int | None
    """The last axis of what the first port reads; None if any is accepted."""

    def get_output_shape_for(self, input_shape: Shapes) -> Shapes:
        """The shape of the output for an input of ``input_shape``.

        Both are dicts by name if there are several inputs or outputs.
        """


def input_shape(spec: GraphSpec, item: InputSpec) -> Shape:
    """The shape of an input at one step, without the time axis.

    >>> input_shape(GraphSpec(loop=True), InputSpec("x", ndim=3, dim=4))
    (None, 4)
    """
    has_time_axis = spec.loop and item.is_sequence
    ndim = item.ndim - has_time_axis
    if ndim <= 1:
        return (None,) * ndim
    return (None,) * (ndim - 1) + (item.dim,)


# Forwards: from inputs to outputs


def infer(spec: GraphSpec, rules: Mapping[str, ShapeRule]) -> dict[str, Shape]:
    """The shape of every input, state, node and output.

    Raises:
        ShapeError: if a layer reads another dim than it was built for, or if the dims
            of merged values do not agree.
        StateError: if a state has another dim than the node that feeds it.
    """
    states = with_implicit_states(spec)
    nodes = ordered(spec)
    known: dict[str, Shape | None] = {}
    for state in states:
        known[state.name] = _declared_shape(state)
    for item in spec.inputs:
        known[item.name] = input_shape(spec, item)

    for _ in range(len(states) + 2):
        before = dict(known)
        _pass_through_nodes(spec, nodes, rules, known)
        for state in states:
            _check_state(state, known[state.input], has_batch=bool(spec.inputs))
            known[state.name] = _declared_shape(state) or known[state.input]
        if known == before:
            break
    else:
        _raise_growing(states, before, known)

    for output in spec.outputs:
        known[output.name] = _output_shape(spec, output, known)
    for state in spec.states:
        _check_initial_context(state, known)
    return known


def _declared_shape(state: StateSpec) -> Shape | None:
    """The shape of a state that was declared with a dim, or of integers, else None."""
    if state.dtype != "float":
        return (None,)
    return (None, state.dim) if state.dim else None


def _pass_through_nodes(
    spec: GraphSpec,
    nodes: Iterable[NodeSpec],
    rules: Mapping[str, ShapeRule],
    known: dict[str, Shape | None],
) -> None:
    """Add the shapes of all nodes' values to ``known``, in the order of the nodes."""
    for node in nodes:
        shape = node_shape(spec, node, rules, known)
        known.update(_value_shapes(node, shape, rules[node.name]))


def _value_shapes(node: NodeSpec, given: Shapes, rule: ShapeRule) -> dict[str, Shape]:
    """The shape of each value of a node, by the name under which it is read."""
    found = rule.get_output_shape_for(given)
    shapes = [found]
    if isinstance(found, dict):
        # A rule may return its outputs in any order.
        same_names = set(found) == set(node.outputs)
        names = node.outputs if same_names else found
        shapes = [found[name] for name in names]
    reads_by_name = node.has_one_port and MODES[node.ports[0].merge_mode].is_by_name
    # A rule for one value that gets a dict passes it on. Then nothing was merged.
    is_passed_on = isinstance(found, dict) and reads_by_name and len(shapes) == 1
    if len(shapes) != len(node.values) or is_passed_on:
        if node.has_one_port:
            _raise_not_merged(node)
        _raise_without_rule(node, found)
    return dict(zip(node.values, shapes, strict=True))


def node_shape(
    spec: GraphSpec,
    node: NodeSpec,
    rules: Mapping[str, ShapeRule],
    known: Mapping[str, Shape | None],
) -> Shapes:
    """The shape that ``node`` reads, by port if it has several ports.

    Raises:
        ShapeError: if its layer was built for another dim.
    """
    shapes = {port.name: merged_shape(spec, node, known, port) for port in node.ports}
    first = node.ports[0]
    input_dim = rules[node.name].input_dim
    if input_dim is not None:
        _check_input_dim(node, first, shapes[first.name], input_dim)
    return shapes[first.name] if node.has_one_port else shapes


def merged_shape(
    spec: GraphSpec,
    item: NodeSpec | OutputSpec,
    known: Mapping[str, Shape | None],
    read: PortSpec | None = None,
) -> Shapes:
    """The shape of the values that ``item`` reads, merged into one."""
    read = read or item
    mode = MODES[read.merge_mode]
    # A bare state and a past node are found by the one name of their history.
    shapes = [known.get(resolve(spec, ref).name) for ref in read.refs]
    if mode.is_by_name:
        by_name = zip(map(str, read.refs), shapes, strict=True)
        return {name: shape or (None, None) for name, shape in by_name}
    if set(shapes) == {None}:
        return (None, None)
    _check_mergeable(item, read, shapes)
    if mode.binary:
        _check_two(item, read)
    return mode.merged_shape(shapes)


def _output_shape(
    spec: GraphSpec, output: OutputSpec, known: Mapping[str, Shape | None]
) -> Shapes:
    shape = merged_shape(spec, output, known)
    if shape == ():
        raise ShapeError.about(
            "output",
            output.name,
            takes="a value for each row",
            got=f"one value for all rows from {output.refs[0]}",
            do="Leave it out, or let its node keep the batch axis.",
        )
    return shape


def check_rows(
    spec: GraphSpec, rules: Mapping[str, ShapeRule], known: Mapping[str, Shape]
) -> None:
    """Raise a NodeError if a state or an output has other rows than the batch.

    scan would repeat a single row without an error. ``known`` are the inferred shapes.
    """
    if not (spec.loop and spec.inputs):
        return
    probed = {}
    for name, shape in known.items():
        has_batch = shape[:1] == (None,)
        probed[name] = (PROBE_ROWS, *shape[1:]) if has_batch else shape
    try:
        _pass_through_nodes(spec, ordered(spec), rules, probed)
    except Exception:  # a user's layer built for another number of rows may raise any
        return
    returned = fed_values(spec)
    for output in spec.outputs:
        returned += [ref.name for ref in output.refs]
    for name in returned:
        has_batch = known[name][:1] == (None,)
        rows = probed[name][0] if has_batch else None
        if rows not in (None, PROBE_ROWS):
            raise NodeError.about(
                "node",
                name,
                takes="a row for each row of the batch",
                got=f"{rows} of {PROBE_ROWS}",
                do="Keep the first axis as it is, in its layer and in those before it.",
            )


PROBE_ROWS = 7
"""A number of rows that no layer produces by itself."""


# Backwards: the dim of an input from the layers that read it


def find_input_dims(spec: GraphSpec, rules: Mapping[str, ShapeRule]) -> GraphSpec:
    """``spec`` with the dims of inputs filled in from the layers that read them.

    The first layer that gives a dim decides. Dims that no layer gives stay None.
    """
    missing = set()
    for item in spec.inputs:
        if item.dim is None and len(input_shape(spec, item)) > 1:
            missing.add(item.name)
    if not missing:
        return spec

    dims = {item.name: item.dim for item in (*spec.inputs, *spec.states)}
    ports = []
    for node in spec.nodes:
        input_dim = rules[node.name].input_dim
        if input_dim:
            ports.append((node.ports[0], input_dim))

    # A dim that was found may complete another concatenation, so this repeats.
    filled = spec
    while missing:
        known = dims
        if any(_needs_other_dims(port, dims, missing) for port, _ in ports):
            given = {name: dim for name, dim in dims.items() if dim}
            known = _dims_of_values(filled, rules) | given
        found: dict[str, int] = {}
        for port, input_dim in ports:
            for name, dim in _dims_from(spec, port, input_dim, known, missing):
                found.setdefault(name, dim)
        if not found:
            break
        dims.update(found)
        missing.difference_update(found)
        filled = _with_input_dims(spec, dims)
    return filled


def _with_input_dims(spec: GraphSpec, dims: Mapping[str, int | None]) -> GraphSpec:
    inputs = []
    for item in spec.inputs:
        inputs.append(dataclasses.replace(item, dim=dims[item.name]))
    return spec.replace(inputs=tuple(inputs))


def _needs_other_dims(
    port: PortSpec, dims: Mapping[str, int | None], missing: set[str]
) -> bool:
    """True for a concatenation of one missing input and values of unknown dim."""
    if not MODES[port.merge_mode].joins_last_axis:
        return False
    others = [ref.name for ref in port.refs if ref.name not in missing]
    has_one_missing = len(others) == len(port.refs) - 1
    return has_one_missing and None in map(dims.get, others)


def _dims_of_values(
    spec: GraphSpec, rules: Mapping[str, ShapeRule]
) -> dict[str, int | None]:
    """The dims of all values that follow from the dims known so far."""
    try:
        shapes = infer(spec, rules)
    except Exception:
        # Some dims are still missing, so an error here may be wrong, and a user's rule
        # may fail on None. A real error is raised once all dims are known.
        return {}
    return {name: shape[-1] for name, shape in shapes.items() if len(shape) > 1}


def _dims_from(
    spec: GraphSpec,
    port: PortSpec,
    input_dim: int,
    dims: Mapping[str, int | None],
    missing: set[str],
) -> Iterator[tuple[str, int]]:
    """The dims of missing inputs that follow from the ``input_dim`` of a port."""
    unknown = [ref.name for ref in port.refs if ref.name in missing]
    mode = MODES[port.merge_mode]
    if mode.is_elementwise or len(port.refs) == 1:
        for name in unknown:
            yield name, input_dim
    elif mode.joins_last_axis and len(unknown) == 1:
        [name] = unknown
        others = [ref for ref in port.refs if ref.name != name]
        other_dims = [dims.get(resolve(spec, ref).name) for ref in others]
        if None not in other_dims and input_dim > sum(other_dims):
            yield name, input_dim - sum(other_dims)


# Shapes in errors and of alternatives


def format_shape(shape: Iterable[object]) -> str:
    """A shape as text; sizes that are not known are ``any``.

    >>> format_shape((None, 4))
    '(any, 4)'
    """
    sizes = [str(size) if isinstance(size, int) else "any" for size in shape]
    return f"({', '.join(sizes)})"


def common_shape(shapes: Iterable[Shape]) -> Shape | None:
    """The shape that all of ``shapes`` may have, or None if they disagree.

    A size that is unknown in all of them stays unknown.

    >>> common_shape([(None, 4), (None, None)]), common_shape([(None, 4), (None, 5)])
    ((None, 4), None)
    """
    shapes = list(shapes)
    if len(set(map(len, shapes))) > 1:
        return None
    common = []
    for sizes in zip(*shapes, strict=True):
        known = set(sizes) - {None}
        if len(known) > 1:
            return None
        common.append(known.pop() if known else None)
    return tuple(common)


# Checks and errors


def _check_input_dim(
    node: NodeSpec, port: PortSpec, shape: Shapes, input_dim: int
) -> None:
    """Raise a ShapeError unless the last axis of ``shape`` has size ``input_dim``."""
    if isinstance(shape, dict):
        _raise_not_merged(node)
    if len(shape) < 2 or shape[-1] not in (None, input_dim):
        size = shape[-1] if len(shape) > 1 else "one number"
        names = " + ".join(map(str, port.refs))
        raise ShapeError.about(
            "node",
            node.name,
            takes=f"an input of dim {input_dim}",
            because=f"its {node.layer.class_name} was built for that",
            got=f"{size} from {names}",
            do="Correct the layer's input_dim, or leave it out to have it inferred.",
        )


def _check_two(item: NodeSpec | OutputSpec, read: PortSpec | OutputSpec) -> None:
    """Raise a MergeError unless a binary merge reads two values."""
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
    ranks = set(map(len, known))
    pairs = zip(read.refs, shapes, strict=True)
    listed = ", ".join(f"{ref} {shape}" for ref, shape in pairs)
    if mode.joins_last_axis and len(shapes) > 1 and 1 in ranks:
        raise MergeError.about(
            KINDS[type(item)],
            item.name,
            takes=f"inputs of two or more axes for merge_mode {mode.name!r}",
            because="they are joined along the last one",
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
    """Advice for values whose shapes do not merge."""
    if axes_differ:
        return (
            "Give them the same number of axes first: RepeatVector(n) adds one to "
            "(batch, dim), Flatten() or a Lambda that takes one step or a mean removes "
            "one."
        )
    if along_last:
        return "Bring them to one shape with a Dense first."
    return "Bring them to one shape with a Dense first, or use concat."


def _check_state(state: StateSpec, shape: Shape, has_batch: bool) -> None:
    """Raise a StateError unless a state can have the ``shape`` of its node."""
    if state.dtype != "float":
        _check_state_of_integers(state, shape, has_batch)
        return
    if len(shape) != 2 or (has_batch and shape[0] == 1):
        raise StateError.about(
            "state",
            state.name,
            takes="values of (batch, dim)",
            got=f"{shape} from node {state.input!r}",
            do=f"Let {state.input!r} return two axes at each step, one row for each "
            "row of the batch.",
        )
    _check_initial(state, state.dim or shape[-1])
    if state.dim is not None and shape[-1] not in (None, state.dim):
        raise StateError.about(
            "state",
            state.name,
            takes=f"values of dim {state.dim}",
            because=f"add_state gave it dim={state.dim}",
            got=f"{shape} from node {state.input!r}",
            do=f"Correct the dim, or let {state.input!r} return dim {state.dim}.",
        )


def _check_state_of_integers(state: StateSpec, shape: Shape, has_batch: bool) -> None:
    """Raise a StateError unless a state of integers can have the ``shape``."""
    # A layer that reads an unknown shape may return any: (None, None) is such a guess.
    if len(shape) != 1 or (has_batch and shape[0] == 1):
        raise StateError.about(
            "state",
            state.name,
            takes="one number per row, (batch,)",
            because=f"its dtype is {state.dtype}",
            got=f"{shape} from node {state.input!r}",
            do=f"Let {state.input!r} return one axis at each step, as Greedy() does.",
        )


def _check_initial(state: StateSpec, dim: int | None) -> None:
    """Raise a StateError unless rows of initial numbers have the state's dim."""
    row = state.initial
    while isinstance(row, tuple) and isinstance(row[0], tuple):
        row = row[0]
    if isinstance(row, tuple) and dim is not None and len(row) != dim:
        raise StateError.about(
            "state",
            state.name,
            takes=f"initial rows of {dim} numbers",
            because=f"its dim is {dim}",
            got=str(len(row)),
            do="Give one number for each value, or one for all.",
        )


def _check_initial_context(state: StateSpec, known: Mapping[str, Shape]) -> None:
    """Raise a StateError unless the values that a state starts from have its dim."""
    for name in (start_name(state.initial), state.given):
        shape = known.get(name) if name is not None else None
        if shape is None:
            continue
        if state.dtype != "float":
            _check_start_of_integers(state, name, shape)
        else:
            _check_start_shape(state, name, shape, known[state.name][-1])


def _check_start_of_integers(state: StateSpec, name: str, shape: Shape) -> None:
    """Raise a StateError unless a value has a number, or one per step, in each row."""
    if len(shape) not in (1, 2):
        raise StateError.about(
            "state",
            state.name,
            takes="an initial value of (batch,) or (batch, lag)",
            because=f"its dtype is {state.dtype}",
            got=f"{shape} from {name!r}",
            do=f"Declare {name!r} with ndim=1.",
        )


def _check_start_shape(
    state: StateSpec, name: str, shape: Shape, dim: int | None
) -> None:
    """Raise a StateError unless a value of ``shape`` can be the start of a state."""
    dims_differ = None not in (shape[-1], dim) and shape[-1] != dim
    if len(shape) not in (2, 3) or dims_differ:
        raise StateError.about(
            "state",
            state.name,
            takes=f"an initial value of (batch, {dim}) or (batch, lag, {dim})",
            because=f"its dim is {dim}",
            got=f"{shape} from {name!r}",
            do="Bring it to that dim with a Dense outside this container.",
        )


def _raise_not_merged(node: NodeSpec) -> NoReturn:
    raise MergeError.about(
        "node",
        node.name,
        takes="its inputs merged into one",
        because=f"its {node.layer.class_name} is a function of one value",
        got=f"merge_mode {JOIN.name!r}",
        do=f"Say merge_mode={CONCAT.name!r}, for example, or use a layer with several "
        "inputs.",
    )


def _raise_without_rule(node: NodeSpec, found: Shapes) -> NoReturn:
    count = len(node.values)
    shapes = "one shape" if count == 1 else f"{count} shapes"
    raise NodeError.about(
        "node",
        node.name,
        takes=f"a layer whose get_output_shape_for returns {shapes}",
        got=f"{found} from its {node.layer.class_name}",
        do="Give the layer a get_output_shape_for(self, input_shape), which gets the "
        "shapes by port.",
    )


def _raise_growing(
    states: tuple[StateSpec, ...],
    before: Mapping[str, Shape],
    after: Mapping[str, Shape],
) -> NoReturn:
    growing = [state for state in states if before[state.name] != after[state.name]]
    raise StateError.about(
        "state",
        growing[0].name,
        takes="the same dim at every step",
        because="scan keeps it in one array",
        got="a dim that grows with each step",
        do="Bring it back to its dim with a Dense.",
    )
