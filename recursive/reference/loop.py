"""The loop over time, forwards and backwards."""

# A step runs the nodes in order (step.py). A node reads values of this step, slices of
# sequences, contexts, which are the same at every step, and the past.
#
# The past is an array. `history[name]`, `(lag + time, batch, dim)`, has the initial
# values of a state, then one place for each step. A step at t reads states before t,
# and at its end writes the place of t:
#
#     for t in 0, 1, ..., time - 1:
#         values = run the nodes
#         for each state:
#             history[state][lag + t] = values[node that feeds it]
#
# Sequences have a history too: zeros, then their slices. So `x_tm1` is an ordinary tap.
#
# A tap is a question to the clock: at step t, which place does each row of the batch
# read k steps back (clock.py)? Without a mask the answer is `lag + t - k`.
#
# A masked step computes like any other, but for that row no time passes: the clock
# skips its place, so that no later step reads it. Every output and every final state
# shows the last unmasked step instead. A value before the first unmasked step shows as
# zeros.
#
# Backwards the same loop runs in reverse. `d_history` has the shape of `history`,
# and `d_values` collects the gradients of the values of one step:
#
#     for t in time - 1, ..., 1, 0:
#         d_values = {node that feeds it: d_history[state][lag + t] for each state}
#         add the gradients of the outputs at t
#         for each node, the last one first:
#             d = back(d_values[node])
#             add d to everything that the node had read:
#                 a value of this step   to d_values
#                 k steps back           to d_history, at the place that it had read
#                 a context              to d_contexts, over all steps
#
# When the reverse loop reaches t, every later reader of `history[name][lag + t]` has
# added its share, so the gradient is complete. In the end, `d_history[state][:lag]` is
# the gradient of the initial values. A truncated gradient stops after the last k steps.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from recursive.errors import DtypeError, SequenceLengthError, ShapeError
from recursive.reference.arrays import (
    Array,
    GraphResult,
    LayerGradients,
    Scope,
    Value,
    add,
    collected,
    is_float,
    summed,
    truth,
)
from recursive.reference.clock import (
    Clock,
    Place,
    forward_filled,
    forward_filled_back,
)
from recursive.reference.masks import joined
from recursive.reference.noise import constant_draws
from recursive.reference.order import Names
from recursive.reference.shapes import find_dims
from recursive.reference.starts import start_of
from recursive.reference.step import NodeRun, StepRun
from recursive.spec.graph import GraphSpec, NodeSpec, Ref, StateSpec


def run_over_time(
    spec: GraphSpec, inputs: Mapping[str, Value], scope: Scope
) -> GraphResult:
    """Run a loop."""
    return Loop(spec, inputs, scope).result()


