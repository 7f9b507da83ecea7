"""The attributes of containers of 2015, such as ``input_order`` and ``node_config``.

They are read-only views of the declaration, ``container.spec``, for code that was
written for Keras 0.1's ``Graph`` and the ``Recursive`` of the proposal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pytensor.tensor.variable import TensorVariable

from recursive.layers import chain
from recursive.layers.chain import Tensors
from recursive.loop.call import Value, Values
from recursive.spec.graph import GraphSpec, NodeSpec, OutputSpec, PortSpec
from recursive.spec.history import with_implicit_states


@dataclass(frozen=True)
class Place:
    """An input or output of a graph: ``graph.inputs['x']``, ``graph.outputs['y']``.

    Args:
        values: returns the values at this place, given ``train``.
        source: returns the symbolic input that they are computed from.
    """

    values: Callable[[bool], Values]
    source: Callable[[], Tensors]

    @property
    def input(self) -> Tensors:
        """The symbolic input of the graph."""
        return self.source()

    def linked_values(self, train: bool) -> Values:
        """The values by name, with their masks."""
        return self.values(train)

    def get_output(self, train: bool = False) -> Tensors:
        """The value as a tensor, or several by name."""
        return chain.tensors_of(self.values(train))

    def get_output_mask(self, train: bool = False) -> TensorVariable | None:
        """The mask of the first value; None if all of its steps are valid."""
        return next(iter(self.values(train).values())).mask


class DeclaredAsIn2015:
    """The attributes of a container of 2015 that show what was declared."""

    spec: GraphSpec

    @property
    def input_order(self) -> list[str]:
        """The names of the inputs, as declared."""
        return _names(self.spec.inputs)

    @property
    def output_order(self) -> list[str]:
        """The names of the outputs, as declared."""
        return _names(self.spec.outputs)

    @property
    def namespace(self) -> set[str]:
        """All declared names."""
        return set(self.spec.names)

    @property
    def inputs(self) -> dict[str, Place]:
        """The inputs by name: ``inputs[name].input`` is the symbolic input."""
        return {name: self._input_place(name) for name in self.input_order}

    def _input_place(self, name: str) -> Place:
        def source() -> TensorVariable:
            return chain.by_name(self.ports, self.input)[name]

        return Place(lambda train: {name: Value(source())}, source)

    @property
    def outputs(self) -> dict[str, Place]:
        """The outputs by name: ``outputs[name].get_output(train)`` is the value."""
        return {name: self._output_place(name) for name in self.output_order}

    def _output_place(self, name: str) -> Place:
        def values(train: bool) -> Values:
            return {name: chain.linked_outputs(self, train)[name]}

        return Place(values, lambda: self.input)

    @property
    def state_order(self) -> list[str]:
        """The names of the states, as declared."""
        return _names(self.spec.states)

    @property
    def state_map(self) -> dict[str, str]:
        """The name of the node that feeds each state."""
        return {state.name: state.input for state in with_implicit_states(self.spec)}

    @property
    def state_config(self) -> list[dict[str, object]]:
        """The arguments of each ``add_state``."""
        return [{"name": item.name, "dim": item.dim} for item in self.spec.states]

    @property
    def input_config(self) -> list[dict[str, object]]:
        """The arguments of each ``add_input``."""
        found = []
        for item in self.spec.inputs:
            found.append({"name": item.name, "ndim": item.ndim, "dtype": item.dtype})
        return found

    @property
    def node_config(self) -> list[dict[str, object]]:
        """The arguments of each ``add_node`` except the layer."""
        spec = self.spec
        # Outputs that add_output declared may merge several values.
        shown = [
            str(output.refs[0]) for output in spec.outputs if len(output.refs) == 1
        ]
        fed = {state.input: state.name for state in spec.states}
        found = []
        for node in spec.nodes:
            config = {"name": node.name, **_reads(node)}
            config["create_output"] = node.name in shown
            if spec.loop:
                config["return_state"] = fed.get(node.name)
            found.append(config)
        return found

    @property
    def output_config(self) -> list[dict[str, object]]:
        """The arguments of each ``add_output``."""
        return [{"name": output.name, **_read(output)} for output in self.spec.outputs]


def _names(items: Iterable[object]) -> list[str]:
    return [item.name for item in items]


def _reads(node: NodeSpec) -> dict[str, object]:
    """The arguments ``input``, ``inputs`` and ``merge_mode`` of a node."""
    if node.has_one_port:
        return _read(node.ports[0])
    ports = {port.name: list(map(str, port.refs)) for port in node.ports}
    return {"input": ports, "inputs": [], "merge_mode": "concat"}


def _read(item: OutputSpec | PortSpec) -> dict[str, object]:
    """The arguments ``input``, ``inputs`` and ``merge_mode`` of a port or an output."""
    names = list(map(str, item.refs))
    config = {"input": None, "inputs": names, "merge_mode": item.merge_mode}
    if len(names) == 1:
        config |= {"input": names[0], "inputs": []}
    return config
