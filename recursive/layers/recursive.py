"""The container that Eder Santana proposed: a recurrent network declared as a graph of inputs, states and nodes.

``add_input``, ``add_state`` and ``add_node`` say what one time step computes; the container writes the step, hands it
to scan with its arguments in a known order, and returns what was declared as output.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import chain

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.arguments import flag
from recursive.errors import ConfigError, DataError, UnknownNameError
from recursive.layers.carrying import Carrying
from recursive.layers.given import check_draw_names, checked_mask
from recursive.layers.graph import Graph, Read
from recursive.layers.layer import Layer, Tensors
from recursive.layers.settings import setting
from recursive.layers.shown import Shown
from recursive.layers.split import runners
from recursive.layers.step_draws import StepDraws
from recursive.lengths import common_length
from recursive.locked import locked
from recursive.loop import reversible
from recursive.loop.axes import swap_time
from recursive.loop.masked import filled, last_valid
from recursive.loop.state import all_rows, check_dim_is_known, first_rows, started
from recursive.loop.step import run, with_params
from recursive.loop.unroll import Loop
from recursive.loop.unrolled import written_out
from recursive.loop.until import check_until_gradient
from recursive.sizes import Size, size
from recursive.spec import checks
from recursive.spec.graph import (
    DRAWN,
    LEARNED,
    GraphSpec,
    InputSpec,
    OutputSpec,
    StateSpec,
    as_initial,
    whole,
)
from recursive.spec.history import final_name, with_implicit_states
from recursive.spec.names import Ref
from recursive.spec.plan import Recurrence, StepPlan, declared, plan, source_of
from recursive.spec.reads import one_read
from recursive.spec.shapes import Shape, infer


class Recursive(Shown, Carrying, StepDraws, Graph):
    """A recurrent network as a graph. A bare state name reads t-1, a node name reads t, ``name_tm2`` reads t-2.

    Args:
        truncate_gradient: k runs the backward loop over the last k steps of the whole sequence; -1 over all.
        return_sequences: True returns ``(batch, time, dim)``, False the last step, ``(batch, dim)``.
        n_steps: how many steps a loop without sequences runs.
        until: the node that stops the loop, after the first step at which it is true in every row.
        stateful: True lets the states go on from batch to batch.
        return_final_states: True makes the states after the last step outputs too, as ``<state>_final``.
        go_backwards: True runs from the last step to the first, and returns the steps in that order.
        unroll: True writes every step out, in place of a loop; for sequences of ``n_steps``, which may be said then.

    Source: keras issue 620 (Santana, 2015) and his ``Recursive`` container of 2015-09-15.

    >>> from recursive.layers.core import Activation, Dense
    >>> rnn = Recursive(return_sequences=True)
    >>> rnn.add_input("input", ndim=3)
    >>> rnn.add_state("h", dim=6)
    >>> rnn.add_node(Dense(4, 6, init="one"), name="i2h", inputs=["input"])
    >>> rnn.add_node(Dense(6, 6, init="orthogonal"), name="h2h", inputs=["h"])
    >>> rnn.add_node(Activation("tanh"), name="rec", inputs=["i2h", "h2h"], merge_mode="sum",
    ...              return_state="h", create_output=True)
    >>> [str(ref) for ref in rnn.declared_plan.arguments]
    ['input', 'h_tm1', 'i2h.W', 'i2h.b', 'h2h.W', 'h2h.b']
    >>> rnn.get_output().type.shape
    (None, None, 6)
    """

    loop = True

    def __init__(
        self,
        truncate_gradient: int = -1,
        return_sequences: bool = False,
        n_steps: int | None = None,
        until: str | None = None,
        stateful: bool = False,
        return_final_states: bool = False,
        go_backwards: bool = False,
        unroll: bool = False,
    ):
        super().__init__()
        flags = {
            "return_sequences": return_sequences,
            "stateful": stateful,
            "unroll": unroll,
            "return_final_states": return_final_states,
            "go_backwards": go_backwards,
        }
        self._spec = GraphSpec(
            loop=True,
            free=self.free,
            truncate_gradient=whole(truncate_gradient),
            n_steps=whole(n_steps),
            until=until,
            **{
                name: flag(type(self).__name__, name, value)
                for name, value in flags.items()
            },
        )
        self._learned: dict[str, SharedVariable] = {}

    # Declaration

    def add_input(
        self,
        name: str,
        ndim: int | None = None,
        dtype: str = "float",
        dim: int | None = None,
        is_sequence: bool = True,
    ) -> None:
        """Declare an input: a sequence, of which each step sees a slice, or a context, which every step sees whole.

        Args:
            name: what nodes read it by.
            ndim: its number of axes: 3 for ``(batch, time, dim)``, 2 for ``(batch, time)`` of whole numbers; for a
                context, which has no time, 2 for ``(batch, dim)``. None is 3, or 2 for a context.
            dtype: ``float``, ``int`` or ``bool``.
            dim: the size of the last axis; None finds it from the layers, or from the first batch.
            is_sequence: False makes it a context.

        Raises:
            RecursiveError: a child of it, for a bad name, ndim, dtype or dim.
        """
        ndim = 2 + bool(is_sequence) if ndim is None else ndim
        self._declare(
            InputSpec(name, whole(ndim), dtype, whole(dim), bool(is_sequence))
        )

    def add_mask(self, name: str = "mask") -> None:
        """Declare an input ``(batch, time)`` that says which steps are data: at others the states stay as they are.

        Raises:
            RecursiveError: a child of it, for a bad or taken name, or a second mask.
        """
        if self._spec.mask is not None:
            raise ConfigError.about(
                "container",
                type(self).__name__,
                takes="one mask",
                because="a step is data or not",
                got=f"{self._spec.mask!r} and {name!r}",
                do="Combine them before.",
            )
        self._declare(InputSpec(name, 2, "bool"))
        self._change(self._spec.replace(mask=name))

    def set_state_from(self, state: str, name: str) -> None:
        """Let ``state`` start from the context ``name``, which is declared here unless it was before.

        It is ``(batch, dim)``; for a state that is looked back to several steps, that row for each of them, or
        ``(batch, taps, dim)``, oldest first, if it was declared with ``ndim=3``. In an enclosing graph a node is joined
        to it: ``input={..., name: 'node'}``.

        Raises:
            UnknownNameError: for a state that was not declared, or a name that is no context.
        """
        states = {item.name: place for place, item in enumerate(self._spec.states)}
        if state not in states:
            raise UnknownNameError.about(
                "state",
                str(state),
                takes="a name given to add_state",
                because="it starts from another value",
                got="an unknown name"
                if self._spec.names.get(state) != "node"
                else "a node whose past is its state without being declared",
                do=checks.how_to_declare(self._spec, state, states),
            )
        kind = self._spec.names.get(name, "input")
        if kind != "input":
            raise UnknownNameError.about(
                "state",
                state,
                takes="a context to start from",
                because="it is there before the first step",
                got=f"the {kind} {name!r}",
                do="In an enclosing graph, join a node to the context's name.",
            )
        if name not in self._spec.names:
            self.add_input(
                name, is_sequence=False, dim=self._spec.states[states[state]].dim
            )
        changed = [
            dataclasses.replace(item, initial=name) if item.name == state else item
            for item in self._spec.states
        ]
        self._change(self._spec.replace(states=tuple(changed)))

    def add_state(
        self,
        name: str,
        dim: int | None = None,
        input: str | None = None,
        initial: object = 0.0,
        stateful: bool | None = None,
    ) -> None:
        """Declare a state of ``dim`` values a row.

        Args:
            name: what nodes read it by; bare, it is the value of the step before.
            dim: how many values a row; None finds it from the node that feeds it.
            input: the node whose value is its next one, declared before or later. In place of it, that node may say
                ``return_state=name``, as in 2015.
            initial: what it is before the first step: a number, a row of ``dim`` numbers, or a list of rows, oldest
                first, where it is read several steps back; ``'learned'`` for a row of parameters, ``'drawn'`` for
                standard normal draws while training and zeros else; or the name of a context.
            stateful: whether it goes on from batch to batch; None as the container does.

        Raises:
            RecursiveError: a child of it, for a bad name, dim or initial value.
        """
        stateful = (
            None if stateful is None else flag(f"state {name!r}", "stateful", stateful)
        )
        self._declare(
            StateSpec(name, whole(dim), input, as_initial(name, initial), stateful)
        )

    def add_node(
        self,
        layer: Layer,
        name: str,
        input: Read = None,
        inputs: Sequence[str] = (),
        merge_mode: str = "concat",
        return_state: str | None = None,
        create_output: bool = False,
        connection_map: Mapping[str, str] | None = None,
    ) -> None:
        """Declare a node: ``layer`` applied, at every step, to what it reads.

        Args:
            layer: any layer, a container included; one that is used by two nodes shares its weights.
            name: what other nodes read it by; a node with several outputs is read as ``name.output``.
            input: a name; a list of names, merged by ``merge_mode``; ``merge_sum([...])`` and its like; or, for a
                layer with several inputs, a dict of these by the layer's ports.
            inputs: the older word for a list. A string means one name.
            merge_mode: concat, sum, mul, ave, max or dot; join hands a layer with several inputs the values by name.
            return_state: the state whose next value this node is.
            create_output: True makes the node an output of the same name.
            connection_map: the older word for a dict by ports.

        Raises:
            RecursiveError: a child of it, for unknown or taken names, ports that the layer does not have, ports left
                open, no input, or an unknown merge mode.
        """
        self._add_node(
            layer,
            name,
            one_read(name, input, connection_map),
            inputs,
            merge_mode,
            create_output,
            return_state,
        )

    # What was declared

    return_sequences = setting(
        "return_sequences", flag, "Whether outputs are whole sequences."
    )
    stateful = setting(
        "stateful",
        flag,
        "Whether states go on from batch to batch, unless a state says otherwise.",
    )
    return_final_states = setting(
        "return_final_states",
        flag,
        "Whether the states after the last step are outputs too.",
    )
    go_backwards = setting(
        "go_backwards", flag, "Whether the loop runs from the last step to the first."
    )
    unroll = setting(
        "unroll", flag, "Whether every step is written out, in place of a loop."
    )
    truncate_gradient = setting(
        "truncate_gradient",
        lambda _, __, steps: whole(steps),
        "How many of the last steps the backward loop runs over; -1 for all.",
    )
    n_steps = setting(
        "n_steps",
        lambda _, __, steps: checks.number_of_steps(whole(steps)),
        "How many steps a loop without sequences runs.",
    )
    until = setting(
        "until",
        lambda _, __, node: node,
        "The node that stops the loop when it is true.",
    )

    @property
    def sequence_names(self) -> tuple[str, ...]:
        """The inputs of which each step sees a slice."""
        return tuple(item.name for item in self.spec.inputs if item.is_sequence)

    @property
    def declared_plan(self) -> StepPlan:
        """The plan as declared, everything in the loop: that of :meth:`_step`."""
        self.complete()
        return declared(self.spec, self.param_names)

    @property
    def plan(self) -> StepPlan:
        """The plan that runs: what need not be in the loop is hoisted before it or deferred after it."""
        self.complete()
        return self._plan(self.spec, train=False)

    def _plan(self, spec: GraphSpec, train: bool, masked: bool = False) -> StepPlan:
        """The plan; while training, with the draws of the nodes among the sequences.

        PyTensor cannot truncate a gradient on JAX where sequences are computed, so there nothing is moved.
        """
        draws, held = self._draw_names(train)
        if self.truncate_gradient != -1 and backend.target() == "jax":
            return declared(spec, self.param_names, draws, held)
        return plan(
            spec, self.param_names, draws, self._layers(), self.shapes, masked, held
        )

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs, in the order declared, then of the final states where they are asked for."""
        finals = (
            with_implicit_states(self.spec) if self.spec.return_final_states else ()
        )
        return (*super().output_names, *(final_name(state.name) for state in finals))

    def get_output_shape_for(
        self, input_shape: Shape | Mapping[str, Shape]
    ) -> Shape | dict[str, Shape]:
        found = super().get_output_shape_for(input_shape)
        if not self.spec.return_final_states:
            return found
        spec = self._with_dims(input_shape)
        shapes, rows = (
            infer(spec, self.nodes),
            next(iter(found.values() if isinstance(found, dict) else [found]))[0],
        )
        outputs = (
            found if isinstance(found, dict) else {self.spec.outputs[0].name: found}
        )
        finals = {
            final_name(item.name): (
                rows,
                *((item.lag,) if item.lag > 1 else ()),
                shapes[item.name][-1],
            )
            for item in declared(spec, {}).recurrences
        }
        return outputs | finals

    @property
    def named_params(self) -> dict[str, SharedVariable]:
        """The parameters as ``node.W``, ``node.b``, ..., then the learned starts of states as ``state.initial``."""
        return {
            **super().named_params,
            **{f"{name}.initial": value for name, value in self._learned.items()},
        }

    @property
    def named_weights(self) -> dict[str, SharedVariable]:
        """The weights likewise."""
        return {
            **super().named_weights,
            **{f"{name}.initial": value for name, value in self._learned.items()},
        }

    @locked
    def build(self, input_shape: Shape | Mapping[str, Shape] | None = None) -> None:
        super().build(input_shape)
        for state in self.spec.states:
            dim = self.shapes[state.name][-1]
            if (
                state.initial == LEARNED
                and state.name not in self._learned
                and dim is not None
            ):
                self._learned[state.name] = backend.shared(
                    np.zeros(dim), f"{state.name}.initial"
                )

    def complete(self, input_shape: Shape | Mapping[str, Shape] | None = None) -> None:
        super().complete(input_shape)
        if any(None in self.shapes[item.name][1:] for item in self.spec.inputs):
            return  # data will tell
        for recurrence in declared(self.spec, {}).recurrences:
            check_dim_is_known(recurrence, self.shapes[recurrence.name][-1])

    @property
    def rowwise(self) -> bool:
        """Whether every node is; not where states go on from batch to batch, or all rows stop together."""
        return not self.carries and self.until is None and super().rowwise

    def _output_shape(self, shape: Shape, input_shapes: Mapping[str, Shape]) -> Shape:
        shape = shape if self.spec.inputs else (1, *shape[1:])
        if not self.return_sequences:
            return shape
        times = [
            input_shapes[item.name][1]
            for item in self.spec.inputs
            if item.is_sequence and item.name in input_shapes
        ]
        length = None if self.until else times[0] if times else self.n_steps
        return (shape[0], length, *shape[1:])

    def _input_shape(self, item: InputSpec) -> Shape:
        step = super()._input_shape(item)
        return (step[0], self.n_steps, *step[1:]) if item.is_sequence else step

    # The container as a function

    def call(
        self,
        inputs: dict[str, TensorVariable],
        train: bool = False,
        **draws: TensorVariable,
    ) -> dict[str, TensorVariable]:
        """Every output by name: ``(batch, time, dim)``, or the last step of it.

        Draws that are given, as ``{'drop.keep': (batch, time, dim)}``, take the place of random ones.
        """
        return self._values(self.spec, inputs, train, draws=draws)

    def supports_masked_input(self) -> bool:
        """True: at a masked step the states stay as they are, and outputs repeat the last step that was data."""
        return True

    def call_masked(
        self,
        inputs: dict[str, TensorVariable],
        mask: TensorVariable,
        train: bool = False,
        **draws: TensorVariable,
    ) -> dict[str, TensorVariable]:
        """The same for inputs of which some steps are masked, ``(batch, time)``."""
        return self._values(self.spec, inputs, train, mask, draws)

    def with_mask(
        self,
        x: object,
        train: bool = False,
        mask: TensorVariable | None = None,
        **draws: TensorVariable,
    ) -> tuple[Tensors, TensorVariable | None]:
        """The output and its mask."""
        return Layer.with_mask(self, x, train, mask, **draws)

    def with_masks(
        self,
        x: object,
        train: bool = False,
        mask: TensorVariable | None = None,
        **draws: TensorVariable,
    ) -> tuple[dict[str, TensorVariable], dict[str, TensorVariable]]:
        """Every output by name, and the masks of those that are sequences."""
        found, mask = self.with_mask(x, train, mask, **draws)
        found = dict(
            zip(
                self.output_names,
                found.values() if isinstance(found, Mapping) else [found],
                strict=True,
            )
        )
        return found, {} if mask is None else dict.fromkeys(super().output_names, mask)

    def get_output_mask_for(
        self, x: Tensors, mask: TensorVariable | None = None
    ) -> TensorVariable | None:
        if not self.return_sequences:
            return None
        over_time = (
            {}
            if self.spec.mask is None
            else {
                self.spec.mask: self._directed(
                    swap_time(self._by_name(x)[self.spec.mask])
                )
            }
        )
        found = self._mask(over_time, mask)
        return None if found is None else swap_time(found)

    @locked
    def all_outputs(self, train: bool = False) -> dict[str, TensorVariable]:
        """The sequence of every node by its name, ``(batch, time, dim)``, in the order in which the nodes were added.

        Source: ``_get_output`` of the 2015 container, which made every node an output of scan.
        """
        inputs = self._by_name(self.get_input(train))
        values = (name for node in self.spec.nodes for name in node.values)
        outputs = tuple(OutputSpec(name, (Ref(name),)) for name in values)
        return self._values(
            self.spec.replace(outputs=outputs, return_sequences=True), inputs, train
        )

    def _get_output(self, train: bool = False) -> list[TensorVariable]:
        """Every node's value in the order in which the nodes were added: sequences, or the last step of each."""
        values = self.all_outputs(train).values()
        return (
            list(values)
            if self.return_sequences
            else [value[:, -1] for value in values]
        )

    @property
    @locked
    def state(self) -> dict[str, TensorVariable]:
        """What each state is before the first step, by name: ``(batch, dim)``, or oldest first ``(taps, batch, dim)``.

        Source: ``Recursive.state`` of 2015.
        """
        inputs = self._by_name(self.get_input())
        _, batch = self._rows(
            {name: swap_time(inputs[name]) for name in self.sequence_names}, inputs
        )
        return {
            item.name: started(item, self._start(item, inputs, batch, False, {}))[
                "initial"
            ]
            for item in self.declared_plan.recurrences
        }

    def get_constants(self) -> list[TensorVariable]:
        """What every step is given beside the parameters, and sees whole: the contexts, in their order.

        Source: ``Recursive.get_constants`` of 2015, which was empty, and there to be overridden.
        """
        inputs = self._by_name(self.get_input())
        return [inputs[item.name] for item in self.spec.inputs if not item.is_sequence]

    def _values(
        self,
        spec: GraphSpec,
        inputs: Mapping[str, TensorVariable],
        train: bool,
        mask: TensorVariable | None = None,
        draws: Mapping[str, TensorVariable] | None = None,
    ) -> dict[str, TensorVariable]:
        """The outputs of ``spec``, by name, then its final states where they are asked for."""
        plan, found, lasts = self._unrolled(spec, inputs, train, mask, draws or {}, {})
        self._carry_over(plan, lasts)
        return found | (self._final(plan, lasts) if spec.return_final_states else {})

    def _unrolled(
        self,
        spec: GraphSpec,
        inputs: Mapping[str, TensorVariable],
        train: bool,
        mask: TensorVariable | None,
        draws: Mapping[str, TensorVariable],
        given: Mapping[str, TensorVariable],
    ) -> tuple[StepPlan, dict[str, TensorVariable], dict[str, TensorVariable]]:
        """What ran, the outputs of ``spec`` by name, and the last rows of each state; ``given`` states start so."""
        if train and spec.until is not None:
            check_until_gradient()
        check_draw_names(
            draws,
            [
                *chain(*self._draw_names(True)[0].values()),
                *self._drawn_starts().values(),
            ],
        )
        over_time = {
            item.name: self._directed(swap_time(inputs[item.name]))
            for item in spec.inputs
            if item.is_sequence
        }
        rows = self._rows(over_time, inputs)
        if mask is not None:
            mask = checked_mask(type(self).__name__, mask, rows[1], rows[0])
        if not isinstance(rows[0], int):
            over_time = {name: value[: rows[0]] for name, value in over_time.items()}
        mask = self._mask(over_time, mask)
        drawn = self._draws_over_time(rows, draws) if train else {}
        plan = self._plan(spec, train, masked=mask is not None)
        self._check_drawn_before(plan, drawn if train else None)
        layers = runners((*plan.hoisted, *plan.nodes, *plan.deferred), self._layers())
        loop = Loop(
            plan,
            layers,
            self.named_params,
            self.shapes,
            train,
            spec.truncate_gradient,
            only_last=not spec.return_sequences and mask is None,
            until=spec.until,
            repeat=written_out
            if spec.unroll
            else backend.scan
            if spec.until
            else reversible.scan,
        )
        starts = {item.name: given.get(item.name) for item in plan.recurrences}
        starts |= {
            item.name: self._start(item, inputs, rows[1], train, draws)
            for item in plan.recurrences
            if item.name not in given
        }
        every, lasts = loop.unroll({**inputs, **over_time, **drawn}, rows, starts, mask)
        found = {output.name: every[source_of(spec, output)] for output in spec.outputs}
        if mask is not None:
            last = last_valid(mask, rows[0])
            found = {name: filled(value, last) for name, value in found.items()}
        outputs = {
            name: swap_time(value) if spec.return_sequences else value[-1]
            for name, value in found.items()
        }
        return plan, outputs, lasts

    def _directed(self, sequence: TensorVariable) -> TensorVariable:
        """A sequence in the order in which the loop runs through it."""
        return sequence[::-1] if self.spec.go_backwards else sequence

    def _mask(
        self, over_time: Mapping[str, TensorVariable], given: TensorVariable | None
    ) -> TensorVariable | None:
        """Which steps are data, ``(time, batch)``: as the declared mask and the one from the layer before say."""
        declared_mask = (
            [over_time[self.spec.mask]] if self.spec.mask is not None else []
        )
        masks = [
            *declared_mask,
            *([] if given is None else [self._directed(given.dimshuffle(1, 0))]),
        ]
        masks = [pt.neq(mask, 0) for mask in masks]
        return reduce(pt.and_, masks) if masks else None

    def _start(
        self,
        item: Recurrence,
        inputs: Mapping[str, TensorVariable],
        batch: Size,
        train: bool,
        draws: Mapping[str, TensorVariable],
    ) -> TensorVariable:
        """The rows of a state before the first step, ``(lag, batch, dim)``."""
        dim = self.shapes[item.name][-1]
        if item.carried:
            return backend.with_rows(self.states.variables[item.name], batch)
        if item.initial == LEARNED:
            return all_rows(item, self._learned[item.name], batch, dim)
        if item.initial == DRAWN:
            return (
                self._drawn(item, (item.lag, batch, dim), draws)
                if train
                else pt.zeros((item.lag, batch, dim), dtype=backend.floatX())
            )
        if isinstance(item.initial, str):
            return all_rows(item, inputs[item.initial], batch, dim)
        return first_rows(item, batch, dim)

    def _final(
        self, plan: StepPlan, lasts: Mapping[str, TensorVariable]
    ) -> dict[str, TensorVariable]:
        """The states after the last step: ``(batch, dim)``, or ``(batch, taps, dim)``, oldest first."""
        return {
            final_name(item.name): lasts[item.name][0]
            if item.lag == 1
            else lasts[item.name].dimshuffle(1, 0, 2)
            for item in plan.recurrences
        }

    def _rows(
        self,
        sequences: Mapping[str, TensorVariable],
        inputs: Mapping[str, TensorVariable],
    ) -> tuple[Size, Size]:
        """How many steps and rows there are: as many as the inputs have; one row where there are none."""
        lengths = {name: size(value, 0) for name, value in sequences.items()}
        length = common_length(
            lengths | ({} if self.n_steps is None else {"n_steps": self.n_steps})
        )
        return length, size(next(iter(inputs.values())), 0) if inputs else 1

    def _step(self, *args: TensorVariable) -> list[TensorVariable]:
        """One time step: the value of every node, in the order in which the nodes were added.

        Args:
            args: the inputs at t and the states at t-1, each in the order declared, a state or input that is read at
                several taps once for each, oldest first; then contexts; then the parameters, which may be left out.

        Raises:
            DataError: for another number of arguments.
        """
        plan = self.declared_plan
        if len(args) not in (len(plan.per_step), len(plan.arguments)):
            names = ", ".join(map(str, plan.arguments))
            raise DataError.about(
                "step",
                "arguments",
                takes=f"{len(plan.per_step)} or {len(plan.arguments)} tensors ({names})",
                because="they are inputs, states and, if you like, parameters",
                got=f"{len(args)}",
                do="See declared_plan.arguments for their order.",
            )
        env = dict(zip(plan.arguments, map(pt.as_tensor_variable, args), strict=False))
        run(plan.nodes, self._layers(), env, train=False)
        return with_params(
            [env[Ref(name)] for node in self.spec.nodes for name in node.values],
            self.named_params,
            env,
        )


