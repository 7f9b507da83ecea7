"""What recurrent layers with a scan of their own share: parameters by letter, the loop, the output in time.

Such a layer is three things: the names of its parameters, :meth:`RecurrentLayer.project`, what can be computed for all
times before the loop, and :meth:`RecurrentLayer.step`, which reads as the equations do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import activations, backend, initializations
from recursive.arguments import flag
from recursive.errors import ConfigError, ShapeError, nearest
from recursive.layers.given import checked_mask
from recursive.layers.layer import MaskedLayer, check_dim
from recursive.layers.masks import USE
from recursive.layers.products import linear_map
from recursive.layers.states import KeepsStates, States
from recursive.lengths import common_length
from recursive.loop import reversible
from recursive.loop.axes import swap_time
from recursive.loop.call import Call
from recursive.sizes import Size, size
from recursive.spec.shapes import Shape

MASK_MODES = ("zero", "carry")
"""What a masked step can do to the states."""


class RecurrentLayer(KeepsStates, MaskedLayer):
    """The base of the recurrent layers, which Keras 0.1.3 called ``Recurrent``.

    ``(batch, time, input_dim)`` to ``(batch, output_dim)``, the last step, or with ``return_sequences`` to
    ``(batch, time, output_dim)``.

    Args:
        input_dim: values a row of the input.
        output_dim: values a row of the output, and of every state.
        init: the initialization of what reads the input, ``W``.
        inner_init: the initialization of what reads the states, ``U``.
        activation: of the output.
        weights: what ``get_weights()`` gave, to start from.
        truncate_gradient: k runs the backward loop over the last k steps of the whole sequence; -1 over all.
        return_sequences: True returns every step, False the last.
        mask_mode: what a masked step does. ``zero``, as in Keras 0.1: it computes as any other, and the step after it
            reads zeros for the states. ``carry``: the states and the output of the step before go on through it.
        seed: seeds the first values.
        stateful: True lets the states go on from batch to batch, instead of zeros.
        go_backwards: True runs from the last step to the first, and returns the steps in that order.

    Raises:
        ShapeError: for dims that are not whole numbers of 1 or more.
        ConfigError: for a ``truncate_gradient`` of 0 or below -1, or an unknown mask mode.
        UnknownNameError: for an unknown initialization or activation.
        BatchSizeError: where the states go on from a batch of another size.
    """

    input_ndim = 3
    param_names: tuple[str, ...] = ()
    """The parameters in order. Their first letter says what they are: ``W`` reads the input, ``U`` a state, ``b`` is
    a bias."""
    state_names: tuple[str, ...] = ("h",)
    """What the step hands on to the next, zeros at first; the first of them is the output."""

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        init: str,
        inner_init: str,
        activation: str,
        weights: Sequence[np.ndarray] | None,
        truncate_gradient: int,
        return_sequences: bool,
        mask_mode: str,
        name: str | None,
        seed: int | None,
        stateful: bool,
        go_backwards: bool,
    ):
        super().__init__(name, seed)
        kind = type(self).__name__
        self.input_dim = check_dim(kind, "input_dim", input_dim)
        self.output_dim = check_dim(kind, "output_dim", output_dim)
        self.init = initializations.get(init)
        self.inner_init = initializations.get(inner_init)
        self.activation = activations.get(activation)
        self.truncate_gradient = _check_steps(kind, truncate_gradient)
        self.return_sequences = flag(kind, "return_sequences", return_sequences)
        self.mask_mode = _check_mode(kind, mask_mode)
        self.go_backwards = flag(kind, "go_backwards", go_backwards)
        self.stateful = stateful
        self._draw_params()
        if weights is not None:
            self.set_weights(weights)

    @property
    def drawing_order(self) -> tuple[str, ...]:
        """The parameters in the order in which Keras 0.1.3 drew their first values."""
        return self.param_names

    def _draw_params(self) -> None:
        rng = self.rng
        for name in self.drawing_order:
            setattr(self, name, self.first_value(name, rng))
        self.params = [getattr(self, name) for name in self.param_names]

    def first_value(
        self, name: str, rng: np.random.RandomState | None
    ) -> SharedVariable:
        """The parameter called ``name``, as it starts."""
        if name.startswith("b"):
            return initializations.zero((self.output_dim,))
        if name.startswith("U"):
            return initializations.first_values(
                self.inner_init, (self.output_dim, self.output_dim), rng
            )
        return initializations.first_values(
            self.init, (self.input_dim, self.output_dim), rng
        )

    @property
    def state_dims(self) -> tuple[int, ...]:
        """Values a row of each state."""
        return (self.output_dim,) * len(self.state_names)

    @property
    def inner_names(self) -> tuple[str, ...]:
        """The parameters that the step itself reads."""
        return tuple(name for name in self.param_names if name.startswith("U"))

    @property
    def stateful(self) -> bool:
        """Whether the states go on from batch to batch; they start anew where it is said again."""
        return bool(self.states.variables)

    @stateful.setter
    def stateful(self, value: bool) -> None:
        goes_on = flag(type(self).__name__, "stateful", value)
        kept = zip(self.state_names, self.state_dims, strict=True) if goes_on else ()
        self.states = States({name: np.zeros((1, dim)) for name, dim in kept})

    @property
    def carries(self) -> bool:
        """Whether the states go on from batch to batch."""
        return self.stateful

    @property
    def starting_anew(self) -> tuple[str, ...]:
        """The states that start anew with each batch."""
        return () if self.stateful else self.state_names

    @property
    def revision(self) -> tuple:
        """Another one when the states begin to go on, or no longer do."""
        return (self.states,)

    @property
    def rowwise(self) -> bool:
        """With known activations, unless states go on from batch to batch; a function of one's own may be anything."""
        used = (self.activation, getattr(self, "inner_activation", self.activation))
        known = all(function in activations.ACTIVATIONS.values() for function in used)
        return known and self.has_known_step() and not self.stateful

    @classmethod
    def has_known_step(cls) -> bool:
        """Whether the formula of a step is one of this library's; one's own may be anything."""
        return cls.step.__module__.partition(".")[0] == __name__.partition(".")[0]

    def get_output_mask_for(
        self, x: TensorVariable, mask: TensorVariable | None = None
    ) -> TensorVariable | None:
        return (
            self._directed(mask) if self.return_sequences and mask is not None else None
        )

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        return (
            (input_shape[0], input_shape[1], self.output_dim)
            if self.return_sequences
            else (input_shape[0], self.output_dim)
        )

    # The loop

    masks = USE

    def call(
        self,
        x: TensorVariable,
        train: bool = False,
        mask: TensorVariable | None = None,
        carry: Callable | None = None,
    ) -> TensorVariable:
        """The output over the steps that are data: see ``mask_mode``; ``carry`` takes what states become."""
        return self._unroll(x, mask, carry)

    def beside_input(self, call: Call) -> dict[str, object]:
        return {"carry": call.carry} if self.stateful else {}

    def _unroll(
        self,
        x: TensorVariable,
        mask: TensorVariable | None,
        carry: Callable | None,
    ) -> TensorVariable:
        kind = type(self).__name__
        if x.ndim != 3:
            raise ShapeError.about(
                "layer",
                kind,
                takes="(batch, time, dim)",
                because="it runs over time",
                got=f"{x.ndim} axes",
                do="Say ndim=3, or 4 for a loop in a loop.",
            )
        length = common_length({"input": size(x, 1)})
        if mask is not None:
            mask = pt.neq(checked_mask(kind, mask, size(x, 0), length), 0)
        valid = [] if mask is None else [self._valid(swap_time(self._directed(mask)))]
        found = reversible.scan(
            self._masked_step if valid else self._step,
            [*valid, *self.project(swap_time(self._directed(x)))],
            self._starts(size(x, 0)),
            [getattr(self, name) for name in self.inner_names],
            length,
            self.truncate_gradient,
            name=kind,
        )
        if carry is not None:
            self._carry_over(
                [reversible.last_step(state) for state in found], mask, carry
            )
        return (
            swap_time(found[0])
            if self.return_sequences
            else reversible.last_step(found[0])
        )

    def _directed(self, over_time: TensorVariable) -> TensorVariable:
        """``(batch, time, ...)`` in the order in which the loop runs through it."""
        return over_time[:, ::-1] if self.go_backwards else over_time

    def _step(self, *args: TensorVariable) -> list[TensorVariable]:
        """:meth:`step`, with the dims in the types: scan refuses a state of dim 1 that changes its type."""
        return [
            pt.specify_shape(state, (None, dim))
            for state, dim in zip(self.step(*args), self.state_dims, strict=True)
        ]

    def _masked_step(
        self, valid: TensorVariable, *args: TensorVariable
    ) -> list[TensorVariable]:
        inner = len(args) - len(self.inner_names)
        first = inner - len(self.state_dims)
        projected, past, inner = args[:first], args[first:inner], args[inner:]
        if self.mask_mode == "zero":
            return self._step(*projected, *self.forget(past, valid), *inner)
        return [
            pt.switch(valid, new, old)
            for new, old in zip(self._step(*args), past, strict=True)
        ]

    def _valid(self, mask: TensorVariable) -> TensorVariable:
        """What the masked step reads, ``(time, batch, 1)``: the mask at t for ``carry``, at t-1 for ``zero``."""
        over_time = pt.expand_dims(mask, -1)
        if self.mask_mode == "carry":
            return over_time
        return pt.concatenate([pt.ones_like(over_time[:1]), over_time[:-1]]).astype(
            backend.floatX()
        )

    def forget(
        self, past: Sequence[TensorVariable], valid: TensorVariable
    ) -> list[TensorVariable]:
        """The states that a step of mask mode ``zero`` reads: zeros where the step before was masked."""
        return [valid * state for state in past]

    # States that go on from batch to batch

    def _starts(self, rows: Size) -> list[TensorVariable]:
        """The states before the first step."""
        if self.stateful:
            return [
                backend.with_rows(variable, rows)[0]
                for variable in self.states.variables.values()
            ]
        return [
            pt.zeros((rows, dim), dtype=backend.floatX()) for dim in self.state_dims
        ]

    def _carry_over(
        self,
        last: Sequence[TensorVariable],
        mask: TensorVariable | None,
        carry: Callable,
    ) -> None:
        """Let the next batch begin as the step after the ``last`` would."""
        if mask is not None and self.mask_mode == "zero":
            last = self.forget(
                last, self._directed(mask)[:, -1, None].astype(backend.floatX())
            )
        for name, value in zip(self.states.variables, last, strict=False):
            carry(self.states.variables[name], self.states.fitting(name, value[None]))

    # The formula

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        """What the loop reads of ``x``, ``(time, batch, input_dim)``: each ``(time, batch, output_dim)``."""
        raise NotImplementedError

    def step(self, *args: TensorVariable) -> tuple[TensorVariable, ...]:
        """The states at t, from the projections at t, the states at t-1, and the ``U``, each in their order."""
        raise NotImplementedError

    def gates(self, x: TensorVariable, names: str) -> list[TensorVariable]:
        """``x @ W + b`` for each gate in ``names``, by one product for them all."""
        W, b = (
            pt.concatenate(
                [getattr(self, f"{letter}_{name}") for name in names], axis=-1
            )
            for letter in "Wb"
        )
        return pt.split(
            linear_map(x, W) + b, [self.output_dim] * len(names), axis=x.ndim - 1
        )


def _check_mode(layer: str, mode: object) -> str:
    """A mask mode that exists."""
    if mode not in MASK_MODES:
        raise ConfigError.about(
            "layer",
            layer,
            takes=f"a mask_mode of {' or '.join(MASK_MODES)}",
            because="masked steps are treated by it",
            got=repr(mode),
            do=nearest(str(mode), MASK_MODES),
        )
    return mode


def _check_steps(layer: str, steps: object) -> int:
    """A truncate_gradient that means something."""
    if (
        isinstance(steps, bool)
        or not isinstance(steps, int)
        or steps == 0
        or steps < -1
    ):
        raise ConfigError.about(
            "layer",
            layer,
            takes="a truncate_gradient of -1, or 1 and more",
            because="the backward loop runs over so many of the last steps, -1 being all",
            got=repr(steps),
            do="Say truncate_gradient=-1 for the whole gradient.",
        )
    return steps
