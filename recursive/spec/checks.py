"""The rules of a declaration, one function each.

``DECLARATION_RULES`` hold for one declaration beside those before it and are applied as it is made;
``GRAPH_RULES`` hold for the whole and are applied when it is built. Both are tables, and the code is a loop over them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from recursive.errors import (
    ConfigError,
    DtypeError,
    DuplicateNameError,
    MergeError,
    NodeError,
    OutputError,
    ShapeError,
    StateError,
    TapError,
    UnknownNameError,
    suggest,
)
from recursive.spec.graph import (
    DRAWN,
    KINDS,
    LEARNED,
    GraphSpec,
    InputSpec,
    Item,
    NodeSpec,
    OutputSpec,
    StateSpec,
)
from recursive.spec.history import final_name, resolve, with_implicit_states
from recursive.spec.merging import MODE_NAMES
from recursive.spec.names import Ref, check_name

READABLE = ("input", "state", "node")
"""The kinds of names that stand for one value."""

DTYPES = ("float", "int", "bool")
"""Dtypes of an input: ``float`` is PyTensor's floatX, ``int`` is int32."""


def declare(spec: GraphSpec, item: Item) -> GraphSpec:
    """``spec`` with ``item`` added to it.

    Raises:
        RecursiveError: a child of it, where one of DECLARATION_RULES is broken.

    >>> declare(GraphSpec(), InputSpec("x", dim=4)).names
    {'x': 'input'}
    """
    for rule in DECLARATION_RULES:
        rule(spec, item)
    item, spec = _joined_by_name(spec, item)
    return spec.with_item(item)


def _joined_by_name(spec: GraphSpec, item: Item) -> tuple[Item, GraphSpec]:
    """``item`` and ``spec``, in which a node feeds the state that has its name, where names are free."""
    if not spec.free:
        return item, spec
    if isinstance(item, StateSpec) and spec.names.get(item.name) == "node":
        return replace(item, input=item.name), spec
    if isinstance(item, NodeSpec):
        for place, state in enumerate(spec.states):
            if state.name == item.name and state.input is None:
                return item, spec.with_fed_state(place, item.name)
    return item, spec


def feed(spec: GraphSpec, state: str, node: str) -> GraphSpec:
    """``spec`` with the new value of ``state`` returned by ``node`` (Santana's ``return_state``).

    Raises:
        UnknownNameError: where no such state was declared.
        StateError: where another node returns it already.
    """
    place = next(
        (place for place, item in enumerate(spec.states) if item.name == state), None
    )
    if place is None:
        raise UnknownNameError.about(
            "state",
            state,
            takes="a name given to add_state",
            because=f"node {node!r} returns it",
            got="an unknown name",
            do=suggest(state, (item.name for item in spec.states)),
        )
    before = spec.states[place].input
    if before not in (None, node):
        raise StateError.about(
            "state",
            state,
            takes="its value from one node",
            because="a state has one value a step",
            got=f"{before!r} and {node!r}",
            do="Merge the two nodes into one first.",
        )
    return spec.with_fed_state(place, node)


def check(spec: GraphSpec) -> None:
    """Raise a child of RecursiveError where one of GRAPH_RULES is broken."""
    for rule in GRAPH_RULES:
        rule(spec)


def check_whole(spec: GraphSpec) -> None:
    """Every rule, for a spec that was not declared step by step but read from a file."""
    grown = spec.replace(inputs=(), states=(), nodes=(), outputs=())
    for item in (*spec.inputs, *spec.states, *spec.nodes, *spec.outputs):
        grown = declare(grown, item)
    check(grown)


# Rules of one declaration


def name_is_valid(spec: GraphSpec, item: Item) -> None:
    check_name(KINDS[type(item)], item.name)


def name_is_new(spec: GraphSpec, item: Item) -> None:
    taken = (
        {out.name: "output" for out in spec.outputs}
        if _names_its_node(spec, item)
        else spec.names
    )
    if item.name in taken and not _names_its_state(spec, item):
        raise DuplicateNameError.about(
            KINDS[type(item)],
            item.name,
            takes="a name of its own",
            because="names tell the parts of a graph apart",
            got=f"the name of an existing {taken[item.name]}",
            do="Choose another name.",
        )


