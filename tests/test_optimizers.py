"""Optimizers against NumPy loops from their papers, on a fixed quadratic."""

import json
import pickle
from collections.abc import Mapping

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from recursive import optimizers
from recursive.backend import Program, shared
from recursive.errors import ConfigError, UnknownNameError
from recursive.optimizers import SGD, Adadelta, Adagrad, Adam, RMSprop

RNG = np.random.RandomState(620)
STARTS = [RNG.normal(size=(4, 6)), RNG.normal(size=6)]
CURVES = [RNG.uniform(0.5, 3.0, size=(4, 6)), RNG.uniform(0.5, 3.0, size=6)]
LOWEST = [RNG.normal(size=(4, 6)), RNG.normal(size=6)]
STEPS = 10


def gradients_at(points):
    """The gradient of ``sum(curve (point - lowest)**2) / 2`` over all points."""
    return [
        curve * (point - lowest)
        for curve, point, lowest in zip(CURVES, points, LOWEST, strict=True)
    ]


# The update rules of the papers, from points and gradients to new points. Slots are in
# `memory`.


def sgd(points, gradients, memory, lr=0.01, decay=0.0):
    return [
        p - lr / (1 + decay * memory["steps"]) * g
        for p, g in zip(points, gradients, strict=True)
    ]


def momentum(points, gradients, memory, lr=0.01, momentum=0.0, decay=0.0):
    """Sutskever et al. 2013, equations 1 and 2."""
    rate = lr / (1 + decay * memory["steps"])
    velocities = memory.get("velocities", [0.0, 0.0])
    memory["velocities"] = [
        momentum * v - rate * g for v, g in zip(velocities, gradients, strict=True)
    ]
    return [p + v for p, v in zip(points, memory["velocities"], strict=True)]


def nesterov(points, gradients, memory, lr=0.01, momentum=0.0, decay=0.0):
    """Sutskever et al. 2013, equations 3 and 4; points are ``theta + mu v``."""
    rate = lr / (1 + decay * memory["steps"])
    velocities = memory.get("velocities", [0.0, 0.0])
    thetas = memory.get("thetas", points)
    memory["velocities"] = [
        momentum * v - rate * g for v, g in zip(velocities, gradients, strict=True)
    ]
    memory["thetas"] = [
        theta + v for theta, v in zip(thetas, memory["velocities"], strict=True)
    ]
    return [
        theta + momentum * v
        for theta, v in zip(memory["thetas"], memory["velocities"], strict=True)
    ]


def rmsprop(points, gradients, memory, lr=0.001, rho=0.9, epsilon=1e-6):
    """Tieleman and Hinton 2012, lecture 6e."""
    means = memory.get("means", [0.0, 0.0])
    memory["means"] = [
        rho * a + (1 - rho) * g * g for a, g in zip(means, gradients, strict=True)
    ]
    return [
        p - lr * g / (a + epsilon) ** 0.5
        for p, g, a in zip(points, gradients, memory["means"], strict=True)
    ]


def adagrad(points, gradients, memory, lr=0.01, epsilon=1e-6):
    """Duchi et al. 2011, with the diagonal of G."""
    memory.setdefault("seen", []).append(gradients)
    sums = [sum(g * g for g in seen) for seen in zip(*memory["seen"], strict=True)]
    return [
        p - lr * g / (a + epsilon) ** 0.5
        for p, g, a in zip(points, gradients, sums, strict=True)
    ]


def adadelta(points, gradients, memory, lr=1.0, rho=0.95, epsilon=1e-6):
    """Zeiler 2012, algorithm 1."""
    moved = []
    for index, (point, g) in enumerate(zip(points, gradients, strict=True)):
        squares, deltas = memory.get(index, (0.0, 0.0))
        squares = rho * squares + (1 - rho) * g**2
        delta = -np.sqrt(deltas + epsilon) / np.sqrt(squares + epsilon) * g
        memory[index] = squares, rho * deltas + (1 - rho) * delta**2
        moved.append(point + lr * delta)
    return moved


def adam(points, gradients, memory, lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """Kingma and Ba 2015, algorithm 1, in the order of steps that ends section 2."""
    t = memory["steps"] + 1
    memory.setdefault("seen", []).append(gradients)
    moved = []
    for point, seen in zip(points, zip(*memory["seen"], strict=True), strict=True):
        m = sum((1 - beta_1) * beta_1 ** (t - 1 - i) * g for i, g in enumerate(seen))
        v = sum((1 - beta_2) * beta_2 ** (t - 1 - i) * g**2 for i, g in enumerate(seen))
        moved.append(
            point
            - lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)
        )
    return moved


