"""The NumPy interpreter itself, which the numbers come from: the shortest adapter there is."""

from __future__ import annotations

from collections.abc import Mapping

from recursive import reference
from recursive.errors import RecursiveError
from recursive.spec.checks import check_whole
from recursive.spec.graph import GraphSpec
from recursive.spec.order import ordered


class Adapter:
    """Runs a declaration by :mod:`recursive.reference`; a stateful one keeps its states here."""

    name = "numpy"
    capabilities = frozenset({"*"})

    def build(self, spec: Mapping[str, object], params: Mapping) -> dict:
        """The declaration, its parameters, and where its states are."""
        return {"spec": GraphSpec.from_dict(spec), "params": params, "states": {}}

    def run(self, model: dict, inputs: Mapping, **given: object) -> dict:
        """Outputs, final states and every node."""
        states = {**model["states"], **(given.pop("states") or {})}
        found = reference.run(
            model["spec"], model["params"], inputs, states=states or None, **given
        )
        model["states"] = {
            name: value
            for name, value in found.finals.items()
            if goes_on(model["spec"], name)
        }
        return {"outputs": found.outputs, "finals": found.finals, "nodes": found.values}

    def grads(
        self, model: dict, inputs: Mapping, cotangents: Mapping, **given: object
    ) -> dict:
        """By hand-written reverse mode, from the start of the states."""
        found = reference.gradients(
            model["spec"], model["params"], inputs, cotangents, **given
        )
        return {"params": found.params, "inputs": found.inputs}

    def train(
        self, model: dict, inputs: Mapping, targets: Mapping, training: Mapping
    ) -> dict:
        """Steps of an optimizer by its NumPy formula."""
        found = reference.train(
            model["spec"],
            model["params"],
            inputs,
            targets,
            training["optimizer"],
            training["steps"],
            loss=training["loss"],
        )
        return {"losses": found.losses, "params": found.params}

    def refuses(self, spec: Mapping[str, object]) -> str | None:
        """What the rules of a declaration say of it."""
        try:
            found = GraphSpec.from_dict(spec)
            check_whole(found)
            ordered(found)
        except RecursiveError as error:
            return type(error).__name__
        return None


def goes_on(spec: GraphSpec, name: str) -> bool:
    """Whether a state goes on to the next batch."""
    said = {state.name: state.stateful for state in spec.states}.get(name)
    return spec.stateful if said is None else said
