"""The containers and the NumPy reference, which share no code but the declaration: outputs, every value, gradients."""

import numpy as np
import pytensor
import pytest

from recursive import backend, recipes
from recursive.reference import gradients, run
from recursive.spec.graph import OutputSpec
from recursive.spec.names import Ref
from recursive.utils.layer_utils import shared_layers
from tests.cases import BATCH, CASES, IN, TIME, with_random_weights
from tests.reference.networks import LAYERS, NETWORKS, draws, noisy, on_one_input, prepared

CODE_OF_ONES_OWN = ("merges", "proposal 9")
"""Cases with a Lambda, which the reference refuses."""


def check(container, spec, weights, inputs, train=False, given_draws=None, mask=None):
    """Compare the two where the loss is a weighted sum of all outputs."""
    shared, given_draws = shared_layers(container), given_draws or {}
    how = {"shared": shared, "train": train, "draws": given_draws, "mask": mask}
    found = run(spec, weights, inputs, **how)
    rng = np.random.RandomState(5)
    cotangents = {name: rng.normal(size=value.shape) for name, value in found.outputs.items()}
    back = gradients(spec, weights, inputs, cotangents, **how)
    outputs, values, of_params, of_inputs = _by_pytensor(container, inputs, cotangents, train, given_draws, mask)
    _compare("output", outputs, found.outputs)
    _compare("value", values, found.values)
    _compare("gradient of", of_params, {name: back.params[name] for name in of_params})
    _compare("gradient of", of_inputs, {name: back.inputs[name] for name in of_inputs})
    assert set(of_inputs) == set(back.inputs)
    return found


def _by_pytensor(container, inputs, cotangents, train, given_draws, mask):
    """Outputs and values of all nodes by name, gradients of parameters and of inputs."""
    names = [name for node in container.spec.nodes for name in node.values] if container.loop else []
    floats = [name for name, value in inputs.items() if value.dtype.kind == "f"]

    def build(given):
        by_name = dict(zip(inputs, given, strict=True))
        masked = {} if mask is None else {"mask": mask}
        shown = container(by_name, train=train, **masked, **given_draws)
        shown = list(shown.values()) if isinstance(shown, dict) else [shown]
        loss = sum((value * cotangents[name]).sum() for name, value in zip(container.output_names, shown, strict=True))
        wrt = [*container.params, *(by_name[name] for name in floats)]
        found = pytensor.grad(loss, wrt, disconnected_inputs="ignore")
        return [*shown, *_every_value(container, by_name, train, names, mask, given_draws), *found], []

    arguments = [backend.Argument(item.name, backend.dtype_of(item.dtype), inputs[item.name].shape)
                 for item in container.spec.inputs]
    results = iter(backend.Program(arguments, build, "python")(
        *(np.asarray(inputs[item.name], backend.dtype_of(item.dtype)) for item in container.spec.inputs)))
    return tuple(dict(zip(keys, results, strict=False)) for keys in (
        container.output_names, names, container.named_params, floats))


def _every_value(container, inputs, train, names, mask, given_draws):
    if not names:
        return []
    outputs = tuple(OutputSpec(f"value_{place}", (Ref(name),)) for place, name in enumerate(names))
    spec = container.spec.replace(outputs=outputs, return_sequences=True, return_final_states=False)
    mask = None if mask is None else pytensor.tensor.as_tensor_variable(mask)
    return container._values(spec, inputs, train, mask, given_draws).values()


def _compare(kind, found, expected):
    for name, value in found.items():
        right = expected[name]
        assert value.shape == right.shape, (kind, name)
        assert np.abs(value - right).max(initial=0) <= 1e-12 * max(1, np.abs(right).max(initial=0)), (kind, name)


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in CODE_OF_ONES_OWN], ids=str)
def test_a_case_of_the_table_equals_the_reference(case):
    rnn, inputs = case.build(), case.inputs(np.random.RandomState(3))
    rnn.build({name: (None, *array.shape[1:]) for name, array in inputs.items()})
    with_random_weights(rnn)
    check(rnn, rnn.spec, {name: weight.get_value() for name, weight in rnn.named_weights.items()}, inputs)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("train", [False, True])
def test_a_layer_equals_the_reference(name, train):
    build, shape = LAYERS[name]
    graph = on_one_input(build(), shape)
    if train and "output_reconstruction" in vars(graph.nodes["y"]) and not graph.nodes["y"].output_reconstruction:
        return
    spec, weights, inputs = prepared(graph, lambda rng: {"x": rng.normal(size=shape)})
    check(graph, spec, weights, inputs, train)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_equals_the_reference(name):
    container = NETWORKS[name][0]()
    spec, weights, inputs = prepared(container, NETWORKS[name][1])
    check(container, spec, weights, inputs)


@pytest.mark.parametrize("build", [recipes.vanilla, recipes.gru, recipes.lstm, recipes.gated_feedback])
def test_a_recipe_equals_the_reference(build):
    rnn = build(IN, 6, return_sequences=True)
    name = rnn.spec.inputs[0].name
    spec, weights, inputs = prepared(rnn, lambda rng: {name: rng.normal(size=(BATCH, TIME, IN))})
    check(rnn, spec, weights, inputs)


def test_noise_that_is_given_makes_the_same_of_both():
    rnn = noisy()
    spec, weights, inputs = prepared(rnn, lambda rng: {"x": rng.normal(size=(BATCH, TIME, IN))})
    check(rnn, spec, weights, inputs, train=True, given_draws=draws(np.random.RandomState(1)))
