"""Bidirectional: a recurrent layer that runs over a sequence in both directions."""

from __future__ import annotations

import copy

from recursive.backend import Argument
from recursive.errors import ConfigError, MergeError, suggest
from recursive.layers.checks import check_started
from recursive.layers.composite import Composite, layers_of
from recursive.layers.layer import Layer
from recursive.layers.noise import seeds_of
from recursive.loop.call import Call, Value, Values, joined_with
from recursive.loop.merges import merge
from recursive.spec.merging import MODES
from recursive.spec.names import split
from recursive.spec.shapes import Shape

MERGE_MODES = tuple(
    name for name, mode in MODES.items() if mode.is_elementwise or mode.joins_last_axis
)
"""The modes that can merge both directions: those that keep the values of a step."""
DIRECTIONS = ("forward", "backward")
"""The names of the outputs if they are not merged."""


class Bidirectional(Composite):
    """A recurrent layer, next to a second one that runs in the other direction.

    It maps ``(batch, time, dim)`` to ``(batch, time, 2 * dim)``, with the steps in the
    order of the input. If the layer returns its last step, the output is ``(batch, 2 *
    dim)``: the last step of each direction.

    Args:
        layer: a recurrent layer, or a completely declared Recursive or Recurrent, with
            one input and one output.
        merge_mode: concat, sum, mul, ave or max. None returns both as a dict of
            ``forward`` and ``backward``, which a graph reads by name
            (``node.backward``).
        backward_layer: the layer for the other direction. None makes a deep copy: it
            starts with the same weights and learns its own. If the layer has a
            ``seed``, the random draws of the copy use the next one.

    Raises:
        ConfigError: for a layer that cannot run backwards, several inputs or outputs,
            or two layers that run in one direction or return different steps.
        MergeError: for an unknown merge mode.

    Source: Schuster and Paliwal, 1997; named after the wrapper of Keras 1.

    >>> from recursive.layers.recurrent import LSTM
    >>> both = Bidirectional(LSTM(4, 6, return_sequences=True))
    >>> both.get_output_shape_for((None, 5, 4))
    (None, 5, 12)
    >>> list(both.named_params)[:2], list(both.named_params)[12:14]
    (['layer.W_i', 'layer.U_i'], ['backward_layer.W_i', 'backward_layer.U_i'])
    """

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        backward_layer: Layer | None = None,
        name: str | None = None,
    ):
        super().__init__(name)
        _check_merge_mode(merge_mode)
        _check_runs_both_ways(layer)
        if backward_layer is None:
            backward_layer = _reversed_copy(layer)
        _check_runs_both_ways(backward_layer)
        _check_directions(layer, backward_layer)
        self.layer = layer
        self.merge_mode = merge_mode
        self.backward_layer = backward_layer

    @property
    def children(self) -> dict[str, Layer]:
        """The layers of both directions."""
        return {"layer": self.layer, "backward_layer": self.backward_layer}

    @property
    def revision(self) -> tuple:
        """A value that changes with a direction, and with ``merge_mode``."""
        return (self.merge_mode, *super().revision)

    @property
    def input_ndim(self) -> int | None:
        """The number of axes of the input."""
        return self.layer.input_ndim

    @property
    def input_dim(self) -> int | None:
        """The dim of the input."""
        return self.layer.input_dim

    @property
    def rowwise(self) -> bool:
        """True if both directions are."""
        return self.layer.rowwise and self.backward_layer.rowwise

    @property
    def output_names(self) -> tuple[str, ...]:
        """One output, or both directions if they are not merged."""
        return ("output",) if self.merge_mode else DIRECTIONS

    def arguments(self) -> list[Argument]:
        """The arguments of the layer, which both directions read."""
        return self.layer.arguments()

    def build(self, input_shape: Shape) -> None:
        for part in self.children.values():
            part.ensure_built(input_shape)

    def complete(self) -> None:
        for part in self.children.values():
            part.complete()

    def get_output_shape_for(self, input_shape: Shape) -> Shape | dict[str, Shape]:
        shape = self.layer.get_output_shape_for(input_shape)
        if self.merge_mode is None:
            return dict.fromkeys(DIRECTIONS, shape)
        return MODES[self.merge_mode].merged_shape([shape, shape])

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """Both directions in the order of the input's steps, merged or by name."""
        self.check_draws(call.draws, {})
        directions = []
        for name, layer in self.children.items():
            # The two layers may have different names for their one port.
            pairs = dict(zip(layer.ports, inputs.values(), strict=True))
            [value] = layer.apply(pairs, call.inside(name)).values()
            directions.append(_in_input_order(layer, value))
        if self.merge_mode is None:
            return dict(zip(DIRECTIONS, directions, strict=True))
        merged = merge([value.tensor for value in directions], self.merge_mode)
        return {"output": joined_with(merged, directions)}

    def supports_masked_input(self) -> bool:
        """True if the layer does."""
        return self.layer.supports_masked_input()

    def draw_shape(self, name: str, input_shape: Shape) -> Shape:
        part, inner = split(name)
        return self.children[part].draw_shape(inner, input_shape)


