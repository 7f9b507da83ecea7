"""The loop over time. A step reads slices of the inputs, past values, and contexts; its values become the past.

What a name was at each step, and before the first, is kept in one array: ``rows[name]`` of ``(lag + time, batch,
dim)``. A tap is a look into it, at a place that the clock tells. Backwards, gradients are gathered in arrays of the
same shapes, and every step adds to the places that it had read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from recursive.errors import DtypeError, SequenceLengthError, ShapeError
from recursive.reference.arrays import (
    Array,
    Computed,
    Given,
    Pulled,
    Value,
    Whole,
    is_float,
    outside,
    summed,
)
from recursive.reference.clock import Clock, filled, unfilled
from recursive.reference.masks import joined
from recursive.reference.noise import held_draws
from recursive.reference.order import Names
from recursive.reference.shapes import find_dims
from recursive.reference.starts import start_of
from recursive.reference.step import Ran, has_gradient, read
from recursive.spec.graph import GraphSpec, NodeSpec, Ref, StateSpec

Place = tuple[Array | int, Array]
"""Where each row of a batch looks."""


class Loop:
    """One run of a declaration over a batch: :meth:`forward`, then :meth:`back`.

    Args:
        spec: the declaration.
        inputs: by name, batch first, with their masks.
        given: parameters, draws, states to go on from, and a mask beside those of the inputs.
    """

    def __init__(self, spec: GraphSpec, inputs: Mapping[str, Value], given: Given):
        self.spec, self.inputs, self.given, self.names = (
            spec,
            inputs,
            given,
            Names(spec),
        )
        self.sequences = {
            item.name: self.directed(inputs[item.name].array)
            for item in spec.inputs
            if item.is_sequence
        }
        self.contexts = {
            item.name: inputs[item.name].array
            for item in spec.inputs
            if not item.is_sequence
        }
        self.batch = len(next(iter(inputs.values())).array) if inputs else 1
        self.length = self._length()
        self.mask = self._mask()
        self.lag = max([1, *(-ref.tap for ref in self.names.read)])
        self.clock = Clock(self.mask, self.length, self.batch, self.lag)
        self.starts = {
            state.name: start_of(state, given, self.contexts)
            for state in self.names.histories
        }
        self.rows = {**self._rows_of_sequences(), **self._rows_of_states()}
        self.rows_of_masks = self._rows_of_masks()
        self.draws = {node.name: self._draws(node) for node in spec.nodes}

    # Forwards

    def forward(self) -> Loop:
        """Run the steps, until the node that ends the loop is true in every row."""
        self.ran: list[list[Ran]] = []
        self.shown: list[dict] = []
        for t in range(self.length):
            values = self._step(t)
            if self.spec.until is not None and _truth(
                self.spec.until, values[self.spec.until].array
            ):
                break
        self.length = len(self.ran)
        return self

    def _step(self, t: int) -> dict[str, Value]:
        """Run the nodes at ``t``, one after another, and keep what later steps will look back to."""
        values: dict[str, Value] = {}

        def reader(ref: Ref) -> Value:
            ref = self.names.meaning(ref)
            if ref.name in self.contexts:
                return replace(self.inputs[ref.name], is_context=True)
            if not ref.tap and ref.name in values:
                return values[ref.name]
            return self._past(ref.name, self.clock.place(t, ref.tap))

        self.ran.append([])
        for node in self.names.ordered:
            self.ran[t].append(Ran(node, reader, self._given(node, t)))
            values |= self.ran[t][-1].outputs
        for state in self.names.histories:
            value = values[state.input].array
            _check(state, value, self.rows[state.name][0])
            self.rows[state.name][self.lag + t] = value
        self.shown.append(
            {
                output.name: read(
                    output.refs, output.merge_mode, reader, self.given.dtype
                )
                for output in self.names.outputs
            }
        )
        return values

    def _past(self, name: str, place: Place) -> Value:
        """The slice of an input or of a history that each row finds at its place."""
        mask = self.rows_of_masks.get(name)
        return Value(self.rows[name][place], None if mask is None else mask[place])

    # Backwards

    def back(self, d: Mapping[str, Array]) -> Pulled:
        """The steps backwards, the last ``truncate_gradient`` of them: what is before these gets no gradient."""
        self.d_rows = {
            name: np.zeros_like(rows)
            for name, rows in self.rows.items()
            if is_float(rows)
        }
        self.d_contexts: dict[str, Array] = {}
        d_steps = {
            name: self._over_time(d[name])
            for name in self.shown[-1]
            if d.get(name) is not None
        }
        for state in self.names.histories:
            if d.get(final_name(state)) is not None:
                self._final_back(state, d[final_name(state)])
        params: dict[str, Array] = {}
        k = self.spec.truncate_gradient
        first = 0 if k == -1 else max(0, self.length - k)
        for t in reversed(range(first, self.length)):
            params = summed(
                params,
                self._step_back(t, {name: steps[t] for name, steps in d_steps.items()}),
            )
        return self._gathered(params)

    def _step_back(self, t: int, d_shown: Mapping[str, Array]) -> dict[str, Array]:
        """The nodes at ``t`` backwards; what they read gets its share, and the gradient of weights is returned."""
        d_values: dict[str, Array] = {}

        def giver(ref: Ref, share: Array) -> None:
            ref = self.names.meaning(ref)
            into = self.d_contexts if ref.name in self.contexts else d_values
            if ref.name in self.contexts or (
                not ref.tap and ref.name in self.names.nodes
            ):
                into[ref.name] = into[ref.name] + share if ref.name in into else share
            elif ref.name in self.d_rows:
                self.d_rows[ref.name][self.clock.place(t, ref.tap)] += share

        for state in self.names.histories:
            giver(Ref(state.input), self.d_rows[state.name][self.lag + t])
        for name, share in d_shown.items():
            self.shown[t][name][1](share, giver)
        params: dict[str, Array] = {}
        for ran in reversed(self.ran[t]):
            if has_gradient(ran, d_values):
                params = summed(
                    params, outside(ran.back(d_values, giver).params, ran.node.name)
                )
        return params

    def _over_time(self, d: Array) -> Array:
        """The gradient of an output at every step, ``(time, batch, ...)``, where steps were only repeated moved."""
        if self.spec.return_sequences:
            steps = np.moveaxis(d, 1, 0)
        else:
            steps = np.zeros((self.length, *d.shape), d.dtype)
            steps[-1] = d
        return (
            steps
            if self.mask is None
            else unfilled(steps, self.clock.last_valid(self.length))
        )

    def _final_back(self, state: StateSpec, d: Array) -> None:
        lag = self.names.lag(state.name)
        for tap, rows in zip(
            range(-lag, 0), [d] if lag == 1 else np.moveaxis(d, 1, 0), strict=True
        ):
            self.d_rows[state.name][self.clock.place(self.length, tap)] += rows

    def _gathered(self, params: dict[str, Array]) -> Pulled:
        """What has arrived at inputs, at parameters, and at the states that were given."""
        d_inputs = {
            name: np.moveaxis(self._turned(self.d_rows[name][self.lag :]), 0, 1)
            for name in self.sequences
            if name in self.d_rows
        }
        found = {
            "inputs": summed(d_inputs, self.d_contexts),
            "params": params,
            "states": {},
            "numbers": {},
        }
        for name, start in self.starts.items():
            share = start.back(
                self.d_rows[name][self.lag - self.names.lag(name) : self.lag]
            )
            if start.source == "inputs" and self.contexts[start.name].ndim == 3:
                share = np.moveaxis(share, 0, 1)
            found[start.source] = summed(found[start.source], {start.name: share})
        return Pulled(
            {name: found["inputs"].get(name) for name in self.inputs},
            found["params"],
            found["states"],
        )

    # What came of it

    def outputs(self) -> dict[str, Array]:
        """Every output by name, ``(batch, time, ...)`` or the last step; then the final states where asked for."""
        steps = {
            name: self._seen([shown[name][0].array for shown in self.shown])
            for name in self.shown[-1]
        }
        found = (
            steps
            if self.spec.return_sequences
            else {name: value[:, -1] for name, value in steps.items()}
        )
        if self.spec.return_final_states:
            finals = self.finals()
            found |= {
                final_name(state): finals[state.name]
                if self.names.lag(state.name) == 1
                else np.moveaxis(finals[state.name], 0, 1)
                for state in self.names.histories
            }
        return found

    def masks(self) -> dict[str, Array]:
        """The masks of outputs. Over time, the mask of the loop, joined with the one that the value has in each step;
        of the last step, the latter alone. Final states have none."""
        over_time = self.spec.return_sequences
        of_loop = None
        if over_time and self.mask is not None:
            of_loop = np.moveaxis(self.mask[: self.length], 0, 1)
        found = {}
        for name in self.shown[-1]:
            steps = [shown[name][0].mask for shown in self.shown]
            of_value = None
            if steps[0] is not None:
                of_value = self._seen(steps)
                of_value = of_value if over_time else of_value[:, -1]
            mask = joined([of_loop, of_value])
            if mask is not None:
                found[name] = mask
        return found

    def finals(self) -> dict[str, Array]:
        """Each state after the last step, ``(batch, dim)``, or ``(lag, batch, dim)``, oldest first."""
        found = {
            state.name: np.stack(
                [
                    self.rows[state.name][self.clock.place(self.length, tap)]
                    for tap in range(-self.names.lag(state.name), 0)
                ]
            )
            for state in self.names.histories
        }
        return {
            name: rows[0] if len(rows) == 1 else rows for name, rows in found.items()
        }

    def values(self) -> dict[str, Array]:
        """Every value of every node at every step."""
        steps = [
            {name: value for ran in step for name, value in ran.values.items()}
            for step in self.ran
        ]
        return {
            name: self._seen([values[name] for values in steps]) for name in steps[0]
        }

    def _seen(self, steps: list[Array]) -> Array:
        """``(batch, time, ...)``; a masked step shows the last one that was data. Without rows, ``(time,)``."""
        stacked = np.stack(steps)
        if stacked.ndim == 1:
            return stacked
        if self.mask is not None:
            stacked = filled(stacked, self.clock.last_valid(self.length))
        return np.moveaxis(stacked, 0, 1)

    # What it starts from

    def directed(self, sequence: Array) -> Array:
        """``(batch, time, ...)`` as ``(time, batch, ...)``, in the order in which the loop runs."""
        return self._turned(np.moveaxis(np.asarray(sequence), 1, 0))

    def _turned(self, steps: Array) -> Array:
        return steps[::-1] if self.spec.go_backwards else steps

    def _length(self) -> int:
        lengths = {name: len(steps) for name, steps in self.sequences.items()}
        if self.spec.n_steps is not None:
            lengths["n_steps"] = self.spec.n_steps
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            raise SequenceLengthError.about(
                "input",
                " and ".join(lengths),
                takes="sequences of one length, of 1 step or more",
                because="every step reads one slice of each",
                got=f"{lengths}",
                do="Cut or pad them to one length, or say n_steps where there are none.",
            )
        return next(iter(lengths.values()))

    def _mask(self) -> Array | None:
        """Which steps are data, ``(time, batch)``: the masks ``(batch, time)`` of sequences, joined with the declared
        one and the one beside. A deeper mask, and that of a context, tell nothing of steps."""
        own = (self.inputs[name].mask for name in self.sequences)
        masks = [mask for mask in own if mask is not None and mask.ndim == 2]
        if self.spec.mask is not None:
            masks.append(self.inputs[self.spec.mask].array)
        if self.given.mask is not None:
            masks.append(self.given.mask)
        mask = joined(masks)
        return None if mask is None else self.directed(mask)

    def _rows_of_sequences(self) -> dict[str, Array]:
        """Zeros in front of each sequence."""
        return {
            name: np.concatenate(
                [np.zeros((self.lag, *steps.shape[1:]), steps.dtype), steps]
            )
            for name, steps in self.sequences.items()
        }

    def _rows_of_masks(self) -> dict[str, Array]:
        """The masks of slices, ``(batch, word)`` at each step of a sequence of sentences; before the first, nothing is
        data."""
        found = {}
        for name in self.sequences:
            mask = self.inputs[name].mask
            if mask is not None and mask.ndim > 2:
                steps = self.directed(mask)
                before = np.zeros((self.lag, *steps.shape[1:]), bool)
                found[name] = np.concatenate([before, steps])
        return found

    def _rows_of_states(self) -> dict[str, Array]:
        """The start of each state, then room for every step."""
        dims, found = self._dims(), {}
        for name, start in self.starts.items():
            lag = self.names.lag(name)
            found[name] = np.zeros(
                (self.lag + self.length, self.batch, dims[name]), self.given.dtype
            )
            found[name][self.lag - lag : self.lag] = start.rows(
                lag, self.batch, dims[name]
            )
        return found

    def _dims(self) -> dict[str, int]:
        """Values a row of each state: as declared, as its start has, or as is found by running on zeros."""
        told = {
            state.name: state.dim
            or (self.starts[state.name].value.shape or (None,))[-1]
            for state in self.names.histories
        }
        if None not in told.values():
            return told
        known = {
            name: np.zeros_like(steps[0]) for name, steps in self.sequences.items()
        }
        known |= {name: np.zeros_like(value) for name, value in self.contexts.items()}
        known |= {
            str(Ref(name, -1)): np.zeros((self.batch, dim), self.given.dtype)
            for name, dim in told.items()
            if dim
        }
        return find_dims(self.names, known, self.given)

    def _draws(self, node: NodeSpec) -> list[dict[str, Array]]:
        """The draws of ``node`` at each step: slices, but for those that hold for all steps."""
        draws = self.given.inside(node.name).draws
        held = held_draws(node.layer.class_name, node.layer.config)
        ready = {
            name: np.asarray(draw) if name in held else self.directed(draw)
            for name, draw in draws.items()
        }
        return [
            {name: draw if name in held else draw[t] for name, draw in ready.items()}
            for t in range(self.length)
        ]

    def _given(self, node: NodeSpec, t: int) -> Given:
        return self.given.inside(node.name).replace(
            draws=self.draws[node.name][t], states={}, in_loop=True
        )


def run_over_time(spec: GraphSpec, inputs: Mapping[str, Value], given: Given) -> Whole:
    """Every output of a loop by name, and the way back."""
    loop = Loop(spec, inputs, given).forward()
    computed = Computed(loop.outputs(), loop.back, loop.masks(), loop.finals())
    return Whole(computed, loop.values())


def final_name(state: StateSpec) -> str:
    """The name of a state's value after the last step, as an output."""
    return f"{state.name.replace('.', '_')}_final"


def _check(state: StateSpec, value: Array, row: Array) -> None:
    """Raise an error unless ``value`` can be the next one of ``state``."""
    if not is_float(value):
        raise DtypeError.about(
            "node",
            state.input,
            takes="floats",
            because=f"it feeds the state {state.name!r}",
            got=value.dtype,
            do="Make floats of them first.",
        )
    if value.shape != row.shape:
        raise ShapeError.about(
            "state",
            state.name,
            takes=f"values of {row.shape}",
            because="it starts from such rows",
            got=f"{value.shape} from node {state.input!r}",
            do="Mend its dim.",
        )


def _truth(node: str, value: Array) -> bool:
    if value.dtype != bool:
        raise DtypeError.about(
            "node",
            node,
            takes="true or false",
            because="the loop runs until it is true",
            got=value.dtype,
            do="Read an input of dtype='bool'.",
        )
    return bool(value.all())
