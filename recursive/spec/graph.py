"""A declaration as frozen plain data: inputs, states, nodes and outputs.

A :class:`GraphSpec` is the one description that the plan, the diagrams, the files and
the reference implementation share. Nothing here knows a tensor.

``to_dict`` and ``from_dict`` turn it into JSON-ready data and back. The format has a
version. A dict of another version, with unknown or missing keys, or with a value of the
wrong type is refused.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from types import UnionType
from typing import NoReturn

from recursive import limits
from recursive.errors import ConfigError, StateError, suggest
from recursive.spec.merging import DEFAULT
from recursive.spec.names import Ref, parse

VERSIONS = ("1.0", "1.1")
"""The versions of the format that :meth:`GraphSpec.from_dict` reads."""
VERSION = VERSIONS[0]
"""The version of a declaration that has nothing newer."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """A named input: a sequence ``(batch, time, dim)``, or a context.

    A context, with ``is_sequence=False``, is ``(batch, dim)`` and every step sees it
    whole. ``ndim`` counts all axes. ``dim`` is None until it is known. An input that is
    ``training_only``, such as the truth that a Teacher reads, is not there otherwise.
    """

    name: str
    ndim: int = 3
    dtype: str = "float"
    dim: int | None = None
    is_sequence: bool = True
    training_only: bool = False


Initial = float | tuple[float, ...] | tuple[tuple[float, ...], ...] | str
"""The initial value of a state."""

LEARNED = "learned"
"""The initial value of a state that starts from a row of parameters."""
DRAWN = "drawn"
"""The initial value of a state that starts from random draws, others for each row."""


@dataclass(frozen=True, slots=True)
class StateSpec:
    """A named state ``(batch, dim)``, fed at every step by the node ``input``.

    One of ``dtype`` ``int`` or ``bool``, such as the number of the last word, is
    ``(batch,)`` and has no dim. ``initial`` is one number for all values, a row of
    numbers, or a row for each step that is read back (oldest first); or ``learned``,
    ``drawn``, or the name of a context or of a node of contexts. Of integers it is one
    number, one for each of these steps, or the name of a context. ``stateful`` is True
    if the state is kept between batches, and None if the container decides.

    ``init`` and ``scale`` name the distribution of a learned or drawn initial value;
    None is the usual one. ``given`` is an input that may be left out, and from which
    the state starts if it is there.
    """

    name: str
    dim: int | None = None
    input: str | None = None
    initial: Initial = 0.0
    stateful: bool | None = None
    dtype: str = "float"
    init: str | None = None
    scale: float | None = None
    given: str | None = None


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """A layer as its class name and its configuration, which is plain data."""

    class_name: str
    config: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PortSpec:
    """The references that one port of a layer reads, and how they are merged.

    ``names`` are the references as they were declared, for a layer that takes several
    values by name.
    """

    name: str
    refs: tuple[Ref, ...]
    merge_mode: str = DEFAULT
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A named layer and what its ports read.

    ``outputs`` are the names of the layer's outputs if there are several.
    """

    name: str
    layer: LayerSpec
    ports: tuple[PortSpec, ...]
    outputs: tuple[str, ...] = ()

    @property
    def has_one_port(self) -> bool:
        """True if the layer takes one value, False if it takes values by port."""
        return len(self.ports) == 1

    @property
    def values(self) -> tuple[str, ...]:
        """The names of the node's values: ``node``, or ``node.output`` if several.

        >>> NodeSpec("lstm", LayerSpec("RecurrentLSTM"), (), ("output", "cell")).values
        ('lstm', 'lstm.cell')
        """
        outputs = self.outputs or (MAIN,)
        return tuple(value_name(self.name, output) for output in outputs)

    @property
    def ports_by_name(self) -> dict[str, PortSpec]:
        """The ports by their names."""
        return {port.name: port for port in self.ports}

    @property
    def refs(self) -> tuple[Ref, ...]:
        """All references that the node reads, port by port."""
        refs = []
        for port in self.ports:
            refs += port.refs
        return tuple(refs)


MAIN = "output"
"""The output of a layer that has the node's own name."""


