"""Merge: several branches side by side, whose outputs become one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pytensor.tensor.variable import TensorVariable

from recursive.backend import Argument
from recursive.errors import ConfigError, MergeError, ShapeError, suggest
from recursive.layers.chain import one_or_all
from recursive.layers.checks import check_started
from recursive.layers.composite import Composite
from recursive.layers.layer import Layer
from recursive.loop.call import Call, Value, Values, joined_with
from recursive.loop.merges import MERGES, merge
from recursive.spec.merging import MODES
from recursive.spec.names import split
from recursive.spec.shapes import Shape


class Merge(Composite):
    """Several branches with separate inputs, merged into one output.

    It is the first layer of a chain. The inputs are ``input_0``, ``input_1``, ..., in
    the order of the branches. A branch with several inputs puts its number in front of
    their names: ``input_0_left``, ``input_0_right``. A branch that stands in two places
    has one input, which is named for the first of them.

    Args:
        layers: the branches, two or more: layers or containers.
        mode: sum, concat, mul, ave, max or dot.

    Raises:
        ConfigError: for fewer than two branches, or something that is not a layer.
        MergeError: for an unknown mode.

    Source: ``keras.layers.core.Merge`` of Keras 0.1.

    >>> import numpy as np
    >>> from recursive.layers.core import Dense
    >>> joined = Merge([Dense(4, 6), Dense(3, 6)], mode="sum")
    >>> joined.ports
    ('input_0', 'input_1')
    >>> joined([np.ones((2, 4)), np.ones((2, 3))]).type.shape
    (2, 6)
    """

    def __init__(
        self, layers: Sequence[Layer], mode: str = "sum", name: str | None = None
    ):
        super().__init__(name)
        _check_branches(layers)
        _check_mode(mode, len(layers))
        for layer in layers:
            check_started(layer)
        self.layers = list(layers)
        self.mode = mode

    @property
    def children(self) -> dict[str, Layer]:
        """The branches as ``layer_0``, ``layer_1``, ..."""
        return {f"layer_{index}": layer for index, layer in enumerate(self.layers)}

    @property
    def revision(self) -> tuple:
        """A value that changes whenever a branch changes."""
        return (self.mode, *super().revision)

    # Inputs: one list outside, one group of inputs for each branch inside

    def _branches(self) -> Iterator[tuple[Layer, dict[str, Argument]]]:
        """Each branch, and its arguments by the names that they have outside."""
        # A branch that stands in two places has one input, as in Keras 0.1.
        first: dict[Layer, dict[str, Argument]] = {}
        for index, layer in enumerate(self.layers):
            if layer not in first:
                first[layer] = _named_outside(index, layer.arguments())
            yield layer, first[layer]

    def arguments(self) -> list[Argument]:
        """The inputs of all branches, in their order, each once."""
        found = {}
        for _, named in self._branches():
            for name, argument in named.items():
                found[name] = replace(argument, name=name)
        return list(found.values())

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of the inputs of all branches, in their order."""
        return tuple(argument.name for argument in self.arguments())

    def mask_value_at(self, port: str) -> float | None:
        """The value that the branch of this input masks."""
        for layer, named in self._branches():
            if port in named:
                inner = named[port].name if len(named) > 1 else layer.ports[0]
                return layer.mask_value_at(inner)
        return None

    @property
    def input_ndim(self) -> int | None:
        """The number of axes of the only input; None if there are several."""
        arguments = self.arguments()
        return len(arguments[0].shape) if len(arguments) == 1 else None

    def _per_branch(
        self, values: Mapping[str, object] | Sequence[object]
    ) -> list[tuple[Layer, object]]:
        """Each branch with its part of ``values``.

        The part is one value, or a dict by the branch's names for its inputs.

        Args:
            values: one for each input, by name or in a list in their order; a single
                input may be given alone.

        Raises:
            ConfigError: for missing or unknown inputs.
        """
        ports = self.ports
        # A shape is a tuple: a single one is not a list of shapes.
        if len(ports) == 1 and not isinstance(values, Mapping | list):
            values = [values]
        by_name = values
        if not isinstance(values, Mapping):
            by_name = dict(zip(ports, values, strict=False))
        if set(by_name) != set(ports) or len(values) != len(ports):
            raise ConfigError.about(
                "layer",
                "Merge",
                takes=f"{len(ports)} inputs ({', '.join(ports)})",
                got=f"{len(values)}",
                do="Pass a dict by name, or a list in that order.",
            )
        found = []
        for layer, named in self._branches():
            part = {}
            for name, argument in named.items():
                part[argument.name] = by_name[name]
            found.append((layer, one_or_all(part)))
        return found

    def build(
        self, input_shape: Mapping[str, Shape] | Sequence[Shape] | None = None
    ) -> None:
        if input_shape is None:
            input_shape = {item.name: item.shape for item in self.arguments()}
        for layer, shape in self._per_branch(input_shape):
            layer.ensure_built(shape)

    def complete(self) -> None:
        for layer in self.layers:
            layer.complete()

    def get_output_shape_for(
        self, input_shape: Mapping[str, Shape] | Sequence[Shape]
    ) -> Shape:
        mode = MODES[self.mode]
        shapes = []
        sizes = set()
        for layer, branch_shape in self._per_branch(input_shape):
            shape = layer.get_output_shape_for(branch_shape)
            shapes.append(shape)
            # The number of rows is that of the batch, which no branch knows.
            sizes.add(mode.shared_axes(shape)[1:])
        if len(sizes) > 1:
            raise ShapeError.about(
                "layer",
                "Merge",
                takes="branches of one shape",
                because=f"mode is {self.mode!r}",
                got=", ".join(map(str, shapes)),
                do="Make their dims equal, or use mode='concat'.",
            )
        return mode.merged_shape(shapes)

    def as_inputs(
        self,
        x: object,
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
    ) -> dict[str, Value]:
        """A dict by name, or a list in the order of the inputs, as values."""
        # Called for its check: a ConfigError for missing or unknown inputs.
        self._per_branch(x)
        return super().as_inputs(x, mask)

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The merged outputs of all branches, unmasked where all of them are."""
        self.check_draws(call.draws, {})
        outputs = []
        parts = zip(self.children, self._per_branch(inputs), strict=True)
        for name, (layer, part) in parts:
            values = part if isinstance(part, Mapping) else {layer.ports[0]: part}
            [output] = layer.apply(values, call.inside(name)).values()
            outputs.append(output)
        merged = merge([value.tensor for value in outputs], self.mode)
        return {"output": joined_with(merged, outputs)}

    def draw_shape(self, name: str, input_shape: Mapping[str, Shape]) -> Shape:
        branch, draw = split(name)
        place = list(self.children).index(branch)
        layer, shape = self._per_branch(input_shape)[place]
        return layer.draw_shape(draw, shape)

    def _symbolic_input(self) -> list[TensorVariable]:
        found = []
        for layer in dict.fromkeys(self.layers):
            found += _as_list(layer.input)
        return found


def _named_outside(index: int, arguments: Sequence[Argument]) -> dict[str, Argument]:
    """The arguments of the branch at ``index`` by the names of the Merge for them."""
    if len(arguments) == 1:
        return {f"input_{index}": arguments[0]}
    return {f"input_{index}_{argument.name}": argument for argument in arguments}


def _as_list(symbols: object) -> list[TensorVariable]:
    if isinstance(symbols, Mapping):
        return list(symbols.values())
    return symbols if isinstance(symbols, list) else [symbols]


def _check_branches(layers: Sequence[Layer]) -> None:
    """Raise a ConfigError unless there are two layers or more."""
    if len(layers) < 2 or not all(isinstance(layer, Layer) for layer in layers):
        raise ConfigError.about(
            "layer",
            "Merge",
            takes="two layers or more",
            got=repr(layers),
            do="Use Merge([left, right], mode='concat'), for example.",
        )


def _check_mode(mode: str, count: int) -> None:
    """Raise a MergeError unless ``mode`` can merge ``count`` branches."""
    if mode not in MERGES:
        raise MergeError.about(
            "layer",
            "Merge",
            takes="a known mode",
            got=repr(mode),
            do=suggest(str(mode), MERGES),
        )
    if MODES[mode].binary and count != 2:
        raise MergeError.about(
            "layer",
            "Merge",
            takes=f"two branches for mode {mode!r}",
            because=f"it is {MODES[mode].meaning}",
            got=str(count),
            do="Pass two, or merge some of them in another Merge first.",
        )
