"""The container that Eder Santana proposed: a recurrent network declared as a graph of inputs, states and nodes.

``add_input``, ``add_state`` and ``add_node`` say what one time step computes; the container writes the step, hands it
to scan with its arguments in a known order, and returns what was declared as output.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.errors import (
    ConfigError,
    DataError,
    RecursiveError,
    UnknownNameError,
)
from recursive.layers import chain
from recursive.layers.graph import Graph, Read
from recursive.layers.identity import own_methods
from recursive.layers.layer import Layer
from recursive.layers.loop_run import LoopRun, states_from_start
from recursive.layers.settings import setting
from recursive.layers.states import Stateful, States
from recursive.locked import locked
from recursive.loop.axes import swap_time, taps_first
from recursive.loop.call import Call, Value, Values
from recursive.loop.nodes import as_values, run
from recursive.loop.state import check_dim_is_known, start_numbers, started
from recursive.loop.step import with_params
from recursive.scan import op
from recursive.spec import checks
from recursive.spec.explain import explain
from recursive.spec.graph import (
    LEARNED,
    GraphSpec,
    InputSpec,
    OutputSpec,
    StateSpec,
    as_initial,
    as_python_int,
)
from recursive.spec.history import final_name, with_implicit_states
from recursive.spec.names import Ref
from recursive.spec.plan import Recurrence, StepPlan, declared
from recursive.spec.reads import one_read
from recursive.spec.shapes import Shape, infer
from recursive.utils.arguments import flag

if TYPE_CHECKING:
    from recursive.shown.trace import Series, Trace


class Recursive(Stateful, Graph):
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
            truncate_gradient=as_python_int(truncate_gradient),
            n_steps=as_python_int(n_steps),
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
            InputSpec(
                name, as_python_int(ndim), dtype, as_python_int(dim), bool(is_sequence)
            )
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
            StateSpec(
                name, as_python_int(dim), input, as_initial(name, initial), stateful
            )
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
        lambda _, __, steps: as_python_int(steps),
        "How many of the last steps the backward loop runs over; -1 for all.",
    )
    n_steps = setting(
        "n_steps",
        lambda _, __, steps: checks.number_of_steps(as_python_int(steps)),
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
        return self.loop_run().plan(train=False)

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

    def own_params(self) -> list[SharedVariable]:
        """The learned starts of states."""
        return list(self._learned.values())

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

    draws = steady_draws = ()
    """A loop makes the draws of its nodes itself."""

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """Every output by name, ``(batch, time, dim)`` or the last step of it, then the final states.

        At a masked step the states stay as they are, and outputs repeat the last step that was data. Draws that are
        given, as ``{'drop.keep': (batch, time, dim)}``, take the place of random ones.
        """
        checked = self._checked(inputs)  # tells dims that were left open
        ran = self.loop_run().execute(checked, call)
        for item in ran.plan.recurrences:
            if item.stateful:
                value = self.states.fitting(item.name, ran.lasts[item.name])
                call.carry(self.states.variables[item.name], value)
        return ran.outputs | (ran.finals() if self.spec.return_final_states else {})

    def loop_run(self, **changed: object) -> LoopRun:
        """The loop as declared, or with other settings: frozen, and ready to run."""
        self.complete()
        overridden = type(self)._step is not Recursive._step
        spec = self.spec.replace(**changed)
        kept = any(item.stateful for item in declared(spec, {}).recurrences)
        return LoopRun(
            type(self).__name__,
            spec,
            self._layers(),
            self.shapes,
            self.named_params,
            self.param_names,
            self.states.variables if kept else {},
            self._own_step if overridden else None,
        )

    def _own_step(self, *args: TensorVariable) -> dict[str, TensorVariable]:
        """What an overridden ``_step`` returns, by the names of the nodes."""
        names = [name for node in self.spec.nodes for name in node.values]
        return dict(zip(names, self._step(*args), strict=True))

    def check_draws(self, draws: Mapping[str, object], input_shape: object) -> None:
        """Nothing: the run looks at the names and shapes of draws once it knows the number of steps."""

    @locked
    def all_outputs(self, train: bool = False) -> dict[str, TensorVariable]:
        """The sequence of every node by its name, ``(batch, time, dim)``, in the order in which the nodes were added.

        Source: ``_get_output`` of the 2015 container, which made every node an output of scan.
        """
        inputs = self._checked(chain.linked_inputs(self, train))
        names = [name for node in self.spec.nodes for name in node.values]
        outputs = tuple(OutputSpec(name, (Ref(name),)) for name in names)
        run = self.loop_run(outputs=outputs, return_sequences=True)
        found = run.execute(inputs, Call(train)).outputs
        return {name: value.tensor for name, value in found.items()}

    def _get_output(self, train: bool = False) -> list[TensorVariable]:
        """Every node's value in the order in which the nodes were added: sequences, or the last step of each."""
        values = self.all_outputs(train).values()
        if self.return_sequences:
            return list(values)
        return [value[:, -1] for value in values]

    @property
    @locked
    def state(self) -> dict[str, TensorVariable]:
        """What each state is before the first step, by name: ``(batch, dim)``, or oldest first ``(taps, batch, dim)``.

        Source: ``Recursive.state`` of 2015.
        """
        run, inputs = self.loop_run(), self._by_name(self.get_input())
        sequences = {name: swap_time(inputs[name]) for name in self.sequence_names}
        _, batch = run.rows(sequences, inputs)
        found = {}
        for item in self.declared_plan.recurrences:
            rows = run.start(item, inputs, batch, Call())
            found[item.name] = started(item, rows)["initial"]
        return found

    @property
    def initial_states(self) -> list[TensorVariable]:
        """The values of :attr:`state`, in their order."""
        return list(self.state.values())

    def get_constants(self) -> list[TensorVariable]:
        """What every step is given beside the parameters, and sees whole: the contexts, in their order.

        Source: ``Recursive.get_constants`` of 2015, which was empty, and there to be overridden.
        """
        inputs = self._by_name(self.get_input())
        return [inputs[item.name] for item in self.spec.inputs if not item.is_sequence]

    # States that are kept from batch to batch

    _states: States | None = None

    @property
    def carries(self) -> bool:
        """True if some state is kept from batch to batch."""
        return any(
            self.spec.stateful if state.stateful is None else state.stateful
            for state in with_implicit_states(self.spec)
        )

    @property
    def reset_each_batch(self) -> tuple[str, ...]:
        """The states that start again with each batch, but for those that were declared to."""
        return states_from_start(self.spec)

    def kept_states(self) -> tuple[Recurrence, ...]:
        """The states that are kept from batch to batch."""
        return tuple(
            item for item in declared(self.spec, {}).recurrences if item.stateful
        )

    @property
    def states(self) -> States:
        """What holds the states that are kept from batch to batch."""
        self.complete()
        starts = {
            item.name: start_numbers(item, self.shapes[item.name][-1])
            for item in self.kept_states()
        }
        shapes = {name: start.shape for name, start in starts.items()}
        if self._states is None or self._states.shapes != shapes:
            self._states = States(starts)
        return self._states

    def from_states(
        self, inputs: Values, starts: Mapping[str, TensorVariable], call: Call
    ) -> tuple[dict[str, Value], dict[str, TensorVariable]]:
        """The outputs by name, and the kept states after the last step: from ``starts``, not from those kept.

        Each state is ``(batch, lag * dim)``, oldest first.
        """
        checked = self._checked(inputs)
        carried = {item.name: item for item in self.kept_states()}
        given = {}
        for name, value in starts.items():
            given[name] = taps_first(value, carried[name].lag, self.shapes[name][-1])
        ran = self.loop_run().execute(checked, call, given)
        lasts = {
            name: ran.lasts[name].dimshuffle(1, 0, 2).flatten(2) for name in carried
        }
        return ran.outputs, lasts

    def sizes_of_states(
        self, input_shapes: Mapping[str, Shape]
    ) -> dict[str, int | None]:
        """Values a row of each kept state, all that it looks back to."""
        shapes = infer(self._with_dims(input_shapes), self.nodes)
        found = {}
        for item in self.kept_states():
            dim = shapes[item.name][-1]
            found[item.name] = None if dim is None else item.lag * dim
        return found

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
        given = dict(
            zip(plan.arguments, map(pt.as_tensor_variable, args), strict=False)
        )
        env = as_values(given)
        run(plan.nodes, self._layers(), env, Call().in_step())
        names = [name for node in self.spec.nodes for name in node.values]
        results = [env[Ref(name)].tensor for name in names]
        return with_params(results, self.named_params, given)

    # What it shows of itself: the modules that show are above this one, and are loaded when they are asked.

    def _drawn_plan(self) -> StepPlan | None:
        try:
            return self.plan
        except RecursiveError:  # it is not complete: the picture tells what is missing
            return None

    def explain(self) -> str:
        """The arguments of scan, position by position, the generated step, what runs outside it, and the way back."""
        self.complete()
        sizes = {
            name: param.get_value(borrow=True).shape
            for name, param in self.named_params.items()
        }
        text = explain(self.plan, self.shapes, sizes, self.param_names)
        for method in own_methods(type(self)):
            text += f"\n\nNot shown: {method}, which may make something else of it."
        return f"{text}\n\nThe way back: {self._way_back()}"

    def _way_back(self) -> str:
        """Which gradient the loop has."""
        if self.spec.unroll:
            return "that of the steps, which are written out."
        if self.spec.until is not None:
            return "scan's own gradient, since the loop may stop at any step."
        if self.truncate_gradient != -1:
            return "scan's own gradient, since it is truncated."
        if not self.plan.results:
            return "no loop is left."
        return (
            op.describe_gradient(self.get_output())
            if self.built
            else "told when all dims are known."
        )

    def summary(self) -> str:
        """A table of the nodes, their shapes and parameters and where each runs, then of the states.

        Raises:
            RecursiveError: a child of it, for a container that is not complete.
        """
        plan = self.plan
        sizes = {
            name: param.get_value(borrow=True).size
            for name, param in self.named_params.items()
        }
        from recursive.shown.summary import summary

        return summary(self.spec.nodes, plan, self.shapes, self.param_names, sizes)

    def source(self, library: str) -> str:
        """A script that stands alone, without this library, and computes what the container does outside of training.

        Its ``run(weights, inputs)`` takes arrays by name, weights as ``named_params`` are called, and returns the
        outputs by name. What it cannot say is a stub, marked ``GAP``, that raises NotImplementedError: layers but
        for Dense, Activation, Identity, Embedding, Gate, RecurrentDense and Blend, activations of one's own, masks,
        and states that are carried over.

        Args:
            library: ``numpy`` for a plain loop, ``pytensor`` for scan.

        Raises:
            UnknownNameError: for another library.
            RecursiveError: a child of it, for a container that is not complete.
        """
        from recursive.shown.source import source

        return source(self, library)

    def trace(self, x: object) -> Trace:
        """Every node and state at every step by name, ``(batch, time, dim)``, for data as ``predict`` takes it.

        States start as they are kept, and none is carried over. A name that is not there offers the nearest one.

        Raises:
            RecursiveError: a child of it, for a container that is not complete or data that does not match it.

        >>> import numpy as np
        >>> from recursive.layers.cells import RecurrentDense
        >>> from recursive.models import Recurrent
        >>> rnn = Recurrent()
        >>> rnn.add_input("x", dim=4)
        >>> rnn.add_node(RecurrentDense(6), "h", input="x")
        >>> rnn.trace(np.ones((3, 5, 4)))
        Trace(h (3, 5, 6))
        """
        from recursive.shown.trace import trace

        return trace(self, x)

    def gradient_norms(self, x: object) -> Series:
        """By state, ``(batch, time)``: the norm of the gradient of the last output's sum with respect to each step's.

        Raises:
            RecursiveError: as :meth:`trace`, and for a loop that may stop early where its gradient cannot be had.
        """
        from recursive.shown.gradients import gradient_norms

        return gradient_norms(self, x)


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