class Loop:
    """A declaration run over a batch: forwards on creation, then :meth:`back`.

    Args:
        spec: the declaration.
        inputs: by name, batch first, with their masks.
        scope: parameters, draws, states to continue from, and a further mask.
    """

    def __init__(self, spec: GraphSpec, inputs: Mapping[str, Value], scope: Scope):
        self.spec = spec
        self.inputs = inputs
        self.scope = scope
        self.names = Names(spec)
        self.sequences: dict[str, Array] = {}
        self.contexts: dict[str, Value] = {}
        for item in spec.inputs:
            if item.name not in inputs:
                continue  # an optional start that is left out
            value = inputs[item.name]
            if item.is_sequence:
                self.sequences[item.name] = self._time_first(value.array)
            else:
                self.contexts[item.name] = replace(value, is_context=True)
        self.batch = len(next(iter(inputs.values())).array) if inputs else 1
        self.length = common_length(spec, self.sequences)
        self.mask = self._mask()
        self.lag = self.names.longest_lag
        self.clock = Clock(self.mask, self.length, self.batch, self.lag)
        self._start()
        self._run()

    def _time_first(self, sequence: Array) -> Array:
        """``(batch, time, ...)`` as ``(time, batch, ...)``, in the loop's order."""
        return self._directed(np.moveaxis(np.asarray(sequence), 1, 0))

    def _directed(self, steps: Array) -> Array:
        return steps[::-1] if self.spec.go_backwards else steps

    def _mask(self) -> Array | None:
        """The mask of the loop, ``(time, batch)``.

        It joins the masks ``(batch, time)`` of sequences, the declared one, and the one
        of the scope. A deeper mask, or that of a context, does not mask steps.
        """
        masks = []
        for name in self.sequences:
            mask = self.inputs[name].mask
            if mask is not None and mask.ndim == 2:
                masks.append(mask)
        if self.spec.mask is not None:
            masks.append(self.inputs[self.spec.mask].array)
        mask = joined([*masks, self.scope.mask])
        return None if mask is None else self._time_first(mask)

    def _start(self) -> None:
        """Create the histories: the past of sequences, and the start of states."""
        self.history: dict[str, Array] = {}
        self.mask_history: dict[str, Array] = {}
        for name, steps in self.sequences.items():
            self.history[name] = self._with_past(steps)
            mask = self.inputs[name].mask
            # The masks of slices: (batch, word) for each sentence of a document.
            if mask is not None and mask.ndim > 2:
                self.mask_history[name] = self._with_past(self._time_first(mask))
        self.before = self._run_before()
        values = {}
        for run in self.before:
            values |= run.values
        self.starts = {}
        for state in self.names.histories:
            self.starts[state.name] = start_of(state, self.scope, self.contexts, values)
        dims = self._dims()
        for name, start in self.starts.items():
            shape = (self.lag + self.length, self.batch, *dims[name])
            # A state may be read fewer steps back than the longest lag: its initial
            # values are the last places before step 0.
            lag = self.names.lag(name)
            # Floats are of one dtype, also if a start is not; integers are as started.
            value = start.value
            dtype = self.scope.dtype if is_float(value) else value.dtype
            rows = np.zeros(shape, dtype)
            rows[self.lag - lag : self.lag] = start.rows(lag, self.batch, dims[name])
            self.history[name] = rows

    def _run_before(self) -> list[NodeRun]:
        """The nodes that states start from, run once; they read contexts alone."""
        needed = {str(state.initial) for state in self.names.histories}
        # A node that is needed needs what it reads: later nodes come first.
        nodes = []
        for node in reversed(self.names.ordered):
            if needed & set(node.values):
                needed.update(ref.name for ref in node.refs)
                nodes.append(node)
        values = dict(self.contexts)

        def lookup(ref: Ref) -> Value:
            return values[ref.name]

        runs = []
        for node in reversed(nodes):
            scope = self.scope.child(node.name).replace(in_loop=True)
            run = NodeRun(node, lookup, scope)
            values.update(run.values)
            runs.append(run)
        return runs

    def _with_past(self, steps: Array) -> Array:
        """``steps`` after zeros for the steps before the first."""
        past = np.zeros((self.lag, *steps.shape[1:]), steps.dtype)
        return np.concatenate([past, steps])

    def _dims(self) -> dict[str, tuple[int, ...] | None]:
        """The dims of each state: as declared, of its start, or found on zeros.

        A state of integers has none.
        """
        dims = {}
        for state in self.names.histories:
            dims[state.name] = self._known_dims(state)
        if None not in dims.values():
            return dims
        # Some dims are left open: run the nodes on zeros, (batch, dim).
        known = {}
        for name, steps in self.sequences.items():
            known[name] = np.zeros_like(steps[0])
        for name, context in self.contexts.items():
            known[name] = np.zeros_like(context.array)
        for name, known_dims in dims.items():
            if known_dims is not None:
                value = self.starts[name].value
                dtype = self.scope.dtype if is_float(value) else value.dtype
                past = np.zeros((self.batch, *known_dims), dtype)
                known[str(Ref(name, -1))] = past
        return find_dims(self.names, known, self.scope)

    def _known_dims(self, state: StateSpec) -> tuple[int, ...] | None:
        """The dims of a state that are known before any node has run."""
        if state.dtype != "float":
            return ()
        if state.dim:
            return (state.dim,)
        shape = self.starts[state.name].value.shape
        return shape[-1:] or None

    # Forwards

    def _run(self) -> None:
        """Run the steps, up to the first at which ``until`` is true in every row."""
        self.steps: list[StepRun] = []
        for t in range(self.length):
            step = StepRun(
                self.names,
                lambda ref, t=t: self._outside(ref, t),
                lambda node, t=t: self._scope_of(node, t),
                self.scope.dtype,
            )
            for state in self.names.histories:
                value = step.values[state.input].array
                _check_state(state, value, self.history[state.name][0])
                self.history[state.name][self.lag + t] = value
            self.steps.append(step)
            until = self.spec.until
            if until and truth("node", until, step.values[until].array).all():
                break
        # From here on, the length is the number of steps that have run.
        self.length = len(self.steps)

    def _outside(self, ref: Ref, t: int) -> Value:
        """The context, or the past value, that step ``t`` reads."""
        if ref.name in self.contexts:
            return self.contexts[ref.name]
        place = self.clock.place(t, ref.tap)
        mask = self.mask_history.get(ref.name)
        array = self.history[ref.name][place]
        return Value(array, None if mask is None else mask[place])

    def _scope_of(self, node: NodeSpec, t: int) -> Scope:
        """The scope of ``node`` at step ``t``, with its draws of that step."""
        scope = self.scope.child(node.name)
        constant = constant_draws(node.layer.class_name, node.layer.config)
        draws = {}
        for name, draw in scope.draws.items():
            draws[name] = draw if name in constant else self._time_first(draw)[t]
        return scope.replace(draws=draws, states={}, in_loop=True)

    # Backwards

    def back(self, d: Mapping[str, Array]) -> LayerGradients:
        """The gradients of inputs, parameters and given states, from those of outputs.

        Only the last ``truncate_gradient`` steps run backwards.
        """
        self.d_contexts: dict[str, Array] = {}
        self.d_history: dict[str, Array] = {}
        for name, rows in self.history.items():
            if is_float(rows):
                self.d_history[name] = np.zeros_like(rows)
        d_outputs = {}
        for name in self.steps[0].outputs:
            if d.get(name) is not None:
                d_outputs[name] = self._shown_back(d[name])
        for state in self.names.histories:
            is_given = d.get(final_name(state.name)) is not None
            if is_given and state.name in self.d_history:
                self._final_back(state.name, d[final_name(state.name)])
        k = self.spec.truncate_gradient
        first = 0 if k == -1 else max(0, self.length - k)
        d_params: dict[str, Array] = {}
        for t in reversed(range(first, self.length)):
            d_step = {name: steps[t] for name, steps in d_outputs.items()}
            d_params = summed(d_params, self._step_back(t, d_step))
        return self._gradients(d_params)

    def _step_back(self, t: int, d_outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Step ``t`` backwards; returns the gradients of its parameters."""
        d_values: dict[str, Array] = {}
        for state in self.names.histories:
            if state.name in self.d_history:
                place = self.lag + t
                add(d_values, state.input, self.d_history[state.name][place])

        def give(ref: Ref, d: Array) -> None:
            if ref.name in self.contexts:
                add(self.d_contexts, ref.name, d)
            elif ref.name in self.d_history:
                # Each row has one place, so += with an index array misses none.
                self.d_history[ref.name][self.clock.place(t, ref.tap)] += d

        found = self.steps[t].back(d_outputs, d_values, give)
        return collected(found, "params")

    def _shown_back(self, d: Array) -> Array:
        """The gradient of an output at every step, ``(time, batch, ...)``."""
        if self.spec.return_sequences:
            steps = np.moveaxis(d, 1, 0)
        else:
            # Only the last step is shown.
            steps = np.zeros((self.length, *d.shape), d.dtype)
            steps[-1] = d
        if self.mask is None:
            return steps
        return forward_filled_back(steps, self.clock.last_valid(self.length))

    def _final_back(self, name: str, d: Array) -> None:
        """Add the gradient of a final state, at the places where it was read."""
        places = self._final_places(name)
        rows = [d] if len(places) == 1 else np.moveaxis(d, 1, 0)
        for place, row in zip(places, rows, strict=True):
            self.d_history[name][place] += row

    def _gradients(self, d_params: dict[str, Array]) -> LayerGradients:
        """The gradients that have arrived, those of initial values at their sources."""
        found = {
            "inputs": self.d_contexts,
            "params": d_params,
            "states": {},
            "numbers": {},
            "nodes": {},
        }
        for name in self.sequences:
            if name in self.d_history:
                steps = self._directed(self.d_history[name][self.lag :])
                found["inputs"][name] = np.moveaxis(steps, 0, 1)
        for name, start in self.starts.items():
            if name not in self.d_history:
                continue  # integers
            past = self.d_history[name][self.lag - self.names.lag(name) : self.lag]
            add(found[start.source], start.name, start.back(past))
        self._before_back(found)
        d_inputs = {name: found["inputs"].get(name) for name in self.inputs}
        return LayerGradients(d_inputs, found["params"], found["states"])

    def _before_back(self, found: dict[str, dict[str, Array]]) -> None:
        """Pass the gradients of nodes that states start from on to what they read."""
        d_values = found["nodes"]
        for run in reversed(self.before):
            if not run.has_gradient(d_values):
                continue
            gradients, shares = run.back(d_values)
            for name, d in collected({run.node.name: gradients}, "params").items():
                add(found["params"], name, d)
            for ref, d in shares:
                source = "inputs" if ref.name in self.contexts else "nodes"
                add(found[source], ref.name, d)

    # Results

    def result(self) -> GraphResult:
        """Outputs with their masks, final states, and the values of all nodes."""
        outputs = {}
        masks = {}
        for name in self.steps[0].outputs:
            steps = [step.outputs[name].value for step in self.steps]
            outputs[name] = self._shown([value.array for value in steps])
            mask = self._shown_mask([value.mask for value in steps])
            if mask is not None:
                masks[name] = mask
        finals = {}
        for state in self.names.histories:
            history, places = self.history[state.name], self._final_places(state.name)
            rows = np.stack([history[place] for place in places])
            finals[state.name] = rows[0] if len(places) == 1 else rows
            if self.spec.return_final_states:
                shown = rows[0] if len(places) == 1 else np.moveaxis(rows, 0, 1)
                outputs[final_name(state.name)] = shown
        nodes = {}
        for name in self.steps[0].values:
            nodes[name] = self._over_time(
                [step.values[name].array for step in self.steps]
            )
        return GraphResult(outputs, self.back, masks, finals, nodes=nodes)

    def _final_places(self, name: str) -> list[Place]:
        """The places of the last values of a state, oldest first, one for each lag."""
        lag = self.names.lag(name)
        return [self.clock.place(self.length, tap) for tap in range(-lag, 0)]

    def _over_time(self, steps: list[Array]) -> Array:
        """Values of all steps as ``(batch, time, ...)``, masked steps filled."""
        stacked = np.stack(steps)
        # One number per step, without rows: (time,).
        if stacked.ndim == 1:
            return stacked
        if self.mask is not None:
            stacked = forward_filled(stacked, self.clock.last_valid(self.length))
        return np.moveaxis(stacked, 0, 1)

    def _shown(self, steps: list[Array]) -> Array:
        """The value of an output: all steps, or the last one."""
        values = self._over_time(steps)
        return values if self.spec.return_sequences else values[:, -1]

    def _shown_mask(self, steps: list[Array | None]) -> Array | None:
        """The mask of an output: that of its values, joined with that of the loop."""
        masks = []
        if self.spec.return_sequences and self.mask is not None:
            masks.append(np.moveaxis(self.mask[: self.length], 0, 1))
        if steps[0] is not None:
            masks.append(self._shown(steps))
        return joined(masks)


def final_name(state: str) -> str:
    """The name of a state's final value among the outputs.

    >>> final_name("lstm.cell")
    'lstm_cell_final'
    """
    return state.replace(".", "_") + "_final"


def common_length(spec: GraphSpec, sequences: Mapping[str, Array]) -> int:
    """The number of steps.

    Raises:
        SequenceLengthError: if sequences and ``n_steps`` differ, or there are no steps.
    """
    lengths = {name: len(steps) for name, steps in sequences.items()}
    if spec.n_steps is not None:
        lengths["n_steps"] = spec.n_steps
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise SequenceLengthError.about(
            "input",
            " and ".join(lengths),
            takes="sequences of one length, of 1 step or more",
            got=f"{lengths}",
            do="Cut or pad them to one length, or set n_steps if there are none.",
        )
    return next(iter(lengths.values()))


def _check_state(state: StateSpec, value: Array, row: Array) -> None:
    """Raise an error unless ``value`` can be the next value of ``state``."""
    fits = is_float(value) if is_float(row) else value.dtype == row.dtype
    if not fits:
        wanted = {"float": "floats", "int": "integers, int32", "bool": "truth values"}
        raise DtypeError.about(
            "node",
            state.input,
            takes=wanted[state.dtype],
            because=f"it feeds the state {state.name!r}",
            got=value.dtype,
            do="Cast them first, or declare the state with their dtype.",
        )
    if value.shape != row.shape:
        raise ShapeError.about(
            "state",
            state.name,
            takes=f"values of {row.shape}, the shape that it starts with",
            got=f"{value.shape} from node {state.input!r}",
            do="Correct its dim.",
        )