def descend(rule, settings, clipnorm=0.0, steps=STEPS, clipvalue=np.inf):
    """The points after each step, with gradients clipped by their joint norm and then each value."""
    points, memory, trajectory = STARTS, {"steps": 0}, []
    for _ in range(steps):
        gradients = gradients_at(points)
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        if clipnorm and norm > clipnorm:
            gradients = [g / norm * clipnorm for g in gradients]
        gradients = [np.clip(g, -clipvalue, clipvalue) for g in gradients]
        points = rule(points, gradients, memory, **settings)
        memory["steps"] += 1
        trajectory.append(points)
    return trajectory


CASES = {
    "sgd": (SGD, sgd, {}),
    "sgd, lr": (SGD, sgd, {"lr": 0.1}),
    "sgd, decay": (SGD, sgd, {"lr": 0.1, "decay": 0.3}),
    "sgd, momentum": (SGD, momentum, {"lr": 0.1, "momentum": 0.9}),
    "sgd, momentum and decay": (
        SGD,
        momentum,
        {"lr": 0.1, "momentum": 0.9, "decay": 0.3},
    ),
    "sgd, nesterov": (SGD, nesterov, {"lr": 0.1, "momentum": 0.9}),
    "sgd, nesterov and decay": (
        SGD,
        nesterov,
        {"lr": 0.1, "momentum": 0.9, "decay": 0.3},
    ),
    "sgd, clipnorm at every step": (SGD, sgd, {"lr": 0.1, "clipnorm": 0.5}),
    "sgd, clipnorm at first": (
        SGD,
        momentum,
        {"lr": 0.1, "momentum": 0.5, "clipnorm": 4.0},
    ),
    "sgd, clipnorm never": (SGD, sgd, {"lr": 0.1, "clipnorm": 1e6}),
    "rmsprop": (RMSprop, rmsprop, {}),
    "rmsprop, all": (
        RMSprop,
        rmsprop,
        {"lr": 0.05, "rho": 0.7, "epsilon": 1e-3, "clipnorm": 2.0},
    ),
    "adagrad": (Adagrad, adagrad, {}),
    "adagrad, all": (Adagrad, adagrad, {"lr": 0.5, "epsilon": 1e-3, "clipnorm": 2.0}),
    "adadelta": (Adadelta, adadelta, {}),
    "adadelta, all": (
        Adadelta,
        adadelta,
        {"lr": 0.5, "rho": 0.7, "epsilon": 1e-2, "clipnorm": 2.0},
    ),
    "adam": (Adam, adam, {}),
    "adam, all": (
        Adam,
        adam,
        {"lr": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-2, "clipnorm": 2.0},
    ),
}


def made(name):
    cls, rule, settings = CASES[name]
    return cls(**settings, **({"nesterov": True} if rule is nesterov else {}))


def quadratic(params):
    return sum(
        (curve.astype(p.dtype) * (p - lowest.astype(p.dtype)) ** 2).sum() / 2
        for p, curve, lowest in zip(params, CURVES, LOWEST, strict=True)
    )


def as_it_is(value):
    return value


def program(optimizer, params, loss=None, constraints=None):
    """A compiled function that makes one step down the quadratic."""

    def build(inputs):
        return [], optimizer.get_updates(
            params,
            constraints or [as_it_is] * len(params),
            quadratic(params) if loss is None else loss,
        )

    return Program([], build, "python")


def fresh_params():
    return [shared(start) for start in STARTS]


def values(params):
    return [param.get_value() for param in params]


