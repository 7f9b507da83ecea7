"""A declared loop, ready to run: the frozen description that executes what :class:`Recursive` declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import Size, size
from recursive.draws import normal
from recursive.errors import ConfigError, NodeError
from recursive.layers.composite import layers_of
from recursive.layers.draws import check_draw_names, checked_draw
from recursive.layers.layer import Layer
from recursive.layers.masks import checked_mask
from recursive.layers.split import runners
from recursive.loop.axes import swap_time
from recursive.loop.call import Call, Value, Values, joined, with_mask
from recursive.loop.lengths import common_length
from recursive.loop.masked import filled, last_valid
from recursive.loop.outside import on_tensors
from recursive.loop.run import Loop
from recursive.loop.state import all_rows, first_rows
from recursive.loop.unrolled import written_out
from recursive.loop.until import check_until_gradient
from recursive.scan import op
from recursive.spec.graph import DRAWN, LEARNED, GraphSpec, NodeSpec
from recursive.spec.history import final_name, with_implicit_states
from recursive.spec.names import split
from recursive.spec.plan import Recurrence, StepPlan, declared, plan, source_of
from recursive.spec.shapes import Shape, node_shape

Tensors = Mapping[str, TensorVariable]


@dataclass(frozen=True)
class Ran:
    """What a loop returned: its outputs by name, and the last rows of each state, ``(lag, batch, dim)``."""

    plan: StepPlan
    outputs: dict[str, Value]
    lasts: dict[str, TensorVariable]

    def finals(self) -> dict[str, Value]:
        """The states after the last step: ``(batch, dim)``, or ``(batch, taps, dim)``, oldest first."""
        found = {}
        for item in self.plan.recurrences:
            last = self.lasts[item.name]
            one_step = item.lag == 1
            value = last[0] if one_step else last.dimshuffle(1, 0, 2)
            found[final_name(item.name)] = Value(value)
        return found


@dataclass(frozen=True)
class LoopRun:
    """A loop as it was declared, with all that it takes to run it.

    Args:
        kind: the class of the container, for errors.
        spec: what was declared.
        layers: the layer of each node, and of each output that merges.
        shapes: the shape of every name at one step, batch first.
        params: the layers' parameters, and learned starts as ``state.initial``, by the names that the plan has.
        param_names: the names of each node's parameters.
        states: what holds the states that are kept from batch to batch.
        step: one step as the user's own function of the plan's arguments to the values of all nodes; None for the
            step that follows from the declaration.
        moves: False keeps every node in the loop, as it was declared.
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

    def execute(self, inputs: Values, call: Call, starts: Tensors | None = None) -> Ran:
        """Run the loop.

        Args:
            inputs: sequences ``(batch, time, ...)`` and contexts ``(batch, ...)`` by name, with their masks.
            call: says whether the network is training, and hands out draws.
            starts: the rows before the first step, ``(lag, batch, dim)``, of the states that start from them.
        """
        spec = self.spec
        if call.train and spec.until is not None:
            check_until_gradient()
        draw_names = [*self.draw_names(), *self.drawn_starts().values()]
        check_draw_names(call.draws, draw_names)
        over_time = self._over_time(inputs)
        tensors = {name: value.tensor for name, value in inputs.items()}
        rows = self.rows(
            {name: value.tensor for name, value in over_time.items()}, tensors
        )
        over_time = self._of_length(over_time, rows[0])
        if spec.n_steps is not None:
            rows = (spec.n_steps, rows[1])  # known, once the sequences are checked
        mask = self._mask(inputs, rows, over_time)
        self._check_until(mask)
        drawn = self._draws_over_time(rows, call.draws) if call.train else {}
        planned = self.plan(call.train, masked=mask is not None)
        if call.train:
            self._check_drawn_before(planned, drawn)
        every, lasts = self._loop(planned, call, mask).run(
            {**self._contexts(inputs), **over_time, **_as_values(drawn)},
            rows,
            self._starts(planned, tensors, rows[1], call, starts or {}),
            mask,
        )
        found = {output.name: every[source_of(spec, output)] for output in spec.outputs}
        outputs = self._seen(found, mask, rows[0])
        return Ran(planned, outputs, lasts)

    def _check_until(self, mask: TensorVariable | None) -> None:
        """Raise a ConfigError where a loop that stops for all rows together has a mask."""
        if mask is not None and self.spec.until is not None:
            raise ConfigError.about(
                "container",
                self.kind,
                takes="no mask beside until",
                because="the loop stops for all rows together, where rows end at different steps",
                got=f"masked steps, and until={self.spec.until!r}",
                do="Leave until out, or put DropMask() before the loop.",
            )

    # What runs where

    def plan(self, train: bool, masked: bool = False) -> StepPlan:
        """The plan; while training, with the draws of the nodes among the sequences.

        Hoisted values are computed sequences. If the backend cannot truncate the gradient
        of such a sequence, every node stays in the loop.
        """
        draws = self.draws_of_nodes() if train else {}
        held = self._held_draws() if train else set()
        is_truncated = self.spec.truncate_gradient != -1
        stays = is_truncated and not backend.traits().truncates_computed
        if stays or not self.moves or self.step is not None:
            return declared(self.spec, self.param_names, draws, held)
        return plan(
            self.spec, self.param_names, draws, self.layers, self.shapes, masked, held
        )

    def _loop(self, planned: StepPlan, call: Call, mask: TensorVariable | None) -> Loop:
        nodes = (*planned.hoisted, *planned.nodes, *planned.deferred)
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
            only_last=not self.spec.return_sequences and mask is None,
            until=self.spec.until,
            repeat=repeat,
            step=self.step,
        )

    # What it reads

    def _over_time(self, inputs: Values) -> dict[str, Value]:
        """The sequences, ``(time, batch, ...)``, in the order in which the loop runs through them.

        A mask ``(batch, time)`` says which steps are data, and is no mask of a step's value; what lies deeper is.
        """
        found = {}
        for item in self.spec.inputs:
            if item.is_sequence:
                value = inputs[item.name]
                is_deeper = value.mask is not None and value.mask.ndim > 2
                inner = value if is_deeper else Value(value.tensor)
                found[item.name] = on_tensors(
                    inner, lambda x: self.directed(swap_time(x))
                )
        return found

    def _of_length(self, over_time: dict[str, Value], length: Size) -> dict[str, Value]:
        """The sequences, cut to a length that is known only when they run: so it is checked before they are read."""
        if isinstance(length, int):
            return over_time
        known = self.spec.n_steps

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

    def directed(self, sequence: TensorVariable) -> TensorVariable:
        """A sequence, time first, in the order in which the loop runs through it."""
        return sequence[::-1] if self.spec.go_backwards else sequence

    def rows(self, sequences: Tensors, inputs: Tensors) -> tuple[Size, Size]:
        """The number of steps and of rows: those of the inputs; one row where there are none.

        Args:
            sequences: time first.
            inputs: all of them, rows first.
        """
        lengths = {name: size(value, 0) for name, value in sequences.items()}
        if self.spec.n_steps is not None:
            lengths["n_steps"] = self.spec.n_steps
        rows = size(next(iter(inputs.values())), 0) if inputs else 1
        return common_length(lengths), rows

    def _mask(
        self, inputs: Values, rows: tuple[Size, Size], over_time: Values
    ) -> TensorVariable | None:
        """The steps that are data, ``(time, batch)``: for the declared mask and for the mask of every sequence."""
        masks = []
        if self.spec.mask is not None:
            masks.append(over_time[self.spec.mask].tensor)
        for item in self.spec.inputs:
            mask = inputs[item.name].mask if item.is_sequence else None
            if mask is not None and mask.ndim == 2:
                checked = checked_mask(self.kind, mask, rows[1], rows[0])
                masks.append(self.directed(checked.dimshuffle(1, 0)))
        found = joined(masks)
        return None if found is None else pt.neq(found, 0)

    # What it returns

    def _seen(
        self, found: Values, mask: TensorVariable | None, length: Size
    ) -> dict[str, Value]:
        """Outputs as the outside sees them: rows first, padding repeated, with the masks that belong to them."""
        if mask is not None:
            last = last_valid(mask, length)
            found = {
                name: on_tensors(value, lambda x: filled(x, last))
                for name, value in found.items()
            }
        if not self.spec.return_sequences:
            outputs = {
                name: on_tensors(value, lambda x: x[-1])
                for name, value in found.items()
            }
            steps = None
        else:
            outputs = {
                name: on_tensors(value, swap_time) for name, value in found.items()
            }
            steps = None if mask is None else swap_time(mask)
        return {
            name: with_mask(value.tensor, joined([steps, value.mask]))
            for name, value in outputs.items()
        }

    # What states start from

    def _starts(
        self,
        planned: StepPlan,
        inputs: Tensors,
        batch: Size,
        call: Call,
        given: Tensors,
    ) -> dict[str, TensorVariable]:
        found = dict(given)
        for item in planned.recurrences:
            if item.name not in given:
                found[item.name] = self.start(item, inputs, batch, call)
        return found

    def start(
        self, item: Recurrence, inputs: Tensors, batch: Size, call: Call
    ) -> TensorVariable:
        """The rows of a state before the first step, ``(lag, batch, dim)``."""
        dim = self.shapes[item.name][-1]
        if item.stateful:
            return backend.with_rows(self.states[item.name], batch)
        if item.initial == LEARNED:
            return all_rows(item, self.params[f"{item.name}.initial"], batch, dim)
        if item.initial == DRAWN and call.train:
            return self._drawn_start(item, (item.lag, batch, dim), call)
        if item.initial == DRAWN:
            return pt.zeros((item.lag, batch, dim), dtype=backend.floatX())
        if isinstance(item.initial, str):
            return all_rows(item, inputs[item.initial], batch, dim)
        return first_rows(item, batch, dim)

    def _drawn_start(
        self, item: Recurrence, shape: tuple[Size, Size, int], call: Call
    ) -> TensorVariable:
        """A drawn start, or the one that is given in its place: ``(batch, dim)``, or ``(batch, taps, dim)``."""
        name = self.drawn_starts()[item.name]
        lag, batch, dim = shape
        if name not in call.draws:
            return normal(shape, np.random.SeedSequence(np.random.randint(2**31)))
        given = pt.as_tensor_variable(call.draws[name])
        wanted = (batch, dim) if given.ndim == 2 else (batch, lag, dim)
        rows = all_rows(item, checked_draw(name, given, wanted), batch, dim)
        return rows.astype(backend.floatX())

    def drawn_starts(self) -> dict[str, str]:
        """The draws that states start from, by state."""
        drawn = [state.name for state in self.spec.states if state.initial == DRAWN]
        return {name: f"{name}.initial" for name in drawn}

    # Random draws of the nodes: made before the loop, so that a step is a function of its arguments

    def draws_of_nodes(self) -> dict[str, tuple[str, ...]]:
        """The random draws of each node, as ``node.keep``."""
        return {
            node.name: tuple(
                f"{node.name}.{name}" for name in self.layers[node.name].draws
            )
            for node in self.spec.nodes
        }

    def draw_names(self) -> list[str]:
        """The random draws of all nodes."""
        return [name for names in self.draws_of_nodes().values() for name in names]

    def _held_draws(self) -> set[str]:
        """Those that are the same at every step."""
        held = set()
        for node in self.spec.nodes:
            held |= {
                f"{node.name}.{name}" for name in self.layers[node.name].steady_draws
            }
        return held

    def draw_shape(self, name: str) -> Shape:
        """The shape of a draw of one of the nodes at one step."""
        outer, inner = split(name)
        [node] = (node for node in self.spec.nodes if node.name == outer)
        shape = node_shape(self.spec, node, self.layers, self.shapes)
        return self.layers[outer].draw_shape(inner, shape)

    def _draws_over_time(
        self, rows: tuple[Size, Size], given: Tensors
    ) -> dict[str, TensorVariable]:
        """The draws of all steps at once, ``(time, batch, ...)``; ``(batch, ...)`` where one holds for all steps."""
        held = self._held_draws()
        found = {}
        for name in self.draw_names():
            leading = rows[1:] if name in held else rows
            shape = (*leading, *self.draw_shape(name)[1:])
            if name in given:
                found[name] = self._given_draw(name, given[name], shape, name in held)
            elif None not in shape:
                node, inner = split(name)
                found[name] = self.layers[node].sample(inner, shape)
        return found

    def _given_draw(
        self, name: str, value: TensorVariable, shape: Sequence[Size], held: bool
    ) -> TensorVariable:
        """A draw that is given, batch first, as the loop takes it."""
        value = pt.as_tensor_variable(value)
        if held:
            return checked_draw(name, value, shape)
        steps, batch, *dims = shape
        return self.directed(
            swap_time(checked_draw(name, value, (batch, steps, *dims)))
        )

    def _check_drawn_before(self, planned: StepPlan, drawn: Tensors) -> None:
        """Raise a NodeError where a step would have to draw: a step is a function of its arguments."""
        for node in planned.nodes:
            layer = self.layers.get(node.name)
            if layer is None or not _draws_inside(node, layer, drawn):
                continue
            raise NodeError.about(
                "node",
                node.name,
                takes="a layer that draws what is known before the loop",
                because="draws are made before it, and the number of inner steps is not known there",
                got=f"a {type(layer).__name__} with random draws over inner steps",
                do="Put the noise outside of the inner loop, or read nothing of the past in this node.",
            )
        if self.step is not None and drawn:
            raise ConfigError.about(
                "container",
                self.kind,
                takes="layers without random draws beside a _step of its own",
                because="_step has no argument for them",
                got=", ".join(drawn),
                do="Leave the noise out, or do without an own _step.",
            )


def _as_values(tensors: Tensors) -> dict[str, Value]:
    return {name: Value(tensor) for name, tensor in tensors.items()}


def _draws_inside(node: NodeSpec, layer: Layer, drawn: Tensors) -> bool:
    """True where a node makes draws that were not made before the loop."""
    if any(f"{node.name}.{name}" not in drawn for name in layer.draws):
        return True
    return any(_draws_over_inner_steps(part) for part in layers_of(layer))


def _draws_over_inner_steps(part: Layer) -> bool:
    spec = getattr(part, "spec", None)
    if spec is None or not spec.loop:
        return False
    if any(state.initial == DRAWN for state in spec.states):
        return True
    return any(child.draws for child in part.children.values())


def states_from_start(spec: GraphSpec) -> tuple[str, ...]:
    """The states that start again with each batch, but for those that were declared to."""
    if spec.stateful:
        return ()
    undeclared = [
        state for state in with_implicit_states(spec) if state.stateful is None
    ]
    return tuple(state.name for state in undeclared)
