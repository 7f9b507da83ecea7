"""Gradient checkpointing: a training step that stores few states of long sequences.

Backpropagation reads the values of every step, so a training step stores them all. Here
the ``T`` steps of a batch are cut into about ``sqrt(T)`` *segments*. A forward pass
keeps the states between segments alone. The reverse pass goes from the last segment to
the first, and computes the values of each segment again, from the states before it::

    s_0 -> segment 1 -> s_1 -> segment 2 -> s_2 -> ...      stores s_k
           segment 1 <- g_1 <- segment 2 <- g_2 <- ...      g_k: the gradient of s_k

The gradient is that of the whole sequence, unlike that of truncated backpropagation
(:mod:`recursive.training.tbptt`). Memory grows with ``sqrt(T)`` instead of ``T``; a
step takes one forward pass more.

Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016; Gruslys et
al., "Memory-Efficient Backpropagation Through Time", 2016, for recurrent networks.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.gradient import grad
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.variable import TensorVariable

from recursive.backend import Argument, floatX
from recursive.layers import config
from recursive.layers.layer import Layer
from recursive.layers.learned import collect
from recursive.layers.masks import DROP
from recursive.loop.call import Call
from recursive.scan.vjp import is_float
from recursive.spec.graph import GraphSpec
from recursive.training import feed, functions, row_weights, tbptt
from recursive.training.averages import Measured, Totals, measured
from recursive.training.data import Arrays, check_rows
from recursive.training.masked_steps import mask_input
from recursive.training.measures import LOSS, number
from recursive.training.programs import Programs
from recursive.training.states import KeptStates

refusal = partial(tbptt.refusal, "recompute")

LEAVE = "Leave recompute out."


class Recompute:
    """The training step of a model in segments.

    Args:
        model: a container that is built and compiled with a loss.
        programs: the programs of the model.

    Raises:
        ConfigError: for a model whose gradient would be another one in segments.
    """

    def __init__(self, model: Layer, programs: Programs):
        targets = feed.target_arguments(model, model._measured)
        self._over_time = feed.sequences(model)
        # A target without a time axis is compared with the last step.
        for target in targets:
            if len(target.shape) > 2:
                self._over_time.append(target.name)
        _check(model, self._over_time)

        self._model = model
        self._measures = model._measured
        self._learned = collect(model, programs.frozen())
        if self._learned.updates:
            raise refusal("layers without updates", "a layer that lists some", LEAVE)
        self._in_segments = _stateful_copy(model)
        self._states = KeptStates.of(self._in_segments)
        # The states that start anew with each batch.
        kept = KeptStates.of(model).layers
        fresh = {}
        for path, states in self._states.layers.items():
            if path not in kept:
                fresh[path] = states
        self._fresh = KeptStates(fresh)

        weights = [row_weights.argument(target) for target in targets]
        for target, weight in zip(targets, weights, strict=True):
            if target.name in self._over_time:
                self._over_time.append(weight.name)
        inputs = model.arguments()
        self._names = [argument.name for argument in inputs]
        self._arguments = [*inputs, *targets]
        self._weights = weights
        self.programs = programs
        self._compiled: dict[str, object] = {}

    def check_lengths(self, arrays: Arrays) -> None:
        """Raise a SequenceLengthError for sequences of different lengths."""
        given = [name for name in self._over_time if name in arrays]
        tbptt.check_lengths("recompute", given, arrays)

    def train(self, arrays: Arrays) -> Measured:
        """Make a training step on one batch.

        Returns:
            The numbers of the batch.
        """
        rows = check_rows(arrays)
        self._fresh.reset(rows)
        self._states.prepare(rows)
        segments = self._segments(arrays)
        befores, parts = self._forward(arrays, segments, rows)
        after = self._values()

        totals = Totals()
        for part in parts:
            totals.add(part)
        factors = []
        for part in parts:
            factors.append(self._factors(part, totals))
        gradients = self._backward(arrays, segments, befores, factors)
        self._set(after)
        penalty = self._program("apply")(*gradients)
        return {**totals.measured(), **measured(penalty, (), rows)}

    def _segments(self, arrays: Arrays) -> list[slice]:
        """The steps of each segment: about as many segments as a segment has steps."""
        time = arrays[self._over_time[0]].shape[1]
        length = math.isqrt(time - 1) + 1
        starts = range(0, time, length)
        return [slice(start, min(start + length, time)) for start in starts]

    def _cut(self, arrays: Arrays, segment: slice) -> list[np.ndarray]:
        found = []
        for name, array in arrays.items():
            if name in self._over_time:
                # A slice over time is strided, for which Numba would compile again.
                array = np.ascontiguousarray(array[:, segment])
            found.append(array)
        return found

    # The two passes

    def _forward(
        self, arrays: Arrays, segments: Sequence[slice], rows: int
    ) -> tuple[list[list[np.ndarray]], list[Measured]]:
        """Run all segments.

        Returns:
            The states before each segment, and its numbers.
        """
        run = self._program(self._kind("forward", arrays))
        befores = []
        parts = []
        for segment in segments:
            befores.append(self._values())
            numbers = run(*self._cut(arrays, segment))
            part = measured(numbers, self._measures.numbers, rows)
            is_last = segment is segments[-1]
            parts.append(part if is_last else self._without_last_step(part))
        return befores, parts

    def _without_last_step(self, part: Measured) -> Measured:
        """The numbers of a segment that is not the last.

        Those of an output without a time axis do not count.
        """
        found = dict(part)
        for output in self._measures.outputs:
            if output not in self._over_time:
                names = [number(LOSS, output)]
                for metric in self._measures.metrics[output]:
                    names.append(number(metric.name, output))
                for name in names:
                    found[name] = (0.0, 0.0)
        return found

    def _factors(self, part: Measured, totals: Totals) -> np.ndarray:
        """What the mean loss of a segment counts in that of the batch, by output."""
        whole = totals.measured()
        found = []
        for output, weight in self._measures.loss_weights.items():
            name = number(LOSS, output)
            share = part[name][1] / (whole[name][1] or 1.0)
            found.append(weight * share)
        return np.asarray(found, floatX())

    def _backward(
        self,
        arrays: Arrays,
        segments: Sequence[slice],
        befores: Sequence[list[np.ndarray]],
        factors: Sequence[np.ndarray],
    ) -> list[np.ndarray]:
        """The gradient of each parameter, from the last segment to the first."""
        run = self._program(self._kind("gradient", arrays))
        params = len(self._learned.params)
        totals = [0.0] * params
        # Integers, such as words, have no gradient.
        of_states = []
        for value in befores[0]:
            if value.dtype.kind == "f":
                of_states.append(np.zeros_like(value))
        for index in reversed(range(len(segments))):
            self._set(befores[index])
            inputs = self._cut(arrays, segments[index])
            found = run(*inputs, factors[index], *of_states)
            of_states = found[params:]
            for place, gradient in enumerate(found[:params]):
                totals[place] = totals[place] + gradient
        return totals

    def _float_states(self) -> list[SharedVariable]:
        return [state for state in self._states.variables if is_float(state)]

    def _values(self) -> list[np.ndarray]:
        return [np.array(state.get_value()) for state in self._states.variables]

    def _set(self, values: Sequence[np.ndarray]) -> None:
        for state, value in zip(self._states.variables, values, strict=True):
            state.set_value(value)

    # Programs

    def _kind(self, kind: str, arrays: Arrays) -> str:
        is_weighted = len(arrays) > len(self._arguments)
        return f"weighted {kind}" if is_weighted else kind

    def _program(self, kind: str):
        if kind not in self._compiled:
            arguments = list(self._arguments)
            if kind.startswith("weighted"):
                arguments += self._weights
            if kind.endswith("forward"):
                build = self._build_forward
            elif kind.endswith("gradient"):
                arguments += self._gradient_arguments()
                build = self._build_gradient
            else:
                arguments = []
                for place, param in enumerate(self._learned.params):
                    shape = param.get_value(borrow=True).shape
                    arguments.append(Argument(f"gradient_{place}", param.dtype, shape))
                build = self._build_apply
            self._compiled[kind] = self.programs.create(arguments, build)
        return self._compiled[kind]

    def _gradient_arguments(self) -> list[Argument]:
        """The factor of each loss, and the gradient of each state after a segment."""
        count = len(self._measures.losses)
        found = [Argument("factors", floatX(), (count,))]
        for place, state in enumerate(self._float_states()):
            name = f"gradient_of_state_{place}"
            found.append(Argument(name, state.dtype, state.type.shape))
        return found

    def _build_forward(self, inputs: list[TensorVariable]):
        call = Call(train=True)
        means = functions.means_of(
            self._in_segments, self._names, inputs, self._measures, call
        )
        found = functions.numbers(means)
        self._check_graph(call, found)
        return found, call.updates

    def _build_gradient(self, inputs: list[TensorVariable]):
        states = self._float_states()
        first = len(inputs) - 1 - len(states)
        factors, of_states = inputs[first], inputs[first + 1 :]
        call = Call(train=True)
        means = functions.means_of(
            self._in_segments, self._names, inputs[:first], self._measures, call
        )
        cost = pt.zeros((), dtype=floatX())
        for place, output in enumerate(self._measures.losses):
            cost = cost + factors[place] * means[number(LOSS, output)].value
        after = dict(call.updates)
        for state, gradient in zip(states, of_states, strict=True):
            cost = cost + (after[state] * gradient).sum()
        wrt = [*self._learned.params, *states]
        return grad(cost, wrt, disconnected_inputs="ignore"), []

    def _build_apply(self, gradients: list[TensorVariable]):
        """One step of the optimizer, for gradients that are known."""
        # The gradient of this sum is the gradients.
        known = pt.zeros((), dtype=floatX())
        for param, gradient in zip(self._learned.params, gradients, strict=True):
            known = known + (param * gradient).sum()
        loss = known
        for regularizer in self._learned.regularizers:
            loss = regularizer(loss)
        optimizer = self._model.optimizer
        learned = self._learned
        steps = optimizer.get_updates(learned.params, learned.constraints, loss)
        penalties = [] if loss is known else [loss - known]
        return penalties, steps

    def _check_graph(self, call: Call, numbers: Sequence[TensorVariable]) -> None:
        """Check what only shows when the model has been applied."""
        if call.penalties:
            raise refusal(
                "layers without penalties on their output",
                "an activity regularizer",
                LEAVE,
            )
        updated = {variable for variable, _ in call.updates}
        if updated - set(self._states.variables):
            raise refusal(
                "layers that update nothing but states",
                "a layer with running means",
                LEAVE,
                because="they would be those of a segment",
            )
        results = [*numbers, *(value for _, value in call.updates)]
        for variable in ancestors(results):
            node = variable.owner
            if node is not None and isinstance(node.op, RandomVariable):
                raise refusal(
                    "a model without random draws",
                    "a layer that draws, such as Dropout",
                    LEAVE,
                    because="each segment runs twice, and would draw twice",
                )


def _check(model: Layer, over_time: Sequence[str]) -> None:
    """Raise unless the model computes in segments what it computes at once."""
    if not feed.sequences(model):
        raise refusal("an input that is a sequence", "none", LEAVE)
    loops = config.loops(model)
    for path, loop in loops.items():
        _check_loop(f"{path or 'the model'} ({type(loop).__name__})", loop)
    is_masked = mask_input(model) is not None
    for argument in model.arguments():
        is_masked = is_masked or model.mask_value_at(argument.name) is not None
    if is_masked:
        _check_masked(model, over_time)
    for path, layer in config.walk(model):
        is_leaf = not layer.children
        if is_leaf and not config.is_inside(path, loops):
            _check_layer(f"{path} ({type(layer).__name__})", layer)


def _check_loop(name: str, loop: Layer) -> None:
    """Raise a ConfigError for a loop that other segments would change."""
    spec = getattr(loop, "spec", None)
    states = [] if spec is None else spec.states
    wrong = {
        "go_backwards=True": loop.go_backwards,
        "n_steps": getattr(loop, "n_steps", None) is not None,
        "until": getattr(spec, "until", None) is not None,
        "truncate_gradient": getattr(loop, "truncate_gradient", -1) != -1,
        "a state with stateful=False": any(s.stateful is False for s in states),
        "an initial state that is not a number": any(
            isinstance(s.initial, str) or s.given is not None for s in states
        ),
    }
    for what, is_wrong in wrong.items():
        if is_wrong:
            raise refusal(
                "loops over whole sequences, from the first step to the last, whose "
                "states start from numbers",
                f"{what} in {name}",
                "Leave recompute out, or that setting.",
            )
    past = [] if spec is None else _reads_of_past_inputs(spec)
    if past:
        raise refusal(
            "loops that read each input at its own step",
            f"{', '.join(past)} in {name}",
            "Pass the earlier values as another input.",
            because="a segment starts without the inputs before it",
        )


def _reads_of_past_inputs(spec: GraphSpec) -> list[str]:
    names = {item.name for item in spec.inputs}
    return [str(ref) for _, ref in spec.reads() if ref.tap and ref.name in names]


def _check_masked(model: Layer, over_time: Sequence[str]) -> None:
    """Raise a ConfigError for an output that holds values of masked steps."""
    because = "a masked step repeats the last unmasked one, which another segment has"
    for output in model.output_names:
        if output not in over_time:
            raise refusal(
                "outputs that are sequences, if steps are masked",
                f"the last step of {output!r}",
                "Pass return_sequences=True, or leave recompute out.",
                because=because,
            )
    for path, layer in config.walk(model):
        if layer.masks == DROP:
            raise refusal(
                "masks that reach the outputs",
                f"{path} ({type(layer).__name__}), which drops them",
                LEAVE,
                because=because,
            )


def _check_layer(name: str, layer: Layer) -> None:
    """Raise a ConfigError for a layer outside loops that may mix steps."""
    # A layer that treats each row alone, and passes a mask on, treats each step alone.
    is_per_step = layer.rowwise and not isinstance(layer.masks, Mapping)
    if not is_per_step:
        raise refusal(
            "layers that treat each step alone, next to loops",
            name,
            LEAVE,
            because="it would see a segment only",
        )


def _stateful_copy(model: Layer) -> Layer:
    """A copy that shares all variables and keeps all states between segments."""
    memo: dict[int, object] = {id(model.optimizer): model.optimizer}
    variables = [*model.named_weights.values(), *KeptStates.of(model).variables]
    for variable in variables:
        memo[id(variable)] = variable
    copied = copy.deepcopy(model, memo)
    for loop in config.loops(copied).values():
        if not loop.stateful:
            loop.stateful = True
    copied.build()
    return copied