@pytest.mark.parametrize("name", CASES)
def test_ten_steps_are_those_of_the_paper(name):
    _, rule, settings = CASES[name]
    settings = dict(settings)
    params = fresh_params()
    step = program(made(name), params)
    for expected in descend(rule, settings, settings.pop("clipnorm", 0.0)):
        step()
        for found, point in zip(values(params), expected, strict=True):
            np.testing.assert_allclose(found, point, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("clipnorm", [0.0, 4.0])
def test_clipvalue_cuts_each_value_after_the_norm(clipnorm):
    params = fresh_params()
    step = program(SGD(lr=0.1, clipnorm=clipnorm, clipvalue=0.5), params)
    expected = descend(sgd, {"lr": 0.1}, clipnorm, clipvalue=0.5)
    assert np.abs(np.concatenate([g.ravel() for g in gradients_at(STARTS)])).max() > 0.5
    for points in expected:
        step()
        for found, point in zip(values(params), points, strict=True):
            np.testing.assert_allclose(found, point, rtol=1e-12, atol=1e-12)


def test_clipping_cases_are_clipped_always_at_first_and_never():
    norms = [
        np.sqrt(sum((g**2).sum() for g in gradients_at(points)))
        for points in [
            STARTS,
            *descend(momentum, {"lr": 0.1, "momentum": 0.5}, 4.0)[:-1],
        ]
    ]
    assert norms[0] > 4.0 > norms[-1]
    assert max(norms) < 1e6


def test_clipping_keeps_the_direction_over_all_tensors_together():
    params = fresh_params()
    program(SGD(lr=1.0, clipnorm=0.5), params)()
    moves = [start - value for start, value in zip(STARTS, values(params), strict=True)]
    gradients = gradients_at(STARTS)
    ratios = np.concatenate(
        [(move / g).ravel() for move, g in zip(moves, gradients, strict=True)]
    )
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-10)
    np.testing.assert_allclose(
        np.sqrt(sum((move**2).sum() for move in moves)), 0.5, rtol=1e-12
    )


def test_clipping_works_for_gradients_whose_squares_overflow():
    with pytensor.config.change_flags(floatX="float32"):
        param = shared(np.zeros(3))
        program(
            SGD(lr=1.0, clipnorm=1.0),
            [param],
            loss=(param * np.float32([1e20, 0.0, 0.0])).sum(),
        )()
    np.testing.assert_allclose(param.get_value(), [-1.0, 0.0, 0.0], rtol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "sgd, momentum and decay",
        "sgd, nesterov",
        "rmsprop",
        "adagrad",
        "adadelta",
        "adam",
    ],
)
def test_slots_survive_when_updates_are_asked_for_again(name):
    optimizer, params = made(name), fresh_params()
    first = program(optimizer, params)
    for _ in range(4):
        first()
    remembered = optimizer.state
    again = program(optimizer, params)
    for _ in range(STEPS - 4):
        again()
    assert all(old is new for old, new in zip(remembered, optimizer.state, strict=True))
    assert optimizer.iterations.get_value() == STEPS
    _, rule, settings = CASES[name]
    for found, point in zip(values(params), descend(rule, settings)[-1], strict=True):
        np.testing.assert_allclose(found, point, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "slots"),
    [("sgd", 1), ("rmsprop", 1), ("adagrad", 1), ("adadelta", 2), ("adam", 2)],
)
def test_state_is_the_iterations_and_the_slots_of_each_parameter_zeros_at_first(
    name, slots
):
    optimizer, params = made(name), fresh_params()
    assert optimizer.state == [optimizer.iterations]
    optimizer.get_updates(params, [as_it_is] * 2, quadratic(params))
    iterations, *others = optimizer.state
    assert iterations.get_value() == 0.0
    assert sorted(slot.type.shape for slot in others) == sorted(
        [start.shape for start in STARTS] * slots
    )
    assert not any(slot.get_value().any() for slot in others)


def test_updates_come_as_iterations_then_slots_and_value_of_each_parameter():
    optimizer, params = Adam(), fresh_params()
    olds = [
        old
        for old, _ in optimizer.get_updates(params, [as_it_is] * 2, quadratic(params))
    ]
    mean, squares = (optimizer.slots[params[1], name] for name in ("mean", "squares"))
    assert olds[0] is optimizer.iterations
    assert olds[3] is params[0]
    assert olds[4:] == [mean, squares, params[1]]


def test_constraints_are_applied_to_the_new_values_each_to_its_own():
    params = fresh_params()
    step = program(
        SGD(lr=0.1),
        params,
        constraints=[lambda value: pt.maximum(value, 0.0), as_it_is],
    )
    step()
    free_w, free_b = descend(sgd, {"lr": 0.1}, steps=1)[0]
    assert (free_w < 0).any() and (free_b < 0).any()
    np.testing.assert_allclose(
        params[0].get_value(), np.maximum(free_w, 0.0), rtol=1e-12
    )
    np.testing.assert_allclose(params[1].get_value(), free_b, rtol=1e-12)


