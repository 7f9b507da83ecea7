"""A recurrent layer run in both directions."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from pytensor.tensor.variable import TensorVariable

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
"""The modes that can merge both directions. Each keeps the values of a step."""
DIRECTIONS = ("forward", "backward")
"""The outputs where they are not merged."""


class Bidirectional(Composite):
    """A recurrent layer, and one like it that runs through the steps the other way, side by side.

    ``(batch, time, dim)`` to ``(batch, time, 2 * dim)``, or, where the layer returns its last step, ``(batch, 2 *
    dim)``: each direction's own last step. Steps are returned in the order of the input.

    Args:
        layer: a recurrent layer, or a Recursive or Recurrent that was declared whole, with one input and one output.
        merge_mode: concat, sum, mul, ave or max; None returns both, as a dict of ``forward`` and ``backward``, since
            a graph reads outputs by name (``node.backward``).
        backward_layer: the layer for the other direction. None is a deep copy, which starts with the same weights,
            and then has its own; where the layer has a ``seed``, the random draws of the copy have the next one.

    Raises:
        ConfigError: for a layer that cannot run backwards, several inputs or outputs, or two layers that run in one
            direction or return different steps.
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
        if merge_mode is not None and merge_mode not in MERGE_MODES:
            raise MergeError.about(
                "layer",
                "Bidirectional",
                takes=f"a merge_mode of {', '.join(MERGE_MODES)} or None",
                because="it merges two outputs",
                got=repr(merge_mode),
                do=suggest(str(merge_mode), MERGE_MODES),
            )
        _check_runs_both_ways(layer)
        if backward_layer is None:
            backward_layer = _turned(layer)
        _check_runs_both_ways(backward_layer)
        if (
            layer.go_backwards == backward_layer.go_backwards
            or layer.return_sequences != backward_layer.return_sequences
        ):
            raise ConfigError.about(
                "layer",
                "Bidirectional",
                takes="two layers that return the same steps, one with "
                "go_backwards=True",
                because="they run in two directions",
                got=f"go_backwards={layer.go_backwards} and {backward_layer.go_backwards}, "
                f"return_sequences={layer.return_sequences} and {backward_layer.return_sequences}",
                do="Leave backward_layer out, and it will be a copy.",
            )
        self.layer, self.merge_mode, self.backward_layer = (
            layer,
            merge_mode,
            backward_layer,
        )

    @property
    def children(self) -> dict[str, Layer]:
        """The layers of both directions."""
        return {"layer": self.layer, "backward_layer": self.backward_layer}

    @property
    def revision(self) -> tuple:
        """Another one whenever a direction changes, or how they are merged."""
        return (self.merge_mode, *super().revision)

    @property
    def input_ndim(self) -> int | None:
        """The number of axes that both directions take."""
        return self.layer.input_ndim

    @property
    def input_dim(self) -> int | None:
        """The size of the last axis that both directions take."""
        return self.layer.input_dim

    @property
    def rowwise(self) -> bool:
        """Whether both directions are."""
        return self.layer.rowwise and self.backward_layer.rowwise

    @property
    def output_names(self) -> tuple[str, ...]:
        """Both directions where they are not merged."""
        return ("output",) if self.merge_mode else DIRECTIONS

    def arguments(self) -> list[Argument]:
        """What both directions are given."""
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
        """Both directions of the same input, in the order of its steps, merged or by name."""
        self.check_draws(call.draws, {})
        directions = []
        for name, layer in self.children.items():
            pairs = dict(zip(layer.ports, inputs.values(), strict=True))
            [value] = layer.apply(pairs, call.inside(name)).values()
            tensor = _in_order(layer, value.tensor)
            mask = None if value.mask is None else _in_order(layer, value.mask)
            directions.append(Value(tensor, mask))
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


def _turned(layer: Layer) -> Layer:
    """A copy that runs the other way, and makes other random draws."""
    turned = copy.deepcopy(layer)
    turned.go_backwards = not layer.go_backwards
    for part in _that_draw(turned):
        part.seed = None if part.seed is None else part.seed + 1
        part.seeds = seeds_of(part.seed)
    return turned


def _that_draw(layer: Layer) -> Iterator[Layer]:
    return (part for part in layers_of(layer) if hasattr(part, "seeds"))


def _in_order(layer: Layer, steps: TensorVariable) -> TensorVariable:
    """What ``layer`` returns for steps, in the order of its input."""
    return steps[:, ::-1] if layer.go_backwards and layer.return_sequences else steps


def _check_runs_both_ways(layer: object) -> None:
    """Raise a ConfigError unless a layer can run backwards, and has one input and one output."""
    if not isinstance(layer, Layer) or not hasattr(layer, "go_backwards"):
        raise ConfigError.about(
            "layer",
            "Bidirectional",
            takes="a recurrent layer, a Recursive or a Recurrent",
            because="it runs backwards too",
            got=type(layer).__name__,
            do="Say Bidirectional(LSTM(4, 6)), for example.",
        )
    check_started(layer)
    inputs, outputs = (
        [argument.name for argument in layer.arguments()],
        layer.output_names,
    )
    if len(inputs) != 1 or len(outputs) != 1:
        raise ConfigError.about(
            "layer",
            "Bidirectional",
            takes="a layer with one input and one output",
            because="it is a function of one tensor",
            got=f"inputs {', '.join(inputs) or 'none'}, outputs {', '.join(outputs) or 'none'}",
            do="Declare the container whole before it is wrapped; for several inputs, put two "
            "containers into a Graph, one with go_backwards=True.",
        )