def dim_is_positive(spec: GraphSpec, item: Item) -> None:
    dim = getattr(item, "dim", None)
    if dim is not None and (
        isinstance(dim, bool) or not isinstance(dim, int) or dim < 1
    ):
        raise ShapeError.about(
            KINDS[type(item)],
            item.name,
            takes="a dim that is a whole number of 1 or more",
            because="it counts the values of one row",
            got=repr(dim),
            do="Say dim=6, for example.",
        )


def input_has_room_for_time(spec: GraphSpec, item: Item) -> None:
    if not isinstance(item, InputSpec):
        return
    least, axes = (
        (2, "(batch, time)") if spec.loop and item.is_sequence else (1, "(batch,)")
    )
    if (
        isinstance(item.ndim, bool)
        or not isinstance(item.ndim, int)
        or item.ndim < least
    ):
        raise ShapeError.about(
            "input",
            item.name,
            takes=f"ndim of {least} or more",
            because=f"its first axes are {axes}",
            got=repr(item.ndim),
            do="Say ndim=3 for (batch, time, dim).",
        )


def dtype_is_known(spec: GraphSpec, item: Item) -> None:
    if isinstance(item, InputSpec) and item.dtype not in DTYPES:
        raise DtypeError.about(
            "input",
            item.name,
            takes=f"one of the dtypes {', '.join(DTYPES)}",
            because="the width of a float is PyTensor's floatX",
            got=repr(item.dtype),
            do=suggest(str(item.dtype), DTYPES),
        )


def something_is_read(spec: GraphSpec, item: Item) -> None:
    if isinstance(item, OutputSpec) and not item.refs:
        raise OutputError.about(
            "output",
            item.name,
            takes="at least one node to read",
            because="it has no value of its own",
            got="none",
            do="Say input='name'.",
        )
    if isinstance(item, NodeSpec) and not (
        item.ports and all(port.refs for port in item.ports)
    ):
        raise NodeError.about(
            "node",
            item.name,
            takes="at least one input",
            because="its layer is a function of it",
            got="none",
            do="Say input='name', or inputs=['name', ...] for several.",
        )


def merge_mode_is_known(spec: GraphSpec, item: Item) -> None:
    for read in _reads(item):
        if read.merge_mode not in MODE_NAMES:
            raise MergeError.about(
                KINDS[type(item)],
                item.name,
                takes=f"merge_mode {', '.join(MODE_NAMES)}",
                because="several inputs become one by it",
                got=repr(read.merge_mode),
                do=suggest(str(read.merge_mode), MODE_NAMES),
            )


def names_read_are_known(spec: GraphSpec, item: Item) -> None:
    for ref in () if spec.free else _refs(item):
        itself = isinstance(item, NodeSpec) and ref.name in item.values and ref.tap < 0
        if spec.names.get(ref.name) not in READABLE and not itself:
            readable = [name for name, kind in spec.names.items() if kind in READABLE]
            raise UnknownNameError.about(
                KINDS[type(item)],
                item.name,
                takes="inputs, states and nodes that are declared before it",
                because="nodes run in the order in which they were added",
                got=repr(str(ref)),
                do=suggest(ref.name, readable),
            )


def states_are_in_a_loop(spec: GraphSpec, item: Item) -> None:
    if isinstance(item, StateSpec) and not spec.loop:
        raise StateError.about(
            "state",
            item.name,
            takes="a loop over time",
            because="a Graph runs once",
            got="a Graph",
            do="Use a Recursive container.",
        )


def a_dim_has_an_axis(spec: GraphSpec, item: Item) -> None:
    over_time = isinstance(item, InputSpec) and spec.loop and item.is_sequence
    if (
        isinstance(item, InputSpec)
        and item.dim is not None
        and item.ndim - over_time < 2
    ):
        raise ShapeError.about(
            "input",
            item.name,
            takes="a dim only where it has an axis for it",
            because=f"its {item.ndim} axes are {'batch and time' if over_time else 'batch'}",
            got=f"dim={item.dim}",
            do=f"Say ndim={item.ndim + 1}, or leave the dim out.",
        )


