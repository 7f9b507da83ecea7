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
    GRU,
    Activation,
    Bidirectional,
    Dense,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    RecurrentGRU,
    RecurrentLSTM,
    Recursive,
    Sequential,
    TimeDistributedDense,
    Zoneout,
)
from recursive.backend import Argument, Program
from recursive.errors import BackendError
from recursive.loop.call import Call, Value
from tests.agreement.test_cases import COMPILER, JAX
from tests.cases import BATCH, IN, TIME, with_random_weights

pytestmark = pytest.mark.compiled

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


def next_from(rnn, name, *reads, made="next"):
    """tanh of the sum of what is read and a projection of x: few operations in the loop, which compile fast."""
    rnn.add_node(Dense(IN, DIM), f"{name}_in", input="x")
    rnn.add_node(
        Activation("tanh"),
        f"{name}_{made}",
        inputs=[f"{name}_in", *reads],
        merge_mode="sum",
        create_output=made == "next",
    )


def state(taps=1, **settings):
    """A state of DIM that is read ``taps`` steps back."""

    def declare(rnn, name):
        rnn.add_state(name, dim=DIM, input=f"{name}_next", **settings)
        next_from(rnn, name, *(f"{name}_tm{tap}" for tap in range(1, taps + 1)))

    return declare


def given_start(rnn, name):
    state(taps=2)(rnn, name)
    rnn.set_state_from(name, f"{name}_0")


def computed_start(rnn, name):
    """A state that starts from a node of a context, two steps back."""
    rnn.add_input(f"{name}_c", is_sequence=False, dim=3)
    rnn.add_node(Dense(DIM, activation="tanh"), f"{name}_first", input=f"{name}_c")
    state(taps=2, initial=f"{name}_first")(rnn, name)


def optional_start(rnn, name):
    """A state kept between batches, which starts from an input that may be left out."""
    state(stateful=True)(rnn, name)
    rnn.set_state_from(name, f"{name}_0", optional=True)


def chain(rnn, name):
    """Two cells with a Dense between them, as one node."""
    cells = [RecurrentLSTM(DIM, 3), Dense(3, DIM), RecurrentGRU(DIM, DIM)]
    rnn.add_node(Dense(IN, DIM), f"{name}_in", input="x")
    rnn.add_node(Sequential(cells), f"{name}_next", input=[f"{name}_in"])
    rnn.add_output(f"{name}_next", input=f"{name}_next")


def noise(layer):
    """A state whose past goes through ``layer``."""

    def declare(rnn, name):
        rnn.add_state(name, dim=DIM, input=f"{name}_next")
        rnn.add_node(layer, f"{name}_noisy", input=name)
        next_from(rnn, name, f"{name}_noisy")

    return declare


def zoneout(rnn, name):
    rnn.add_state(name, dim=DIM, input=f"{name}_next")
    next_from(rnn, name, name, made="new")
    rnn.add_node(
        Zoneout(0.4),
        f"{name}_next",
        input={"input": f"{name}_new", "prev": name},
        create_output=True,
    )


FEATURES = {
    feature.name: feature
    for feature in (
        Feature("carried", state(stateful=True, initial=0.5)),
        Feature("carried_far", state(taps=3, stateful=True)),
        Feature("anew", state(stateful=False, initial=0.5)),
        Feature("rows", state(taps=2, initial=[[0.5] * DIM, [-0.5] * DIM])),
        Feature("learned", state(taps=2, initial="learned")),
        Feature("given", given_start, inputs={"given_0": (DIM,)}),
        Feature("computed", computed_start, inputs={"computed_c": (3,)}),
        Feature("optional", optional_start, inputs={"optional_0": (DIM,)}),
        Feature("chain", chain),
        Feature("drawn", state(initial="drawn"), held={"drawn.initial": (DIM,)}),
        Feature(
            "drawn_even",
            state(initial="drawn", init="uniform", scale=0.1),
            held={"drawn_even.initial": (DIM,)},
        ),
        Feature(
            "drawn_far",
            state(taps=2, initial="drawn"),
            held={"drawn_far.initial": (2, DIM)},
        ),
        Feature("dropped", noise(Dropout(0.3)), {"dropped_noisy.keep": (DIM,)}),
        Feature(
            "variational",
            noise(Dropout(0.3, per="sequence")),
            held={"variational_noisy.keep": (DIM,)},
        ),
        Feature("noisy", noise(GaussianNoise(0.5)), {"noisy_noisy.noise": (DIM,)}),
        Feature(
            "multiplied",
            noise(GaussianDropout(0.3)),
            {"multiplied_noisy.noise": (DIM,)},
        ),
        Feature("zoned", zoneout, {"zoned_next.keep": (DIM,)}),
    )
}

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
            if name.startswith(feature.name):
                seed = sum(map(ord, name))
                param.set_value(
                    np.random.RandomState(seed).normal(0, 0.5, param.get_value().shape)
                )
    return rnn


