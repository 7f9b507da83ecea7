"""The backward loop, and the products after it.

The loop runs from the last step to the first. Its states are the gradients with respect
to the past, one for each tap: at step ``t`` the gradient of tap ``-k`` belongs to
``h_{t-k}``, so step ``t-k`` has to read it, k steps later in this loop. That is a state
with the tap ``-k``::

    for t = T-1, ..., 0:
        delta_t = outside_t + sum over k of carried_k[t + k]
        carried_k[t] = delta_t . dh_t/dh_{t-k}                  (from vjp.py)
        emitted_t = dz_t, ...                                   (from partition.py)

The loop starts from *seeds*, the rows of ``carried_k`` after the last step. They are
zeros, except that the gradient of a state's last value is used as the seed for tap -1,
as if an extra step after the last one had sent it back.

After the loop each gradient is computed for all steps at once:

- of a slice of a sequence: added to the rows that the taps read;
- of the rows before the first step of a state: the first k rows of ``carried_k``;
- of a constant: the sum over time;
- of a weight: ``sum_t a_t.T dz_t`` is one product of ``(n, time * batch)`` and
  ``(time * batch, dim)``; of a matrix that is read at integers, one sum by row.
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
from recursive.backend.sizes import Size, size, sizes
from recursive.scan.partition import columns_of_parts, parts_of_concatenation
from recursive.scan.step_graph import Tapped
from recursive.scan.vjp import Gradients, StepVJP, present

Maybe = TensorVariable | None


@dataclass(frozen=True, slots=True)
class LoopInputs:
    """The tensors that a loop is given.

    Args:
        sequences: the sequences.
        states: the states.
        result_index: for each state, the index of the result that feeds it.
        constants: the values that are constant over time, then the weights.
        n_steps: the number of steps.
    """

    sequences: list[Tapped]
    states: list[Tapped]
    result_index: Sequence[int]
    constants: list[TensorVariable]
    n_steps: Size

    def read_at(self, item: Tapped, rows: TensorVariable, tap: int) -> TensorVariable:
        """The values that steps read of ``rows`` at ``tap``, ``(time, batch, ...)``.

        The first ``item.lag`` of the rows lie before the first step.
        """
        start = item.lag + tap
        return rows[start : start + self.n_steps]


class Backward:
    """The reverse pass through one loop.

    Args:
        vjp: the step and its vector-Jacobian product.
        inputs: the tensors that the loop was given.
        outputs: the results and stored values of the forward loop, over time.
        output_grads: the gradient with respect to each result over time.
        last_grads: the gradient with respect to the last step of each state.
    """

    def __init__(
        self,
        vjp: StepVJP,
        inputs: LoopInputs,
        outputs: Mapping[Variable, TensorVariable],
        output_grads: Sequence[Variable],
        last_grads: Sequence[Variable],
    ):
        self.vjp = vjp
        self.inputs = inputs
        step = vjp.step
        placeholders = (*step.constants, *step.weights)
        self.constants = dict(zip(placeholders, inputs.constants, strict=True))
        # The value of each variable of the step at all steps, (time, batch, ...).
        self.over_time = {**outputs, **self._reads(outputs)}
        for result, placeholder, gradient in zip(
            step.results, vjp.outside, output_grads, strict=True
        ):
            if placeholder is not None:
                if not exists(gradient):
                    gradient = pt.zeros_like(outputs[result])
                self.over_time[placeholder] = gradient
        self.seeds = self._seeds(last_grads)

    def _reads(
        self, outputs: Mapping[Variable, TensorVariable]
    ) -> dict[Variable, TensorVariable]:
        """The values that the steps have read of sequences and states, over time."""
        step, inputs = self.vjp.step, self.inputs
        values = []
        for item in inputs.sequences:
            for tap in item.taps:
                values.append(inputs.read_at(item, item.rows, tap))
        for item, index in zip(inputs.states, inputs.result_index, strict=True):
            # (lag + time, batch, ...): the rows before the loop, then the values in it
            rows = pt.concatenate([item.rows, outputs[step.results[index]]])
            for tap in item.taps:
                values.append(inputs.read_at(item, rows, tap))
        return dict(zip((*step.slices, *step.pasts), values, strict=True))

    def _seeds(self, last_grads: Sequence[Variable]) -> list[Maybe]:
        """The rows from which the backward loop starts, ``(k, batch, ...)`` for tap -k.

        None for a past that has no gradient. The gradient of a last value that cannot
        be a seed is added to ``over_time`` instead.
        """
        # The gradient of each last value that is not placed yet, by state.
        pending = {
            number: value for number, value in enumerate(last_grads) if exists(value)
        }
        seeds: list[Maybe] = []
        carried = iter(self.vjp.carried)
        for number, state in enumerate(self.inputs.states):
            for tap in state.taps:
                k = -tap
                if next(carried) is None:
                    seeds.append(None)
                elif k == 1 and number in pending:
                    # as if an extra step after the last one had sent it back
                    seeds.append(pending.pop(number)[None])
                else:
                    seeds.append(pt.zeros_like(state.rows[:k]))
        # A state that no step reads one step back has no such seed. Its gradient is
        # added to what comes from outside at the last step.
        for number, value in pending.items():
            # PyTensor sends zeros back to integers, which have no gradient.
            if self.vjp.outside[self.inputs.result_index[number]] is None:
                continue
            outside = self.vjp.outside[self.inputs.result_index[number]]
            last = self.over_time[outside][-1]
            self.over_time[outside] = pt.inc_subtensor(last, value)
        return seeds

    def gradients(self) -> list[Maybe]:
        """The gradients with respect to sequences, states, constants and weights."""
        past_grads, emitted = self._run()  # (time, batch, ...)
        found, lefts = self._after_loop(emitted)  # (time, batch, ...)
        taps = self._taps()
        # At the first k steps a tap -k reads rows from before the loop. Later it reads
        # values of the state, whose gradients the loop has already used.
        first_rows: list[Maybe] = []
        for tap, gradient in zip(taps, past_grads, strict=True):
            k = -tap
            first_rows.append(None if gradient is None else gradient[:k])
        constants = []
        for gradient in found.constants:
            constants.append(None if gradient is None else gradient.sum(axis=0))
        return [
            *_summed_over_taps(self.inputs.sequences, found.slices),
            *_summed_over_taps(self.inputs.states, first_rows),
            *constants,
            *self._weight_gradients(lefts, found.products),
        ]

    def _taps(self) -> list[int]:
        """The tap of each past."""
        taps = []
        for state in self.inputs.states:
            taps.extend(state.taps)
        return taps

    def _run(self) -> tuple[list[Maybe], dict[Variable, TensorVariable]]:
        """Run the backward loop.

        Returns:
            The gradient with respect to each past, and the emitted values, over time.
        """
        vjp = self.vjp
        carried = present(vjp.carried)
        if not carried:  # no step depends on the past: there is nothing to loop over
            return [None] * len(vjp.carried), {}
        constants = self._constants_of_loop()
        read = {}
        for value, over_time in self.over_time.items():
            if value in vjp.parts.read:
                read[value] = over_time
        # What each argument of ``step`` after ``t`` stands for.
        placeholders = (*carried, *constants, *read)

        def step(t: TensorVariable, *args: TensorVariable) -> list[TensorVariable]:
            # Indexing by the number of the step is faster than reversed sequences.
            first_read = len(args) - len(read)
            slices = []
            for over_time in args[first_read:]:
                slices.append(backend.as_contiguous(over_time[t]))
            arguments = (*args[:first_read], *slices)
            values = dict(zip(placeholders, arguments, strict=True))
            return graph_replace(vjp.backward_results, values, strict=False)

        found = backend.scan(
            step,
            sequences=[pt.arange(self.inputs.n_steps)[::-1]],
            outputs_info=[*self._starts(), *[None] * len(vjp.parts.emitted)],
            non_sequences=[*constants.values(), *read.values()],
            n_steps=self.inputs.n_steps,
            name="backward",
        )
        values = iter([value[::-1] for value in found])  # in the order of time again
        past_grads = []
        for placeholder in vjp.carried:
            past_grads.append(None if placeholder is None else next(values))
        return past_grads, dict(zip(vjp.parts.emitted, values, strict=True))

    def _constants_of_loop(self) -> dict[Variable, TensorVariable]:
        """The values that the backward step reads and that are constant over time."""
        parts = self.vjp.parts
        found = {}
        for placeholder, value in self.constants.items():
            if placeholder in parts.read:
                found[placeholder] = value
        # Such as a transposed weight, which is copied once so that it is contiguous.
        computed = graph_replace(parts.precomputed, self.constants, strict=False)
        for variable, value in zip(parts.precomputed, computed, strict=True):
            found[variable] = backend.as_contiguous(value)
        return found

    def _starts(self) -> list[dict[str, object]]:
        """scan's entry for each state of the backward loop."""
        starts = []
        for seed, tap in zip(self.seeds, self._taps(), strict=True):
            if seed is not None:
                starts.append(Tapped(seed, (tap,)).entry("initial"))
        return starts

    def _after_loop(
        self, emitted: Mapping[Variable, TensorVariable]
    ) -> tuple[Gradients, list[TensorVariable]]:
        """The gradients that no step waits for, and the left factors, over time."""
        gradients = self.vjp.gradients
        lefts = [product.left for product in self.vjp.step.products]
        wanted = [*gradients.after_loop, *lefts]
        known = {**self.over_time, **emitted, **self.constants}
        for value, over_time in emitted.items():
            for part, start, stop in columns_of_parts(value):
                known.setdefault(part, over_time[..., start:stop])
        found = {}
        if wanted:
            # The formulas of one step, applied to the values of all steps.
            vectorized = vectorize_graph(wanted, known)
            for value, over_time in zip(wanted, vectorized, strict=True):
                found[value] = self._at_all_steps(value, over_time)
        after = Gradients((), gradients.slices, gradients.constants, gradients.products)
        return after.mapped(found.__getitem__), [found[left] for left in lefts]

    def _at_all_steps(
        self, value: Variable, over_time: TensorVariable
    ) -> TensorVariable:
        """``over_time``, repeated if it is the same at all steps.

        Such is a gradient of zeros, of a value that is only compared with another.
        """
        if over_time.ndim > value.ndim:
            return over_time
        return pt.alloc(over_time, self.inputs.n_steps, *sizes(over_time))

    def _weight_gradients(
        self, lefts: Sequence[TensorVariable], product_grads: Sequence[Maybe]
    ) -> list[Maybe]:
        """The gradient of each weight, summed over the products that use it.

        Args:
            lefts: the left factor of each product, ``(time, batch, n)``.
            product_grads: the gradient of each product, ``(time, batch, dim)``.
        """
        step = self.vjp.step
        found: dict[Variable, TensorVariable] = {}
        for product, left, gradient in zip(
            step.products, lefts, product_grads, strict=True
        ):
            if gradient is None:
                continue
            if left.dtype.startswith("int"):
                rows = self.constants[product.weights]
                term = _lookup_gradient(rows, left, _as_matrix(gradient))
            else:
                term = weight_gradient(left, _as_matrix(gradient))
            if product.weights in found:
                term = found[product.weights] + term
            found[product.weights] = term
        return [found.get(weights) for weights in step.weights]