def taps_are_in_a_loop(spec: GraphSpec, item: Item) -> None:
    for ref in _refs(item):
        if ref.tap and not spec.loop:
            raise TapError.about(
                KINDS[type(item)],
                item.name,
                takes="values of now",
                because="a Graph runs once",
                got=repr(str(ref)),
                do="Use a Recursive container to look back in time.",
            )


DECLARATION_RULES = (
    name_is_valid,
    name_is_new,
    dim_is_positive,
    input_has_room_for_time,
    dtype_is_known,
    something_is_read,
    merge_mode_is_known,
    states_are_in_a_loop,
    a_dim_has_an_axis,
    names_read_are_known,
    taps_are_in_a_loop,
)


# Rules of the whole


def something_comes_in(spec: GraphSpec) -> None:
    if not any(item.is_sequence for item in spec.inputs) and spec.n_steps is None:
        words = (
            {
                "takes": "at least one sequence, or n_steps",
                "do": "Say add_input('x', ndim=3), or n_steps=10.",
            }
            if spec.loop
            else {"takes": "at least one input", "do": "Say add_input('x', ndim=2)."}
        )
        raise NodeError.about(
            "graph", "inputs", because="it has nothing to run on", got="none", **words
        )


def number_of_steps(steps: object) -> int | None:
    """``steps`` where it is a whole number of 1 or more, or None.

    Raises:
        ConfigError: for anything else.
    """
    if steps is not None and (
        isinstance(steps, bool) or not isinstance(steps, int) or steps < 1
    ):
        raise ConfigError.about(
            "graph",
            "n_steps",
            takes="a whole number of 1 or more",
            because="it counts the steps",
            got=repr(steps),
            do="Say n_steps=10, for example.",
        )
    return steps


def how_to_declare(spec: GraphSpec, state: str, states: Iterable[str]) -> str:
    """What to do about a state that was not declared: the past of a node is one only after ``add_state``."""
    if spec.names.get(state) != "node":
        return suggest(str(state), states)
    name = state.replace(".", "_") if spec.free else f"{state.replace('.', '_')}_state"
    call = f"add_state({name!r}, input={state!r})"
    return f"Say {call} first, then set_state_from({name!r}, ...)."


def the_number_of_steps_is_known_once(spec: GraphSpec) -> None:
    steps = number_of_steps(spec.n_steps)
    sequences = [item.name for item in spec.inputs if item.is_sequence]
    if steps is not None and sequences and not spec.unroll:
        raise ConfigError.about(
            "graph",
            "n_steps",
            takes="no sequences beside it",
            because="a loop has as many steps as its sequences",
            got=f"n_steps={steps} and {', '.join(sequences)}",
            do="Leave n_steps out, declare the inputs with is_sequence=False, or say unroll=True.",
        )


def until_ends_a_plain_loop(spec: GraphSpec) -> None:
    others = [
        words
        for words, said in (
            ("unroll=True", spec.unroll),
            ("a mask", spec.mask is not None),
        )
        if said
    ]
    if spec.until is not None and others:
        raise ConfigError.about(
            "graph",
            "until",
            takes="a loop that scan runs, without a mask",
            because="nobody knows before how many steps there are",
            got=" and ".join(others),
            do="Leave one of them out.",
        )


def states_start_from_contexts(spec: GraphSpec) -> None:
    contexts = {item.name: item.dtype for item in spec.inputs if not item.is_sequence}
    for state in spec.states:
        named = isinstance(state.initial, str) and state.initial not in (LEARNED, DRAWN)
        if named and state.initial not in contexts:
            raise UnknownNameError.about(
                "state",
                state.name,
                takes=f"as initial value numbers, {LEARNED!r}, {DRAWN!r} or a context",
                because="it is there before the first step",
                got=repr(state.initial),
                do=f"{suggest(state.initial, [LEARNED, DRAWN, *contexts])} A context is declared by "
                "add_input(name, is_sequence=False).",
            )
        if named and contexts[state.initial] != "float":
            raise DtypeError.about(
                "state",
                state.name,
                takes="a context of floats to start from",
                because="its values are floats",
                got=f"{state.initial!r} of {contexts[state.initial]}",
                do=f"Declare {state.initial!r} with dtype='float'.",
            )