def test_slots_do_not_see_the_constraint():
    optimizer, params = SGD(lr=0.1, momentum=0.9), fresh_params()
    program(optimizer, params, constraints=[lambda value: 0.0 * value, as_it_is])()
    np.testing.assert_array_equal(params[0].get_value(), 0.0)
    np.testing.assert_allclose(
        optimizer.slots[params[0], "velocity"].get_value(),
        -0.1 * gradients_at(STARTS)[0],
    )


def test_number_of_constraints_is_the_number_of_parameters():
    params = fresh_params()
    with pytest.raises(ConfigError, match="takes 2 constraints; got 1"):
        SGD().get_updates(params, [as_it_is], quadratic(params))


@pytest.mark.parametrize("name", ["sgd, clipnorm at every step", "adam, all"])
def test_parameter_that_the_loss_does_not_reach_stays_where_it_is(name):
    reached, unreached = fresh_params()
    program(made(name), [reached, unreached], loss=(reached**2).sum())()
    assert (reached.get_value() != STARTS[0]).all()
    np.testing.assert_array_equal(unreached.get_value(), STARTS[1])


@pytest.mark.parametrize("name", ["sgd, clipnorm at every step", "adam, all"])
def test_clipping_leaves_gradients_of_zero_at_zero(name):
    params = fresh_params()
    step = program(
        made(name), params, loss=sum((0.0 * param).sum() for param in params)
    )
    step()
    for found, start in zip(values(params), STARTS, strict=True):
        np.testing.assert_array_equal(found, start)


def test_learning_rate_can_be_changed_between_steps():
    optimizer, params = SGD(lr=0.1), fresh_params()
    step = program(optimizer, params)
    step()
    optimizer.lr.set_value(0.0)
    before = values(params)
    step()
    for found, kept in zip(values(params), before, strict=True):
        np.testing.assert_array_equal(found, kept)


@pytest.mark.parametrize(
    "name",
    [
        "sgd, nesterov and decay",
        "rmsprop, all",
        "adagrad, all",
        "adadelta, all",
        "adam, all",
    ],
)
def test_config_makes_an_equal_optimizer_again(name):
    optimizer = made(name)
    config = json.loads(json.dumps(optimizer.get_config()))
    assert isinstance(config, Mapping)
    again = optimizers.get(config.pop("name"), config)
    assert type(again) is type(optimizer)
    assert again is not optimizer
    assert again.get_config() == optimizer.get_config()
    _, rule, settings = CASES[name]
    assert optimizer.get_config().items() >= settings.items()
    assert optimizer.get_config().get("nesterov", False) == (rule is nesterov)


def test_config_tells_the_learning_rate_of_now_and_nothing_of_the_slots():
    optimizer, params = SGD(), fresh_params()
    optimizer.get_updates(params, [as_it_is] * 2, quadratic(params))
    optimizer.lr.set_value(0.5)
    assert optimizer.get_config() == {
        "name": "SGD",
        "lr": 0.5,
        "momentum": 0.0,
        "decay": 0.0,
        "nesterov": False,
        "clipnorm": 0.0,
        "clipvalue": 0.0,
    }


@pytest.mark.parametrize(
    "name",
    [
        "sgd, nesterov and decay",
        "sgd, clipnorm at first",
        "rmsprop, all",
        "adagrad, all",
        "adadelta, all",
        "adam, all",
    ],
)
def test_float32_stays_float32(name):
    _, rule, settings = CASES[name]
    settings = dict(settings)
    with pytensor.config.change_flags(floatX="float32"):
        optimizer, params = made(name), fresh_params()
        updates = optimizer.get_updates(params, [as_it_is] * 2, quadratic(params))
        assert {new.dtype for _, new in updates} == {"float32"}
        step = program(optimizer, params)
        for _ in range(STEPS):
            step()
    assert {value.get_value().dtype for value in [*params, *optimizer.state]} == {
        np.dtype("float32")
    }
    for found, point in zip(
        values(params),
        descend(rule, settings, settings.pop("clipnorm", 0.0))[-1],
        strict=True,
    ):
        np.testing.assert_allclose(found, point, rtol=1e-4, atol=1e-4)


def test_updates_have_the_type_of_what_they_update():
    optimizer, params = Adam(), [shared(np.ones((1, 6))), shared(np.ones(()))]
    updates = optimizer.get_updates(
        params, [as_it_is] * 2, sum((param**2).sum() for param in params)
    )
    assert all(new.type == old.type for old, new in updates)