def exists(gradient: Variable) -> bool:
    """True unless PyTensor says that nothing depends on the value."""
    return not isinstance(gradient.type, DisconnectedType)


def weight_gradient(
    left: TensorVariable, product_grad: TensorVariable
) -> TensorVariable:
    """``sum_t a_t.T dz_t`` for one product ``z = a @ W``.

    Args:
        left: ``a`` at all steps, ``(time, batch, n)``.
        product_grad: ``dz`` at all steps, ``(time * batch, dim)``.

    Returns:
        The gradient of the weights, ``(n, dim)``.
    """
    # If a is a concatenation, each part gives the rows of W that belong to it. Joining
    # the parts of all steps first would take longer than the products.
    parts = parts_of_concatenation(left)
    if parts:
        rows = [weight_gradient(part, product_grad) for part in parts]
        return pt.concatenate(rows, axis=0)
    return _as_matrix(left).T.dot(product_grad)


def _lookup_gradient(
    rows: TensorVariable, indices: TensorVariable, gradient: TensorVariable
) -> TensorVariable:
    """The gradient of ``rows`` that were read at ``indices``, ``(time, batch)``.

    Each row gets the sum over all places that read it.
    """
    return pt.inc_subtensor(pt.zeros_like(rows)[indices.flatten()], gradient)


def _as_matrix(values: TensorVariable) -> TensorVariable:
    """``(time, batch, dim)`` as ``(time * batch, dim)``."""
    return values.reshape((-1, size(values, 2)))


def _summed_over_taps(
    items: Sequence[Tapped], read_grads: Sequence[Maybe]
) -> list[Maybe]:
    """The gradient with respect to the rows of each item.

    Args:
        items: sequences or states.
        read_grads: the gradient of each read, by item, then by tap.
    """
    gradients = iter(read_grads)
    found: list[Maybe] = []
    for item in items:
        if item.taps == (0,):  # a sequence of exactly n_steps rows, each read once
            found.append(next(gradients))
            continue
        terms = []
        for tap in item.taps:
            gradient = next(gradients)
            if gradient is not None:
                terms.append((item.lag + tap, gradient))
        # Taps read overlapping rows, so each term is added to its own part of them.
        total = pt.zeros_like(item.rows) if terms else None
        for start, gradient in terms:
            target = total[start : start + size(gradient, 0)]
            total = pt.inc_subtensor(target, gradient)
        found.append(total)
    return found