def states_that_go_on_start_from_numbers(spec: GraphSpec) -> None:
    for state in spec.states:
        goes_on = spec.stateful if state.stateful is None else state.stateful
        if goes_on and isinstance(state.initial, str):
            raise StateError.about(
                "state",
                state.name,
                takes="numbers to start from",
                because="it goes on from the batch before",
                got=f"initial={state.initial!r}",
                do="Say stateful=False for this state, or leave initial out.",
            )


def until_is_a_node(spec: GraphSpec) -> None:
    nodes = [name for name, kind in spec.names.items() if kind == "node"]
    if spec.until is not None and spec.until not in nodes:
        raise UnknownNameError.about(
            "graph",
            "until",
            takes="the name of a node",
            because="the loop stops when it is true",
            got=repr(spec.until),
            do=suggest(str(spec.until), nodes),
        )


def states_start_as_far_back_as_they_are_read(spec: GraphSpec) -> None:
    read = [
        resolve(spec, ref) for item in (*spec.nodes, *spec.outputs) for ref in item.refs
    ]
    for state in spec.states:
        rows = (
            len(state.initial)
            if isinstance(state.initial, tuple) and isinstance(state.initial[0], tuple)
            else 1
        )
        lag = max(
            [-ref.tap for ref in read if ref.name == state.name and ref.tap], default=1
        )
        if rows not in (1, lag):
            raise StateError.about(
                "state",
                state.name,
                takes="1 initial row" if lag == 1 else f"1 or {lag} initial rows",
                because=f"it is read {lag} steps back at most",
                got=str(rows),
                do="Give one row for each of these steps, oldest first, or one for all.",
            )


def final_states_have_names_of_their_own(spec: GraphSpec) -> None:
    states = with_implicit_states(spec) if spec.return_final_states else ()
    finals = {final_name(state.name): state.name for state in states}
    for name in spec.names:
        if name in finals:
            raise DuplicateNameError.about(
                spec.names[name],
                name,
                takes=f"another name than the last value of state {finals[name]!r} has",
                because="return_final_states=True makes it an output",
                got="the same",
                do="Choose another name.",
            )


def something_comes_out(spec: GraphSpec) -> None:
    last_node_does = spec.free and spec.nodes
    if not spec.outputs and not last_node_does:
        raise OutputError.about(
            "graph",
            "outputs",
            takes="at least one output",
            because="it would return nothing",
            got="none",
            do="Say create_output=True in add_node, or add_output('y', input='name').",
        )


def names_used_before_are_declared_at_last(spec: GraphSpec) -> None:
    for item in (*spec.nodes, *spec.outputs) if spec.free else ():
        for ref in item.refs:
            if spec.names.get(ref.name) not in READABLE:
                readable = [
                    name for name, kind in spec.names.items() if kind in READABLE
                ]
                raise UnknownNameError.about(
                    KINDS[type(item)],
                    item.name,
                    takes="inputs, states and nodes that are declared",
                    because="it reads their values",
                    got=repr(str(ref)),
                    do=suggest(ref.name, readable),
                )


def contexts_have_no_past(spec: GraphSpec) -> None:
    contexts = {item.name for item in spec.inputs if not item.is_sequence}
    for item in (*spec.nodes, *spec.outputs):
        for ref in item.refs:
            if ref.tap and ref.name in contexts:
                raise TapError.about(
                    KINDS[type(item)],
                    item.name,
                    takes=f"{ref.name!r} without a tap",
                    because="a context is the same at every step",
                    got=repr(str(ref)),
                    do=f"Say {ref.name!r}, or declare it with is_sequence=True.",
                )


