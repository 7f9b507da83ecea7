"""A Sequential, which may hold cells: then it has their states.

In a loop, such a chain reads the states of the step before and returns the new ones,
those of the last layer first, then those of the others in their order. The state ``h``
of ``layer_0`` is read at the port ``layer_0_prev_hid``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from recursive.reference.arrays import (
    Array,
    LayerGradients,
    LayerInput,
    LayerResult,
    Scope,
    add,
    listed,
    one_or_all,
    with_masks,
    zeros_like,
)
from recursive.reference.cells import CELLS, PORTS, Cell, Found, States
from recursive.reference.composed import Parts, chained, gradients_of_parts
from recursive.reference.table import USE, Config, layer


@dataclass(frozen=True)
class ChainState:
    """A state of one layer of a chain.

    Args:
        part: the name of the layer.
        name: the layer's name for the state.
        port: the port of the layer that reads it.
        dim: its dim.
        is_forgotten: True if a masked step sets it to zero, in mask mode ``zero``.
    """

    part: str
    name: str
    port: str
    dim: int
    is_forgotten: bool

    @property
    def full_name(self) -> str:
        """The name of the state in the chain."""
        return f"{self.part}_{self.name}"

    @property
    def full_port(self) -> str:
        """The port of the chain that reads it."""
        return f"{self.part}_{self.port}"


def states_of(part: str, config: Config) -> list[ChainState]:
    """The states of a layer that is called ``part``; none if it is no cell."""
    found = []
    if config["name"] == "Sequential":
        for state in states_of_chain(config):
            name, port = state.full_name, state.full_port
            found.append(ChainState(part, name, port, state.dim, state.is_forgotten))
        return found
    cell = CELLS.get(str(config["name"]))
    if cell is None:
        return []
    config = {**cell.defaults, **config}
    for name in cell.state_names(config):
        port = PORTS.get(name, f"prev_{name}")
        dim = cell.state_dim(name, config)
        found.append(ChainState(part, name, port, dim, cell.is_forgotten(name)))
    return found


def states_of_chain(config: Config) -> list[ChainState]:
    """The states of a chain: those of the last layer, then those of the others."""
    *others, last = _parts(config)
    found = []
    for part, layer_config in (last, *others):
        found += states_of(part, layer_config)
    return found


def _parts(config: Config) -> Iterator[tuple[str, Config]]:
    """The layers of a chain by name."""
    for index, part in enumerate(config["layers"]):
        yield f"layer_{index}", part


@layer("Sequential", mask=USE)
def sequential(config, x, scope):
    """``y = f_n(... f_1(f_0(x)))``."""
    states = states_of_chain(config)
    if states:
        return _with_states(config, states, x, scope)
    return chained(dict(_parts(config)), x, scope)


def _with_states(
    config: Config, states: list[ChainState], x: Mapping, scope: Scope
) -> LayerResult:
    """One step of a chain of cells: the output, then the new states."""
    parts = Parts(scope)
    value: LayerInput = x["input"]
    new = {}
    for part, layer_config in _parts(config):
        own = [state for state in states if state.part == part]
        given = value
        if own:
            given = {"input": value}
            for state in own:
                given[state.port] = x[state.full_port]
        result = parts.run(part, layer_config, given)
        outputs = listed(result.output)
        value = outputs[0]
        # A nested chain that does not end with a cell returns its output besides.
        for state, output in zip(own, outputs[len(outputs) - len(own) :], strict=True):
            new[state.full_name] = output.array
    found = {"output": value.array}
    for state in states:
        found[state.full_name] = new[state.full_name]
    if states_of(*list(_parts(config))[-1]):
        # The output is the first state: it has one name.
        del found[states[0].full_name]

    def back(d):
        return _back(config, states, parts, d)

    return LayerResult(found, back)


def _back(
    config: Config, states: list[ChainState], parts: Parts, d: Mapping[str, Array]
) -> LayerGradients:
    """The gradients of the input, of the states at their ports and of parameters."""
    found = {}
    d_x: dict[str, Array] = {}
    d_value = d["output"]
    for part, _ in reversed(list(_parts(config))):
        own = [state for state in states if state.part == part]
        result = parts.results[part]
        if not own:
            found[part] = result.back(d_value)
            d_value = found[part].x
            continue
        value = result.value
        outputs = value if isinstance(value, Mapping) else {"output": value}
        # A cell takes the gradients of its outputs in their order.
        d_outputs = zeros_like(outputs)
        names = list(outputs)
        for state, name in zip(own, names[len(names) - len(own) :], strict=True):
            add(d_outputs, name, d.get(state.full_name))
        add(d_outputs, names[0], d_value)
        found[part] = result.back(one_or_all(d_outputs))
        d_ports = found[part].x
        for state in own:
            d_x[state.full_port] = d_ports[state.port]
        d_value = d_ports["input"]
    d_x["input"] = d_value
    return gradients_of_parts(d_x, found)


class ChainCell(Cell):
    """A chain that ends with a cell, as the cell that an RNN repeats."""

    def __init__(self, config: Config):
        super().__init__(step_of_chain, config)
        object.__setattr__(self, "chain", states_of_chain(config))

    def state_names(self, config: Config) -> tuple[str, ...]:
        """The states as ``layer_0_h``; the first is the output."""
        return tuple(state.full_name for state in self.chain)

    def state_dim(self, state: str, config: Config) -> int:
        """The dim of a state."""
        return self._state(state).dim

    def is_forgotten(self, state: str) -> bool:
        """True for a state that a masked step sets to zero, in mask mode ``zero``."""
        return self._state(state).is_forgotten

    def _state(self, name: str) -> ChainState:
        [state] = (state for state in self.chain if state.full_name == name)
        return state


def step_of_chain(p, config: Config, x: Array, states: States):
    """One step of a chain: its states, the first of which is the output."""
    chain = states_of_chain(config)
    given = {"input": x}
    for state, value in zip(chain, states, strict=True):
        given[state.full_port] = value
    result = sequential(config, with_masks(given), Scope(p, dtype=x.dtype))

    def back(*d_states: Array) -> Found:
        d = dict(zip(result.value, d_states, strict=True))
        gradients = result.back(d)
        found = {"x": gradients.x["input"], **gradients.params}
        for state in chain:
            found[state.full_name] = gradients.x[state.full_port]
        return found

    return tuple(result.value.values()), back
