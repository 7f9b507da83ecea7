"""The containers of this library, on one of PyTensor's backends.

``pytensor:Python``, ``pytensor:JAX``, ``pytensor:Numba`` and ``pytensor:C`` are one
adapter with four targets.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytensor
from pytensor.tensor.variable import TensorVariable

from recursive import backend, models
from recursive.conformance.needs import CAPABILITIES
from recursive.errors import RecursiveError
from recursive.layers.config import layer_from_config
from recursive.loop.call import Call
from recursive.spec.graph import GraphSpec
from recursive.training import feed

Arrays = Mapping[str, np.ndarray]
Tensors = dict[str, TensorVariable]

EVERY = frozenset({*CAPABILITIES, *(f"layer:{name}" for name in models.CLASSES)})
"""The capabilities of the containers on a backend that refuses none."""
REFUSED_BY_JAX = frozenset({"truncate", "until", "refused_data"})
"""JAX cannot cut a gradient before the loop, run a loop of unknown length, or raise."""


class Adapter:
    """Builds a container, and compiles its programs when they first run."""

    name, target = "pytensor on python", "python"
    capabilities = EVERY

    def build(self, spec: Mapping[str, object], params: Arrays) -> Model:
        """The container with these weights."""
        floats = next((str(value.dtype) for value in params.values()), "float64")
        with pytensor.config.change_flags(floatX=floats):
            return Model(container_of(spec), params, self.target, floats)

    def run(self, model: Model, inputs: Arrays, **given: object) -> dict[str, Arrays]:
        """The outputs, and the states that are kept between batches."""
        outputs = model.outputs(inputs, **given)
        finals = model.container.get_states() if model.keeps_states else {}
        return {"outputs": outputs, "finals": finals}

    def grads(
        self, model: Model, inputs: Arrays, cotangents: Arrays, **given: object
    ) -> dict[str, Arrays]:
        """Gradients by ``pytensor.grad`` of the container's outputs."""
        return model.gradients(inputs, cotangents, **given)

    def train(
        self, model: Model, inputs: Arrays, targets: Arrays, training: Mapping
    ) -> dict[str, object]:
        """Losses and weights of some calls of ``train_on_batch``."""
        container = model.container
        settings = dict(training["optimizer"])
        optimizer = models.optimizers.get(settings.pop("name"), settings)
        container.compile(optimizer, training["loss"], backend=self.target)
        losses = []
        for _ in range(training["steps"]):
            losses.append(float(container.train_on_batch({**inputs}, y={**targets})))
        return {"losses": losses, "params": model.weights()}

    def refuses(self, spec: Mapping[str, object]) -> str | None:
        """The class of the error that building the container raises, if it does."""
        try:
            container_of(spec).build()
        except RecursiveError as error:
            return type(error).__name__
        return None


class JAX(Adapter):
    """The containers on JAX."""

    name, target = "pytensor on jax", "jax"
    capabilities = EVERY - REFUSED_BY_JAX


class Numba(Adapter):
    """The containers on Numba."""

    name, target = "pytensor on numba", "numba"


class C(Adapter):
    """The containers on C."""

    name, target = "pytensor on c", "c"


Python = Adapter


def container_of(spec: Mapping[str, object]) -> models.Graph:
    """The container of a declaration."""
    kind = "Recursive"
    if spec.get("loop") is False:
        kind = "Graph"
    elif spec.get("free"):
        kind = "Recurrent"
    GraphSpec.from_dict(spec)  # refuses a spec that is not whole before its layers
    return layer_from_config({"name": kind, "spec": spec}, models.CLASSES)


