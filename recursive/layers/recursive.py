"""Recurrent networks declared as graphs: ``Recursive`` and ``Recurrent``.

``add_input``, ``add_state`` and ``add_node`` declare what one time step computes. A
node reads three kinds of values by name:

- an input: its slice at this step, ``(batch, dim)``, or all of it if it is a context;
- a node: its value at this step;
- a state: the value that the node which feeds it had at the step before. ``name_tm2``
  reads two steps back.

:class:`Recursive` holds the declaration and answers questions about it: its shapes, its
parameters, its kept states. It does not run the loop itself. ``compute`` and
``all_outputs`` build a frozen :class:`~recursive.layers.loop_run.LoopRun`, which writes
the step function, calls ``scan`` with the arguments in the order of the plan, and
returns the declared outputs. ``_step`` computes a single time step, as in 2015.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import backend, initializations, limits
from recursive.errors import (
    ConfigError,
    DataError,
    RecursiveError,
    UnknownNameError,
)
from recursive.layers import chain
from recursive.layers.decoding import check_words
from recursive.layers.graph import Graph, Read
from recursive.layers.inputs import match_inputs, with_dims
from recursive.layers.layer import Layer
from recursive.layers.loop_run import LoopRun, states_reset_by_default
from recursive.layers.nodes import check_start_layers, check_training_only
from recursive.layers.settings import setting
from recursive.layers.states import Stateful, States
from recursive.locked import locked
from recursive.loop.axes import swap_time, taps_first
from recursive.loop.call import Call, Value, Values
from recursive.loop.nodes import as_values, run
from recursive.loop.state import check_dim_is_known, start_numbers, started
from recursive.loop.step import with_params
from recursive.spec import checks
from recursive.spec.graph import (
    LEARNED,
    GraphSpec,
    InputSpec,
    OutputSpec,
    StateSpec,
    as_initial,
    as_python_int,
    as_scale,
)
from recursive.spec.history import final_name, with_implicit_states
from recursive.spec.names import Ref
from recursive.spec.plan import Recurrence, StepPlan, declared
from recursive.spec.reads import one_read
from recursive.spec.shapes import Shape, infer
from recursive.spec.starts import optional_starts, with_starts
from recursive.utils.arguments import flag

if TYPE_CHECKING:
    from recursive.shown.trace import Series, Trace


def _integer(kind: str, name: str, value: object) -> object:
    """``value``, with an integer of any library as Python's own."""
    return as_python_int(value)


def _number_of_steps(kind: str, name: str, value: object) -> object:
    """``value`` as the number of steps, or None.

    Raises:
        ConfigError: for anything but an integer of 1 or more.
    """
    return checks.number_of_steps(as_python_int(value))


def _unchecked(kind: str, name: str, value: object) -> object:
    """``value``; the declaration is checked when it is completed."""
    return value