def arrays_of(features, mask, seed):
    """What such a loop is given: inputs, then draws."""

    def drawn(name, shape):
        rng = np.random.RandomState(seed + sum(map(ord, name)))
        return (rng.uniform if name.endswith("keep") else rng.normal)(size=shape)

    x = np.random.RandomState(seed).normal(size=X.shape)
    found = {"x": x, **({"mask": MASK == 1} if mask else {})}
    for feature in features:
        found |= {
            name: drawn(name, (BATCH, *shape)) for name, shape in feature.inputs.items()
        }
    for feature in features:
        found |= {
            name: drawn(name, (BATCH, TIME, *shape))
            for name, shape in feature.draws.items()
        }
        found |= {
            name: drawn(name, (BATCH, *shape)) for name, shape in feature.held.items()
        }
    return found


def program_of(rnn, arrays, target, of_inputs=True):
    """Every output by name, then the gradients of a loss of all with respect to every parameter and float input."""
    arguments = [
        Argument(name.replace(".", "__"), str(array.dtype), (None, *array.shape[1:]))
        for name, array in arrays.items()
    ]
    names = []

    def build(inputs):
        given = dict(zip(arrays, inputs, strict=True))
        own = {name: given.pop(name) for name in rnn.ports}
        outputs = rnn(own, train=True, **given)
        outputs = (
            outputs if isinstance(outputs, dict) else {rnn.output_names[0]: outputs}
        )
        loss = sum(
            (output * np.cos(np.arange(output.type.shape[-1]) + len(name))).sum()
            for name, output in outputs.items()
        )
        floats = {
            name: value
            for name, value in own.items()
            if of_inputs and value.dtype == "float64"
        }
        wanted = {**rnn.named_params, **floats}
        names[:] = [*outputs, *(f"d {name}" for name in wanted)]
        gradients = pytensor.grad(
            loss, list(wanted.values()), disconnected_inputs="ignore"
        )
        return [*outputs.values(), *gradients], []

    program = Program(arguments, build, target)
    return lambda values: dict(zip(names, program(*values.values()), strict=True))


@functools.cache
def run(names, kind, target, of_inputs=True):
    """What two batches give, the second going on from the first, and what one row gives after a reset."""
    features, settings = [FEATURES[name] for name in names], KINDS[kind]
    rnn = loop(features, **settings)
    batches = [
        arrays_of(features, settings.get("mask", False), seed) for seed in (1, 2)
    ]
    program, found = program_of(rnn, batches[0], target, of_inputs), []
    if rnn.carries:
        batches.append({name: array[:1] for name, array in batches[0].items()})
    for arrays in batches:
        if rnn.carries and len(found) != 1:
            rnn.reset_states(len(arrays["x"]))
        found.append(
            program(arrays)
            | {f"kept {name}": value for name, value in rnn.get_states().items()}
        )
    return found


def check_alike(found, expected, feature):
    """Values and gradients that belong to ``feature`` alone, in each batch."""
    assert len(found) >= len(expected)
    for batch, right in zip(found, expected, strict=False):
        own = [name for name in right if name != "d x" or len(batch) == len(right)]
        assert f"{feature}_next" in own and f"d {feature}_in.W" in own
        for name in own:
            assert np.abs(batch[name] - right[name]).max() <= 1e-10 * max(
                1, np.abs(right[name]).max()
            ), name
        assert np.abs(right[f"d {feature}_in.W"]).max() > 1e-3


ALL = tuple(FEATURES)
NOT_TRAINED_ELSEWHERE = (
    "given",
    "drawn_far",
    "dropped",
    "variational",
    "noisy",
    "zoned",
)
"""What Numba, which compiles a gradient for half a minute, has not in
``test_all_of_it_learns_alike_on_every_backend``."""
SOME = ("carried_far", "learned", "dropped")


