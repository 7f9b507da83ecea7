"""What was declared, as frozen plain data: the one description that plan, drawing, config and oracle share.

Nothing here knows a tensor. ``to_dict`` and ``from_dict`` turn a :class:`GraphSpec` into JSON-ready data and back;
the format carries a version, and a dict of another version or with unknown keys is refused.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real

from recursive.errors import ConfigError, StateError, suggest
from recursive.spec.merging import DEFAULT
from recursive.spec.names import Ref, parse

VERSION = "1.0"
"""Version of the format that :meth:`GraphSpec.to_dict` writes."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """A named input: ``(batch, time, dim)`` for ``ndim=3``; ``dim`` is None until it is known.

    One that is no sequence is a context: ``(batch, dim)``, which every step sees whole.
    """

    name: str
    ndim: int = 3
    dtype: str = "float"
    dim: int | None = None
    is_sequence: bool = True


Initial = float | tuple[float, ...] | tuple[tuple[float, ...], ...] | str
"""What a state starts from."""

LEARNED, DRAWN = "learned", "drawn"
"""States that start from a row of parameters, or from other draws for each row of a batch while training."""


@dataclass(frozen=True, slots=True)
class StateSpec:
    """A named state of ``dim`` values a row, fed at every step by the node ``input``.

    It starts from ``initial``: one number for all values, or a row of numbers, or one row for each step that is
    looked back to, oldest first; or ``learned``, ``drawn``, or the name of a value that is the same at every step.
    ``stateful`` says whether it goes on from batch to batch; None leaves that to the container.
    """

    name: str
    dim: int | None = None
    input: str | None = None
    initial: Initial = 0.0
    stateful: bool | None = None


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """What a node computes: the layer's class name and its configuration as plain data."""

    class_name: str
    config: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PortSpec:
    """What one port of a layer reads: one reference, or several and how they are merged.

    What is joined goes by ``names``, the references as they were declared.
    """

    name: str
    refs: tuple[Ref, ...]
    merge_mode: str = DEFAULT
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A named layer and what its ports read; ``outputs`` are the names of its values, where there are several."""

    name: str
    layer: LayerSpec
    ports: tuple[PortSpec, ...]
    outputs: tuple[str, ...] = ()

    @property
    def has_one_port(self) -> bool:
        """Whether the layer is a function of one value; else it is one of several, by port."""
        return len(self.ports) == 1

    @property
    def values(self) -> tuple[str, ...]:
        """The names by which its values are read: the node's own, or ``node.output`` where there are several.

        >>> NodeSpec("lstm", LayerSpec("RecurrentLSTM"), (), ("output", "cell")).values
        ('lstm', 'lstm.cell')
        """
        return tuple(
            value_name(self.name, output) for output in self.outputs or (MAIN,)
        )

    @property
    def refs(self) -> tuple[Ref, ...]:
        """Everything that the node reads, port by port."""
        return tuple(ref for port in self.ports for ref in port.refs)


MAIN = "output"
"""The output of a layer that bears the node's own name."""


def value_name(node: str, output: str) -> str:
    """The name by which an output of a node is read; one with a dot is a whole name already."""
    return node if output == MAIN else output if "." in output else f"{node}.{output}"


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
"""The word for each sort of declaration, as errors use it."""


def _names_of(item: Item) -> dict[str, str]:
    """The names that a declaration gives, and the kind of each."""
    if isinstance(item, NodeSpec):
        return {item.name: SEVERAL, **dict.fromkeys(item.values, "node")}
    return {item.name: KINDS[type(item)]}