class Recurrent(Recursive):
    """A recurrent network as a graph without states to declare: any value is read at an earlier time as ``name_tm1``.

    Names may be used before they are declared. A bare name reads t; a port ``prev_hid`` that is left open reads the
    node itself at t-1. Where no output is declared, the last node is the output.

    Args:
        truncate_gradient: k runs the backward loop over the last k steps of the whole sequence; -1 over all.
        return_sequences: True returns ``(batch, time, dim)``, False the last step, ``(batch, dim)``.
        n_steps: how many steps a loop without sequences runs.
        until: the node that stops the loop, after the first step at which it is true in every row.

    Source: elanmart, keras issue 620, 2015.

    >>> from recursive.layers.cells import RecurrentDense
    >>> from recursive.layers.core import Identity
    >>> rnn = Recurrent()
    >>> rnn.add_input("X", is_sequence=True, dim=4)
    >>> rnn.add_node(Identity(), name="merge", input=["X", "y_tm1"])
    >>> rnn.add_node(RecurrentDense(6), name="h1", input={"prev_hid": "h1_tm1", "input": "merge"})
    >>> rnn.add_node(RecurrentDense(2), name="y", input="h1")
    >>> [str(ref) for ref in rnn.declared_plan.per_step]
    ['X', 'y_tm1', 'h1_tm1']
    """

    free = True

    def add_states(self, names: Sequence[str]) -> None:
        """Declare states by name alone, each fed by the node of its own name, which is still to be added.

        It may be left out: a state is there wherever a past value is read.

        Raises:
            RecursiveError: a child of it, for a bad or taken name.
        """
        if isinstance(names, str):
            names = [names]
        for name in names:
            self.add_state(name, input=name)

    @property
    def spec(self) -> GraphSpec:
        """The declaration as frozen plain data; the last node is the output where no other was declared."""
        if self._spec.outputs or not self._spec.nodes:
            return self._spec
        last = self._spec.nodes[-1]
        return self._spec.replace(
            outputs=(OutputSpec(last.name, (Ref(last.values[0]),)),)
        )
