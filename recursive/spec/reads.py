"""The inputs of a node or an output, in every form that a user may write.

- ``input='x'``: one name.
- ``input=['x', 'h']``: several names, merged as ``merge_mode=`` says.
- ``input=merge_sum(['x', 'h'])``: several names with their merge.
- ``input={'prev_hid': 'h_tm1', 'input': 'x'}``: by the layer's ports (fchollet, keras
  issue 620, 2015).
- ``inputs=[...]``: the older keyword for a list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recursive.errors import NodeError, suggest
from recursive.spec.graph import PortSpec, value_name
from recursive.spec.merging import DEFAULT, JOIN
from recursive.spec.names import Ref, parse


@dataclass(frozen=True, slots=True)
class Merged:
    """Several names, and the mode that merges their values into one."""

    names: tuple[str, ...]
    merge_mode: str


def merge_concat(names: Sequence[str]) -> Merged:
    """Read the concatenation of ``names`` along the last axis."""
    return Merged(_several(names), "concat")


def merge_sum(names: Sequence[str]) -> Merged:
    """Read the sum of ``names``.

    >>> merge_sum(["i2h", "h2h"])
    Merged(names=('i2h', 'h2h'), merge_mode='sum')
    """
    return Merged(_several(names), "sum")


def merge_mul(names: Sequence[str]) -> Merged:
    """Read the product of ``names``, element by element."""
    return Merged(_several(names), "mul")


def merge_ave(names: Sequence[str]) -> Merged:
    """Read the mean of ``names``."""
    return Merged(_several(names), "ave")


def merge_max(names: Sequence[str]) -> Merged:
    """Read the maximum of ``names``, element by element."""
    return Merged(_several(names), "max")


def merge_dot(names: Sequence[str]) -> Merged:
    """Read the inner product of two ``names``, row by row: ``(batch, 1)``."""
    return Merged(_several(names), "dot")


def one_read(
    name: str, input: object, connection_map: Mapping[str, str] | None
) -> object:
    """The argument ``input=``, or ``connection_map=``, its older form for a dict."""
    if connection_map is None:
        return input
    if input is not None or not isinstance(connection_map, Mapping):
        raise NodeError.about(
            "node",
            str(name),
            takes="input, or a dict as connection_map",
            got=f"input={input!r} and connection_map={connection_map!r}",
            do="Say input={'port': 'name'}.",
        )
    return connection_map


def read_refs(
    name: str, input: object, inputs: object, merge_mode: str
) -> tuple[tuple[Ref, ...], str]:
    """The references and the merge mode of ``input=`` or ``inputs=``.

    Raises:
        NodeError: if both are given.
    """
    if input is not None and inputs:
        raise NodeError.about(
            "node",
            str(name),
            takes="input or inputs",
            got=f"input={input!r} and inputs={inputs!r}",
            do="Leave one of them out.",
        )
    return _refs(inputs if input is None else input, merge_mode)


def read_ports(
    name: str,
    layer: str,
    ports: Sequence[str],
    own_past: Mapping[str, str],
    input: object,
    inputs: object,
    merge_mode: str,
    optional: Sequence[str] = (),
) -> tuple[PortSpec, ...]:
    """The references that each port of a layer reads.

    Args:
        name: the node's name.
        layer: the layer's class name.
        ports: the layer's ports. A name or list without a port goes to the first one.
        own_past: for ports that may be left out, the output of the node itself that
            they then read at the step before.
        input: the user's argument ``input=``.
        inputs: the user's argument ``inputs=``.
        merge_mode: the mode that merges lists.
        optional: the other ports that may be left out; they read nothing then.

    Raises:
        NodeError: for an unknown port, a port that reads nothing, a dict for a layer
            with one input, or a container without inputs.
    """
    if not ports:
        raise NodeError.about(
            "node",
            str(name),
            takes="a layer with inputs",
            got=f"a {layer} without any",
            do="Call its add_input, or run it outside of a container.",
        )
    if isinstance(input, Mapping) and not inputs:
        # The dict is by port already, so a list at a port cannot be passed by name.
        mode = DEFAULT if merge_mode == JOIN.name else merge_mode
        given = {port: _refs(read, mode) for port, read in input.items()}
    else:
        refs, mode = read_refs(name, input, inputs, merge_mode)
        if mode == JOIN.name and len(ports) > 1:
            given = {str(ref): ((ref,), DEFAULT) for ref in refs}
        else:
            # Optional ports are named by a dict alone.
            required = [port for port in ports if port not in optional]
            given = {(required or ports)[0]: (refs, mode)}
    for port, output in own_past.items():
        given.setdefault(port, ((Ref(value_name(name, output), -1),), DEFAULT))
    connected = [port for port in ports if port in given or port not in optional]
    _check_ports(name, layer, ports, connected, input, given)
    return tuple(PortSpec(port, *given[port]) for port in connected)


def _several(names: object) -> tuple[object, ...]:
    """``names`` as a tuple; a string means one name."""
    return tuple(names) if isinstance(names, list | tuple) else (names,)


def _refs(read: object, merge_mode: str) -> tuple[tuple[Ref, ...], str]:
    """The references and the merge mode of one name, a list or a ``Merged``."""
    if isinstance(read, Merged):
        read, merge_mode = read.names, read.merge_mode
    return tuple(map(parse, _several(read))), merge_mode


def _check_ports(
    name: str,
    layer: str,
    ports: Sequence[str],
    required: Sequence[str],
    input: object,
    given: Mapping[str, object],
) -> None:
    """Raise a NodeError unless every required port of a layer is ``given``."""
    if isinstance(input, Mapping) and tuple(ports) == ("input",):
        raise NodeError.about(
            "node",
            str(name),
            takes="a name, or a list of names",
            because=f"its {layer} has one input",
            got=repr(input),
            do="Say input='name'.",
        )
    for port in given:
        if port not in ports:
            raise NodeError.about(
                "node",
                str(name),
                takes=f"the ports of its {layer}: {', '.join(ports)}",
                got=repr(port),
                do=suggest(str(port), ports),
            )
    for port in required:
        if port not in given:
            raise NodeError.about(
                "node",
                str(name),
                takes=f"an input at each port of its {layer}: {', '.join(required)}",
                got=f"nothing at {port!r}",
                do=f"Say input={{..., {port!r}: 'name'}}.",
            )
