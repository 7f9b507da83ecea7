"""The recurrent layers of Keras 0.1.3: one of the steps of :mod:`cells`, over time.

In mask mode ``zero``, as in 2015, a masked step computes like any other, and the step
after it reads zeros for the states. In mode ``carry``, a masked step keeps the states
and the output of the step before.
"""

from __future__ import annotations

import numpy as np

from recursive.reference.arrays import (
    Array,
    LayerGradients,
    LayerResult,
    Scope,
    Value,
    summed,
    zeros_like,
)
from recursive.reference.cell_chain import ChainCell
from recursive.reference.cells import CELLS, Cell
from recursive.reference.table import USE, Config, Formula, layer, look_up

States = dict[str, Array]


class RecurrentRun:
    """The steps of a cell over a batch, forwards on creation, then :meth:`back`."""

    def __init__(self, cell: Cell, config: Config, x: Value, scope: Scope):
        self.cell = cell
        self.config = {**cell.defaults, **config}
        self.params = scope.params
        self.returns_sequences = self.config.get("return_sequences", False)
        self.carries = self.config.get("mask_mode", "zero") == "carry"
        self.x = self._directed(scope.floats(x.array))
        self.batch, self.length = self.x.shape[:2]
        self.mask = None if x.mask is None else self._directed(x.mask)
        self._run(self._initial_states(scope))

    def _directed(self, steps: Array) -> Array:
        """``(batch, time, ...)`` in the order of the loop, or back again."""
        return steps[:, ::-1] if self.config.get("go_backwards") else steps

    def _initial_states(self, scope: Scope) -> States:
        states = {}
        for name in self.cell.state_names(self.config):
            dim = self.cell.state_dim(name, self.config)
            zeros = np.zeros((self.batch, dim), self.x.dtype)
            states[name] = scope.states.get(name, zeros)
        return states

    def _run(self, states: States) -> None:
        self.backs = []
        self.outputs = []
        for t in range(self.length):
            read = self._forgotten(states, t)
            new, back = self.cell.step(
                self.params, self.config, self.x[:, t], tuple(read.values())
            )
            new = dict(zip(states, new, strict=True))
            if self.carries and self.mask is not None:
                # A masked row keeps the states of the step before.
                for name, before in states.items():
                    new[name] = np.where(self._valid(t), new[name], before)
            states = new
            self.backs.append(back)
            self.outputs.append(next(iter(states.values())))
        self.finals = self._forgotten(states, self.length)

    def _valid(self, t: int) -> Array:
        """The mask of step ``t``, ``(batch, 1)``."""
        return self.mask[:, t, None]

    def _forgotten(self, states: States, t: int) -> States:
        """The states after step ``t - 1`` as step ``t`` reads them.

        In mode ``zero`` this multiplies them by the mask, so that gradients pass
        through the same function.
        """
        if self.mask is None or self.carries or t == 0:
            return states
        found = {}
        for name, value in states.items():
            forgets = self.cell.is_forgotten(name)
            found[name] = value * self._valid(t - 1) if forgets else value
        return found

    def result(self) -> LayerResult:
        """The outputs of all steps or of the last, and the final states if kept."""
        value, mask = self.outputs[-1], None
        if self.returns_sequences:
            value, mask = np.stack(self.outputs, axis=1), self.mask
        finals = self.finals if self.config.get("stateful") else {}
        return LayerResult(value, self.back, mask, finals)

    def back(self, d: Array) -> LayerGradients:
        """The last ``truncate_gradient`` steps backwards."""
        k = self.config.get("truncate_gradient", -1)
        first = 0 if k == -1 else max(0, self.length - k)
        d_x = np.zeros_like(self.x)
        d_states = zeros_like(self.finals)
        d_params: dict[str, Array] = {}
        output = next(iter(d_states))
        for t in reversed(range(first, self.length)):
            # The output of a step is also the first state that the next step reads.
            if self.returns_sequences:
                d_states[output] = d_states[output] + d[:, t]
            elif t == self.length - 1:
                d_states[output] = d_states[output] + d
            found, d_states = self._step_back(t, d_states)
            d_x[:, t] = found.pop("x")
            d_params = summed(d_params, found)
        # A truncated gradient does not reach the initial states.
        if first:
            d_states = zeros_like(d_states)
        return LayerGradients(self._directed(d_x), d_params, d_states)

    def _step_back(self, t: int, d: States) -> tuple[dict[str, Array], States]:
        """The gradients of input and parameters at ``t``, and of the states before."""
        kept: States = {}
        if self.carries and self.mask is not None:
            # A masked row passes the gradient of its states on and computes nothing.
            valid = self._valid(t)
            for name, value in d.items():
                kept[name] = np.where(valid, 0, value)
                d[name] = np.where(valid, value, 0)
        found = self.backs[t](*d.values())
        d_read = {name: found.pop(name) for name in d}
        return found, summed(self._forgotten(d_read, t), kept)


def over_time(cell: Cell, defaults: Config) -> Formula:
    """The formula of a layer that repeats ``cell``; ``defaults`` override its own."""

    def formula(config, x, scope):
        return RecurrentRun(cell, {**defaults, **config}, x, scope).result()

    return formula


@layer("RNN", mask=USE)
def rnn(config, x, scope):
    """A cell over time. Its parameters are the cell's, with the same names."""
    settings = config["cell"]
    if settings["name"] == "Sequential":
        return over_time(ChainCell(settings), {})(config, x, scope)
    cell = look_up("cell", settings["name"], CELLS)
    return over_time(cell, settings)(config, x, scope)


layer("SimpleRNN", mask=USE)(over_time(CELLS["RecurrentDense"], {}))
layer("SimpleDeepRNN", mask=USE)(over_time(CELLS["RecurrentDeep"], {}))
for name in ("GRU", "LSTM", "JZS1", "JZS2", "JZS3"):
    layer(name, mask=USE)(over_time(CELLS[f"Recurrent{name}"], {"output_dim": 128}))