@dataclass(frozen=True)
class GraphSpec:
    """A whole declaration.

    ``loop`` tells a recurrent container from a Graph, which runs the same nodes once; in a ``free`` one, names may be
    used before they are declared, and nodes may share a name with the state that they feed. A loop without sequences
    runs ``n_steps``; one with ``until`` stops after the first step at which that node is true. ``mask`` names the input
    that says which steps are data.

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
        """Every declared name and its kind; an output that shares its node's name counts as the node."""
        declared = (*self.outputs, *self.inputs, *self.states, *self.nodes)
        return {
            name: kind for item in declared for name, kind in _names_of(item).items()
        }

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
        """A copy with one more declaration. Names are carried over, so that declaring stays fast in large graphs."""
        field_name = KINDS[type(item)] + "s"
        grown = self.replace(**{field_name: (*getattr(self, field_name), item)})
        named_before = {} if isinstance(item, NodeSpec) else self.names
        vars(grown)["names"] = {**self.names, **_names_of(item), **named_before}
        return grown

    def with_fed_state(self, place: int, node: str) -> GraphSpec:
        """A copy in which the state at ``place`` is fed by ``node``; no name changes."""
        state = dataclasses.replace(self.states[place], input=node)
        fed = self.replace(
            states=(*self.states[:place], state, *self.states[place + 1 :])
        )
        vars(fed)["names"] = self.names
        return fed

    def to_dict(self) -> dict[str, object]:
        """The declaration as JSON-ready data.

        Raises:
            ConfigError: where a layer's configuration is not plain data (a Lambda's function, for instance).
        """
        for node in self.nodes:
            _check_plain(node)
        return json.loads(json.dumps(self.as_dict(), allow_nan=False))

    def as_dict(self) -> dict[str, object]:
        """The same of any layers, those too that no file can hold."""
        return {
            "version": VERSION,
            "loop": self.loop,
            "free": self.free,
            "inputs": [dataclasses.asdict(item) for item in self.inputs],
            "states": [
                {**dataclasses.asdict(item), "initial": _as_lists(item.initial)}
                for item in self.states
            ],
            "nodes": [_node_to_dict(node) for node in self.nodes],
            "outputs": [
                {"name": out.name, **_read_to_dict(out)} for out in self.outputs
            ],
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
            ConfigError: for another version, unknown or missing keys, or fields of the wrong type.
        """
        data = dict(_mapping(data, "graph"))
        version = data.pop("version", None)
        if version != VERSION:
            raise ConfigError.about(
                "config",
                "graph",
                takes=f"version {VERSION!r}",
                because="other versions may mean other things",
                got=repr(version),
                do="Write it again with this version of the library.",
            )
        data["inputs"] = tuple(
            _build(InputSpec, item, "input") for item in _list(data, "inputs")
        )
        data["states"] = tuple(_state_from_dict(item) for item in _list(data, "states"))
        data["nodes"] = tuple(_node_from_dict(item) for item in _list(data, "nodes"))
        data["outputs"] = tuple(
            _build(OutputSpec, _read_from_dict(item, "output", ["name"]), "output")
            for item in _list(data, "outputs")
        )
        return _build(cls, data, "graph")


def _read_to_dict(read: PortSpec | OutputSpec) -> dict[str, object]:
    return {"read": [str(ref) for ref in read.refs], "merge_mode": read.merge_mode}


def _check_plain(node: NodeSpec) -> None:
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


def _node_to_dict(node: NodeSpec) -> dict[str, object]:
    layer = {"class_name": node.layer.class_name, "config": dict(node.layer.config)}
    ports = {port.name: _read_to_dict(port) for port in node.ports}
    return {
        "name": node.name,
        "layer": layer,
        "ports": ports,
        "outputs": list(node.outputs),
    }


def _state_from_dict(item: object) -> StateSpec:
    state = _build(StateSpec, item, "state")
    return dataclasses.replace(state, initial=as_initial(state.name, state.initial))


def as_python_int(value: object) -> object:
    """An integer of any library as Python's own; anything else is left for the rules to refuse.

    >>> as_python_int(True), as_python_int(2.0), as_python_int(None)
    (True, 2.0, None)
    """
    is_one = hasattr(value, "__index__") and not isinstance(value, bool)
    return operator.index(value) if is_one else value


def as_initial(state: str, value: object) -> Initial:
    """``value`` as plain numbers: one, a row, or rows oldest first, from lists, tuples or arrays; a name as it is.

    Raises:
        StateError: for anything else.
    """
    if isinstance(value, str):
        return value
    value = value.tolist() if hasattr(value, "tolist") else value
    if (
        isinstance(value, list | tuple)
        and value
        and not any(isinstance(item, str) for item in value)
    ):
        items = tuple(as_initial(state, item) for item in value)
        depths = {_depth(item) for item in items}
        if (
            len(depths) == 1
            and depths <= {0, 1}
            and len({len(item) for item in items if _depth(item)}) <= 1
        ):
            return items
    elif (
        isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    ):
        return float(value)
    raise StateError.about(
        "state",
        str(state),
        takes="an initial number, row of numbers, or list of equal rows",
        because="it starts from them",
        got=repr(value),
        do="Say initial=1.0, or initial=[[0.0, 1.0], [2.0, 3.0]] for two steps back.",
    )


def _as_lists(value: Initial) -> object:
    return [_as_lists(item) for item in value] if isinstance(value, tuple) else value


def _depth(value: Initial) -> int:
    return 1 + _depth(value[0]) if isinstance(value, tuple) else 0


def _node_from_dict(item: object) -> NodeSpec:
    item = dict(_mapping(item, "node"))
    item["layer"] = _build(LayerSpec, item.get("layer"), "layer")
    item["layer"] = LayerSpec(
        item["layer"].class_name, copy.deepcopy(_mapping(item["layer"].config, "layer"))
    )
    item["ports"] = tuple(
        _build(PortSpec, {"name": name, **_read_from_dict(read, "port")}, "port")
        for name, read in _mapping(item.get("ports"), "ports").items()
    )
    item["outputs"] = tuple(_list({"outputs": (), **item}, "outputs"))
    for output in item["outputs"]:
        _check_type("node", "outputs", "str", output)
    return _build(NodeSpec, item, "node")


def _read_from_dict(
    item: object, kind: str, keys: Iterable[str] = ()
) -> dict[str, object]:
    item = _mapping(item, kind)
    _check_keys(kind, item, ("read", "merge_mode", *keys))
    return {
        "refs": tuple(parse(text) for text in _list(item, "read")),
        **{key: value for key, value in item.items() if key != "read"},
    }


def _check_keys(kind: str, data: Mapping[str, object], known: Iterable[str]) -> None:
    for key in data:
        if key not in known:
            raise ConfigError.about(
                "config",
                kind,
                takes="known keys only",
                because="an unknown key would be lost",
                got=repr(key),
                do=suggest(str(key), known),
            )


def _mapping(data: object, kind: str) -> Mapping[str, object]:
    if not isinstance(data, Mapping):
        raise ConfigError.about(
            "config",
            kind,
            takes="a mapping of names to values",
            because="fields are named",
            got=repr(data),
            do="Compare with what to_dict() writes.",
        )
    return data


def _list(data: Mapping[str, object], key: str) -> list[object]:
    value = data.get(key)
    if not isinstance(value, list | tuple):
        raise ConfigError.about(
            "config",
            key,
            takes="a list",
            because="declarations have an order",
            got=repr(value),
            do="Compare with what to_dict() writes.",
        )
    return list(value)


def _build(cls: type, data: object, kind: str):
    """``cls(**data)``, after its keys and the types of its fields were checked."""
    data = _mapping(data, kind)
    fields = {item.name: item for item in dataclasses.fields(cls)}
    _check_keys(kind, data, fields)
    for key, item in fields.items():
        required = (
            item.default is dataclasses.MISSING
            and item.default_factory is dataclasses.MISSING
        )
        if key not in data and required:
            raise ConfigError.about(
                "config",
                kind,
                takes=f"the key {key!r}",
                because="it has no default",
                got=repr(sorted(data)),
                do="Compare with what to_dict() writes.",
            )
        if key in data:
            _check_type(kind, key, str(item.type), data[key])
    return cls(**data)


_TYPES = {
    "str": str,
    "int": int,
    "bool": bool,
    "bool | None": bool | None,
    "str | None": str | None,
    "int | None": int | None,
}


def _check_type(kind: str, key: str, annotation: str, value: object) -> None:
    expected = _TYPES.get(annotation)
    wrong_bool = isinstance(value, bool) and annotation in ("int", "int | None")
    if expected and (wrong_bool or not isinstance(value, expected)):
        raise ConfigError.about(
            "config",
            kind,
            takes=f"{key} as {annotation}",
            because="fields are typed",
            got=repr(value),
            do="Compare with what to_dict() writes.",
        )
