"""RNN: a cell repeated over time.

The equations are the cell's (``layers/cells.py``). This module has what all recurrent layers share: the loop, masks,
directions and the states that are kept between batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.replace import graph_replace
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import Size, size
from recursive.errors import ConfigError, ShapeError, suggest
from recursive.layers import learned
from recursive.layers.cells import Cell, is_ours
from recursive.layers.layer import Layer, MaskedLayer
from recursive.layers.masks import USE, checked_mask
from recursive.layers.states import Stateful, States
from recursive.loop.axes import swap_time
from recursive.loop.call import Call, Value
from recursive.loop.lengths import common_length
from recursive.scan import op
from recursive.spec.shapes import Shape
from recursive.utils.arguments import flag

MASK_MODES = ("zero", "carry")
"""What a masked step can do to the states."""

Tensors = Sequence[TensorVariable]


class RNN(Stateful, MaskedLayer):
    """A cell repeated over time: ``(batch, time, input_dim)`` to ``(batch, output_dim)``, the last step, or with
    ``return_sequences`` to ``(batch, time, output_dim)``.

    Its parameters are the cell's, under the cell's names.

    Args:
        cell: RecurrentDense, RecurrentGRU, RecurrentLSTM or another :class:`~recursive.Cell`, one of your own too.
        return_sequences: True returns every step, False the last.
        truncate_gradient: k runs the backward loop over the last k steps of the whole sequence; -1 over all.
        mask_mode: what a masked step does. ``zero``, as in Keras 0.1: it computes as any other, and the step after it
            reads zeros for the states. ``carry``: the states and the output of the step before pass through it.
        stateful: True keeps the states between batches, instead of starting from zeros.
        go_backwards: True runs from the last step to the first, and returns the steps in that order.
        name: a name for the user's own use.

    Raises:
        ConfigError: for something that is not a cell, a ``truncate_gradient`` of 0 or below -1, or an unknown mask
            mode.
        BatchSizeError: where states are kept from a batch of another size.

    >>> from recursive.layers.cells import RecurrentGRU
    >>> RNN(RecurrentGRU(4, 6), return_sequences=True)(np.ones((3, 5, 4))).eval().shape
    (3, 5, 6)
    """

    input_ndim = 3

    def __init__(
        self,
        cell: Cell,
        return_sequences: bool = False,
        truncate_gradient: int = -1,
        mask_mode: str = "zero",
        stateful: bool = False,
        go_backwards: bool = False,
        name: str | None = None,
    ):
        super().__init__(name)
        kind = type(self).__name__
        _check_cell(kind, cell)
        self.cell = cell
        self.truncate_gradient = _check_steps(kind, truncate_gradient)
        self.return_sequences = flag(kind, "return_sequences", return_sequences)
        self.mask_mode = _check_mode(kind, mask_mode)
        self.go_backwards = flag(kind, "go_backwards", go_backwards)
        self.stateful = stateful

    # What is the cell's

    @property
    def children(self) -> dict[str, Layer]:
        """The cell."""
        return {"cell": self.cell}

    @property
    def input_dim(self) -> int | None:
        """Values in a row of the input; None until the cell is built."""
        return self.cell.input_dim

    @property
    def output_dim(self) -> int:
        """Values in a row of the output."""
        return self.cell.state_dims[0]

    @property
    def param_names(self) -> tuple[str, ...]:
        """The parameters of the cell, in order."""
        return self.cell.param_names

    @property
    def state_names(self) -> tuple[str, ...]:
        """What a step passes to the next; the first is the output."""
        return self.cell.state_names

    @property
    def state_dims(self) -> tuple[int, ...]:
        """Values in a row of each state."""
        return self.cell.state_dims

    @property
    def inner_names(self) -> tuple[str, ...]:
        """The parameters that the step takes as arguments."""
        return self.cell.inner_names

    @property
    def built(self) -> bool:
        """Whether the cell has its parameters, and a ``build`` of a class of your own has run."""
        has_run = vars(self).get("built", type(self).build is RNN.build)
        return self.cell.built and has_run

    @built.setter
    def built(self, value: bool) -> None:
        vars(self)["built"] = bool(value)

    def build(self, input_shape: Shape) -> None:
        states = zip(self.cell.ports[1:], self.state_dims, strict=True)
        shapes = {port: (None, dim) for port, dim in states}
        self.cell.ensure_built({"input": (None, input_shape[-1]), **shapes})

    @property
    def params(self) -> list[SharedVariable]:
        """The parameters of the cell; may be assigned."""
        return self.cell.params if "cell" in vars(self) else []

    @params.setter
    def params(self, value: list[SharedVariable]) -> None:
        if "cell" in vars(self):
            self.cell.params = value

    def own_params(self) -> list[SharedVariable]:
        """None: they belong to the cell."""
        return []

    @property
    def named_params(self) -> dict[str, SharedVariable]:
        """The parameters, learned or frozen, by the cell's names for them."""
        attributes = {
            name: value
            for name, value in vars(self).items()
            if isinstance(value, SharedVariable)
        }
        return _by_name(self.cell.own_params(), self.cell.named_params, attributes)

    @property
    def named_weights(self) -> dict[str, SharedVariable]:
        """The parameters, and what the cell keeps that is not learned."""
        params = self.named_params
        known = {id(param) for param in params.values()}
        kept = self.cell.named_weights.items()
        return params | {name: value for name, value in kept if id(value) not in known}

    def get_params(self) -> tuple[list, list, list, list]:
        """The cell's params, regularizers, constraints and updates."""
        found = learned.collect(self)
        return found.params, found.regularizers, found.constraints, found.updates

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        """What the loop reads of ``x``, ``(time, batch, input_dim)``: the cell's :meth:`~recursive.Cell.project`."""
        return self.cell.project(x)

    def step(self, *args: TensorVariable) -> tuple[TensorVariable, ...]:
        """The states at t, from the projections at t, the states at t-1 and the ``U``: the cell's step."""
        return self.cell.step(*args)

    def forget(self, past: Tensors, valid: TensorVariable) -> list[TensorVariable]:
        """The states that a step of mask mode ``zero`` reads: the cell's :meth:`~recursive.Cell.forget`."""
        return self.cell.forget(past, valid)

    # What a container asks

    @property
    def stateful(self) -> bool:
        """Whether states are kept between batches. Assigning it resets them."""
        return bool(self.states.variables)

    @stateful.setter
    def stateful(self, value: bool) -> None:
        keeps = flag(type(self).__name__, "stateful", value)
        kept = zip(self.state_names, self.state_dims, strict=True) if keeps else ()
        self.states = States({name: np.zeros((1, dim)) for name, dim in kept})

    @property
    def carries(self) -> bool:
        """Whether states are kept between batches."""
        return self.stateful

    @property
    def reset_each_batch(self) -> tuple[str, ...]:
        """The states that are reset with each batch."""
        return () if self.stateful else self.state_names

    @property
    def revision(self) -> tuple:
        """Changes when the states begin to be kept, or no longer are, and when the cell changes."""
        return (self.states, self.cell.revision)

    @property
    def rowwise(self) -> bool:
        """Whether step and activations are known and no state is kept; a user's function may mix rows."""
        return self.cell.rowwise and self.steps_as_known() and not self.stateful

    def steps_as_known(self) -> bool:
        """Whether the formula of a step is the library's, as far as this layer says."""
        return self.has_known_step() and not self.reads_mask()

    @classmethod
    def has_known_step(cls) -> bool:
        """Whether the formula of a step is the library's, as far as this class says."""
        return all(map(is_ours, (cls.step, cls.project, cls.forget)))

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
        return self._run(x, mask, train, carry)

    def extra_arguments(self, call: Call) -> dict[str, object]:
        return {"carry": call.carry} if self.stateful else {}

    def _run(
        self,
        x: TensorVariable,
        mask: TensorVariable | None,
        train: bool,
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
        elif self.reads_mask() and self.mask_mode == "zero":
            mask = pt.ones((size(x, 0), length), dtype="bool")
        loop = _Loop(self, mask is not None, train, size(x, 0))
        valid = [] if mask is None else [self._valid(swap_time(self._directed(mask)))]
        found = op.scan(
            loop,
            [*valid, *loop.project(swap_time(self._directed(x)))],
            self._starts(size(x, 0)),
            loop.fixed,
            length,
            self.truncate_gradient,
            name=kind,
        )
        if carry is not None:
            self._carry_over([op.last_step(state) for state in found], mask, carry)
        return swap_time(found[0]) if self.return_sequences else op.last_step(found[0])

    def _directed(self, over_time: TensorVariable) -> TensorVariable:
        """``(batch, time, ...)`` in the order in which the loop runs through it."""
        return over_time[:, ::-1] if self.go_backwards else over_time

    def _valid(self, mask: TensorVariable) -> TensorVariable:
        """What a masked step reads, ``(time, batch, 1)``: the mask at t for ``carry``, at t-1 for ``zero``."""
        over_time = pt.expand_dims(mask, -1)
        if self.mask_mode == "carry":
            return over_time
        # In 2015 a step of the user's own saw 0 at the first step: nothing is forgotten there but zeros.
        keeps_start = self.stateful or not self.reads_mask()
        first = (pt.ones_like if keeps_start else pt.zeros_like)(over_time[:1])
        return pt.concatenate([first, over_time[:-1]]).astype(backend.floatX())

    def states_at(
        self,
        projected: Tensors,
        past: Tensors,
        inner: Tensors,
        valid_tm1: TensorVariable | None,
    ) -> Tensors:
        """The states at t.

        Args:
            projected: what :meth:`project` gave for t.
            past: the states at t-1.
            inner: the parameters that the step takes as arguments.
            valid_tm1: 0 where the step before is to be forgotten, ``(batch, 1)``; None where no step is.
        """
        if valid_tm1 is not None:
            past = self.forget(past, valid_tm1)
        return self.step(*projected, *past, *inner)

    def reads_mask(self) -> bool:
        """Whether :meth:`states_at` is always given ``valid_tm1``: ones where no step is to be forgotten."""
        return False

    # States that are kept between batches

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
        self, last: Tensors, mask: TensorVariable | None, carry: Callable
    ) -> None:
        """Let the next batch begin as the step after the ``last`` would."""
        if mask is not None and self.mask_mode == "zero":
            last = self.forget(
                last, self._directed(mask)[:, -1, None].astype(backend.floatX())
            )
        for name, value in zip(self.states.variables, last, strict=False):
            carry(self.states.variables[name], self.states.fitting(name, value[None]))


