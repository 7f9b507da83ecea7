"""The rules of a declaration, one function each.

``DECLARATION_RULES`` are about one declaration and the earlier ones. They are applied
when it is added. ``GRAPH_RULES`` are about a complete graph. They are applied when that
is built. Both are tables, and the code is a loop over them. A rule has the name of the
sentence that it enforces, and raises an error if the sentence is false.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    PortSpec,
    StateSpec,
)
from recursive.spec.history import (
    final_name,
    is_stateful,
    resolve,
    with_implicit_states,
)
from recursive.spec.merging import MODE_NAMES
from recursive.spec.names import Ref, check_name
from recursive.spec.starts import (
    DRAWS,
    SCALED,
    optional_starts,
    start_name,
    value_that_changes,
)

READABLE = ("input", "state", "node")
"""The kinds of names that stand for one value."""

MOST_AXES = 32
"""The largest number of axes that a tensor has."""

MOST_STEPS = 2**31 - 1
"""The largest number of steps."""

DTYPES = ("float", "int", "bool")
"""The dtypes of inputs and states: ``float`` is floatX, ``int`` is int32."""

LARGEST_INT = {"int": 2**31 - 1, "bool": 1}
"""The largest initial value of a state, by its dtype."""


def declare(spec: GraphSpec, item: Item) -> GraphSpec:
    """``spec`` with ``item`` added.

    Raises:
        RecursiveError: a subclass of it, if one of DECLARATION_RULES is broken.

    >>> declare(GraphSpec(), InputSpec("x", dim=4)).names
    {'x': 'input'}
    """
    for rule in DECLARATION_RULES:
        rule(spec, item)
    # With free names, a node feeds the state of the same name. Either may come first.
    if spec.free and isinstance(item, StateSpec):
        if spec.names.get(item.name) == "node":
            item = replace(item, input=item.name)
    elif spec.free and isinstance(item, NodeSpec):
        place = _place_of_state(spec, item.name)
        if place is not None and spec.states[place].input is None:
            spec = spec.with_fed_state(place, item.name)
    return spec.with_item(item)


def _place_of_state(spec: GraphSpec, name: str) -> int | None:
    """The index of a declared state, or None."""
    for place, state in enumerate(spec.states):
        if state.name == name:
            return place
    return None


def feed(spec: GraphSpec, state: str, node: str) -> GraphSpec:
    """``spec`` in which ``node`` feeds ``state`` (Santana's ``return_state``).

    Raises:
        UnknownNameError: if no such state was declared.
        StateError: if another node feeds it already.
    """
    place = _place_of_state(spec, state)
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
            got=f"{before!r} and {node!r}",
            do="Merge the two nodes into one first.",
        )
    return spec.with_fed_state(place, node)


def check(spec: GraphSpec) -> None:
    """Raise a subclass of RecursiveError if one of GRAPH_RULES is broken."""
    for rule in GRAPH_RULES:
        rule(spec)


def check_whole(spec: GraphSpec) -> None:
    """Apply all rules to a spec that was read from a file."""
    grown = spec.replace(inputs=(), states=(), nodes=(), outputs=())
    for item in (*spec.inputs, *spec.states, *spec.nodes, *spec.outputs):
        grown = declare(grown, item)
    check(grown)


# Rules of one declaration


def name_is_valid(spec: GraphSpec, item: Item) -> None:
    check_name(KINDS[type(item)], item.name)


def name_is_new(spec: GraphSpec, item: Item) -> None:
    taken = spec.names
    if _names_its_node(spec, item):
        # An output may have its node's name, but not the name of another output.
        taken = {output.name: "output" for output in spec.outputs}
    if item.name in taken and not _names_its_state(spec, item):
        raise DuplicateNameError.about(
            KINDS[type(item)],
            item.name,
            takes="a unique name",
            got=f"the name of an existing {taken[item.name]}",
            do="Choose another name.",
        )


def dim_is_positive(spec: GraphSpec, item: Item) -> None:
    dim = getattr(item, "dim", None)
    if dim is not None and not _is_integer(dim, least=1):
        raise ShapeError.about(
            KINDS[type(item)],
            item.name,
            takes="a dim that is an integer of 1 or more",
            got=repr(dim),
            do="Say dim=6, for example.",
        )


def input_has_room_for_time(spec: GraphSpec, item: Item) -> None:
    if not isinstance(item, InputSpec):
        return
    has_time_axis = spec.loop and item.is_sequence
    axes = "(batch, time)" if has_time_axis else "(batch,)"
    least = 2 if has_time_axis else 1
    if not _is_integer(item.ndim, least, MOST_AXES):
        raise ShapeError.about(
            "input",
            item.name,
            takes=f"ndim of {least} to {MOST_AXES}",
            because=f"its first axes are {axes}",
            got=repr(item.ndim),
            do="Say ndim=3 for (batch, time, dim).",
        )


def dtype_is_known(spec: GraphSpec, item: Item) -> None:
    if isinstance(item, InputSpec | StateSpec) and item.dtype not in DTYPES:
        raise DtypeError.about(
            KINDS[type(item)],
            item.name,
            takes=f"one of the dtypes {', '.join(DTYPES)}",
            because="PyTensor's floatX decides the dtype of floats",
            got=repr(item.dtype),
            do=suggest(str(item.dtype), DTYPES),
        )


def something_is_read(spec: GraphSpec, item: Item) -> None:
    if isinstance(item, OutputSpec) and not item.refs:
        raise OutputError.about(
            "output",
            item.name,
            takes="at least one node to read",
            got="none",
            do="Say input='name'.",
        )
    if isinstance(item, NodeSpec):
        open_ports = [port for port in item.ports if not port.refs]
        if item.ports and not open_ports:
            return
        raise NodeError.about(
            "node",
            item.name,
            takes="at least one input",
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
                got=repr(read.merge_mode),
                do=suggest(str(read.merge_mode), MODE_NAMES),
            )


def names_read_are_known(spec: GraphSpec, item: Item) -> None:
    if spec.free:
        return  # checked when the graph is complete
    for ref in _refs(item):
        reads_own_past = (
            isinstance(item, NodeSpec) and ref.name in item.values and ref.tap < 0
        )
        if spec.names.get(ref.name) not in READABLE and not reads_own_past:
            raise UnknownNameError.about(
                KINDS[type(item)],
                item.name,
                takes="inputs, states and nodes that are declared before it",
                because="nodes run in the order in which they were added",
                got=repr(str(ref)),
                do=suggest(ref.name, _readable_names(spec)),
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


def states_of_integers_have_one_number(spec: GraphSpec, item: Item) -> None:
    if not isinstance(item, StateSpec) or item.dtype == "float":
        return
    if item.dim is not None:
        raise StateError.about(
            "state",
            item.name,
            takes="no dim",
            because=f"a state of dtype {item.dtype} is one number per row, (batch,)",
            got=f"dim={item.dim}",
            do="Leave the dim out; declare a state for each number.",
        )
    if isinstance(item.initial, str):
        is_context = item.initial not in (LEARNED, DRAWN)
        fits = is_context
    else:
        numbers = item.initial if isinstance(item.initial, tuple) else (item.initial,)
        largest = LARGEST_INT[item.dtype]
        fits = all(_is_whole(number, largest) for number in numbers)
    if not fits:
        kinds = "integers" if item.dtype == "int" else "0 or 1"
        raise StateError.about(
            "state",
            item.name,
            takes=f"as initial value of dtype {item.dtype} {kinds}, or a context",
            got=repr(item.initial),
            do="Say initial=1, or one number for each step that is read back, oldest "
            "first.",
        )


def _is_whole(number: object, largest: int) -> bool:
    """True for an integer from 0, or from -largest if that is more than 1."""
    least = 0 if largest == 1 else -largest
    is_number = not isinstance(number, tuple)
    return is_number and number == int(number) and least <= number <= largest


def a_dim_has_an_axis(spec: GraphSpec, item: Item) -> None:
    if not isinstance(item, InputSpec) or item.dim is None:
        return
    has_time_axis = spec.loop and item.is_sequence
    if item.ndim - has_time_axis < 2:
        axes = "batch and time" if has_time_axis else "batch"
        raise ShapeError.about(
            "input",
            item.name,
            takes="a dim only if it has an axis for it",
            because=f"its {item.ndim} axes are {axes}",
            got=f"dim={item.dim}",
            do=f"Say ndim={item.ndim + 1}, or leave the dim out.",
        )


def taps_are_in_a_loop(spec: GraphSpec, item: Item) -> None:
    for ref in _refs(item):
        if ref.tap and not spec.loop:
            raise TapError.about(
                KINDS[type(item)],
                item.name,
                takes="values without a tap",
                because="a Graph runs once",
                got=repr(str(ref)),
                do="Use a Recursive container to read past values.",
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
    states_of_integers_have_one_number,
    a_dim_has_an_axis,
    names_read_are_known,
    taps_are_in_a_loop,
)


# Rules of a complete graph


def something_comes_in(spec: GraphSpec) -> None:
    if spec.sequence_names or spec.n_steps is not None:
        return
    takes = "at least one input"
    do = "Say add_input('x', ndim=2)."
    if spec.loop:
        takes = "at least one sequence, or n_steps"
        do = "Say add_input('x', ndim=3), or n_steps=10."
    raise NodeError.about("graph", "inputs", takes=takes, got="none", do=do)


def number_of_steps(steps: object) -> int | None:
    """``steps`` if it is None or an integer of 1 or more.

    Raises:
        ConfigError: for any other value.
    """
    if steps is not None and not _is_integer(steps, 1, MOST_STEPS):
        raise ConfigError.about(
            "graph",
            "n_steps",
            takes="an integer of 1 or more",
            got=repr(steps),
            do="Say n_steps=10, for example.",
        )
    return steps


def how_to_declare(spec: GraphSpec, state: str, states: Iterable[str]) -> str:
    """Advice about a state that was not declared.

    The past of a node can be read without ``add_state``, but not set.
    """
    if spec.names.get(state) != "node":
        return suggest(str(state), states)
    name = state.replace(".", "_")
    if not spec.free:
        name += "_state"
    call = f"add_state({name!r}, input={state!r})"
    return f"Say {call} first, then set_state_from({name!r}, ...)."


def the_number_of_steps_is_known_once(spec: GraphSpec) -> None:
    steps = number_of_steps(spec.n_steps)
    # Sequences for training only are not there to decide it while predicting.
    sequences = [
        item.name for item in spec.inputs if item.is_sequence and not item.training_only
    ]
    if steps is not None and sequences and not spec.unroll:
        raise ConfigError.about(
            "graph",
            "n_steps",
            takes="no sequences next to it",
            because="the sequences decide the number of steps",
            got=f"n_steps={steps} and {', '.join(sequences)}",
            do="Leave n_steps out, declare the inputs with is_sequence=False, or say "
            "unroll=True.",
        )


def until_ends_a_plain_loop(spec: GraphSpec) -> None:
    others = []
    if spec.unroll:
        others.append("unroll=True")
    if spec.mask is not None:
        others.append("a mask")
    if spec.until is not None and others:
        raise ConfigError.about(
            "graph",
            "until",
            takes="a loop that scan runs, without a mask",
            because="the number of steps is not known in advance",
            got=" and ".join(others),
            do="Leave one of them out.",
        )


def states_start_from_contexts(spec: GraphSpec) -> None:
    for state in spec.states:
        name = start_name(state.initial)
        if name is not None and spec.names.get(name) == "node":
            check_depends_on_contexts(spec, state.name, name)
        elif name is not None:
            _check_context(spec, state, name)
        if state.given is not None:
            _check_context(spec, state, state.given)


def check_depends_on_contexts(spec: GraphSpec, state: str, node: str) -> None:
    """Raise an UnknownNameError unless a state can start from the value ``node``."""
    changing = value_that_changes(spec, node)
    if changing is not None:
        raise UnknownNameError.about(
            "state",
            state,
            takes="a context or a node of contexts alone to start from",
            because="its value is needed before the first step",
            got=f"the node {node!r}, which depends on {changing}",
            do="In an enclosing graph, connect a node to the context's name.",
        )


def _check_context(spec: GraphSpec, state: StateSpec, name: str) -> None:
    """Raise an error unless ``name`` is a context with the dtype of the state."""
    contexts = {item.name: item.dtype for item in spec.inputs if not item.is_sequence}
    if name not in contexts:
        near = suggest(name, [LEARNED, DRAWN, *contexts])
        raise UnknownNameError.about(
            "state",
            state.name,
            takes=f"as initial value numbers, {LEARNED!r}, {DRAWN!r}, a context or a "
            "node",
            got=repr(name),
            do=f"{near} A context is declared by add_input(name, is_sequence=False).",
        )
    if contexts[name] != state.dtype:
        raise DtypeError.about(
            "state",
            state.name,
            takes=f"a context of {state.dtype}s to start from",
            got=f"{name!r} of {contexts[name]}",
            do=f"Declare {name!r} with dtype={state.dtype!r}.",
        )


def optional_starts_are_read_by_states_alone(spec: GraphSpec) -> None:
    optional = optional_starts(spec)
    for item, ref in spec.reads():
        if ref.name in optional:
            raise NodeError.about(
                KINDS[type(item)],
                item.name,
                takes="values that are always there",
                got=f"{ref.name!r}, an input that may be left out",
                do="Let set_state_from declare it without optional=True.",
            )
    for state in spec.states:
        if start_name(state.initial) in optional:
            raise StateError.about(
                "state",
                state.name,
                takes="an initial value that is always there",
                got=f"{state.initial!r}, an input that may be left out",
                do=f"Say set_state_from({state.name!r}, {state.initial!r}, "
                "optional=True).",
            )


def initializations_fit_their_states(spec: GraphSpec) -> None:
    for state in spec.states:
        check_initialization(state)


def check_initialization(state: StateSpec) -> None:
    """Raise a StateError if ``init`` or ``scale`` of a state has no meaning."""
    init, scale = state.init, state.scale
    if state.initial not in (LEARNED, DRAWN):
        if init is not None or scale is not None:
            raise StateError.about(
                "state",
                state.name,
                takes=f"init and scale with initial={LEARNED!r} or {DRAWN!r} only",
                got=f"initial={state.initial!r}",
                do="Leave them out.",
            )
        return
    if state.initial == DRAWN and init not in (None, *DRAWS):
        raise StateError.about(
            "state",
            state.name,
            takes=f"draws of init {' or '.join(map(repr, DRAWS))}",
            got=repr(init),
            do=suggest(str(init), DRAWS),
        )
    if scale is None:
        return
    if state.initial == LEARNED and init not in SCALED:
        raise StateError.about(
            "state",
            state.name,
            takes=f"a scale with init {' or '.join(map(repr, SCALED))}",
            got=f"init={init!r}",
            do="Say init='uniform', or leave the scale out.",
        )
    is_number = isinstance(scale, float | int) and not isinstance(scale, bool)
    if not is_number or not 0 < scale < float("inf"):
        raise StateError.about(
            "state",
            state.name,
            takes="a scale that is a finite number above 0",
            got=repr(scale),
            do="Say scale=0.1, for example.",
        )


def stateful_states_start_from_numbers(spec: GraphSpec) -> None:
    for state in spec.states:
        if is_stateful(spec, state) and isinstance(state.initial, str):
            advice = "Say stateful=False for this state, or leave initial out."
            if start_name(state.initial) is not None:
                advice += (
                    f" set_state_from({state.name!r}, name, optional=True) declares an "
                    "input that starts the batches for which it is given."
                )
            raise StateError.about(
                "state",
                state.name,
                takes="numbers to start from",
                because="it is kept between batches",
                got=f"initial={state.initial!r}",
                do=advice,
            )


def the_mask_is_an_input(spec: GraphSpec) -> None:
    masks = [item.name for item in spec.inputs if item.ndim == 2 and item.is_sequence]
    if spec.mask is not None and spec.mask not in masks:
        raise UnknownNameError.about(
            "graph",
            "mask",
            takes="the name of an input (batch, time)",
            got=repr(spec.mask),
            do=suggest(spec.mask, masks),
        )


def until_is_a_node(spec: GraphSpec) -> None:
    nodes = [name for name, kind in spec.names.items() if kind == "node"]
    if spec.until is not None and spec.until not in nodes:
        raise UnknownNameError.about(
            "graph",
            "until",
            takes="the name of a node",
            because="the loop stops once it is true",
            got=repr(spec.until),
            do=suggest(str(spec.until), nodes),
        )


def states_start_as_far_back_as_they_are_read(spec: GraphSpec) -> None:
    lags: dict[str, int] = {}
    for _, ref in spec.reads():
        past = resolve(spec, ref)
        lags[past.name] = max(lags.get(past.name, 1), -past.tap)
    for state in spec.states:
        initial = state.initial
        has_rows = isinstance(initial, tuple) and isinstance(initial[0], tuple)
        if state.dtype != "float":
            has_rows = isinstance(initial, tuple)  # a number is a row there
        rows = len(initial) if has_rows else 1
        lag = lags.get(state.name, 1)
        if rows not in (1, lag):
            raise StateError.about(
                "state",
                state.name,
                takes="1 initial row" if lag == 1 else f"1 or {lag} initial rows",
                because=f"it is read at most {lag} steps back",
                got=str(rows),
                do="Give one row for each of these steps, oldest first, or one for "
                "all.",
            )


def final_states_have_unique_names(spec: GraphSpec) -> None:
    states = with_implicit_states(spec) if spec.return_final_states else ()
    finals = {final_name(state.name): state.name for state in states}
    for name in spec.names:
        if name in finals:
            raise DuplicateNameError.about(
                spec.names[name],
                name,
                takes=f"another name than the last value of state {finals[name]!r}",
                because="return_final_states=True makes that an output",
                got="the same name",
                do="Choose another name.",
            )


def something_comes_out(spec: GraphSpec) -> None:
    last_node_does = spec.free and spec.nodes
    if not spec.outputs and not last_node_does:
        raise OutputError.about(
            "graph",
            "outputs",
            takes="at least one output",
            got="none",
            do="Say create_output=True in add_node, or add_output('y', input='name').",
        )


def free_names_are_declared(spec: GraphSpec) -> None:
    if not spec.free:
        return  # checked at each declaration
    for item, ref in spec.reads():
        if spec.names.get(ref.name) not in READABLE:
            raise UnknownNameError.about(
                KINDS[type(item)],
                item.name,
                takes="inputs, states and nodes that are declared",
                got=repr(str(ref)),
                do=suggest(ref.name, _readable_names(spec)),
            )


def contexts_have_no_past(spec: GraphSpec) -> None:
    contexts = spec.context_names
    for item, ref in spec.reads():
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
                got="no node that returns it",
                do=_how_to_feed(spec, state.name),
            )
        if state.input not in nodes:
            raise UnknownNameError.about(
                "state",
                state.name,
                takes="its next value from a node",
                got=repr(state.input),
                do=suggest(state.input, nodes),
            )


def _how_to_feed(spec: GraphSpec, state: str) -> str:
    """Advice for a ``state`` that no node feeds."""
    # return_state= means the first output of a node. If that feeds another state, a
    # second output that feeds none is what the user wants, such as an LSTM's cell.
    for node in spec.nodes:
        first, *others = node.values
        unused = [value for value in others if value not in spec.feeds]
        if first in spec.feeds and unused:
            return f"Say add_state({state!r}, input={unused[0]!r})."
    return f"Say return_state={state!r} in the add_node that computes it."


def a_node_read_in_the_past_feeds_one_state(spec: GraphSpec) -> None:
    for item, ref in spec.reads():
        fed = spec.feeds.get(ref.name, ())
        if ref.tap and len(fed) > 1:
            raise TapError.about(
                KINDS[type(item)],
                item.name,
                takes="a past value that has one history",
                because=f"{ref.name!r} feeds {len(fed)} states, which may start "
                "differently",
                got=repr(str(ref)),
                do=f"Read {Ref(fed[0], ref.tap)!s} or another of its states.",
            )


def the_gradient_goes_back_a_number_of_steps(spec: GraphSpec) -> None:
    steps = spec.truncate_gradient
    if steps == 0 or not _is_integer(steps, -1, MOST_STEPS):
        raise ConfigError.about(
            "graph",
            "truncate_gradient",
            takes="-1, or an integer of 1 or more",
            because="it counts the last steps in the reverse pass, -1 for all",
            got=repr(steps),
            do="Say truncate_gradient=-1 for the whole gradient.",
        )


GRAPH_RULES = (
    something_comes_in,
    the_number_of_steps_is_known_once,
    until_is_a_node,
    until_ends_a_plain_loop,
    states_start_from_contexts,
    optional_starts_are_read_by_states_alone,
    initializations_fit_their_states,
    stateful_states_start_from_numbers,
    states_start_as_far_back_as_they_are_read,
    something_comes_out,
    free_names_are_declared,
    final_states_have_unique_names,
    contexts_have_no_past,
    states_are_fed_by_nodes,
    a_node_read_in_the_past_feeds_one_state,
    the_gradient_goes_back_a_number_of_steps,
    the_mask_is_an_input,
)


# What the rules ask


def _is_integer(value: object, least: int, most: int | None = None) -> bool:
    """True for an int (not a bool) from ``least`` to ``most``."""
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return value >= least and (most is None or value <= most)


def _readable_names(spec: GraphSpec) -> list[str]:
    """The declared names that stand for one value."""
    return [name for name, kind in spec.names.items() if kind in READABLE]


def _names_its_node(spec: GraphSpec, item: Item) -> bool:
    """True for an output that returns a node under the node's name."""
    return (
        isinstance(item, OutputSpec)
        and item.refs == (Ref(item.name),)
        and spec.names.get(item.name) == "node"
    )


def _names_its_state(spec: GraphSpec, item: Item) -> bool:
    """True for a node and the state that it feeds, if free names let them share one."""
    if not spec.free:
        return False
    states = [state for state in spec.states if state.name == item.name]
    if isinstance(item, StateSpec):
        is_node = spec.names.get(item.name) == "node"
        return is_node and not states and item.input in (None, item.name)
    if isinstance(item, NodeSpec):
        is_new = all(node.name != item.name for node in spec.nodes)
        return is_new and any(state.input in (None, item.name) for state in states)
    return False


def _reads(item: Item) -> tuple[PortSpec | OutputSpec, ...]:
    """The merged reads of a node (its ports) or of an output (itself)."""
    if isinstance(item, NodeSpec):
        return item.ports
    return (item,) if isinstance(item, OutputSpec) else ()


def _refs(item: Item) -> tuple[Ref, ...]:
    """The references of a node or an output."""
    return item.refs if isinstance(item, NodeSpec | OutputSpec) else ()
