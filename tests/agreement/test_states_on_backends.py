"""Every feature of states, masks and noise, its values and gradients, on every backend as in plain Python.

What plain Python computes is held to NumPy loops in tests/layers. On JAX each feature runs alone. C and Numba take
long to compile, so there all features of a kind are nodes of one loop, which keep to their own states.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytensor
import pytest

from recursive import (
    Dense,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    Recursive,
    Zoneout,
)
from recursive.backend import Argument, Program
from tests.agreement.test_cases import COMPILER
from tests.cases import BATCH, IN, TIME

DIM = 2
RNG = np.random.RandomState(5)
X = RNG.normal(size=(BATCH, TIME, IN))
MASK = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 1, 1], [1, 0, 1, 0, 1]])
"""Padding on the right, on the left, and inside."""


@dataclass(frozen=True)
class Feature:
    """States and nodes that keep to themselves, in a loop that reads ``x``.

    Args:
        declare: adds them to a loop, under names that begin with ``name``.
        draws: the shapes of the draws that are given, at one step, or of all where they are ``held``.
    """

    name: str
    declare: Callable[[Recursive, str], None]
    draws: dict[str, tuple[int, ...]] = field(default_factory=dict)
    held: dict[str, tuple[int, ...]] = field(default_factory=dict)
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)


def state(taps=1, **settings):
    """A state of DIM that is read ``taps`` steps back."""
    def declare(rnn, name):
        rnn.add_state(name, dim=DIM, input=f"{name}_next", **settings)
        reads = [f"{name}_tm{tap}" for tap in range(1, taps + 1)]
        rnn.add_node(Dense(IN + taps * DIM, DIM, activation="tanh"), f"{name}_next", inputs=["x", *reads],
                     create_output=True)
    return declare


def given_start(rnn, name):
    state(taps=2)(rnn, name)
    rnn.set_state_from(name, f"{name}_0")


def noise(layer):
    """A state whose past goes through ``layer``."""
    def declare(rnn, name):
        rnn.add_state(name, dim=DIM, input=f"{name}_next")
        rnn.add_node(layer, f"{name}_noisy", input=name)
        rnn.add_node(Dense(IN + DIM, DIM, activation="tanh"), f"{name}_next", inputs=["x", f"{name}_noisy"],
                     create_output=True)
    return declare


def zoneout(rnn, name):
    rnn.add_state(name, dim=DIM, input=f"{name}_next")
    rnn.add_node(Dense(IN + DIM, DIM, activation="tanh"), f"{name}_new", inputs=["x", name])
    rnn.add_node(Zoneout(0.4), f"{name}_next", input={"input": f"{name}_new", "prev": name}, create_output=True)


FEATURES = {feature.name: feature for feature in (
    Feature("carried", state(stateful=True, initial=0.5)),
    Feature("carried_far", state(taps=3, stateful=True)),
    Feature("anew", state(stateful=False, initial=0.5)),
    Feature("rows", state(taps=2, initial=[[0.5] * DIM, [-0.5] * DIM])),
    Feature("learned", state(taps=2, initial="learned")),
    Feature("given", given_start, inputs={"given_0": (DIM,)}),
    Feature("drawn", state(initial="drawn"), held={"drawn.initial": (DIM,)}),
    Feature("drawn_far", state(taps=2, initial="drawn"), held={"drawn_far.initial": (2, DIM)}),
    Feature("dropped", noise(Dropout(0.3)), {"dropped_noisy.keep": (DIM,)}),
    Feature("variational", noise(Dropout(0.3, per="sequence")), held={"variational_noisy.keep": (DIM,)}),
    Feature("noisy", noise(GaussianNoise(0.5)), {"noisy_noisy.noise": (DIM,)}),
    Feature("multiplied", noise(GaussianDropout(0.3)), {"multiplied_noisy.noise": (DIM,)}),
    Feature("zoned", zoneout, {"zoned_next.keep": (DIM,)}),
)}

KINDS = {
    "plain": {"return_sequences": True, "return_final_states": True},
    "masked": {"return_sequences": True, "return_final_states": True, "mask": True},
    "backwards": {"return_sequences": True, "go_backwards": True, "mask": True},
    "written out": {"return_sequences": True, "unroll": True, "n_steps": TIME},
    "last step": {"mask": True},
    "truncated": {"return_sequences": True, "truncate_gradient": 2},
}
"""Ways in which a loop may run, whatever is in it."""


def loop(features, mask=False, **settings):
    rnn = Recursive(**settings)
    rnn.add_input("x", dim=IN)
    if mask:
        rnn.add_mask()
    for feature in features:
        feature.declare(rnn, feature.name)
    rnn.build()
    for feature in features:
        for name, param in rnn.named_params.items():
            if name.split(".")[0] in (feature.name, f"{feature.name}_next", f"{feature.name}_new"):
                seed = sum(map(ord, name))
                param.set_value(np.random.RandomState(seed).normal(0, 0.5, param.get_value().shape))
    return rnn


def arrays_of(features, mask, seed):
    """What such a loop is given: inputs, then draws."""
    def drawn(name, shape):
        rng = np.random.RandomState(seed + sum(map(ord, name)))
        return (rng.uniform if name.endswith("keep") else rng.normal)(size=shape)

    x = np.random.RandomState(seed).normal(size=X.shape)
    found = {"x": x, **({"mask": MASK == 1} if mask else {})}
    for feature in features:
        found |= {name: drawn(name, (BATCH, *shape)) for name, shape in feature.inputs.items()}
    for feature in features:
        found |= {name: drawn(name, (BATCH, TIME, *shape)) for name, shape in feature.draws.items()}
        found |= {name: drawn(name, (BATCH, *shape)) for name, shape in feature.held.items()}
    return found


def program_of(rnn, arrays, target):
    """Every output by name, then the gradients of a loss of all with respect to every parameter and float input."""
    arguments = [Argument(name.replace(".", "__"), str(array.dtype), (None, *array.shape[1:]))
                 for name, array in arrays.items()]
    names = []

    def build(inputs):
        given = dict(zip(arrays, inputs, strict=True))
        own = {name: given.pop(name) for name in rnn.ports}
        outputs = rnn(own, train=True, **given)
        outputs = outputs if isinstance(outputs, dict) else {rnn.output_names[0]: outputs}
        loss = sum((output * np.cos(np.arange(output.type.shape[-1]) + len(name))).sum()
                   for name, output in outputs.items())
        wanted = {**rnn.named_params, **{name: value for name, value in own.items() if value.dtype == "float64"}}
        names[:] = [*outputs, *(f"d {name}" for name in wanted)]
        gradients = pytensor.grad(loss, list(wanted.values()), disconnected_inputs="ignore")
        return [*outputs.values(), *gradients], []

    program = Program(arguments, build, target)
    return lambda values: dict(zip(names, program(*values.values()), strict=True))


def run(features, kind, target):
    """What two batches give, the second going on from the first, and what one row gives after a reset."""
    settings = KINDS[kind]
    rnn = loop(features, **settings)
    batches = [arrays_of(features, settings.get("mask", False), seed) for seed in (1, 2)]
    program, found = program_of(rnn, batches[0], target), []
    if rnn.carries:
        batches.append({name: array[:1] for name, array in batches[0].items()})
    for arrays in batches:
        if rnn.carries and len(found) != 1:
            rnn.reset_states(len(arrays["x"]))
        found.append(program(arrays) | {f"kept {name}": value for name, value in rnn.get_states().items()})
    return found


@functools.cache
def together(kind, target):
    """All features in one loop: compiled once for each kind and backend."""
    return run(tuple(FEATURES.values()), kind, target)


@functools.cache
def alone(feature, kind, target):
    return run((FEATURES[feature],), kind, target)


def check_alike(found, expected, feature):
    """Values and gradients that belong to ``feature`` alone, in each batch."""
    for batch, right in zip(found, expected, strict=False):
        own = [name for name in right if name != "d x"]
        assert any(name.startswith("d ") for name in own) and f"{feature}_next" in own
        for name in own:
            assert np.abs(batch[name] - right[name]).max() <= 1e-10 * max(1, np.abs(right[name]).max()), name
        assert all(np.abs(right[name]).max() > 1e-3 for name in own if name.startswith("d ") and name != "d mask")


@pytest.mark.parametrize("target", ["numba", pytest.param("c", marks=COMPILER)])
@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_in_a_loop_of_all_has_the_values_and_gradients_of_the_same_alone_in_python(feature, target):
    check_alike(together("plain", target), alone(feature, "plain", "python"), feature)
