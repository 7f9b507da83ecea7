"""The execution of a declared loop.

:class:`~recursive.layers.recursive.Recursive` declares; :class:`LoopRun` is the frozen
description that runs. :meth:`LoopRun.execute` works in this order:

1. sequences are put time first, ``(time, batch, ...)``, and reversed if the loop runs
   backwards; their lengths are compared, because scan would stop with the shortest one;
2. the masks of the sequences become one mask, ``(time, batch)``;
3. the random draws of the nodes are made for all steps at once, most of them only while
   training;
4. the plan is made: which nodes run before, in and after the loop, and in which order
   scan passes their values;
5. each state of the plan gets its rows before the first step, ``(lag, batch, dim)``;
6. :class:`~recursive.loop.run.Loop` runs them;
7. outputs are put batch first again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import Size, size
from recursive.draws import normal, uniform
from recursive.errors import ConfigError, DtypeError
from recursive.layers.draws import check_draw_names, checked_draw
from recursive.layers.layer import Layer
from recursive.layers.loop_draws import LoopDraws
from recursive.layers.masks import mask_with_checked_sizes
from recursive.layers.split import runners
from recursive.loop.axes import swap_time
from recursive.loop.call import Call, Value, Values, joined, with_mask
from recursive.loop.lengths import common_length
from recursive.loop.masked import filled, last_valid
from recursive.loop.nodes import run
from recursive.loop.outside import on_tensors
from recursive.loop.run import Loop
from recursive.loop.state import all_rows, first_rows
from recursive.loop.unrolled import written_out
from recursive.loop.until import check_until_gradient
from recursive.scan import op
from recursive.spec.graph import DRAWN, LEARNED, GraphSpec
from recursive.spec.history import final_name, with_implicit_states
from recursive.spec.names import Ref
from recursive.spec.plan import Recurrence, StepPlan, declared, plan, source_of
from recursive.spec.shapes import Shape
from recursive.spec.starts import start_name, start_nodes, state_by_name

Tensors = Mapping[str, TensorVariable]


@dataclass(frozen=True)
class LoopResult:
    """The result of a loop.

    Args:
        plan: the plan that ran.
        outputs: the outputs by name, batch first.
        lasts: the last rows of each state, ``(lag, batch, dim)``.
    """

    plan: StepPlan
    outputs: dict[str, Value]
    lasts: dict[str, TensorVariable]

    def finals(self) -> dict[str, Value]:
        """The states after the last step as outputs.

        Each is ``(batch, dim)``, or ``(batch, lag, dim)``, oldest first: outputs are
        batch first, while the rows inside the loop are time first. A state of integers
        has no ``dim``.
        """
        found = {}
        for item in self.plan.recurrences:
            last = self.lasts[item.name]
            value = last[0]
            if item.lag > 1:
                value = last.dimshuffle(1, 0, *range(2, last.ndim))
            found[final_name(item.name)] = Value(value)
        return found


@dataclass(frozen=True)
class LoopRun:
    """A declared loop, ready to run.

    Args:
        kind: the class of the container, for errors.
        spec: the declaration.
        layers: the layer of each node, and of each output that merges.
        shapes: the shape of every name at one step, batch first.
        params: the parameters of the layers, and learned initial values as
            ``state.initial``, by the names that the plan uses.
        param_names: the names of each node's parameters.
        states: the variables of the states that are kept between batches.
        step: a user's step, from the plan's arguments to the values of all nodes; None
            for the step that follows from the declaration.
        moves: False keeps every node in the loop.
    """

    kind: str
    spec: GraphSpec
    layers: Mapping[str, Layer]
    shapes: Mapping[str, Shape]
    params: Tensors
    param_names: Mapping[str, tuple[str, ...]]
    states: Mapping[str, SharedVariable]
    step: Callable | None = None
    moves: bool = True

    def execute(
        self, inputs: Values, call: Call, given_starts: Tensors | None = None
    ) -> LoopResult:
        """Run the loop.

        Args:
            inputs: sequences ``(batch, time, ...)`` and contexts ``(batch, ...)`` by
                name, with their masks.
            call: the call of the container: training or not, and given draws.
            given_starts: the rows before the first step, ``(lag, batch, dim)``, of
                states that do not start as declared.
        """
        spec = self.spec
        # Before PyTensor 3.1.1 the gradient of a loop that stops early is wrong.
        if call.train and spec.until is not None:
            check_until_gradient()
        drawn_starts = self.drawn_starts().values()
        # Draws of training may be given, and are not read, while predicting.
        all_draws = self.draws(train=True).names()
        check_draw_names(call.draws, [*all_draws, *drawn_starts])

        # Sequences, time first, and the two sizes that they share.
        tensors = {name: value.tensor for name, value in inputs.items()}
        over_time = self._over_time(inputs)
        sequences = {name: value.tensor for name, value in over_time.items()}
        n_steps = self._n_steps(call)
        length, batch = self.sizes(sequences, tensors, n_steps)
        if not tensors and given_starts:
            batch = size(next(iter(given_starts.values())), 1)
        over_time = self._of_length(over_time, length, n_steps)
        if isinstance(n_steps, int):
            # common_length has compared n_steps with all lengths, so it can be used as
            # the length.
            length = n_steps
        sizes = (length, batch)

        # A mask and draws change the plan: draws are sequences of the loop, too.
        mask = self._mask(inputs, sizes, over_time)
        draws = self.draws(call.train)
        drawn = draws.over_time(sizes, call.draws, spec.go_backwards)
        planned = self.plan(call.train, masked=mask is not None)
        draws.check_steps_draw_nothing(planned.nodes, drawn)
        self._check_own_step_draws_nothing(drawn)

        values = {**self._contexts(inputs), **over_time}
        for name, tensor in drawn.items():
            values[name] = Value(tensor)
        start_values = self.start_values(inputs, call)
        starts = self._starts(planned, start_values, batch, call, given_starts or {})
        loop = self._loop(planned, call, mask)
        results, lasts = loop.run(values, sizes, starts, mask)

        found = {}
        for output in spec.outputs:
            found[output.name] = results[source_of(spec, output)]
        return LoopResult(planned, self._batch_first(found, mask, length), lasts)

    # Planning

    def plan(self, train: bool, masked: bool = False) -> StepPlan:
        """The plan of what runs where, with the draws of the nodes."""
        draws = self.draws(train).by_node()
        constant = self.draws(train).constant_names()
        # On JAX, PyTensor cannot truncate the gradient of a loop whose sequences are
        # computed values; then every node stays in the loop.
        is_truncated = self.spec.truncate_gradient != -1
        stays_whole = is_truncated and not backend.traits().truncates_computed
        if stays_whole or not self.moves or self.step is not None:
            return declared(self.spec, self.param_names, draws, constant)
        return plan(
            self.spec,
            self.param_names,
            draws,
            self.layers,
            self.shapes,
            masked,
            constant,
        )

    def _loop(self, planned: StepPlan, call: Call, mask: TensorVariable | None) -> Loop:
        nodes = (*planned.hoisted, *planned.nodes, *planned.deferred)
        # The scan of this package has a generated reverse pass. PyTensor's own scan can
        # stop early. Steps that are written out need neither.
        repeat = op.scan
        if self.spec.until:
            repeat = backend.scan
        if self.spec.unroll:
            repeat = written_out
        return Loop(
            planned,
            runners(nodes, self.layers),
            self.params,
            self.shapes,
            call,
            self.spec.truncate_gradient,
            # With a mask, the last unmasked step of a row may be any step.
            only_last=not self.spec.return_sequences and mask is None,
            until=self.spec.until,
            repeat=repeat,
            step=self.step,
        )

    # Sequences, contexts and masks

    def _over_time(self, inputs: Values) -> dict[str, Value]:
        """The sequences, ``(time, batch, ...)``, in the order in which the loop runs.

        A ``(batch, time)`` mask masks whole steps: :meth:`_mask` joins these masks. A
        mask with more axes masks values inside a step, so it stays with its sequence.
        """
        found = {}
        for item in self.spec.inputs:
            if item.is_sequence:
                value = inputs[item.name]
                if value.mask is None or value.mask.ndim <= 2:
                    value = Value(value.tensor)
                found[item.name] = on_tensors(value, self._time_first)
        return found

    def _time_first(self, x: TensorVariable) -> TensorVariable:
        """``(batch, time, ...)`` as ``(time, batch, ...)``, in the loop's direction."""
        return self._directed(swap_time(x))

    def _directed(self, sequence: TensorVariable) -> TensorVariable:
        return sequence[::-1] if self.spec.go_backwards else sequence

    def _n_steps(self, call: Call) -> Size | None:
        """The number of steps that does not come from sequences; None if they tell it.

        A call may have another one than the declaration.
        """
        reads_sequences = self.spec.has_sequences_while_predicting
        if call.n_steps is None or reads_sequences:
            return self.spec.n_steps
        return call.n_steps

    def _of_length(
        self, over_time: dict[str, Value], length: Size, n_steps: Size | None
    ) -> dict[str, Value]:
        """The sequences, cut to a symbolic ``length``.

        ``length`` is a symbolic value that raises if the lengths differ. Cutting each
        sequence to it makes sure that the check runs.
        """
        if isinstance(length, int):
            return over_time
        known = n_steps if isinstance(n_steps, int) else None

        def cut(x: TensorVariable) -> TensorVariable:
            return pt.specify_shape(x[:length], (known, *[None] * (x.ndim - 1)))

        return {name: on_tensors(value, cut) for name, value in over_time.items()}

    def _contexts(self, inputs: Values) -> dict[str, Value]:
        found = {}
        for item in self.spec.inputs:
            if not item.is_sequence:
                value = inputs[item.name]
                found[item.name] = Value(value.tensor, value.mask, is_context=True)
        return found

    def sizes(
        self, sequences: Tensors, inputs: Tensors, n_steps: Size | None = None
    ) -> tuple[Size, Size]:
        """The sizes ``(length, batch)``; the batch size is 1 if there are no inputs.

        Args:
            sequences: the sequences, time first.
            inputs: all inputs, batch first.
            n_steps: the number of steps; None for the declared one.
        """
        lengths = {name: size(value, 0) for name, value in sequences.items()}
        if n_steps is None:
            n_steps = self.spec.n_steps
        if n_steps is not None:
            lengths["n_steps"] = n_steps
        batch = size(next(iter(inputs.values())), 0) if inputs else 1
        return common_length(lengths), batch

    def _mask(
        self, inputs: Values, sizes: tuple[Size, Size], over_time: Values
    ) -> TensorVariable | None:
        """The mask of the loop, ``(time, batch)``; None without any mask.

        True at steps that are valid in every mask: the declared one and those of the
        sequences.
        """
        length, batch = sizes
        masks = []
        if self.spec.mask is not None:
            masks.append(over_time[self.spec.mask].tensor)
        for item in self.spec.inputs:
            mask = inputs[item.name].mask if item.is_sequence else None
            if mask is not None and mask.ndim == 2:
                checked = mask_with_checked_sizes(self.kind, mask, batch, length)
                masks.append(self._directed(checked.dimshuffle(1, 0)))
        found = joined(masks)
        if found is None:
            return None
        self._check_takes_mask()
        return pt.neq(found, 0)

    def _check_takes_mask(self) -> None:
        """Raise a ConfigError for a loop with ``until``: it stops all rows at once."""
        if self.spec.until is not None:
            raise ConfigError.about(
                "container",
                self.kind,
                takes="until or a mask",
                because="until stops all rows at once",
                got=f"masked steps, and until={self.spec.until!r}",
                do="Leave until out, or put DropMask() before the loop.",
            )

    def _batch_first(
        self, values: Values, mask: TensorVariable | None, length: Size
    ) -> dict[str, Value]:
        """The outputs, batch first, with their masks.

        A masked step repeats the last unmasked one, so the last step always holds the
        final result of every row.
        """
        last = None if mask is None else last_valid(mask, length)
        found = {}
        for name, value in values.items():
            if last is not None:
                value = on_tensors(value, lambda x: filled(x, last))
            steps = None
            if self.spec.return_sequences:
                value = on_tensors(value, swap_time)
                steps = None if mask is None else swap_time(mask)
            else:
                value = on_tensors(value, lambda x: x[-1])
            found[name] = with_mask(value.tensor, joined([steps, value.mask]))
        return found

    # The rows before the first step

    def start_values(self, inputs: Values, call: Call) -> dict[str, TensorVariable]:
        """Everything that a state may start from: inputs, and nodes of contexts alone.

        Such a node is computed here, whether the steps read it too or not.
        """
        nodes = start_nodes(self.spec)
        env = {}
        for name, value in inputs.items():
            env[Ref(name)] = Value(value.tensor, value.mask, is_context=True)
        run(nodes, self.layers, env, call.in_step())
        for node in nodes:
            for name in node.values:
                self._check_dtype(name, env[Ref(name)].tensor)
        return {ref.name: value.tensor for ref, value in env.items()}

    def _check_dtype(self, name: str, value: TensorVariable) -> None:
        """Raise a DtypeError unless a state can start from ``value``."""
        states = [state.name for state in self.spec.states if state.initial == name]
        if states and value.dtype != backend.floatX():
            raise DtypeError.about(
                "node",
                name,
                takes=f"values of {backend.floatX()}",
                because=f"the state {states[0]!r} starts from it",
                got=value.dtype,
                do="Cast them in its layer: Lambda(lambda x: x.astype(...)).",
            )

    def _starts(
        self,
        planned: StepPlan,
        values: Tensors,
        batch: Size,
        call: Call,
        given_starts: Tensors,
    ) -> dict[str, TensorVariable]:
        """The rows of all states before the first step, given or as declared."""
        found = dict(given_starts)
        for item in planned.recurrences:
            if item.name not in given_starts:
                found[item.name] = self.start(item, values, batch, call)
        return found

    def start(
        self, item: Recurrence, values: Tensors, batch: Size, call: Call
    ) -> TensorVariable:
        """The rows of a state before the first step, ``(lag, batch, dim)``.

        ``values`` are those of :meth:`start_values`.
        """
        dim = self.shapes[item.name][-1]
        name = start_name(item.initial)
        # First: a start that is given replaces the state that was kept.
        if name is not None:
            return all_rows(item, values[name], batch, dim)
        if item.stateful:
            return backend.with_rows(self.states[item.name], batch)
        if item.initial == LEARNED:
            return all_rows(item, self.params[f"{item.name}.initial"], batch, dim)
        if item.initial == DRAWN and call.train:
            return self._drawn_start(item, (item.lag, batch, dim), call)
        if item.initial == DRAWN:
            return pt.zeros((item.lag, batch, dim), dtype=backend.floatX())
        return first_rows(item, batch, dim)

    def _drawn_start(
        self, item: Recurrence, shape: tuple[Size, Size, int], call: Call
    ) -> TensorVariable:
        """The rows of a state that starts from a draw.

        Draws are standard normal, or uniform in [0, 1). Given ones, ``(batch, dim)`` or
        ``(batch, lag, dim)``, are too.
        """
        state = state_by_name(self.spec, item.name)
        is_uniform = state.init == "uniform"
        name = self.drawn_starts()[item.name]
        lag, batch, dim = shape
        if name not in call.draws:
            # Each build of a graph seeds its own generator, from NumPy's global one.
            seed = np.random.SeedSequence(np.random.randint(2**31))
            draw = uniform(shape, seed) if is_uniform else normal(shape, seed)
        else:
            given = pt.as_tensor_variable(call.draws[name])
            wanted = (batch, dim) if given.ndim == 2 else (batch, lag, dim)
            draw = all_rows(item, checked_draw(name, given, wanted), batch, dim)
            draw = draw.astype(backend.floatX())
        if is_uniform:
            draw = 2 * draw - 1
        if state.scale is None:
            return draw
        return np.asarray(state.scale, backend.floatX()) * draw

    def drawn_starts(self) -> dict[str, str]:
        """Map each state with ``initial='drawn'`` to the name of its draw."""
        drawn = [state.name for state in self.spec.states if state.initial == DRAWN]
        return {name: f"{name}.initial" for name in drawn}

    # Random draws of the nodes

    def draws(self, train: bool) -> LoopDraws:
        """The random draws of the nodes, while training or predicting."""
        return LoopDraws(self.spec, self.layers, self.shapes, train)

    def _check_own_step_draws_nothing(self, drawn: Tensors) -> None:
        """Raise a ConfigError if a user's step would have to take random draws."""
        if self.step is not None and drawn:
            raise ConfigError.about(
                "container",
                self.kind,
                takes="layers without random draws if _step is overridden",
                because="_step has no argument for them",
                got=", ".join(drawn),
                do="Leave the noise out, or do not override _step.",
            )


def states_reset_by_default(spec: GraphSpec) -> tuple[str, ...]:
    """The states that are reset with each batch because nothing is declared for them.

    Neither they nor the container are stateful, and ``stateful=False`` is not declared.
    """
    if spec.stateful:
        return ()
    states = with_implicit_states(spec)
    return tuple(state.name for state in states if state.stateful is None)