class Recursive(Stateful, Graph):
    """A recurrent network declared as a graph of inputs, states and nodes.

    A bare state name reads t-1, a node name reads t, and ``name_tm2`` reads t-2.

    Args:
        truncate_gradient: k > 0: the reverse pass covers the last k steps only; -1: all
            steps.
        return_sequences: True returns ``(batch, time, dim)``, False the last step,
            ``(batch, dim)``.
        n_steps: the number of steps of a loop without sequences. With sequences, their
            known length, for example with ``unroll=True``.
        until: the node that stops the loop after the first step at which it is true in
            every row.
        stateful: True keeps the states between batches.
        return_final_states: True also returns the states after the last step, as
            outputs ``<state>_final``.
        go_backwards: True runs from the last step to the first and returns the steps in
            that order.
        unroll: True writes out every step instead of a loop. The number of steps must
            be known: that of the sequences, or ``n_steps``.

    Source: keras issue 620 (Santana, 2015), and his ``Recursive`` container of
    2015-09-15.

    >>> from recursive.layers.core import Activation, Dense
    >>> rnn = Recursive(return_sequences=True)
    >>> rnn.add_input("input", ndim=3)
    >>> rnn.add_state("h", dim=6)
    >>> rnn.add_node(Dense(4, 6, init="one"), name="i2h", inputs=["input"])
    >>> rnn.add_node(Dense(6, 6, init="orthogonal"), name="h2h", inputs=["h"])
    >>> rnn.add_node(Activation("tanh"), name="rec", inputs=["i2h", "h2h"],
    ...              merge_mode="sum", return_state="h", create_output=True)
    >>> [str(ref) for ref in rnn.declared_plan.arguments]
    ['input', 'h_tm1', 'i2h.W', 'i2h.b', 'h2h.W', 'h2h.b']
    >>> rnn.get_output().type.shape
    (None, None, 6)
    """

    # The declaration is that of a loop: its sequences have a time axis, and nodes may
    # read earlier steps.
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
        kind = type(self).__name__
        self._spec = GraphSpec(
            loop=True,
            free=self.free,
            truncate_gradient=as_python_int(truncate_gradient),
            n_steps=as_python_int(n_steps),
            until=until,
            return_sequences=flag(kind, "return_sequences", return_sequences),
            stateful=flag(kind, "stateful", stateful),
            unroll=flag(kind, "unroll", unroll),
            return_final_states=flag(kind, "return_final_states", return_final_states),
            go_backwards=flag(kind, "go_backwards", go_backwards),
        )
        # The learned initial values, `initial="learned"`, by state: each (dim,).
        self._learned: dict[str, SharedVariable] = {}

    # Declaration

    def add_input(
        self,
        name: str,
        ndim: int | None = None,
        dtype: str = "float",
        dim: int | None = None,
        is_sequence: bool = True,
        training_only: bool = False,
    ) -> None:
        """Declare a sequence, seen one slice per step, or a context, seen whole.

        Args:
            name: the name by which nodes read it.
            ndim: the number of axes. Of a sequence, 3 for ``(batch, time, dim)`` or 2
                for integers ``(batch, time)``; of a context, which has no time axis, 2
                for ``(batch, dim)``. None is 3, or 2 for a context.
            dtype: ``float``, ``int`` or ``bool``.
            dim: the size of the last axis; None takes it from the layers that read the
                input, or from the first batch.
            is_sequence: False declares a context.
            training_only: True for the truth that a Teacher reads: ``predict`` and
                ``evaluate`` take no such input. The number of steps is then that of
                another sequence, or ``n_steps``.

        Raises:
            RecursiveError: a subclass of it, for an invalid name, ndim, dtype or dim.
        """
        is_sequence = bool(is_sequence)
        if ndim is None:
            ndim = 3 if is_sequence else 2
        training_only = flag(str(name), "training_only", training_only)
        self._declare(
            InputSpec(
                name,
                as_python_int(ndim),
                dtype,
                as_python_int(dim),
                is_sequence,
                training_only,
            )
        )

    def add_mask(self, name: str = "mask") -> None:
        """Declare the mask, an input ``(batch, time)`` that is 0 at masked steps.

        At a masked step the states of that row keep their values.

        Raises:
            RecursiveError: a subclass of it, for an invalid or taken name, or a second
                mask.
        """
        if self._spec.mask is not None:
            raise ConfigError.about(
                "container",
                type(self).__name__,
                takes="one mask",
                got=f"{self._spec.mask!r} and {name!r}",
                do="Combine them first, for example with merge_mul.",
            )
        self._declare(InputSpec(name, 2, "bool"))
        self._change(self._spec.replace(mask=name))

    def add_state(
        self,
        name: str,
        dim: int | None = None,
        input: str | None = None,
        initial: object = 0.0,
        stateful: bool | None = None,
        dtype: str = "float",
        init: str | None = None,
        scale: float | None = None,
    ) -> None:
        """Declare a state, ``(batch, dim)``, or ``(batch,)`` for integers.

        Args:
            name: the name by which nodes read it; a bare name reads the step before.
            dim: the size of the last axis; None takes it from the node that feeds the
                state.
            input: the node whose value is the next value of the state, declared before
                or later. Alternatively that node is added with ``return_state=name``,
                as in 2015.
            initial: the value before the first step: a number; ``dim`` numbers; a list
                of these, oldest first, for a state that is read several steps back;
                ``'learned'`` for a parameter ``(dim,)``; ``'drawn'`` for random draws
                while training and zeros otherwise; or the name of a context, or of a
                node that depends on contexts alone.
            stateful: True keeps the state between batches; None: as the container's
                ``stateful``.
            dtype: ``float``; ``int``, such as the number of the last word, which an
                Embedding can read; or ``bool``. A state of integers or bools is one
                number per row and has no ``dim``. It starts from a number, a list of
                numbers (one for each step that is read back, oldest first), or a
                context of its dtype. No gradient passes through it.
            init: the initialization of a learned row, by name (zeros if None), or the
                distribution of the draws, ``'normal'`` or ``'uniform'`` (normal if
                None).
            scale: the standard deviation of ``'normal'``, or the largest size of
                ``'uniform'`` values. None is 0.05 for a learned row, as for weights,
                and 1 for draws.

        Raises:
            RecursiveError: a subclass of it, for an invalid name, dim, dtype, initial
                value, initialization or scale.
        """
        if stateful is not None:
            stateful = flag(f"state {name!r}", "stateful", stateful)
        initial = as_initial(name, initial)
        dim = as_python_int(dim)
        scale = as_scale(name, scale)
        state = StateSpec(name, dim, input, initial, stateful, dtype, init, scale)
        checks.check_initialization(state)
        if initial == LEARNED and init is not None:
            initializations.get(init)  # an unknown name is an error here
        self._declare(state)

    def set_state_from(self, state: str, name: str, optional: bool = False) -> None:
        """Let ``state`` start from ``name``: a context, or a node of contexts alone.

        A name that is new is declared as a context, ``(batch, dim)``, or ``(batch,)``
        for a state of integers. A state that is read several steps back starts from
        that value at each lag, or from ``(batch, lag, dim)``, oldest first, if the
        context was declared with ``ndim=3``, or ``(batch, lag)`` of integers with
        ``ndim=2``. In an enclosing graph, a node supplies the context: ``input={...,
        name: 'node'}``.

        Args:
            state: the state.
            name: the context or the node.
            optional: True for an input that may be left out, from data and as a port of
                a node. If it is given, the state starts from it, even if it is kept
                between batches; if not, as it would without this call.

        Raises:
            UnknownNameError: for an undeclared state, or a name that is neither a
                context nor a node of contexts alone.
        """
        states = {item.name: item for item in self._spec.states}
        if state not in states:
            raise self._undeclared_state(state)
        optional = flag(f"state {state!r}", "optional", optional)
        self._check_start(state, name, optional)
        if name not in self._spec.names:
            found = states[state]
            ndim = 2 if found.dtype == "float" else 1
            self.add_input(name, ndim, found.dtype, found.dim, is_sequence=False)
        change = {"given": name} if optional else {"initial": name, "given": None}
        if not optional:
            change |= {"init": None, "scale": None}
        # The order of states is the order of scan's arguments, so it must not change.
        states[state] = dataclasses.replace(states[state], **change)
        self._change(self._spec.replace(states=tuple(states.values())))

    def _check_start(self, state: str, name: str, optional: bool) -> None:
        """Raise an UnknownNameError unless ``state`` can start from ``name``."""
        kind = self._spec.names.get(name, "input")
        if kind == "node" and not optional:
            checks.check_depends_on_contexts(self._spec, state, name)
        elif kind != "input":
            takes = "a context or a node of contexts alone to start from"
            if optional:
                takes = "a context as its optional start"
            raise UnknownNameError.about(
                "state",
                state,
                takes=takes,
                because="its value is needed before the first step",
                got=f"the {kind} {name!r}",
                do="In an enclosing graph, connect a node to the context's name.",
            )

    def _undeclared_state(self, state: str) -> UnknownNameError:
        """The error for a state that was not declared by add_state."""
        got = "an unknown name"
        if self._spec.names.get(state) == "node":
            got = "a node whose past is read without a declared state"
        states = [item.name for item in self._spec.states]
        return UnknownNameError.about(
            "state",
            str(state),
            takes="a name given to add_state",
            got=got,
            do=checks.how_to_declare(self._spec, state, states),
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
        """Declare a node: ``layer`` applied, at every step, to the values it reads.

        Args:
            layer: any layer or container. A layer that two nodes use shares its
                weights.
            name: the name by which other nodes read it; a node with several outputs is
                read as ``name.output``.
            input: a name; a list of names, merged by ``merge_mode``;
                ``merge_sum([...])`` and the like; or, for a layer with several inputs,
                a dict of these by port.
            inputs: the older name for a list. A string is one name.
            merge_mode: concat, sum, mul, ave, max or dot; join passes the values to a
                layer with several inputs by name.
            return_state: the state whose next value this node computes.
            create_output: True also declares an output of the same name.
            connection_map: the older name for a dict by port.

        Raises:
            RecursiveError: a subclass of it, for unknown or taken names, unknown or
                open ports, no input, or an unknown merge mode.
        """
        read = one_read(name, input, connection_map)
        self._add_node(
            layer, name, read, inputs, merge_mode, create_output, return_state
        )

    # The declaration. A setting can be assigned later: that is a new declaration.

    return_sequences = setting(
        "return_sequences", flag, "True if outputs are whole sequences."
    )
    stateful = setting(
        "stateful",
        flag,
        "True if states are kept between batches, unless a state declares otherwise.",
    )
    return_final_states = setting(
        "return_final_states",
        flag,
        "True if the states after the last step are outputs too.",
    )
    go_backwards = setting(
        "go_backwards", flag, "True if the loop runs from the last step to the first."
    )
    unroll = setting(
        "unroll", flag, "True if every step is written out instead of a loop."
    )
    truncate_gradient = setting(
        "truncate_gradient",
        _integer,
        "The number of last steps that the reverse pass covers; -1 for all.",
    )
    n_steps = setting(
        "n_steps",
        _number_of_steps,
        "The number of steps of a loop without sequences; else their known length.",
    )
    until = setting(
        "until", _unchecked, "The node that stops the loop when it is true."
    )

    @property
    def sequence_names(self) -> tuple[str, ...]:
        """The inputs that each step sees one slice of."""
        return tuple(item.name for item in self.spec.inputs if item.is_sequence)

    @property
    def declared_plan(self) -> StepPlan:
        """The plan with every node in the loop: that of :meth:`_step`."""
        self.complete()
        return declared(with_starts(self.spec), self.param_names)

    @property
    def plan(self) -> StepPlan:
        """The plan for prediction without a mask.

        Nodes are hoisted before the loop or deferred after it.
        """
        self.complete()
        return self.loop_run().plan(train=False)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs as declared, then of the returned final states."""
        names = super().output_names
        if not self.spec.return_final_states:
            return names
        states = with_implicit_states(self.spec)
        return (*names, *(final_name(state.name) for state in states))

    @property
    def rowwise(self) -> bool:
        """True if every node is rowwise and nothing else ties the rows together.

        States that are kept between batches do, and so does a loop that stops for all
        rows at once.
        """
        return not self.carries and self.until is None and super().rowwise

    # Shapes

    def get_output_shape_for(
        self, input_shape: Shape | Mapping[str, Shape]
    ) -> Shape | dict[str, Shape]:
        found = super().get_output_shape_for(input_shape)
        if not self.spec.return_final_states:
            return found
        if not isinstance(found, dict):
            found = {self.spec.outputs[0].name: found}
        rows = next(iter(found.values()))[0]
        spec = with_dims(self.spec, input_shape)
        shapes = infer(spec, self.nodes)
        for item in declared(spec, {}).recurrences:
            # A state that is read k steps back keeps its last k values.
            dims = shapes[item.name][1:]  # none for integers
            shape = (rows, *dims) if item.lag == 1 else (rows, item.lag, *dims)
            found[final_name(item.name)] = shape
        return found

    def _output_shape(self, shape: Shape, input_shapes: Mapping[str, Shape]) -> Shape:
        rows, *rest = shape
        if not self.spec.inputs:
            rows = 1  # nothing tells the size of a batch
        if not self.return_sequences:
            return (rows, *rest)
        return (rows, self._length(input_shapes), *rest)

    def _length(self, input_shapes: Mapping[str, Shape]) -> int | None:
        """The number of steps of the outputs, as far as it is known."""
        if self.until:
            return None
        # All sequences have the same length: the first one that is given tells it.
        for name in self.sequence_names:
            if name in input_shapes:
                return input_shapes[name][1]
        return self.n_steps

    def _input_shape(self, item: InputSpec) -> Shape:
        rows, *rest = super()._input_shape(item)
        if not item.is_sequence:
            return (rows, *rest)
        # What stands in for the truth while predicting may have other steps.
        steps = None if item.training_only and not self.unroll else self.n_steps
        return (rows, steps, *rest)

    # Parameters: those of the nodes, then the learned initial values of states

    def own_params(self) -> list[SharedVariable]:
        """The learned initial values of states."""
        return list(self._learned.values())

    @property
    def named_params(self) -> dict[str, SharedVariable]:
        """The parameters of nodes as ``node.W``, of states as ``state.initial``."""
        return super().named_params | self._named_initials()

    @property
    def named_weights(self) -> dict[str, SharedVariable]:
        """The weights, named as the parameters."""
        return super().named_weights | self._named_initials()

    def _named_initials(self) -> dict[str, SharedVariable]:
        return {f"{name}.initial": value for name, value in self._learned.items()}

    @property
    def optional_ports(self) -> tuple[str, ...]:
        """The inputs that start a state if they are given, and may be left out."""
        return optional_starts(self.spec)

    @property
    def training_ports(self) -> tuple[str, ...]:
        """The inputs that are there only while training."""
        return tuple(item.name for item in self.spec.inputs if item.training_only)

    def limit_at(self, port: str) -> int | None:
        """The bound below which the integers of an input or a state must lie.

        A context from which a state starts has the bound of the state too.
        """
        limits = [super().limit_at(port)]
        for state in self._spec.states:
            if state.initial == port:
                limits.append(super().limit_at(state.name))
        return min((limit for limit in limits if limit is not None), default=None)

    @locked
    def build(self, input_shape: Shape | Mapping[str, Shape] | None = None) -> None:
        check_training_only(self.spec, self.nodes)
        check_start_layers(self.spec, self.nodes)
        super().build(input_shape)
        for state in self.spec.states:
            limit = self.limit_at(state.name)
            check_words(self.spec, state, limit, self.nodes, self.shapes)
        for state in self.spec.states:
            name = state.name
            dim = self.shapes[name][-1]
            is_new = state.initial == LEARNED and name not in self._learned
            if is_new and dim is not None:
                limits.count_parameter((dim,))
                row = _first_row(state, dim)
                self._learned[name] = backend.shared(row, f"{name}.initial")

    def complete(self, input_shape: Shape | Mapping[str, Shape] | None = None) -> None:
        super().complete(input_shape)
        for item in self.spec.inputs:
            if None in self.shapes[item.name][1:]:
                return  # the dims of states may follow from data
        for recurrence in declared(self.spec, {}).recurrences:
            check_dim_is_known(recurrence, self.shapes[recurrence.name][-1])

    # The container as a function

    draws = ()
    """A loop makes the random draws of its nodes itself, before it starts."""
    steady_draws = ()
    """Empty too, for the same reason."""
    predicting_draws = ()
    """Empty too, for the same reason."""

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """Every output by name, then the final states.

        An output is ``(batch, time, dim)``, or ``(batch, dim)`` at the last step. At a
        masked step states keep their values, and outputs repeat the last unmasked step.
        Given draws, ``{'drop.keep': (batch, time, dim)}``, replace random ones.
        """
        checked = self._checked(inputs)  # it finds open dims, which the run needs
        result = self.loop_run(given=checked).execute(checked, call)
        for item in result.plan.recurrences:
            if item.stateful:
                value = self.states.fitting(item.name, result.lasts[item.name])
                call.carry(self.states.variables[item.name], value)
        if self.spec.return_final_states:
            return result.outputs | result.finals()
        return result.outputs

    def loop_run(self, given: Collection[str] = (), **changed: object) -> LoopRun:
        """The loop as declared, or with ``changed`` settings, ready to run.

        ``given`` are the inputs that are there, by name.
        """
        self.complete()
        spec = with_starts(self.spec, given).replace(**changed)
        # `self.states` needs known dims, so it is asked for only if a state is kept.
        keeps_states = any(item.stateful for item in declared(spec, {}).recurrences)
        has_own_step = type(self)._step is not Recursive._step
        return LoopRun(
            kind=type(self).__name__,
            spec=spec,
            layers=self._layers(),
            shapes=self.shapes,
            params=self.named_params,
            param_names=self.param_names,
            states=self.states.variables if keeps_states else {},
            # Only an overridden _step runs; otherwise the step follows from the plan.
            step=self._own_step if has_own_step else None,
        )

    def _own_step(self, *args: TensorVariable) -> dict[str, TensorVariable]:
        """The results of a subclass's ``_step`` by the names of the nodes."""
        return dict(zip(self._value_names(), self._step(*args), strict=True))

    def _value_names(self) -> list[str]:
        """The name of every value of every node, in declared order."""
        return [name for node in self.spec.nodes for name in node.values]

    def check_draws(self, draws: Mapping[str, object], input_shape: object) -> None:
        """Accept ``draws``: the run checks them, once it knows the number of steps."""

    # States that are kept between batches

    _states: States | None = None

    @property
    def carries(self) -> bool:
        """True if some state is kept between batches."""
        states = with_implicit_states(self.spec)
        stateful = [state.stateful for state in states]
        return True in stateful or (self.spec.stateful and None in stateful)

    @property
    def reset_each_batch(self) -> tuple[str, ...]:
        """The states that are reset because ``stateful`` is not declared for them."""
        return states_reset_by_default(self.spec)

    def kept_states(self) -> tuple[Recurrence, ...]:
        """The states that are kept between batches."""
        recurrences = declared(self.spec, {}).recurrences
        return tuple(item for item in recurrences if item.stateful)

    @property
    @locked
    def states(self) -> States:
        """The values of the states that are kept between batches."""
        self.complete()
        starts = {}
        for item in self.kept_states():
            starts[item.name] = start_numbers(item, self.shapes[item.name][-1])
        shapes = {name: start.shape for name, start in starts.items()}
        # A later declaration may change which states are kept, or how far back.
        if self._states is None or self._states.shapes != shapes:
            self._states = States(starts)
        return self._states

    def from_states(
        self, inputs: Values, starts: Mapping[str, TensorVariable], call: Call
    ) -> tuple[dict[str, Value], dict[str, TensorVariable]]:
        """Run from ``starts`` instead of the kept states.

        Used when this container is a stateful node of another loop, which then holds
        the states. Each state is ``(batch, lag * dim)``, oldest first.

        Returns:
            The outputs by name, and the kept states after the last step.
        """
        checked = self._checked(inputs)
        kept = {item.name: item for item in self.kept_states()}
        given = {}
        for name, value in starts.items():  # each to (lag, batch, dim)
            given[name] = taps_first(value, kept[name].lag, self.shapes[name][-1])
        result = self.loop_run().execute(checked, call, given)
        lasts = {}
        for name in kept:
            last = result.lasts[name]  # (lag, batch, dim)
            lasts[name] = last.dimshuffle(1, 0, 2).flatten(2)
        return result.outputs, lasts

    def sizes_of_states(
        self, input_shapes: Mapping[str, Shape]
    ) -> dict[str, int | None]:
        """The size ``lag * dim`` of each kept state; None for an unknown dim."""
        shapes = infer(with_dims(self.spec, input_shapes), self.nodes)
        found = {}
        for item in self.kept_states():
            dim = shapes[item.name][-1]
            found[item.name] = None if dim is None else item.lag * dim
        return found

    # As the container of 2015 had them

    def _step(self, *args: TensorVariable) -> list[TensorVariable]:
        """One time step: the value of every node, in declared order.

        A subclass may override it.

        Args:
            args: the inputs at t, the states at t-1, the contexts, then the parameters,
                which may be left out. Each group is in declared order; an input or
                state read at several taps appears once per tap, oldest first.

        Raises:
            DataError: for another number of arguments.
        """
        plan = self.declared_plan
        if len(args) not in (len(plan.per_step), len(plan.arguments)):
            names = ", ".join(map(str, plan.arguments))
            numbers = f"{len(plan.per_step)} or {len(plan.arguments)}"
            raise DataError.about(
                "step",
                "arguments",
                takes=f"{numbers} tensors ({names})",
                because="the parameters may be left out",
                got=f"{len(args)}",
                do="See declared_plan.arguments for their order.",
            )
        tensors = map(pt.as_tensor_variable, args)
        # If the parameters are left out, zip stops early and layers use their own
        # variables. If they are given, with_params substitutes them in the results.
        given = dict(zip(plan.arguments, tensors, strict=False))
        env = as_values(given)
        run(plan.nodes, self._layers(), env, Call().in_step())
        results = [env[Ref(name)].tensor for name in self._value_names()]
        return with_params(results, self.named_params, given)

    @locked
    def all_outputs(self, train: bool = False) -> dict[str, TensorVariable]:
        """The sequence of every node by name, ``(batch, time, dim)``.

        The nodes are in declared order.

        Source: ``_get_output`` of the 2015 container, which made every node an output
        of scan.
        """
        inputs = self._checked(chain.linked_inputs(self, train))
        # The same loop, with every node declared as an output.
        outputs = tuple(OutputSpec(name, (Ref(name),)) for name in self._value_names())
        run = self.loop_run(given=inputs, outputs=outputs, return_sequences=True)
        found = run.execute(inputs, Call(train)).outputs
        return {name: value.tensor for name, value in found.items()}

    def _get_output(self, train: bool = False) -> list[TensorVariable]:
        """Every node's sequence, or its last step, in declared order."""
        values = self.all_outputs(train).values()
        if self.return_sequences:
            return list(values)
        return [value[:, -1] for value in values]

    @property
    @locked
    def state(self) -> dict[str, TensorVariable]:
        """The value of each state before the first step, by name.

        It is ``(batch, dim)``, or ``(lag, batch, dim)``, oldest first: scan takes
        initial values with time as the first axis. Inputs and outputs of the container
        are batch first instead, so contexts and final states are ``(batch, lag, dim)``.

        Source: ``Recursive.state`` of 2015.
        """
        inputs = match_inputs(self.spec, self.get_input())
        run = self.loop_run(given=inputs)
        sequences = {name: swap_time(inputs[name]) for name in self.sequence_names}
        _, batch = run.sizes(sequences, inputs)
        values = run.start_values(self.as_inputs(inputs), Call())
        found = {}
        for item in run.plan(train=False).recurrences:
            rows = run.start(item, values, batch, Call())
            found[item.name] = started(item, rows)["initial"]
        return found

    @property
    def initial_states(self) -> list[TensorVariable]:
        """The values of :attr:`state`, in their order."""
        return list(self.state.values())

    def get_constants(self) -> list[TensorVariable]:
        """The contexts in declared order: every step sees them, next to the parameters.

        Source: ``Recursive.get_constants`` of 2015, which was empty and meant to be
        overridden.
        """
        inputs = match_inputs(self.spec, self.get_input())
        contexts = with_starts(self.spec).context_names
        return [inputs[name] for name in contexts]

    # Views of the container. Their modules import this one, so they load on demand.

    def _plan_for_diagram(self) -> StepPlan | None:
        try:
            return self.plan
        except RecursiveError:  # incomplete: the diagram marks what is missing
            return None

    def explain(self) -> str:
        """A description of the loop as text.

        It lists the arguments of scan, the generated step, the nodes outside the loop
        and the gradient.

        Raises:
            RecursiveError: a subclass of it, for a container that is not complete.
        """
        from recursive.shown.explanation import explanation

        return explanation(self)

    def summary(self) -> str:
        """A table of the nodes with shapes, parameters and places, then of the states.

        Raises:
            RecursiveError: a subclass of it, for a container that is not complete.
        """
        from recursive.shown.summary import summary

        plan = self.plan
        sizes = {}
        for name, param in self.named_params.items():
            sizes[name] = param.get_value(borrow=True).size
        return summary(self.spec.nodes, plan, self.shapes, self.param_names, sizes)

    def source(self, library: str) -> str:
        """A script that computes the container without this library, for inference.

        Its ``run(weights, inputs)`` takes arrays by name, with weights named as in
        ``named_params``, and returns the outputs by name. Anything it cannot express is
        a stub marked ``GAP`` that raises NotImplementedError: layers other than Dense,
        Activation, Identity, Embedding, Gate, RecurrentDense, Blend and Greedy,
        user-defined activations, masks, and states kept between batches.

        Args:
            library: ``numpy`` for a plain loop, ``pytensor`` for scan, ``c`` for the
                C function into which backend ``c`` translates the loop.

        Raises:
            UnknownNameError: for another library.
            RecursiveError: a subclass of it, for a container that is not complete.
        """
        from recursive.shown.source import source

        return source(self, library)

    def trace(self, x: object) -> Trace:
        """Every node and state at every step by name, ``(batch, time, dim)``.

        ``x`` is data as ``predict`` takes it. The run starts from the kept states and
        does not change them. An unknown name suggests the nearest one.

        Raises:
            RecursiveError: a subclass of it, for a container that is not complete or
                data that does not match it.

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
        """The norm of the gradient at each step, ``(batch, time)`` for each state.

        It is the gradient of the sum of the last output with respect to the state.

        Raises:
            RecursiveError: as :meth:`trace`, and for a loop that may stop early if its
                gradient is not available.
        """
        from recursive.shown.gradients import gradient_norms

        return gradient_norms(self, x)


def _first_row(state: StateSpec, dim: int) -> np.ndarray:
    """The value that a learned row of a state has before training, ``(dim,)``."""
    draw = initializations.get(state.init or "zero")
    row = draw((dim,)) if state.scale is None else draw((dim,), state.scale)
    return row.get_value()


class Recurrent(Recursive):
    """A recurrent network as a graph in which states need no declaration.

    Any value is read at an earlier step as ``name_tm1``, and names may be used before
    they are declared. A bare name reads t. A port ``prev_hid`` that is left open reads
    the node itself at t-1. If no output is declared, the last node is the output.

    Args:
        truncate_gradient: k > 0: the reverse pass covers the last k steps only; -1: all
            steps.
        return_sequences: True returns ``(batch, time, dim)``, False the last step,
            ``(batch, dim)``.
        n_steps: the number of steps of a loop without sequences. With sequences, their
            known length, for example with ``unroll=True``.
        until: the node that stops the loop after the first step at which it is true in
            every row.
        stateful: True keeps the states between batches.
        return_final_states: True also returns the states after the last step, as
            outputs ``<state>_final``.
        go_backwards: True runs from the last step to the first and returns the steps in
            that order.
        unroll: True writes out every step instead of a loop. The number of steps must
            be known: that of the sequences, or ``n_steps``.

    Source: elanmart, keras issue 620, 2015.

    >>> from recursive.layers.cells import RecurrentDense
    >>> from recursive.layers.core import Identity
    >>> rnn = Recurrent()
    >>> rnn.add_input("X", is_sequence=True, dim=4)
    >>> rnn.add_node(Identity(), name="merge", input=["X", "y_tm1"])
    >>> rnn.add_node(RecurrentDense(6), name="h1",
    ...              input={"prev_hid": "h1_tm1", "input": "merge"})
    >>> rnn.add_node(RecurrentDense(2), name="y", input="h1")
    >>> [str(ref) for ref in rnn.declared_plan.per_step]
    ['X', 'y_tm1', 'h1_tm1']
    """

    # Names may be used before they are declared.
    free = True

    def add_states(self, names: Sequence[str]) -> None:
        """Declare states by name, each fed by a later node of the same name.

        It may be left out: reading a past value declares its state.

        Raises:
            RecursiveError: a subclass of it, for an invalid or taken name.
        """
        if isinstance(names, str):
            names = [names]
        for name in names:
            self.add_state(name, input=name)

    @property
    def spec(self) -> GraphSpec:
        """The declaration as frozen plain data.

        If no output is declared, it has that of the last node.
        """
        spec = super().spec
        if spec.outputs or not spec.nodes:
            return spec
        last = spec.nodes[-1]
        output = OutputSpec(last.name, (Ref(last.values[0]),))
        return spec.replace(outputs=(output,))