def test_update_has_the_shape_and_dtype_of_its_parameter_whatever_a_constraint_returns():
    param = shared(STARTS[0])
    for constraint in (
        lambda value: value[value[:, 0] < np.inf],
        lambda value: value.astype("float32"),
    ):
        *_, (old, new) = SGD(lr=0.1).get_updates(
            [param], [constraint], (param**2).sum()
        )
        assert old is param
        assert new.type == param.type


@pytest.mark.parametrize("name", ["sgd, momentum", "adam"])
def test_parameter_of_another_float_than_floatx_keeps_its_own(name):
    with pytensor.config.change_flags(floatX="float32"):
        param = shared(STARTS[0])
    program(made(name), [param], loss=(param**2).sum())()
    assert param.get_value().dtype == "float32"
    assert (param.get_value() != np.float32(STARTS[0])).all()


def test_model_without_parameters_may_clip():
    x = pt.dscalar("x")
    assert len(SGD(clipnorm=1.0).get_updates([], [], x)) == 1


def test_pickled_optimizer_goes_on_where_it_was():
    optimizer, params = SGD(lr=0.1, momentum=0.9), fresh_params()
    step = program(optimizer, params)
    for _ in range(4):
        step()
    optimizer, params = pickle.loads(pickle.dumps((optimizer, params)))
    step = program(optimizer, params)
    for _ in range(STEPS - 4):
        step()
    for found, point in zip(
        values(params), descend(momentum, {"lr": 0.1, "momentum": 0.9})[-1], strict=True
    ):
        np.testing.assert_allclose(found, point, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("sgd", SGD),
        ("SGD", SGD),
        ("rmsprop", RMSprop),
        ("RMSprop", RMSprop),
        ("Adagrad", Adagrad),
        ("ADADELTA", Adadelta),
        ("adam", Adam),
    ],
)
def test_optimizer_is_found_by_its_name_in_any_case_of_letters(name, cls):
    assert type(optimizers.get(name)) is cls


def test_two_gets_make_two_optimizers_and_an_optimizer_gives_itself():
    assert optimizers.get("adam") is not optimizers.get("adam")
    optimizer = Adam()
    assert optimizers.get(optimizer) is optimizer


def test_unknown_optimizer_is_refused_and_the_nearest_offered():
    with pytest.raises(
        UnknownNameError, match=r"optimizer 'rmsporp' .* Did you mean 'rmsprop'"
    ):
        optimizers.get("rmsporp")


@pytest.mark.parametrize("identifier", [None, 3, SGD, ["sgd"], len])
def test_what_is_neither_a_name_nor_an_optimizer_is_refused(identifier):
    with pytest.raises(ConfigError, match="takes a name or an Optimizer"):
        optimizers.get(identifier)


@pytest.mark.parametrize(
    ("cls", "settings"),
    [
        (cls, {name: value})
        for cls, names in {
            SGD: ("lr", "momentum", "decay", "clipnorm", "clipvalue"),
            RMSprop: ("lr", "rho", "epsilon"),
            Adagrad: ("lr", "epsilon"),
            Adadelta: ("lr", "rho", "epsilon"),
            Adam: ("lr", "beta_1", "beta_2", "epsilon", "clipnorm"),
        }.items()
        for name in names
        for value in ("a", None, [0.1], float("nan"), float("inf"), True)
    ],
)
def test_settings_are_finite_numbers(cls, settings):
    [name] = settings
    with pytest.raises(
        ConfigError,
        match=rf"optimizer '{cls.__name__}' takes a finite number as {name}",
    ):
        cls(**settings)


def test_settings_of_numpy_are_written_as_plain_numbers():
    config = SGD(lr=np.float32(0.5), momentum=np.float64(0.25), decay=1).get_config()
    assert (
        json.loads(json.dumps(config))
        == config
        == {
            "name": "SGD",
            "lr": 0.5,
            "momentum": 0.25,
            "decay": 1.0,
            "nesterov": False,
            "clipnorm": 0.0,
            "clipvalue": 0.0,
        }
    )


def test_settings_go_with_a_name_and_not_with_an_optimizer():
    assert optimizers.get("Adam", {"lr": 0.5}).get_config()["lr"] == 0.5
    with pytest.raises(
        ConfigError, match=r"a name or an Optimizer, and settings for a name"
    ):
        optimizers.get(Adam(), {"lr": 0.5})
    with pytest.raises(
        ConfigError,
        match=r"optimizer 'SGD' takes the settings lr, .*; got 'lrr'. Did you mean 'lr'",
    ):
        optimizers.get("sgd", {"lrr": 0.5})
