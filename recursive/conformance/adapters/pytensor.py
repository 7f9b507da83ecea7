"""The containers of this library, on one of PyTensor's backends: ``pytensor:Python``, ``:JAX``, ``:Numba``, ``:C``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytensor

from recursive import backend, models
from recursive.conformance.needs import CAPABILITIES
from recursive.errors import RecursiveError
from recursive.layers.config import layer_from_config
from recursive.spec.graph import GraphSpec

Arrays = Mapping[str, np.ndarray]

EVERY = frozenset({*CAPABILITIES, *(f"layer:{name}" for name in models.CLASSES)})
"""What the containers can do where the backend does not refuse it."""
REFUSED_BY_JAX = frozenset({"truncate", "until"})
"""It cuts no gradient that goes on before the loop, and compiles no loop of a length that only the loop knows."""


class Adapter:
    """Builds a container, and compiles what it computes when it is first run."""

    name, target = "pytensor on python", "python"
    capabilities = EVERY

    def build(self, spec: Mapping[str, object], params: Arrays) -> Model:
        """The container, with these weights."""
        floats = next((str(value.dtype) for value in params.values()), "float64")
        with pytensor.config.change_flags(floatX=floats):
            return Model(container_of(spec), params, self.target, floats)

    def run(self, model: Model, inputs: Arrays, **given: object) -> dict[str, Arrays]:
        """Outputs, and the states that go on."""
        outputs, _ = model(inputs, {}, **given)
        return {
            "outputs": outputs,
            "finals": model.container.get_states() if model.carries else {},
        }

    def grads(
        self, model: Model, inputs: Arrays, cotangents: Arrays, **given: object
    ) -> dict[str, Arrays]:
        """By ``pytensor.grad`` of the container's outputs."""
        _, found = model(inputs, cotangents, **given)
        return {
            kind: {
                name.partition("/")[2]: value
                for name, value in found.items()
                if name.startswith(kind)
            }
            for kind in ("params", "inputs")
        }

    def train(
        self, model: Model, inputs: Arrays, targets: Arrays, training: Mapping
    ) -> dict[str, object]:
        """By ``compile`` and ``train_on_batch``."""
        container, settings = model.container, dict(training["optimizer"])
        optimizer = models.optimizers.get(settings.pop("name"), settings)
        container.compile(optimizer, training["loss"], backend=self.target)
        losses = [
            float(container.train_on_batch({**inputs}, y={**targets}))
            for _ in range(training["steps"])
        ]
        return {"losses": losses, "params": model.weights()}

    def refuses(self, spec: Mapping[str, object]) -> str | None:
        """What is said while the container is made."""
        try:
            container_of(spec).build()
        except RecursiveError as error:
            return type(error).__name__
        return None


class JAX(Adapter):
    """On JAX."""

    name, target = "pytensor on jax", "jax"
    capabilities = EVERY - REFUSED_BY_JAX


class Numba(Adapter):
    """On Numba."""

    name, target = "pytensor on numba", "numba"


class C(Adapter):
    """On C."""

    name, target = "pytensor on c", "c"


Python = Adapter


def container_of(spec: Mapping[str, object]) -> models.Graph:
    """The container of a declaration."""
    kind = (
        "Graph"
        if spec.get("loop") is False
        else "Recurrent"
        if spec.get("free")
        else "Recursive"
    )
    GraphSpec.from_dict(spec)
    return layer_from_config({"name": kind, "spec": spec}, models.CLASSES)


class Model:
    """A container, and the programs that run it: one without gradients, one with them."""

    def __init__(
        self, container: models.Graph, params: Arrays, target: str, floats: str
    ):
        self.container, self.target, self.floats = container, target, floats
        container.complete()
        self.set_weights(params)
        self.carries = container.carries and container.loop
        self.programs: dict[tuple, backend.Program] = {}

    def set_weights(self, params: Arrays) -> None:
        """Give each weight its value by its name."""
        for name, weight in self.container.named_weights.items():
            weight.set_value(np.asarray(params[name]))

    def weights(self) -> dict[str, np.ndarray]:
        """Each weight by its name."""
        return {
            name: np.array(weight.get_value())
            for name, weight in self.container.named_weights.items()
        }

    def __call__(
        self,
        inputs: Arrays,
        cotangents: Arrays,
        *,
        mask: np.ndarray | None,
        states: Arrays | None,
        draws: Arrays | None,
        train: bool,
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Outputs, and gradients where there are cotangents, by name."""
        inputs = {item.name: inputs[item.name] for item in self.container.spec.inputs}
        if states:
            self.container.set_states(states)
        elif self.carries:
            self.container.states.prepare(len(next(iter(inputs.values()))))
        beside = {**({} if mask is None else {"mask": mask}), **(draws or {})}
        with pytensor.config.change_flags(floatX=self.floats):
            names = list(self.container.output_names)
            wrt = (
                [
                    *self.container.named_params,
                    *(
                        f"/{name}"
                        for name, value in inputs.items()
                        if value.dtype.kind == "f"
                    ),
                ]
                if cotangents
                else []
            )
            program = self._program(beside, cotangents, train)
            found = program(*self._cast(inputs), *beside.values(), *cotangents.values())
        kinds = [
            f"inputs{name}" if name.startswith("/") else f"params/{name}"
            for name in wrt
        ]
        return dict(zip(names, found, strict=False)), dict(
            zip(kinds, found[len(names) :], strict=True)
        )

    def _cast(self, inputs: Arrays) -> list[np.ndarray]:
        return [
            np.asarray(inputs[item.name], backend.dtype_of(item.dtype))
            for item in self.container.spec.inputs
        ]

    def _program(
        self, beside: Arrays, cotangents: Arrays, train: bool
    ) -> backend.Program:
        key = (bool(cotangents), train, *beside)
        if key not in self.programs:
            own = self.container.arguments()
            rest = [
                backend.Argument(name, str(value.dtype), (None,) * value.ndim)
                for name, value in [
                    *beside.items(),
                    *((f"d_{name}", value) for name, value in cotangents.items()),
                ]
            ]
            self.programs[key] = backend.Program(
                [*own, *rest],
                self._built(list(beside), list(cotangents), train),
                self.target,
            )
        return self.programs[key]

    def _built(
        self, beside: list[str], cotangents: list[str], train: bool
    ) -> backend.Build:
        """From inputs, what is given beside them, and cotangents, to outputs and gradients."""
        container = self.container

        def build(given: list) -> tuple[list, list]:
            inputs = dict(
                zip([item.name for item in container.spec.inputs], given, strict=False)
            )
            extra = dict(zip(beside, given[len(inputs) :], strict=False))
            shown = container(inputs, train=train, **extra)
            shown = list(shown.values()) if isinstance(shown, dict) else [shown]
            if not cotangents:
                return shown, []
            d = dict(zip(cotangents, given[len(inputs) + len(extra) :], strict=True))
            loss = sum(
                (value * d[name]).sum()
                for name, value in zip(container.output_names, shown, strict=True)
            )
            wrt = [
                *container.params,
                *(
                    value
                    for value in inputs.values()
                    if value.dtype.startswith("float")
                ),
            ]
            return [*shown, *pytensor.grad(loss, wrt, disconnected_inputs="ignore")], []

        return build
