"""The recurrent layers of Keras 0.1.3: one of the steps of ``cells``, over time.

Under a mask of mode ``zero``, as in 2015, a masked step computes as any other, and the step after it reads zeros for
the states. With ``carry`` the states and the output of the step before go on through it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from recursive.errors import UnknownNameError, suggest
from recursive.reference import cells
from recursive.reference.arrays import Array, Computed, Given, Pulled, Value, summed
from recursive.reference.table import USE, layer

Config = Mapping[str, object]
States = tuple[Array, ...]


class Layer:
    """One of these layers: its step, the names of its states, and what its configuration leaves out."""

    def __init__(
        self, step: cells.Step, states: Sequence[str] = ("h",), **defaults: object
    ):
        self.step, self.states, self.defaults = step, tuple(states), defaults

    def dims(self, config: Config) -> dict[str, int]:
        """Values a row of each state."""
        return dict.fromkeys(self.states, config["output_dim"])

    def forget(self, states: States, valid: Array) -> States:
        """The states that a step reads in mode ``zero``, after a step that was ``valid``, ``(batch, 1)``, or not."""
        return tuple(state * valid for state in states)

    def __call__(self, config: Config, x: Value, given: Given) -> Computed:
        return Run(self, {**self.defaults, **config}, x, given).computed()


class Deep(Layer):
    """SimpleDeepRNN: states ``h1``, ``h2``, ... of one, two, ... steps back, and whether there were such steps."""

    def dims(self, config: Config) -> dict[str, int]:
        back = range(1, config["depth"] + 1)
        return {f"h{k}": config["output_dim"] for k in back} | {
            f"there{k}": 1 for k in back
        }

    def forget(self, states: States, valid: Array) -> States:
        """A step that was masked counts as none."""
        depth = len(states) // 2
        return (*states[:depth], states[depth] * valid, *states[depth + 1 :])


class Run:
    """One run of a layer over a batch: the steps forwards, then backwards."""

    def __init__(self, kind: Layer, config: Config, x: Value, given: Given):
        self.kind, self.config = kind, config
        self.turned = bool(config.get("go_backwards"))
        self.x = self.directed(given.floats(x.array))
        self.mask = None if x.mask is None else self.directed(x.mask)
        self.dims, self.params = kind.dims(config), given.params
        zeros = {
            name: np.zeros((len(self.x), dim), self.x.dtype)
            for name, dim in self.dims.items()
        }
        self.starts = tuple({**zeros, **given.states}[name] for name in self.dims)
        self.carry = config.get("mask_mode", "zero") == "carry"
        self._forward()

    def directed(self, steps: Array) -> Array:
        """``(batch, time, ...)`` in the order in which the loop runs."""
        return steps[:, ::-1] if self.turned else steps

    def valid(self, t: int) -> Array:
        """Which rows are data at step ``t``, ``(batch, 1)``."""
        return (
            np.ones((len(self.x), 1), bool)
            if self.mask is None
            else self.mask[:, t, None]
        )

    def read(self, states: States, t: int) -> States:
        """``states`` after step ``t - 1``, as step ``t`` reads them."""
        forgets = self.mask is not None and not self.carry and t > 0
        return self.kind.forget(states, self.valid(t - 1)) if forgets else states

    def _forward(self) -> None:
        self.backs, self.steps, states = [], [], self.starts
        for t in range(self.x.shape[1]):
            new, back = self.kind.step(
                self.params, self.config, self.x[:, t], self.read(states, t)
            )
            if self.mask is not None and self.carry:
                new = tuple(
                    np.where(self.valid(t), now, old)
                    for now, old in zip(new, states, strict=True)
                )
            states = new
            self.backs.append(back)
            self.steps.append(states[0])
        self.last = states

    def computed(self) -> Computed:
        """The output, and the way back."""
        sequences = self.config.get("return_sequences", False)
        value = np.stack(self.steps, axis=1) if sequences else self.steps[-1]
        mask = self.mask if sequences else None
        finals = dict(
            zip(self.dims, self.read(self.last, self.x.shape[1]), strict=True)
        )
        return Computed(
            value, self.back, mask, finals if self.config.get("stateful") else {}
        )

    def back(self, d: Array) -> Pulled:
        """The steps backwards, the last ``truncate_gradient`` of them."""
        length, params = self.x.shape[1], {}
        k = self.config.get("truncate_gradient", -1)
        first = 0 if k == -1 else max(0, length - k)
        d_x = np.zeros_like(self.x)
        d_states = {
            name: np.zeros_like(start)
            for name, start in zip(self.dims, self.starts, strict=True)
        }
        output = next(iter(self.dims))
        for t in reversed(range(first, length)):
            if self.config.get("return_sequences", False):
                d_states[output] = d_states[output] + d[:, t]
            elif t == length - 1:
                d_states[output] = d_states[output] + d
            d_x[:, t], d_states, of_params = self._step_back(t, d_states)
            params = summed(params, of_params)
        if first:
            d_states = {name: np.zeros_like(value) for name, value in d_states.items()}
        return Pulled(self.directed(d_x), params, d_states)

    def _step_back(
        self, t: int, d_states: dict[str, Array]
    ) -> tuple[Array, dict[str, Array], dict[str, Array]]:
        """The gradient of the input at ``t``, of the states before, and of parameters."""
        carried = self.mask is not None and self.carry
        kept = (
            {name: np.where(self.valid(t), 0, d) for name, d in d_states.items()}
            if carried
            else {}
        )
        fresh = [
            np.where(self.valid(t), d, 0) if carried else d for d in d_states.values()
        ]
        found = self.backs[t](*fresh)
        of_read = tuple(found.pop(name) for name in d_states)
        before = dict(
            zip(d_states, self.read(of_read, t), strict=True)
        )  # forgetting is a product, backwards too
        return found.pop("x"), summed(before, kept), found


GATED, SEARCHED = cells.GATED, cells.SEARCHED

SIMPLE = Layer(cells.simple, activation="sigmoid")
DEEP = Deep(cells.deep, depth=3, **GATED)
GRU = Layer(cells.gru, **GATED)
LSTM = Layer(cells.lstm, ("h", "c"), **{**GATED, "activation": "tanh"})
JZS1 = Layer(cells.jzs1, **SEARCHED)
JZS2 = Layer(cells.jzs2, **SEARCHED)
JZS3 = Layer(cells.jzs3, **SEARCHED)

CELLS = {
    "RecurrentDense": SIMPLE,
    "Gate": Layer(cells.simple, activation="hard_sigmoid"),
    "RecurrentDeep": DEEP,
    "RecurrentGRU": GRU,
    "RecurrentLSTM": LSTM,
    "RecurrentJZS1": JZS1,
    "RecurrentJZS2": JZS2,
    "RecurrentJZS3": JZS3,
}
"""What RNN repeats for each cell."""


@layer("RNN", mask=USE)
def rnn(config: Config, x: Array, given: Given) -> Computed:
    """A cell over time: the parameters are the cell's, under its names."""
    cell = config["cell"]
    if cell["name"] not in CELLS:
        raise UnknownNameError.about(
            "cell",
            str(cell["name"]),
            takes="the name of a cell with a formula",
            because="the reference runs no code but its own, no cell of yours",
            got=repr(cell["name"]),
            do=suggest(str(cell["name"]), CELLS),
        )
    return CELLS[cell["name"]]({**cell, **config}, x, given)


layer("SimpleRNN", mask=USE)(SIMPLE)
layer("SimpleDeepRNN", mask=USE)(DEEP)
for name, repeated in {
    "GRU": GRU,
    "LSTM": LSTM,
    "JZS1": JZS1,
    "JZS2": JZS2,
    "JZS3": JZS3,
}.items():
    layer(name, mask=USE)(
        Layer(repeated.step, repeated.states, output_dim=128, **repeated.defaults)
    )
