"""The gradient of a loop as a loop of its own, which keeps what the steps have computed and multiplies less.

scan's own gradient computes every step again, and adds to the gradient of the weights at every step. Here the backward
loop holds only what the past needs; what a step gives to weights is one product for all steps, after the loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Variable
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import Size, size
from recursive.scan.step_graph import Series
from recursive.scan.vjp import Adjoint, side_by_side

Found = TensorVariable | None


@dataclass(frozen=True, slots=True)
class Run:
    """What a loop was given.

    Args:
        sequences: with the rows before their first step.
        states: with the rows before the first step.
        places: which result each state is.
        fixed: what is the same at every step, then weights.
        n_steps: how many steps there are.
    """

    sequences: list[Series]
    states: list[Series]
    places: Sequence[int]
    fixed: list[TensorVariable]
    n_steps: Size

    def at(self, item: Series, rows: TensorVariable, tap: int) -> TensorVariable:
        """``rows``, of which the first ``item.lag`` are before the first step, as each step reads them at ``tap``."""
        start = item.lag + tap
        return rows[start : start + self.n_steps]


class Backward:
    """The way back through one loop.

    Args:
        adjoint: the step and its vector-Jacobian product.
        run: what the loop was given.
        outputs: what it made of that, results and what it has kept, at every step: ``(time, batch, ...)``.
        of_results: the gradient with respect to each result.
        of_lasts: the gradient with respect to the last step of each state.
    """

    def __init__(
        self,
        adjoint: Adjoint,
        run: Run,
        outputs: Mapping[Variable, TensorVariable],
        of_results: Sequence[Variable],
        of_lasts: Sequence[Variable],
    ):
        self.adjoint, self.run = adjoint, run
        self.fixed = dict(
            zip(
                (*adjoint.step.constants, *adjoint.step.weights), run.fixed, strict=True
            )
        )
        self.over_time = {**outputs, **self._read(outputs)}
        for result, outside, value in zip(
            adjoint.step.results, adjoint.outside, of_results, strict=True
        ):
            if outside is not None:
                self.over_time[outside] = (
                    value if is_there(value) else pt.zeros_like(outputs[result])
                )
        self.seeds = self._seeds(of_lasts)

    def _read(
        self, outputs: Mapping[Variable, TensorVariable]
    ) -> dict[Variable, TensorVariable]:
        """What each step has read of sequences and states."""
        run, step = self.run, self.adjoint.step
        past = (
            pt.concatenate([item.rows, outputs[step.results[place]]])
            for item, place in zip(run.states, run.places, strict=True)
        )
        rows = (
            *((item, item.rows) for item in run.sequences),
            *zip(run.states, past, strict=True),
        )
        values = (
            run.at(item, values, tap) for item, values in rows for tap in item.taps
        )
        return dict(zip((*step.slices, *step.pasts), values, strict=True))

    def _seeds(self, of_lasts: Sequence[Variable]) -> list[Found]:
        """What the backward loop starts from, for each past: as if steps after the last had read it.

        The gradient of a last step is such a one. Where no step reads the one before, it is added to what comes from
        outside.
        """
        given = {
            place: value for place, value in enumerate(of_lasts) if is_there(value)
        }
        seeds: list[Found] = []
        carried = iter(self.adjoint.carried)
        for place, state in enumerate(self.run.states):
            for tap in state.taps:
                if next(carried) is None:
                    seeds.append(None)
                elif tap == -1 and place in given:
                    seeds.append(given.pop(place)[None])
                else:
                    seeds.append(pt.zeros_like(state.rows[:-tap]))
        for place, value in given.items():
            outside = self.adjoint.outside[self.run.places[place]]
            self.over_time[outside] = pt.inc_subtensor(
                self.over_time[outside][-1], value
            )
        return seeds

    def gradients(self) -> list[Found]:
        """The gradient with respect to the rows of each sequence and each state, to what is fixed, and to weights."""
        of_pasts, emitted = self._run_back()
        of_slices, of_constants, of_products, lefts = self._afterwards(emitted)
        of_first = [
            None if value is None else value[:-tap]
            for value, tap in zip(
                of_pasts,
                (tap for state in self.run.states for tap in state.taps),
                strict=True,
            )
        ]
        return [
            *_added(self.run.sequences, of_slices),
            *_added(self.run.states, of_first),
            *(None if value is None else value.sum(axis=0) for value in of_constants),
            *self._of_weights(lefts, of_products),
        ]

    def _run_back(self) -> tuple[list[Found], dict[Variable, TensorVariable]]:
        """The backward loop: the gradient of each past, and the values that later work reads, at every step.

        What the steps were is read by the number of the step, so that nothing has to be turned round.
        """
        adjoint, carried = (
            self.adjoint,
            [value for value in self.adjoint.carried if value is not None],
        )
        if not carried:
            return [None] * len(adjoint.carried), {}
        fixed = {
            value: whole for value, whole in self.fixed.items() if value in adjoint.read
        }
        fixed |= dict(
            zip(
                adjoint.fixed,
                map(
                    backend.as_contiguous,
                    graph_replace(adjoint.fixed, self.fixed, strict=False),
                ),
                strict=True,
            )
        )
        kept = {
            value: whole
            for value, whole in self.over_time.items()
            if value in adjoint.read
        }
        taps = (tap for state in self.run.states for tap in state.taps)
        starts = [
            Series(seed, (tap,)).entry("initial")
            for seed, tap in zip(self.seeds, taps, strict=True)
            if seed is not None
        ]

        def step(t: TensorVariable, *args: TensorVariable) -> list[TensorVariable]:
            cut = len(args) - len(kept)
            values = (
                *args[:cut],
                *(backend.as_contiguous(whole[t]) for whole in args[cut:]),
            )
            known = dict(zip((*carried, *fixed, *kept), values, strict=True))
            return graph_replace(adjoint.back, known, strict=False)

        found = backend.scan(
            step,
            [pt.arange(self.run.n_steps)[::-1]],
            [*starts, *(None for _ in adjoint.emitted)],
            [*fixed.values(), *kept.values()],
            self.run.n_steps,
            name="backward",
        )
        values = iter([value[::-1] for value in found])
        of_pasts = [
            None if value is None else next(values) for value in adjoint.carried
        ]
        return of_pasts, dict(zip(adjoint.emitted, values, strict=True))

    def _afterwards(
        self, emitted: Mapping[Variable, TensorVariable]
    ) -> tuple[list[Found], ...]:
        """At every step: the gradients that no step waits for, and what products multiply with weights."""
        gradients = self.adjoint.gradients
        groups = (
            gradients.slices,
            gradients.constants,
            gradients.products,
            [product.left for product in self.adjoint.step.products],
        )
        wanted = [value for group in groups for value in group if value is not None]
        known = {**self.over_time, **emitted, **self.fixed}
        found = iter(vectorize_graph(wanted, known) if wanted else [])
        return tuple(
            [None if value is None else next(found) for value in group]
            for group in groups
        )

    def _of_weights(
        self, lefts: Sequence[TensorVariable], of_products: Sequence[Found]
    ) -> list[Found]:
        """With respect to weights: for each product of the step one over all rows of all steps."""
        found: dict[Variable, TensorVariable] = {}
        for product, left, value in zip(
            self.adjoint.step.products, lefts, of_products, strict=True
        ):
            if value is not None:
                share = _share(left, _rows(value))
                found[product.weights] = (
                    found[product.weights] + share
                    if product.weights in found
                    else share
                )
        return [found.get(weights) for weights in self.adjoint.step.weights]


def is_there(value: Variable) -> bool:
    """Whether there is a gradient at all."""
    return not isinstance(value.type, DisconnectedType)


def _added(items: Sequence[Series], of_reads: Sequence[Found]) -> list[Found]:
    """The gradient with respect to the rows of each of ``items``, given that of each read of them."""
    reads, found = iter(of_reads), []
    for item in items:
        parts = [
            (item.lag + tap, value)
            for tap in item.taps
            if (value := next(reads)) is not None
        ]
        total = pt.zeros_like(item.rows) if parts else None
        for start, value in parts:
            total = pt.inc_subtensor(total[start : start + size(value, 0)], value)
        found.append(total)
    return found


def _share(left: TensorVariable, of_product: TensorVariable) -> TensorVariable:
    """What all steps give to the weights of one product.

    Where values side by side were multiplied, each gives the rows of its own weights: to put the values of all steps
    side by side takes longer than their products.
    """
    if parts := side_by_side(left):
        return pt.concatenate([_share(part, of_product) for part in parts], axis=0)
    return _rows(left).T.dot(of_product)


def _rows(values: TensorVariable) -> TensorVariable:
    """``(time, batch, dim)`` as ``(time * batch, dim)``."""
    return values.reshape((-1, size(values, 2)))