learned.LIBRARY.add(RNN.get_params)


class _Loop:
    """The step that scan repeats for an RNN, and the parameters that it is given.

    A step of the user's may read any parameter of the layer. It is then given as an argument, since a gradient does not
    reach what a step merely holds.
    """

    def __init__(self, rnn: RNN, masked: bool, train: bool, rows: Size):
        self.rnn, self.masked, self.train = rnn, masked, train
        self.by_call = not rnn.cell.computes_by_step() and is_ours(type(rnn).step)
        own = (
            {}
            if self.by_call
            else {name: getattr(rnn.cell, name) for name in rnn.inner_names}
        )
        self.inner = list(own.values())
        given = {id(param) for param in self.inner}
        known = rnn.steps_as_known() and rnn.cell.has_known_step() and not self.by_call
        self.read = (
            [] if known else [param for param in rnn.params if id(param) not in given]
        )

        forgets = masked and rnn.mask_mode == "zero"
        self.ones = (
            [pt.ones((rows, 1), dtype=backend.floatX())]
            if rnn.reads_mask() and not forgets
            else []
        )

    @property
    def fixed(self) -> list[TensorVariable]:
        """The arguments that are the same at every step."""
        return [*self.ones, *self.inner, *self.read]

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        """What the steps read of ``x``, ``(time, batch, dim)``."""
        return [x] if self.by_call else self.rnn.project(x)

    def __call__(self, *args: TensorVariable) -> list[TensorVariable]:
        """The states at t, from the mask where there is one, the projections, the states at t-1, and ``fixed``."""
        args, given = _cut(args, len(self.read))
        args, inner = _cut(args, len(self.inner))
        args, ones = _cut(args, len(self.ones))
        nothing_forgotten = ones[0] if ones else None
        args, past = _cut(args, len(self.rnn.state_dims))
        valid, projected = (args[0], args[1:]) if self.masked else (None, args)
        if self.masked and self.rnn.mask_mode == "carry":
            new = self._states(projected, past, inner, nothing_forgotten)
            found = [
                pt.switch(valid, now, old) for now, old in zip(new, past, strict=True)
            ]
        else:
            valid = nothing_forgotten if valid is None else valid
            found = self._states(projected, past, inner, valid)
        if not self.read:
            return found
        return graph_replace(
            found, dict(zip(self.read, given, strict=True)), strict=False
        )

    def _states(
        self,
        projected: Tensors,
        past: Tensors,
        inner: Tensors,
        valid_tm1: TensorVariable | None,
    ) -> list[TensorVariable]:
        """The states at t, with the dims in the types: scan refuses a state of dim 1 that changes its type."""
        if self.by_call:
            found = self._called(projected[0], past, valid_tm1)
        else:
            found = self.rnn.states_at(projected, past, inner, valid_tm1)
        return [
            pt.specify_shape(state, (None, dim))
            for state, dim in zip(found, self.rnn.state_dims, strict=True)
        ]

    def _called(
        self, x: TensorVariable, past: Tensors, valid_tm1: TensorVariable | None
    ) -> Tensors:
        """The states at t of a cell that overrides how it is applied."""
        cell = self.rnn.cell
        if valid_tm1 is not None:
            past = self.rnn.forget(past, valid_tm1)
        inputs = dict(zip(cell.ports, map(Value, [x, *past]), strict=True))
        outputs = cell.apply(inputs, Call(self.train).in_step())
        return [value.tensor for value in outputs.values()]