def value_name(node: str, output: str) -> str:
    """The name by which an output of a node is read."""
    if output == MAIN:
        return node
    # An output with a dot in its name is a full name already.
    return output if "." in output else f"{node}.{output}"


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """A named result: one reference, or several and how they are merged."""

    name: str
    refs: tuple[Ref, ...]
    merge_mode: str = DEFAULT


Item = InputSpec | StateSpec | NodeSpec | OutputSpec
"""One declaration."""

SEVERAL = "node of several outputs"
"""The kind of a name that stands for several values, of which one must be chosen."""

KINDS = {InputSpec: "input", StateSpec: "state", NodeSpec: "node", OutputSpec: "output"}
"""The word for each type of declaration, as errors use it."""


def _names_of(item: Item) -> dict[str, str]:
    """The names that a declaration adds, and the kind of each."""
    if not isinstance(item, NodeSpec):
        return {item.name: KINDS[type(item)]}
    names = {item.name: SEVERAL}
    for value in item.values:
        names[value] = "node"
    return names


@dataclass(frozen=True)
class GraphSpec:
    """A complete declaration of a graph.

    Args:
        loop: True for a recurrent container, False for a Graph, which runs once.
        free: True if names may be used before they are declared, and if a node may have
            the name of the state that it feeds.
        inputs, states, nodes, outputs: the declarations.
        return_sequences: True if outputs have a time axis.
        truncate_gradient: the number of last steps in the reverse pass; -1 for all.
        n_steps: the number of steps of a loop without sequences.
        until: the node that ends the loop after the first step at which it is true.
        stateful: True if states are kept between batches.
        return_final_states: True if the last value of each state is an output.
        go_backwards: True if the loop reads its sequences from the end.
        mask: the input that is 1 at unmasked steps.
        unroll: True if each step is written out instead of a call of scan.

    >>> spec = GraphSpec(inputs=(InputSpec("x", dim=4),))
    >>> GraphSpec.from_dict(spec.to_dict()) == spec
    True
    """

    loop: bool = True
    free: bool = False
    inputs: tuple[InputSpec, ...] = ()
    states: tuple[StateSpec, ...] = ()
    nodes: tuple[NodeSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    return_sequences: bool = False
    truncate_gradient: int = -1
    n_steps: int | None = None
    until: str | None = None
    stateful: bool = False
    return_final_states: bool = False
    go_backwards: bool = False
    mask: str | None = None
    unroll: bool = False

    @cached_property
    def names(self) -> dict[str, str]:
        """Every declared name and its kind."""
        names = {}
        # An output may have its node's name, which then counts as the node.
        for item in (*self.outputs, *self.inputs, *self.states, *self.nodes):
            names.update(_names_of(item))
        return names

    @property
    def version(self) -> str:
        """The first version of the format that can hold the declaration."""
        return "1.1" if _newer(self) else VERSION

    @property
    def input_names(self) -> list[str]:
        """The names of all inputs."""
        return [item.name for item in self.inputs]

    @property
    def sequence_names(self) -> list[str]:
        """The names of the inputs that are seen one slice per step."""
        return [item.name for item in self.inputs if item.is_sequence]

    @property
    def has_sequences_while_predicting(self) -> bool:
        """True if a sequence tells the number of steps, not for training only."""
        return any(item.is_sequence and not item.training_only for item in self.inputs)

    @property
    def context_names(self) -> list[str]:
        """The names of the inputs that every step sees whole."""
        return [item.name for item in self.inputs if not item.is_sequence]

    def reads(self) -> Iterator[tuple[NodeSpec | OutputSpec, Ref]]:
        """Each node and output, with each reference that it reads."""
        for item in (*self.nodes, *self.outputs):
            for ref in item.refs:
                yield item, ref

    @cached_property
    def feeds(self) -> dict[str, tuple[str, ...]]:
        """The states that each node feeds, by the node's name."""
        fed: dict[str, tuple[str, ...]] = {}
        for state in self.states:
            if state.input is not None:
                fed[state.input] = (*fed.get(state.input, ()), state.name)
        return fed

    def replace(self, **changes: object) -> GraphSpec:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def with_item(self, item: Item) -> GraphSpec:
        """A copy with one more declaration."""
        field_name = KINDS[type(item)] + "s"
        grown = self.replace(**{field_name: (*getattr(self, field_name), item)})
        # The names are copied into the cache. Finding them again at each declaration
        # would make the time to declare a graph quadratic in its size.
        names = {**self.names, **_names_of(item)}
        if not isinstance(item, NodeSpec):
            names.update(self.names)
        vars(grown)["names"] = names
        return grown

    def with_fed_state(self, place: int, node: str) -> GraphSpec:
        """A copy in which ``node`` feeds the state at ``place``. No name changes."""
        states = list(self.states)
        states[place] = dataclasses.replace(states[place], input=node)
        fed = self.replace(states=tuple(states))
        vars(fed)["names"] = self.names
        return fed

    def to_dict(self) -> dict[str, object]:
        """The declaration as JSON-ready data.

        Raises:
            ConfigError: if a layer's configuration is not plain data (the function of a
                Lambda, for instance).
        """
        for node in self.nodes:
            _check_plain(node)
        return json.loads(json.dumps(self.as_dict(), allow_nan=False))

    def as_dict(self) -> dict[str, object]:
        """The same for any layers, including those that no file can hold."""
        return {
            # The lowest that will do: a reader of 1.0 reads what has nothing newer.
            "version": self.version,
            "loop": self.loop,
            "free": self.free,
            "inputs": list(map(_input_to_dict, self.inputs)),
            "states": list(map(_state_to_dict, self.states)),
            "nodes": list(map(_node_to_dict, self.nodes)),
            "outputs": list(map(_output_to_dict, self.outputs)),
            "return_sequences": self.return_sequences,
            "truncate_gradient": self.truncate_gradient,
            "n_steps": self.n_steps,
            "until": self.until,
            "stateful": self.stateful,
            "return_final_states": self.return_final_states,
            "go_backwards": self.go_backwards,
            "mask": self.mask,
            "unroll": self.unroll,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> GraphSpec:
        """The declaration that ``to_dict`` wrote.

        Raises:
            ConfigError: for another version, unknown or missing keys, or values of the
                wrong type or above a limit (:mod:`recursive.limits`).
        """
        limits.check_data("graph", data)
        data = dict(_mapping("graph", data))
        version = data.pop("version", None)
        if version not in VERSIONS:
            raise ConfigError.about(
                "config",
                "graph",
                takes=f"version {' or '.join(map(repr, VERSIONS))}",
                got=repr(version),
                do="Write it again with this version of the library.",
            )
        found = _read(cls, data)
        # A reader of the older version would read such a declaration wrongly.
        if VERSIONS.index(version) < VERSIONS.index(found.version):
            raise ConfigError.about(
                "config",
                "graph",
                takes=f"version {found.version!r} for a field that is new in it",
                got=repr(version),
                do=f"Correct the version, or leave out {_newer(found)}.",
            )
        return found


# Initial values


def as_python_int(value: object) -> object:
    """An integer of any library as Python's own; any other value as it is.

    >>> as_python_int(True), as_python_int(2.0), as_python_int(None)
    (True, 2.0, None)
    """
    is_integer = hasattr(value, "__index__") and not isinstance(value, bool)
    return operator.index(value) if is_integer else value


def as_initial(state: str, value: object) -> Initial:
    """An initial value as plain data: a number, a row, or rows (oldest first).

    Takes lists, tuples and arrays. A name is returned as it is.

    Raises:
        StateError: for any other value.
    """
    if isinstance(value, str):
        return value
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        has_names = any(isinstance(item, str) for item in value)
        items = () if has_names else tuple(as_initial(state, item) for item in value)
        if items and (_is_row(items) or _is_rows(items)):
            return items
    elif _is_finite_number(value):
        return float(value)
    raise StateError.about(
        "state",
        str(state),
        takes="an initial number, row of numbers, or list of equal rows",
        got=repr(value),
        do="Say initial=1.0, or initial=[[0.0, 1.0], [2.0, 3.0]] for two steps back.",
    )


def as_scale(state: str, value: object) -> float | None:
    """The scale of an initialization as Python's own number, or None.

    Raises:
        StateError: for anything but a number.
    """
    if value is None:
        return None
    if not _is_finite_number(value):
        raise StateError.about(
            "state",
            str(state),
            takes="a scale that is a finite number above 0",
            got=repr(value),
            do="Say scale=0.1, for example.",
        )
    return float(value)


def _is_finite_number(value: object) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer above 1.8e308
        return False


def _is_row(items: tuple) -> bool:
    """True for numbers alone."""
    return not any(isinstance(item, tuple) for item in items)


def _is_rows(items: tuple) -> bool:
    """True for rows of equal length alone."""
    if not all(isinstance(item, tuple) and _is_row(item) for item in items):
        return False
    return len({len(item) for item in items}) == 1


def _initial_to_data(value: Initial) -> object:
    """An initial value with lists in place of tuples."""
    return list(map(_initial_to_data, value)) if isinstance(value, tuple) else value


# Writing


def _check_plain(node: NodeSpec) -> None:
    """Raise a ConfigError unless the configuration of a node's layer is plain data."""
    try:
        json.dumps(dict(node.layer.config), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError.about(
            "node",
            node.name,
            takes="a layer whose configuration is plain data, to be written",
            because="a file must never hold code",
            got=f"{node.layer.class_name} ({error})",
            do="Use a layer class of your own in place of a function.",
        ) from error


def _newer(spec: GraphSpec) -> str:
    """The fields that need version 1.1, for an error; empty if there are none."""
    found = []
    for item in spec.inputs:
        if item.training_only:
            found.append(f"training_only of {item.name!r}")
    for state in spec.states:
        if state.dtype != "float":
            found.append(f"dtype of {state.name!r}")
        for name in ("init", "scale", "given"):
            if getattr(state, name) is not None:
                found.append(f"{name} of {state.name!r}")
    return ", ".join(found)


def _input_to_dict(item: InputSpec) -> dict[str, object]:
    data = dataclasses.asdict(item)
    # Version 1.0 of the format does not have this key.
    if not item.training_only:
        del data["training_only"]
    return data


def _state_to_dict(state: StateSpec) -> dict[str, object]:
    data = dataclasses.asdict(state) | {"initial": _initial_to_data(state.initial)}
    # Version 1.0 of the format does not have these keys.
    if state.dtype == "float":
        del data["dtype"]
    for key in ("init", "scale", "given"):
        if data[key] is None:
            del data[key]
    return data


def _node_to_dict(node: NodeSpec) -> dict[str, object]:
    layer = {"class_name": node.layer.class_name, "config": dict(node.layer.config)}
    return {
        "name": node.name,
        "layer": layer,
        "ports": {port.name: _reads_to_dict(port) for port in node.ports},
        "outputs": list(node.outputs),
    }


def _output_to_dict(output: OutputSpec) -> dict[str, object]:
    return {"name": output.name, **_reads_to_dict(output)}


def _reads_to_dict(item: PortSpec | OutputSpec) -> dict[str, object]:
    return {"read": list(map(str, item.refs)), "merge_mode": item.merge_mode}


# Reading: _FORMS is the format as a table, and _read is a loop over one entry of it


def _each(read: Callable[[object], object]) -> Callable[[str, object], tuple]:
    """The reader of a list, given the function that reads one item."""
    return lambda key, value: tuple(read(item) for item in _list(key, value))


def _read_state(data: object) -> StateSpec:
    state = _read(StateSpec, data)
    return dataclasses.replace(state, initial=as_initial(state.name, state.initial))


def _read_layer(key: str, data: object) -> LayerSpec:
    return _read(LayerSpec, data)


def _read_config(key: str, data: object) -> dict[str, object]:
    # A copy, so that a later change to the data does not change the frozen spec.
    return copy.deepcopy(_mapping("layer", data))


def _read_ports(key: str, data: object) -> tuple[PortSpec, ...]:
    ports = []
    for name, reads in _mapping(key, data).items():
        _check_type("port", "name", str, name)
        ports.append(_read(PortSpec, reads, name=name))
    return tuple(ports)


def _read_output_name(name: object) -> str:
    _check_type("node", "outputs", str, name)
    return name


@dataclass(frozen=True, slots=True)
class _Form:
    """The keys of one kind of declaration, each with its type or its reader.

    A reader takes the key and the value and returns the value of the field.
    """

    kind: str
    required: Mapping[str, object]
    optional: Mapping[str, object]


_FORMS = {
    InputSpec: _Form(
        "input",
        required={"name": str},
        optional={
            "ndim": int,
            "dtype": str,
            "dim": int | None,
            "is_sequence": bool,
            "training_only": bool,
        },
    ),
    StateSpec: _Form(
        "state",
        required={"name": str},
        optional={
            "dim": int | None,
            "input": str | None,
            "initial": object,
            "stateful": bool | None,
            "dtype": str,
            "init": str | None,
            "scale": float | None,
            "given": str | None,
        },
    ),
    LayerSpec: _Form(
        "layer",
        required={"class_name": str},
        optional={"config": _read_config},
    ),
    PortSpec: _Form(
        "port",
        required={"read": _each(parse)},
        optional={"merge_mode": str},
    ),
    NodeSpec: _Form(
        "node",
        required={"name": str, "layer": _read_layer, "ports": _read_ports},
        optional={"outputs": _each(_read_output_name)},
    ),
    OutputSpec: _Form(
        "output",
        required={"name": str, "read": _each(parse)},
        optional={"merge_mode": str},
    ),
    GraphSpec: _Form(
        "graph",
        required={
            "inputs": _each(lambda data: _read(InputSpec, data)),
            "states": _each(_read_state),
            "nodes": _each(lambda data: _read(NodeSpec, data)),
            "outputs": _each(lambda data: _read(OutputSpec, data)),
        },
        optional={
            "loop": bool,
            "free": bool,
            "return_sequences": bool,
            "truncate_gradient": int,
            "n_steps": int | None,
            "until": str | None,
            "stateful": bool,
            "return_final_states": bool,
            "go_backwards": bool,
            "mask": str | None,
            "unroll": bool,
        },
    ),
}
_FIELD_OF_KEY = {"read": "refs"}
"""The fields that have another name in the format."""


def _read(cls: type, data: object, **fields: object):
    """An instance of ``cls`` from ``data`` and from ``fields`` that it does not hold.

    Raises:
        ConfigError: for an unknown or missing key, or a value of the wrong type.
    """
    form = _FORMS[cls]
    data = _mapping(form.kind, data)
    readers = {**form.required, **form.optional}
    for key in form.required:
        if key not in data:
            _raise_wrong(form.kind, f"the key {key!r}", sorted(map(str, data)))
    for key, value in data.items():
        if key not in readers:
            _raise_unknown_key(form.kind, key, readers)
        reader = readers[key]
        if isinstance(reader, type | UnionType):
            _check_type(form.kind, key, reader, value)
        else:
            value = reader(key, value)
        fields[_FIELD_OF_KEY.get(key, key)] = value
    return cls(**fields)


def _mapping(kind: str, data: object) -> Mapping[str, object]:
    """``data`` if it is a mapping, else an error."""
    if not isinstance(data, Mapping):
        _raise_wrong(kind, "a mapping of names to values", data)
    return data


def _list(key: str, value: object) -> list[object]:
    """``value`` as a list if it is one or a tuple, else an error."""
    if not isinstance(value, list | tuple):
        _raise_wrong(key, "a list", value)
    return list(value)


def _check_type(kind: str, key: str, expected: type | UnionType, value: object) -> None:
    """Raise a ConfigError unless ``value`` has the expected type."""
    # For Python, a bool is an int. In the format it is not.
    is_wrong_bool = isinstance(value, bool) and expected in (int, int | None)
    if is_wrong_bool or not isinstance(value, expected):
        word = expected.__name__ if isinstance(expected, type) else str(expected)
        _raise_wrong(kind, f"{key} as {word}", value)


def _raise_wrong(kind: str, takes: str, value: object) -> NoReturn:
    raise ConfigError.about(
        "config",
        kind,
        takes=takes,
        got=repr(value),
        do="Compare with what to_dict() writes.",
    )


def _raise_unknown_key(kind: str, key: object, known: Iterable[str]) -> NoReturn:
    raise ConfigError.about(
        "config",
        kind,
        takes="known keys only",
        got=repr(key),
        do=suggest(str(key), known),
    )
