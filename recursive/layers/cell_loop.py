"""The step function of an RNN's loop, and the tensors that scan passes to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.replace import graph_replace
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import Size
from recursive.layers.cells import is_ours
from recursive.layers.layer import Layer
from recursive.loop.call import Call, Value

Tensors = Sequence[TensorVariable]


class CellLoop:
    """The step function of an RNN's scan, with the arguments that scan passes to it.

    scan calls it with these tensors, in this order:

    1. the mask, ``(batch, 1)``, if there is one;
    2. the projections at t;
    3. the states at t-1;
    4. ones for the mask, if the layer reads a mask and no step is forgotten;
    5. the ``U`` (not for a cell that defines ``call``);
    6. the other parameters, if the step is a user's.

    A user's step may read any parameter of the layer as an attribute. scan computes no
    gradient for a variable that a step reads from outside, so each parameter enters as
    an argument and replaces the attribute in the graph of the step.

    Args:
        rnn: the RNN.
        over_time: its input in the order of the loop, ``(time, batch, input_dim)``.
        mask: the mask that each step reads, ``(time, batch, 1)``; None for no mask.
        rows: the number of rows of the batch.
        train: True while training.
    """

    def __init__(
        self,
        rnn: Layer,
        over_time: TensorVariable,
        mask: TensorVariable | None,
        rows: Size,
        train: bool,
    ):
        self.rnn = rnn
        self.train = train
        self.is_masked = mask is not None
        # A user's cell with a `call` is applied whole; one with a `step` is projected.
        self.applies_cell = not rnn.cell.computes_by_step() and is_ours(type(rnn).step)

        self.mask = [mask] if self.is_masked else []
        self.projected = [over_time] if self.applies_cell else rnn.project(over_time)

        # A step that always reads a mask reads ones if nothing is to be forgotten.
        self.ones = []
        forgets = self.is_masked and rnn.mask_mode == "zero"
        if rnn.reads_mask() and not forgets:
            self.ones = [pt.ones((rows, 1), dtype=backend.floatX())]
        self.inner = []
        if not self.applies_cell:
            self.inner = [getattr(rnn.cell, name) for name in rnn.inner_names]
        self.other_params = self._other_params()

    def _other_params(self) -> list[SharedVariable]:
        """The parameters besides ``inner`` that a user's step may read."""
        is_known = self.rnn.has_library_step() and self.rnn.cell.has_known_step()
        if is_known and not self.applies_cell:
            return []
        given = {id(param) for param in self.inner}
        return [param for param in self.rnn.params if id(param) not in given]

    @property
    def sequences(self) -> list[TensorVariable]:
        """The arguments that scan slices per step, ``(time, batch, ...)``."""
        return [*self.mask, *self.projected]

    @property
    def constants(self) -> list[TensorVariable]:
        """The arguments that are constant over time."""
        return [*self.ones, *self.inner, *self.other_params]

    def __call__(self, *args: TensorVariable) -> list[TensorVariable]:
        """The states at t, ``(batch, dim)`` each."""
        rest = iter(args)  # in the order of `sequences`, states, `constants`
        mask = _take(rest, self.mask)
        projected = _take(rest, self.projected)
        past = _take(rest, self.rnn.state_dims)
        ones = _take(rest, self.ones)
        inner = _take(rest, self.inner)
        other_params = list(rest)

        # In mode `carry` the mask selects states after the step. Otherwise it is passed
        # to the step, which forgets states by it.
        all_valid = ones[0] if ones else None
        valid = mask[0] if mask else all_valid
        if self.is_masked and self.rnn.mask_mode == "carry":
            new = self._states(projected, past, inner, all_valid)
            states = []
            for now, old in zip(new, past, strict=True):
                states.append(pt.switch(valid, now, old))
        else:
            states = self._states(projected, past, inner, valid)
        if not self.other_params:
            return states
        # The graph of the step reads attributes: put scan's arguments in their place.
        replaced = dict(zip(self.other_params, other_params, strict=True))
        return graph_replace(states, replaced, strict=False)

    def _states(
        self,
        projected: Tensors,
        past: Tensors,
        inner: Tensors,
        valid_tm1: TensorVariable | None,
    ) -> list[TensorVariable]:
        """The states at t, with their dims in the types.

        scan refuses a state of dim 1 whose type changes from step to step.
        """
        if self.applies_cell:
            found = self._apply_cell(projected[0], past, valid_tm1)
        else:
            found = self.rnn.states_at(projected, past, inner, valid_tm1)
        states = []
        for state, dim in zip(found, self.rnn.state_dims, strict=True):
            states.append(pt.specify_shape(state, (None, dim)))
        return states

    def _apply_cell(
        self, x: TensorVariable, past: Tensors, valid_tm1: TensorVariable | None
    ) -> Tensors:
        """The states at t of a cell that overrides how a layer is applied."""
        cell = self.rnn.cell
        if valid_tm1 is not None:
            past = self.rnn.forget(past, valid_tm1)
        inputs = {}
        for port, tensor in zip(cell.ports, [x, *past], strict=True):
            inputs[port] = Value(tensor)
        outputs = cell.apply(inputs, Call(self.train).in_step())
        return [value.tensor for value in outputs.values()]


def _take(rest: Iterator[TensorVariable], like: Sequence) -> list[TensorVariable]:
    """The next tensors of ``rest``, one for each item of ``like``."""
    return list(islice(rest, len(like)))