@pytest.mark.parametrize(
    ("feature", "names", "target"),
    [
        *(pytest.param(feature, ALL, "c", marks=COMPILER) for feature in ALL),
        *(
            (feature, NOT_TRAINED_ELSEWHERE, "numba")
            for feature in NOT_TRAINED_ELSEWHERE
        ),
    ],
)
def test_a_feature_among_others_in_one_loop_is_what_it_is_alone_in_python(
    feature, names, target
):
    found = run(names, "plain", target)
    expected = run((feature,), "plain", "python")
    check_alike(found, expected[:2], feature)


@JAX
@pytest.mark.parametrize("feature", ALL)
def test_a_feature_alone_on_jax_is_what_it_is_in_python(feature):
    check_alike(
        run((feature,), "plain", "jax"), run((feature,), "plain", "python"), feature
    )


@pytest.mark.parametrize(
    ("names", "target"),
    [
        pytest.param(SOME, "c", marks=COMPILER, id="c"),
        pytest.param(("learned",), "numba", id="numba"),
        pytest.param(SOME, "jax", marks=JAX, id="jax"),
    ],
)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "plain"])
def test_a_loop_that_runs_otherwise_gives_the_same_on_every_backend(
    kind, names, target
):
    """Masked, backwards, written out, for its last step, truncated; PyTensor cannot truncate all gradients on JAX."""
    of_inputs = (kind, target) != ("truncated", "jax")
    found = run(names, kind, target, of_inputs)
    for feature in names:
        check_alike(
            found,
            run((feature,), kind, "python")[: 2 if "carried_far" not in names else 3],
            feature,
        )


@JAX
def test_a_truncated_gradient_of_an_input_is_refused_on_jax_which_names_the_backends_that_can():
    with pytest.raises(BackendError, match="Choose backend numba, c or python"):
        run(("learned",), "truncated", "jax")


def both_ways():
    chain = Sequential(
        [
            Bidirectional(
                GRU(IN, DIM, return_sequences=True, mask_mode="carry", stateful=True)
            ),
            TimeDistributedDense(2 * DIM, DIM),
        ]
    )
    chain.build()
    return with_random_weights(chain)


@functools.cache
def of_both_ways(target):
    """Outputs, states and gradients of a padded batch, twice."""
    chain = both_ways()
    chain.reset_states(BATCH)

    def build(inputs):
        x, mask = inputs
        call = Call()
        [value] = chain.apply({"input": Value(x, mask)}, call).values()
        output = value.tensor
        loss = (output * pytensor.tensor.cos(output)).sum()
        # The kept states move only if the program is given their updates.
        return [output, *pytensor.grad(loss, [x, *chain.params])], call.updates

    program = Program(
        [
            Argument("x", "float64", (None, None, IN)),
            Argument("mask", "bool", (None, None)),
        ],
        build,
        target,
    )
    return [[*program(X, MASK == 1), *chain.get_states().values()] for _ in range(2)]


@pytest.mark.parametrize(
    "target",
    ["numba", pytest.param("c", marks=COMPILER), pytest.param("jax", marks=JAX)],
)
def test_both_directions_with_padding_give_the_same_on_every_backend(target):
    for batch, expected in zip(
        of_both_ways(target), of_both_ways("python"), strict=True
    ):
        for value, right in zip(batch, expected, strict=True):
            assert np.abs(value - right).max() <= 1e-10 * max(1, np.abs(right).max())
    first, second = of_both_ways("python")
    assert np.abs(first[0] - second[0]).max() > 1e-3


@pytest.mark.parametrize(
    "target",
    ["numba", pytest.param("c", marks=COMPILER), pytest.param("jax", marks=JAX)],
)
def test_a_start_is_drawn_on_every_backend_anew_for_each_batch(target):
    np.random.seed(1)
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=1)
    rnn.add_state("h", dim=500, input="same", initial="drawn")
    rnn.add_node(Activation("linear"), "same", input="h", create_output=True)
    program = Program(
        [Argument("x", "float64", (None, None, 1))],
        lambda inputs: ([rnn(inputs[0], train=True)], []),
        target,
    )
    first, second = (program(np.zeros((4, 2, 1)))[0] for _ in range(2))
    assert (first[:, 0] == first[:, 1]).all() and (first != second).all()
    assert len(np.unique(first)) == 2000
    assert abs(first.mean()) < 0.1 and abs(first.std() - 1) < 0.1
