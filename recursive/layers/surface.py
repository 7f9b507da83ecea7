"""What containers of 2015 showed as attributes: their inputs, outputs and declarations, by name and in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytensor.tensor.variable import TensorVariable

from recursive.layers import chain
from recursive.layers.chain import Tensors
from recursive.loop.call import Values
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