def _reversed_copy(layer: Layer) -> Layer:
    """A copy that runs in the other direction and makes other random draws."""
    turned = copy.deepcopy(layer)
    turned.go_backwards = not layer.go_backwards
    # A deep copy shares no weights but has the same seeds, so it would draw the same.
    for part in layers_of(turned):
        if hasattr(part, "seeds"):
            if part.seed is not None:
                part.seed += 1
            part.seeds = seeds_of(part.seed)
    return turned


def _in_input_order(layer: Layer, value: Value) -> Value:
    """The output of ``layer``, with its steps in the order of the input."""
    if not (layer.go_backwards and layer.return_sequences):
        return Value(value.tensor, value.mask)
    mask = None if value.mask is None else value.mask[:, ::-1]
    return Value(value.tensor[:, ::-1], mask)


def _check_merge_mode(mode: object) -> None:
    """Raise a MergeError unless ``mode`` can merge two directions, or is None."""
    if mode is not None and mode not in MERGE_MODES:
        raise MergeError.about(
            "layer",
            "Bidirectional",
            takes=f"a merge_mode of {', '.join(MERGE_MODES)} or None",
            got=repr(mode),
            do=suggest(str(mode), MERGE_MODES),
        )


def _check_directions(one: Layer, other: Layer) -> None:
    """Raise a ConfigError unless one layer runs backwards over the other's steps."""
    if (
        one.go_backwards == other.go_backwards
        or one.return_sequences != other.return_sequences
    ):
        raise ConfigError.about(
            "layer",
            "Bidirectional",
            takes="two layers that return the same steps, "
            "one with go_backwards=True and one without",
            got=f"go_backwards={one.go_backwards} and {other.go_backwards}, "
            f"return_sequences={one.return_sequences} and {other.return_sequences}",
            do="Leave backward_layer out to use a copy.",
        )


def _check_runs_both_ways(layer: object) -> None:
    """Raise a ConfigError unless ``layer`` can be run in both directions."""
    if not isinstance(layer, Layer) or not hasattr(layer, "go_backwards"):
        raise ConfigError.about(
            "layer",
            "Bidirectional",
            takes="a recurrent layer, a Recursive or a Recurrent",
            because="it runs backwards too",
            got=type(layer).__name__,
            do="Use Bidirectional(LSTM(4, 6)), for example.",
        )
    check_started(layer)
    inputs = [argument.name for argument in layer.arguments()]
    outputs = layer.output_names
    if len(inputs) != 1 or len(outputs) != 1:
        raise ConfigError.about(
            "layer",
            "Bidirectional",
            takes="a layer with one input and one output",
            got=f"inputs {', '.join(inputs) or 'none'}, "
            f"outputs {', '.join(outputs) or 'none'}",
            do="Declare the container completely before you wrap it. For several "
            "inputs, put two containers into a Graph, one with go_backwards=True.",
        )