def _cut(args: Tensors, count: int) -> tuple[Tensors, Tensors]:
    """``args`` without the last ``count``, and these."""
    place = len(args) - count
    return args[:place], args[place:]


def _by_name(
    params: Sequence[SharedVariable], *named: dict[str, SharedVariable]
) -> dict[str, SharedVariable]:
    """``params`` by the first real name that one of ``named`` has for each."""
    names = {}
    for given in named:
        for name, param in given.items():
            if not name.startswith("param_"):
                names.setdefault(id(param), name)
    return {
        names.get(id(param), f"param_{index}"): param
        for index, param in enumerate(params)
    }


def _check_cell(layer: str, cell: object) -> None:
    """Raise a ConfigError unless ``cell`` is a cell that a loop can repeat."""
    if not isinstance(cell, Cell):
        raise ConfigError.about(
            "layer",
            layer,
            takes="a cell",
            because="it repeats one step",
            got=type(cell).__name__,
            do="Say RNN(RecurrentGRU(4, 6)), for example. Other layers are nodes of a Recurrent.",
        )
    if cell.draws or cell.has_side_outputs:
        raise ConfigError.about(
            "layer",
            layer,
            takes="a cell without random draws and penalties on its output",
            because="its loop hands out states only",
            got=type(cell).__name__,
            do="Put the cell into a Recurrent as a node, and draw in a Dropout.",
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
            do=suggest(str(mode), MASK_MODES),
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
