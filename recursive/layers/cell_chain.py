"""A chain of cells as one cell: each layer reads the output of the one before.

A Sequential that holds cells has states, so at each step of a loop it reads the states
of the step before and returns the new ones. :class:`CellChain` gives it a port and an
output for each state. A loop uses it wherever it has such a Sequential:

* as a node of a recurrent container, where ports of states that are left open read the
  states of the step before;
* in ``RNN(Sequential([...]))``, which repeats it over time.

With ``Sequential([RecurrentLSTM(4, 6), Dense(5), RecurrentGRU(5, 6)])``::

    port                 output               state
    input                output               layer_2_h, which is the output
    layer_2_prev_hid
    layer_0_prev_hid     layer_0_output       layer_0_h
    layer_0_prev_cell    layer_0_cell         layer_0_c

Source: RecurrentSequential of RecurrentShop (Fariz Rahman, 2016).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytensor.tensor.variable import TensorVariable

from recursive.errors import ConfigError, ShapeError
from recursive.layers.cells import Cell
from recursive.layers.composite import Composite
from recursive.layers.identity import config_of, own_methods
from recursive.layers.layer import Layer
from recursive.loop.call import Call, Value, Values
from recursive.spec.graph import MAIN
from recursive.spec.names import split
from recursive.spec.shapes import Shape


@dataclass(frozen=True)
class ChainState:
    """A state of one layer of a chain.

    Args:
        part: the name of the layer in the chain.
        name: the layer's name for the state.
        port: the layer's port that reads it.
        output: the layer's output that is its next value.
        dim: its dim.
    """

    part: str
    name: str
    port: str
    output: str
    dim: int


class CellChain(Composite):
    """The layer of a chain of cells inside a loop.

    Args:
        chain: a Sequential that holds cells.

    Raises:
        ConfigError: for a layer with several inputs that is no cell, or a chain of a
            user's class with a formula of its own.
    """

    def __init__(self, chain: Layer):
        super().__init__()
        self._chain = chain
        self._check()

    def _check(self) -> None:
        for method in own_methods(type(self._chain)):
            raise ConfigError.about(
                "Sequential",
                "layers",
                takes="the formula of its class if it holds cells",
                got=f"one with {method}",
                do="Move the method into a layer.",
            )
        for name, layer in self.parts.items():
            if not is_cell(layer) and len(layer.ports) > 1:
                raise ConfigError.about(
                    "Sequential",
                    name,
                    takes="a cell, or a layer with one input, next to cells",
                    got=f"a {type(layer).__name__} with {', '.join(layer.ports)}",
                    do="Make each layer a node of a Recurrent.",
                )

    @property
    def children(self) -> dict[str, Layer]:
        """The layers of the chain."""
        return self._chain.children

    @property
    def parts(self) -> dict[str, Layer]:
        """The layers as a loop runs them: a chain inside the chain is one of these."""
        return {name: layer.as_step() for name, layer in self.children.items()}

    # Ports and outputs

    @property
    def states(self) -> tuple[ChainState, ...]:
        """The states of all cells; those of the last layer come first."""
        *others, last = self.parts.items()
        found = []
        for part, layer in (last, *others):
            if is_cell(layer):
                found.extend(_states_of(part, layer))
        return tuple(found)

    @property
    def ends_with_cell(self) -> bool:
        """True if the output of the chain is a state."""
        return is_cell(list(self.parts.values())[-1])

    @property
    def ports(self) -> tuple[str, ...]:
        """The input, then the states of the previous step."""
        return ("input", *(f"{state.part}_{state.port}" for state in self.states))

    @property
    def state_outputs(self) -> tuple[str, ...]:
        """The output that is the next value of each state."""
        names = [f"{state.part}_{state.output}" for state in self.states]
        if self.ends_with_cell:
            names[0] = MAIN
        return tuple(names)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The output of the last layer, then the states."""
        return tuple(dict.fromkeys((MAIN, *self.state_outputs)))

    @property
    def own_past(self) -> Mapping[str, str]:
        """The state of the step before that each port reads if it is left open."""
        return dict(zip(self.ports[1:], self.state_outputs, strict=True))

    @property
    def input_dim(self) -> int | None:
        """The dim that the first layer reads."""
        return next(iter(self.parts.values())).input_dim

    def limit_at(self, port: str) -> int | None:
        """The bound below which integers that the first layer reads must lie."""
        first = next(iter(self.parts.values()))
        return first.limit_at(first.ports[0]) if port == "input" else None

    # One step

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The output and the new states."""
        value = inputs["input"]
        found = {}
        for part, layer in self.parts.items():
            given = {layer.ports[0]: value}
            for state in self._states_of_part(part):
                given[state.port] = inputs[f"{part}_{state.port}"]
            outputs = layer.apply(given, call.inside(part))
            value = next(iter(outputs.values()))
            for name, output in outputs.items():
                found[f"{part}_{name}"] = output
        found[MAIN] = value
        return {name: found[name] for name in self.output_names}

    def _states_of_part(self, part: str) -> list[ChainState]:
        return [state for state in self.states if state.part == part]

    def get_output_shape_for(
        self, input_shape: Mapping[str, Shape]
    ) -> Shape | dict[str, Shape]:
        shapes = {}
        for part, layer, given in self._shapes_along(input_shape):
            outputs = _by_name(layer, layer.get_output_shape_for(given))
            for name, shape in outputs.items():
                shapes[f"{part}_{name}"] = shape
            shapes[MAIN] = next(iter(outputs.values()))
        found = {name: shapes[name] for name in self.output_names}
        return found[MAIN] if len(found) == 1 else found

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        for _, layer, given in self._shapes_along(input_shape):
            layer.ensure_built(given)

    def draw_shape(self, name: str, input_shape: Mapping[str, Shape]) -> Shape:
        wanted, draw = split(name)
        for part, layer, given in self._shapes_along(input_shape):
            if part == wanted:
                return layer.draw_shape(draw, given)
        raise KeyError(name)

    def _shapes_along(
        self, input_shape: Mapping[str, Shape]
    ) -> Iterator[tuple[str, Layer, Shape | dict[str, Shape]]]:
        """Each layer by its name, with the shape that it reads."""
        shape = input_shape["input"]
        for part, layer in self.parts.items():
            _check_dim(part, layer, shape)
            given = shape
            if is_cell(layer):
                given = {"input": shape}
                for state in self._states_of_part(part):
                    given[state.port] = input_shape[f"{part}_{state.port}"]
            # The caller may build the layer before the next shape is asked for.
            yield part, layer, given
            outputs = _by_name(layer, layer.get_output_shape_for(given))
            shape = next(iter(outputs.values()))

    @property
    def rowwise(self) -> bool:
        """True if every layer is rowwise."""
        return all(layer.rowwise for layer in self.parts.values())

    # As a cell that RNN repeats

    @property
    def output_dim(self) -> int:
        """The dim of the output of a chain that ends with a cell."""
        return self.state_dims[0]

    @property
    def state_names(self) -> tuple[str, ...]:
        """The states as ``layer_0_h``; the first is the output."""
        return tuple(f"{state.part}_{state.name}" for state in self.states)

    @property
    def state_dims(self) -> tuple[int, ...]:
        """The dim of each state."""
        return tuple(state.dim for state in self.states)

    @property
    def param_names(self) -> tuple[str, ...]:
        """The parameters as ``layer_0.W``."""
        return tuple(self.named_params)

    inner_names: tuple[str, ...] = ()
    """Empty: RNN applies the chain as a whole."""

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        """The input itself: nothing is computed for all steps before the loop."""
        return [x]

    def forget(
        self, past: Sequence[TensorVariable], valid: TensorVariable
    ) -> list[TensorVariable]:
        """The states that a step of mask mode ``zero`` reads; see ``Cell.forget``."""
        rest = list(past)
        found = []
        *others, last = self.parts.items()
        for part, layer in (last, *others):
            count = len(self._states_of_part(part))
            if count:
                found.extend(layer.forget(rest[:count], valid))
                rest = rest[count:]
        return found

    @classmethod
    def has_known_step(cls) -> bool:
        """False: the step may read any parameter of its layers."""
        return False

    @classmethod
    def computes_by_step(cls) -> bool:
        """False: RNN applies the chain as a whole."""
        return False

    # The settings of the Sequential

    @property
    def trainable(self) -> bool:
        """False if the Sequential is frozen."""
        return self._chain.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._chain.trainable = value

    def get_config(self, verbose: int = 0) -> dict[str, object]:
        """The configuration of the Sequential."""
        return config_of(self._chain)


def is_cell(layer: Layer) -> bool:
    """True for a layer with states that a loop keeps: a cell or a chain of cells."""
    return isinstance(layer, Cell | CellChain)


def _states_of(part: str, cell: Cell | CellChain) -> list[ChainState]:
    """The states of a cell that is called ``part``."""
    outputs = cell.output_names
    if isinstance(cell, CellChain):
        outputs = cell.state_outputs
    found = []
    for name, port, output, dim in zip(
        cell.state_names, cell.ports[1:], outputs, cell.state_dims, strict=True
    ):
        found.append(ChainState(part, name, port, output, dim))
    return found


def _check_dim(part: str, layer: Layer, shape: Shape) -> None:
    """Raise a ShapeError if ``layer`` was created for another dim than it reads."""
    dim = shape[-1] if shape else None
    if None not in (layer.input_dim, dim) and layer.input_dim != dim:
        raise ShapeError.about(
            "layer",
            part,
            takes=f"dim {layer.input_dim}",
            because=f"its {type(layer).__name__} was created for it",
            got=str(dim),
            do="Correct its input_dim, or leave it out to have it inferred.",
        )


def _by_name(layer: Layer, shapes: Shape | Mapping[str, Shape]) -> dict[str, Shape]:
    """The shapes of a layer's outputs by name."""
    if isinstance(shapes, Mapping):
        return {name: shapes[name] for name in layer.output_names}
    return {layer.output_names[0]: shapes}