def states_are_fed_by_nodes(spec: GraphSpec) -> None:
    nodes = {name for node in spec.nodes for name in node.values}
    for state in spec.states:
        if state.input is None:
            raise StateError.about(
                "state",
                state.name,
                takes="its next value from a node",
                because="a state that nothing returns would stay at its start",
                got="no node that returns it",
                do=_how_to_feed(spec, state.name),
            )
        if state.input not in nodes:
            raise UnknownNameError.about(
                "state",
                state.name,
                takes="its next value from a node",
                because="a step computes it",
                got=repr(state.input),
                do=suggest(state.input, nodes),
            )


def _how_to_feed(spec: GraphSpec, state: str) -> str:
    """What to say so that ``state`` gets its value: ``return_state`` means the first output of a node only."""
    for node in spec.nodes:
        first, *others = node.values
        open_ones = [value for value in others if value not in spec.feeds]
        if first in spec.feeds and open_ones:
            return f"Say add_state({state!r}, input={open_ones[0]!r})."
    return f"Say return_state={state!r} in the add_node that computes it."


def a_node_read_in_the_past_feeds_one_state(spec: GraphSpec) -> None:
    for item in (*spec.nodes, *spec.outputs):
        for ref in item.refs:
            fed = spec.feeds.get(ref.name, ())
            if ref.tap and len(fed) > 1:
                raise TapError.about(
                    KINDS[type(item)],
                    item.name,
                    takes="a past value that has one history",
                    because=f"{ref.name!r} feeds {len(fed)} states, which may start differently",
                    got=repr(str(ref)),
                    do=f"Read {Ref(fed[0], ref.tap)!s} or another of its states.",
                )


def the_gradient_goes_back_a_number_of_steps(spec: GraphSpec) -> None:
    steps = spec.truncate_gradient
    if (
        isinstance(steps, bool)
        or not isinstance(steps, int)
        or steps == 0
        or steps < -1
    ):
        raise ConfigError.about(
            "graph",
            "truncate_gradient",
            takes="-1, or 1 and more",
            because="the backward loop runs over so many of the last steps, -1 being all",
            got=repr(steps),
            do="Say truncate_gradient=-1 for the whole gradient.",
        )


GRAPH_RULES = (
    something_comes_in,
    the_number_of_steps_is_known_once,
    until_is_a_node,
    until_ends_a_plain_loop,
    states_start_from_contexts,
    states_that_go_on_start_from_numbers,
    states_start_as_far_back_as_they_are_read,
    something_comes_out,
    names_used_before_are_declared_at_last,
    final_states_have_names_of_their_own,
    contexts_have_no_past,
    states_are_fed_by_nodes,
    a_node_read_in_the_past_feeds_one_state,
    the_gradient_goes_back_a_number_of_steps,
)


def _names_its_node(spec: GraphSpec, item: Item) -> bool:
    """Whether an output is a node under its own name."""
    return (
        isinstance(item, OutputSpec)
        and item.refs == (Ref(item.name),)
        and spec.names.get(item.name) == "node"
    )


def _names_its_state(spec: GraphSpec, item: Item) -> bool:
    """Whether a node and the state that it feeds have one name, as they may where names are free."""
    if not spec.free:
        return False
    if isinstance(item, StateSpec):
        is_alone = all(state.name != item.name for state in spec.states)
        is_node = spec.names.get(item.name) == "node"
        return is_alone and is_node and item.input in (None, item.name)
    return (
        isinstance(item, NodeSpec)
        and any(
            state.name == item.name and state.input in (None, item.name)
            for state in spec.states
        )
        and all(node.name != item.name for node in spec.nodes)
    )


def _reads(item: Item) -> Iterator[object]:
    """The merged reads of a node (its ports) or an output (itself)."""
    if isinstance(item, NodeSpec):
        yield from item.ports
    elif isinstance(item, OutputSpec):
        yield item


def _refs(item: Item) -> Iterator[Ref]:
    for read in _reads(item):
        yield from read.refs
