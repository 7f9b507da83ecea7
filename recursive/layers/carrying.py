"""States of a loop that go on from batch to batch, kept by it or handed in."""

from __future__ import annotations

from collections.abc import Mapping

from pytensor.tensor.variable import TensorVariable

from recursive.layers.states import KeepsStates, States
from recursive.loop.axes import taps_first
from recursive.loop.state import start_numbers
from recursive.spec.history import with_implicit_states
from recursive.spec.plan import Recurrence, StepPlan, declared
from recursive.spec.shapes import Shape, infer


class Carrying(KeepsStates):
    """What :class:`Recursive` does with the states that were declared ``stateful``."""

    _states: States | None = None

    @property
    def carries(self) -> bool:
        """Whether some state goes on from batch to batch."""
        states = with_implicit_states(self.spec)
        return any(
            self.spec.stateful if state.stateful is None else state.stateful
            for state in states
        )

    @property
    def starting_anew(self) -> tuple[str, ...]:
        """The states that start anew with each batch, but for those that were declared to."""
        anew = (
            state for state in with_implicit_states(self.spec) if state.stateful is None
        )
        return () if self.spec.stateful else tuple(state.name for state in anew)

    def carried_states(self) -> tuple[Recurrence, ...]:
        """The states that go on from batch to batch."""
        return tuple(
            item for item in declared(self.spec, {}).recurrences if item.carried
        )

    def from_states(
        self,
        inputs: Mapping[str, TensorVariable],
        starts: Mapping[str, TensorVariable],
        train: bool,
        draws: Mapping[str, TensorVariable],
    ) -> tuple[dict[str, TensorVariable], dict[str, TensorVariable]]:
        """The outputs by name, and the carried states after the last step: from ``starts``, not from those kept.

        Each state is ``(batch, lag * dim)``, oldest first.
        """
        checked = self._checked(dict(inputs))
        carried = {item.name: item for item in self.carried_states()}
        given = {
            name: taps_first(value, carried[name].lag, self.shapes[name][-1])
            for name, value in starts.items()
        }
        _, found, lasts = self._unrolled(self.spec, checked, train, None, draws, given)
        return found, {
            name: lasts[name].dimshuffle(1, 0, 2).flatten(2) for name in carried
        }

    def sizes_of_states(
        self, input_shapes: Mapping[str, Shape]
    ) -> dict[str, int | None]:
        """Values a row of each carried state, all that it looks back to."""
        shapes = infer(self._with_dims(input_shapes), self.nodes)
        dims = {
            item.name: (item.lag, shapes[item.name][-1])
            for item in self.carried_states()
        }
        return {
            name: None if dim is None else lag * dim
            for name, (lag, dim) in dims.items()
        }

    @property
    def states(self) -> States:
        """The states that go on from batch to batch."""
        self.complete()
        kept = {
            item.name: start_numbers(item, self.shapes[item.name][-1])
            for item in self._plan(self.spec, train=False).recurrences
            if item.carried
        }
        if self._states is None or {
            name: start.shape for name, start in self._states.starts.items()
        } != {name: start.shape for name, start in kept.items()}:
            self._states = States(kept)
        return self._states

    def _carry_over(self, plan: StepPlan, lasts: Mapping[str, TensorVariable]) -> None:
        for item in plan.recurrences:
            if item.carried:
                self.states.carry(item.name, lasts[item.name])
