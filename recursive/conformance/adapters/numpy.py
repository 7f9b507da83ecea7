"""The NumPy interpreter that the numbers come from, as an adapter."""

from __future__ import annotations

from collections.abc import Mapping

from recursive import reference
from recursive.errors import RecursiveError
from recursive.reference.arguments import check_settings
from recursive.spec.checks import check_whole
from recursive.spec.graph import GraphSpec
from recursive.spec.order import ordered


class Adapter:
    """Runs a declaration by :mod:`recursive.reference`.

    The model is a dict, in which a stateful declaration keeps its states.
    """

    name = "numpy"
    capabilities = frozenset({"*"})

    def build(self, spec: Mapping[str, object], params: Mapping) -> dict:
        """The declaration, its parameters, and the states that it keeps."""
        return {"spec": GraphSpec.from_dict(spec), "params": params, "states": {}}

    def run(self, model: dict, inputs: Mapping, **given: object) -> dict:
        """The outputs, final states and nodes."""
        spec = model["spec"]
        states = {**model["states"], **(given.pop("states") or {})}
        found = reference.run(
            spec, model["params"], inputs, states=states or None, **given
        )
        model["states"] = {
            name: value
            for name, value in found.finals.items()
            if is_stateful(spec, name)
        }
        return {"outputs": found.outputs, "finals": found.finals, "nodes": found.values}

    def grads(
        self, model: dict, inputs: Mapping, cotangents: Mapping, **given: object
    ) -> dict:
        """Gradients by a hand-written reverse pass, from the declared start."""
        found = reference.gradients(
            model["spec"], model["params"], inputs, cotangents, **given
        )
        return {"params": found.params, "inputs": found.inputs}

    def train(
        self, model: dict, inputs: Mapping, targets: Mapping, training: Mapping
    ) -> dict:
        """The losses and parameters of some steps of an optimizer."""
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
        """The class of the error that a declaration raises; None if it is accepted."""
        try:
            found = GraphSpec.from_dict(spec)
            check_whole(found)
            ordered(found)
            check_settings(found)
        except RecursiveError as error:
            return type(error).__name__
        return None


def is_stateful(spec: GraphSpec, name: str) -> bool:
    """True if a state is kept from batch to batch."""
    for state in spec.states:
        if state.name == name and state.stateful is not None:
            return state.stateful
    return spec.stateful