class Model:
    """A container and its programs, one for each set of arguments.

    Args:
        container: the container, completed here.
        params: the weights by name.
        target: the backend.
        floats: the dtype of the weights, and of all floats.
    """

    def __init__(
        self, container: models.Graph, params: Arrays, target: str, floats: str
    ):
        self.container = container
        self.target = target
        self.floats = floats
        container.complete()
        for name, weight in container.named_weights.items():
            weight.set_value(np.asarray(params[name]))
        self.keeps_states = container.carries and container.loop
        self.programs: dict[tuple, backend.Program] = {}

    def weights(self) -> dict[str, np.ndarray]:
        """The value of each weight by name."""
        weights = self.container.named_weights
        return {name: np.array(weight.get_value()) for name, weight in weights.items()}

    def outputs(self, inputs: Arrays, **given: object) -> dict[str, np.ndarray]:
        """The outputs by name."""
        found = self._call(inputs, {}, **given)
        return dict(zip(self.container.output_names, found, strict=True))

    def gradients(
        self, inputs: Arrays, cotangents: Arrays, **given: object
    ) -> dict[str, dict[str, np.ndarray]]:
        """The gradients of parameters, and of the inputs that are floats."""
        container = self.container
        found = self._call(inputs, cotangents, **given)
        gradients = found[len(container.output_names) :]
        params = list(container.named_params)
        floats = [item.name for item in container.spec.inputs if item.dtype == "float"]
        of_inputs = dict(zip(floats, gradients[len(params) :], strict=True))
        return {
            "params": dict(zip(params, gradients, strict=False)),
            # An input that is given in training only may be absent.
            "inputs": {name: d for name, d in of_inputs.items() if name in inputs},
        }

    def _call(
        self,
        inputs: Arrays,
        cotangents: Arrays,
        *,
        mask: np.ndarray | None,
        states: Arrays | None,
        draws: Arrays | None,
        train: bool,
    ) -> list[np.ndarray]:
        """The outputs, followed by the gradients if there are cotangents."""
        if states:
            self.container.set_states(states)
        elif self.keeps_states:
            self.container.states.prepare(len(next(iter(inputs.values()))))
        extra = {} if mask is None else {"mask": mask}
        extra |= draws or {}
        with pytensor.config.change_flags(floatX=self.floats):
            arrays = feed.inputs(self.container, inputs, training=train)
            values = [arrays[item.name] for item in self.container.spec.inputs]
            program = self._program(extra, cotangents, train)
            return program(*values, *extra.values(), *cotangents.values())

    def _program(
        self, extra: Arrays, cotangents: Arrays, train: bool
    ) -> backend.Program:
        key = (bool(cotangents), train, *extra)
        if key not in self.programs:
            arguments = list(self.container.arguments())
            for name, value in extra.items():
                arguments.append(_argument(name, value))
            for name, value in cotangents.items():
                arguments.append(_argument(f"d_{name}", value))
            build = self._build(list(extra), list(cotangents), train)
            self.programs[key] = backend.Program(arguments, build, self.target)
        return self.programs[key]

    def _build(
        self, extra_names: list[str], cotangent_names: list[str], train: bool
    ) -> backend.Build:
        """The builder of a program of inputs, mask and draws, and cotangents."""
        container = self.container
        input_names = [item.name for item in container.spec.inputs]

        def build(arguments: list[TensorVariable]) -> tuple[list, list]:
            inputs = dict(zip(input_names, arguments, strict=False))
            arguments = arguments[len(inputs) :]
            draws = dict(zip(extra_names, arguments, strict=False))
            arguments = arguments[len(draws) :]
            cotangents = dict(zip(cotangent_names, arguments, strict=True))
            mask = draws.pop("mask", None)
            call = Call(train, draws)
            values = container.apply(container.as_inputs(inputs, mask), call)
            outputs = {name: value.tensor for name, value in values.items()}
            if not cotangents:
                return list(outputs.values()), call.updates
            gradients = _gradients(outputs, cotangents, container.params, inputs)
            return [*outputs.values(), *gradients], []

        return build


def _gradients(
    outputs: Tensors, cotangents: Tensors, params: list, inputs: Tensors
) -> list[TensorVariable]:
    """The gradients of ``sum(cotangents * outputs)``: of params, then of floats."""
    loss = sum((value * cotangents[name]).sum() for name, value in outputs.items())
    wrt = list(params)
    for value in inputs.values():
        if value.dtype.startswith("float"):
            wrt.append(value)
    return pytensor.grad(loss, wrt, disconnected_inputs="ignore")


def _argument(name: str, value: np.ndarray) -> backend.Argument:
    return backend.Argument(name, str(value.dtype), (None,) * value.ndim)
