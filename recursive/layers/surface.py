"""What containers of 2015 showed as attributes: their inputs, outputs and declarations, by name and in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytensor.tensor.variable import TensorVariable

from recursive.layers import chain
from recursive.layers.chain import Tensors
from recursive.loop.call import Value, Values
from recursive.spec.graph import GraphSpec, NodeSpec, OutputSpec
from recursive.spec.history import with_implicit_states


@dataclass(frozen=True)
class Place:
    """A place in a graph that can be asked for its value, as ``graph.inputs['x']`` and ``graph.outputs['y']`` were.

    Args:
        values: what stands there, given whether the network is training.
        source: the symbolic input that it is computed from.
    """

    values: Callable[[bool], Values]
    source: Callable[[], Tensors]

    @property
    def input(self) -> Tensors:
        """The symbolic input at the start."""
        return self.source()

    def linked_values(self, train: bool) -> Values:
        """The values by name, with their masks."""
        return self.values(train)

    def get_output(self, train: bool = False) -> Tensors:
        """The value as a tensor; several by name."""
        return chain.tensors_of(self.values(train))

    def get_output_mask(self, train: bool = False) -> TensorVariable | None:
        """The mask of the first value; None where all of it is data."""
        return next(iter(self.values(train).values())).mask


class DeclaredAsIn2015:
    """The attributes by which containers of 2015 showed what was declared, read off the declaration."""

    spec: GraphSpec

    @property
    def input_order(self) -> list[str]:
        """The names of the inputs, as declared."""
        return [item.name for item in self.spec.inputs]

    @property
    def output_order(self) -> list[str]:
        """The names of the outputs, as declared."""
        return [output.name for output in self.spec.outputs]

    @property
    def namespace(self) -> set[str]:
        """Every name that is declared."""
        return set(self.spec.names)

    @property
    def inputs(self) -> dict[str, Place]:
        """A place for each input, whose ``input`` is the symbolic one."""
        return {name: self._input_place(name) for name in self.input_order}

    def _input_place(self, name: str) -> Place:
        def source() -> TensorVariable:
            return chain.by_name(self.ports, self.input)[name]

        return Place(lambda train: {name: Value(source())}, source)

    @property
    def outputs(self) -> dict[str, Place]:
        """A place for each output, whose ``get_output(train)`` is its value."""
        return {name: self._output_place(name) for name in self.output_order}

    def _output_place(self, name: str) -> Place:
        def values(train: bool) -> Values:
            return {name: chain.linked_outputs(self, train)[name]}

        return Place(values, lambda: self.input)

    @property
    def state_order(self) -> list[str]:
        """The names of the states, as declared."""
        return [state.name for state in self.spec.states]

    @property
    def state_map(self) -> dict[str, str]:
        """The node that feeds each state."""
        return state_map(self.spec)

    @property
    def state_config(self) -> list[dict[str, object]]:
        """The arguments of each ``add_state``."""
        return state_config(self.spec)

    @property
    def input_config(self) -> list[dict[str, object]]:
        """The arguments of each ``add_input``."""
        return input_config(self.spec)

    @property
    def node_config(self) -> list[dict[str, object]]:
        """The arguments of each ``add_node`` but the layer."""
        return node_config(self.spec)

    @property
    def output_config(self) -> list[dict[str, object]]:
        """The arguments of each ``add_output``."""
        return output_config(self.spec)


def input_config(spec: GraphSpec) -> list[dict[str, object]]:
    """The arguments of each ``add_input``."""
    return [
        {"name": item.name, "ndim": item.ndim, "dtype": item.dtype}
        for item in spec.inputs
    ]


def state_config(spec: GraphSpec) -> list[dict[str, object]]:
    """The arguments of each ``add_state``."""
    return [{"name": item.name, "dim": item.dim} for item in spec.states]


def node_config(spec: GraphSpec) -> list[dict[str, object]]:
    """The arguments of each ``add_node`` but the layer."""
    shown = {str(output.refs[0]) for output in spec.outputs if len(output.refs) == 1}
    fed = {state.input: state.name for state in spec.states}
    found = []
    for node in spec.nodes:
        config = {"name": node.name, **_reads(node)}
        config["create_output"] = node.name in shown
        if spec.loop:
            config["return_state"] = fed.get(node.name)
        found.append(config)
    return found


def output_config(spec: GraphSpec) -> list[dict[str, object]]:
    """The arguments of each ``add_output``."""
    return [{"name": output.name, **_read(output)} for output in spec.outputs]


def state_map(spec: GraphSpec) -> dict[str, str]:
    """The node that feeds each state."""
    return {state.name: state.input for state in with_implicit_states(spec)}


def _reads(node: NodeSpec) -> dict[str, object]:
    if node.has_one_port:
        return _read(node.ports[0])
    ports = {port.name: list(map(str, port.refs)) for port in node.ports}
    return {"input": ports, "inputs": [], "merge_mode": "concat"}


def _read(item: OutputSpec) -> dict[str, object]:
    names = list(map(str, item.refs))
    if len(names) == 1:
        return {"input": names[0], "inputs": [], "merge_mode": item.merge_mode}
    return {"input": None, "inputs": names, "merge_mode": item.merge_mode}
