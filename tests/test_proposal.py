"""Every block of docs/proposal.md runs, and computes what a NumPy loop computes.

Containers of one loop are in the table of cases (tests/cases.py), and go through every path; here are the others.
"""

import numpy as np
import pytensor
import pytest

from recursive import (
    Dense,
    Graph,
    Identity,
    Lambda,
    Recurrent,
    RecurrentDense,
    Recursive,
    Sequential,
    backend,
    errors,
    merge_sum,
    model_from_json,
)
from recursive.backend import rewrites
from tests.agreement.test_cases import COMPILER, JAX
from tests.cases import (
    BATCH,
    HIDDEN,
    IN,
    TIME,
    hard_sigmoid,
    sigmoid,
    stack,
    weights_of,
    with_random_weights,
)
from tests.proposal import SECTIONS, code, section

FIBONACCI = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89]


def x_of(*shape):
    return np.random.RandomState(3).normal(size=shape)


def check_gradients(model, inputs, seed=5):
    """Gradients of a loss that looks at every output, for every parameter, against central differences."""
    weights = {}

    def build(given):
        found = model(
            dict(zip(inputs, given, strict=True)) if len(inputs) > 1 else given[0]
        )
        outputs = found if isinstance(found, dict) else {"out": found}
        rng = np.random.RandomState(seed)
        for name, output in outputs.items():
            weights.setdefault(name, rng.normal(size=output.type.shape[-1]))
        loss = sum((output * weights[name]).sum() for name, output in outputs.items())
        return [loss, *pytensor.grad(loss, model.params)], []

    arguments = model.arguments()
    program = backend.Program(arguments, build, "python")
    _, *gradients = program(*inputs.values())
    rng = np.random.RandomState(seed)
    for param, gradient in zip(model.params, gradients, strict=True):
        index = tuple(rng.randint(size) for size in gradient.shape)
        start = param.get_value()
        losses = []
        for step in (1e-6, -1e-6):
            moved = start.copy()
            moved[index] += step
            param.set_value(moved)
            losses.append(program(*inputs.values())[0])
        param.set_value(start)
        assert abs((losses[0] - losses[1]) / 2e-6 - gradient[index]) < 1e-6 * max(
            1, abs(gradient[index])
        )


@pytest.mark.parametrize("number", SECTIONS)
def test_every_block_of_the_page_runs(number, capsys):
    section(number)


def test_the_page_has_a_section_for_each_of_the_ten_ideas():
    assert list(SECTIONS) == list(range(1, 11))


def test_every_node_of_the_first_example_is_there_for_the_asking():
    names = section(1)
    model, every = names["model"], names["every_node"]
    assert list(every) == ["i2h", "h2h", "rec"]
    with_random_weights(model)
    x, w = x_of(BATCH, TIME, IN), weights_of(model)
    found = dict(
        zip(
            every,
            backend.evaluate(list(every.values()), {model.get_input(): x}),
            strict=True,
        )
    )
    h = np.zeros((BATCH, HIDDEN))
    for t in range(TIME):
        i2h, h2h = x[:, t] @ w["i2h.W"] + w["i2h.b"], h @ w["h2h.W"] + w["h2h.b"]
        h = np.tanh(i2h + h2h)
        for name, value in {"i2h": i2h, "h2h": h2h, "rec": h}.items():
            assert np.abs(found[name][:, t] - value).max() < 1e-12


def test_one_word_says_what_is_read_in_a_graph():
    names = section(3)
    model = names["model"]
    model.build()
    with_random_weights(model)
    x, y, w = x_of(BATCH, 4), x_of(BATCH, 4) ** 2, weights_of(model)
    found = model.predict({"input_1": x, "input_2": y})
    both = np.concatenate([x, y], 1)
    reads = {"single": x, "side_by_side": both, "added": x + y, "listed": both}
    assert list(found) == list(reads)
    for name, read in reads.items():
        assert (
            np.abs(found[name] - (read @ w[f"{name}.W"] + w[f"{name}.b"])).max() < 1e-12
        )
    check_gradients(model, {"input_1": x, "input_2": y})
    assert [str(ref) for ref in names["rnn"].declared_plan.per_step] == ["x", "h_tm1"]


def his_gru(words, w):
    x = w["x.W"][words]
    h = np.zeros((BATCH, HIDDEN))
    for t in range(TIME):
        x_h, x_r, x_z = (
            x[:, t] @ w[f"{name}.W"] + w[f"{name}.b"] for name in ("x_h", "x_r", "x_z")
        )
        r, z = (
            hard_sigmoid(x_r + h @ w["rnn.h_r.W"]),
            hard_sigmoid(x_z + h @ w["rnn.h_z.W"]),
        )
        h = z * h + (1 - z) * np.tanh(x_h + (r * h) @ w["rnn.h_h.W"])
    return h @ w["out.W"] + w["out.b"]


SAID = {
    "as he wrote it": lambda text: text,
    "as a dict": lambda text: text.replace("connection_map=", "input=").replace(
        " merge_mode='join',", ""
    ),
    "by name": lambda text: text.replace(
        """connection_map={'x_h': 'x_h', 'x_r': 'x_r',
                                    'x_z': 'x_z'}""",
        "inputs=['x_z', 'x_h', 'x_r']",
    ),
}


@pytest.mark.parametrize("change", SAID.values(), ids=SAID)
def test_a_container_with_several_inputs_is_a_node_of_a_graph(change):
    text = change(code(4))
    names = {}
    exec(text, names)
    model = with_random_weights(names["model"])
    words = np.random.RandomState(3).randint(9, size=(BATCH, TIME)).astype("int32")
    expected = his_gru(words, weights_of(model))
    assert np.abs(model.predict({"input": words})["out"] - expected).max() < 1e-12
    check_gradients(model, {"input": words})
    model.compile("adam", {"out": "mse"}, backend="python")
    first = model.train_on_batch({"input": words, "out": np.zeros((BATCH, 1))})
    for _ in range(5):
        last = model.train_on_batch({"input": words, "out": np.zeros((BATCH, 1))})
    assert last < first


def test_elanmarts_example_takes_its_dims_from_the_first_data():
    R = section(5)["R"]
    assert R.predict(x_of(BATCH, TIME, IN)).shape == (BATCH, 256)
    assert R.nodes["h1"].W.type.shape == (IN + 256, 256)


def test_a_loop_without_sequences_counts_its_steps(capsys):
    names = section(9)
    assert names["two_states"].predict().ravel().tolist() == FIBONACCI
    assert names["by_taps"].predict().ravel().tolist() == FIBONACCI
    assert capsys.readouterr().out.strip(" []\n").split() == [
        f"{number}." for number in FIBONACCI
    ]


@pytest.mark.parametrize("name", ["two_states", "by_taps"])
@pytest.mark.parametrize(
    "target",
    [pytest.param("jax", marks=JAX), "numba", pytest.param("c", marks=COMPILER)],
)
def test_fibonacci_on_every_backend(name, target):
    model = section(9)[name]
    model.compile(backend=target)
    assert model.predict().ravel().tolist() == FIBONACCI


def test_a_loop_stops_after_the_step_at_which_it_is_told_to():
    model = section(9)["below_30"]
    assert model.predict().ravel().tolist() == [1, 2, 3, 5, 8, 13, 21, 34]
    model.return_sequences = False
    assert model.predict().tolist() == [[34]]


def doubling(steps=8):
    """Doubles a row until each is above 10; rows that were there first go on with the others."""
    model = Recurrent(n_steps=steps, until="done", return_sequences=True)
    model.add_input("c", is_sequence=False, dim=2)
    model.add_node(
        Dense(2, 2, bias=False),
        "grown",
        input=merge_sum(["c", "grown_tm1"]),
        create_output=True,
    )
    model.add_node(
        Lambda(lambda x: x.sum(axis=-1, keepdims=True) > 10), "done", input="grown"
    )
    model.nodes["grown"].set_weights([np.array([[2.0, 0.1], [0.0, 2.0]])])
    return model


def test_a_loop_goes_on_until_every_row_is_done():
    c, g, expected = (
        np.array([[1.0, 2.0], [0.1, 0.3], [3.0, 0.0]]),
        np.zeros((3, 2)),
        [],
    )
    W = np.array([[2.0, 0.1], [0.0, 2.0]])
    while not expected or (expected[-1].sum(axis=1) <= 10).any():
        g = (c + g) @ W
        expected.append(g)
    assert 2 < len(expected) < 8
    assert np.abs(doubling().predict(c) - stack(expected)).max() < 1e-12


def test_the_gradient_of_a_loop_that_stops_is_right_or_refused():
    model, c = doubling(), np.array([[1.0, 2.0], [0.1, 0.3], [3.0, 0.0]])
    if rewrites.VERSION >= (3, 1, 1):
        check_gradients(model, {"c": c})
        return
    with pytest.raises(errors.BackendError, match=r"pytensor>=3\.1\.1"):
        model(c, train=True)
    with pytest.raises(pytensor.gradient.NullTypeGradError):
        pytensor.grad(model(c).sum(), model.params[0])


@JAX
def test_a_loop_that_may_stop_early_is_refused_on_jax():
    model = doubling()
    model.compile(backend="jax")
    with pytest.raises(errors.BackendError, match="known number of steps"):
        model.predict(np.ones((3, 2)))


def nested_loop(x, w):
    h, out = np.zeros((BATCH, HIDDEN)), []
    for t in range(TIME):
        inner = np.zeros((BATCH, 3))
        for s in range(x.shape[2]):
            inner = np.tanh(
                np.concatenate([x[:, t, s], inner], 1) @ w["read.w.W"] + w["read.w.b"]
            )
        half = inner @ w["halved.half.W"] + w["halved.half.b"]
        chain = sigmoid(half @ w["chain.layer_0.W"] + w["chain.layer_0.b"])
        h = np.tanh(chain + h @ w["once.W"] @ w["once.W"])
        out.append(h)
    return stack(out)


def test_containers_nest_and_one_layer_may_be_two_nodes():
    model = section(10)["model"]
    x = x_of(BATCH, TIME, 2, IN)
    model.build((None, None, None, IN))
    with_random_weights(model)
    w = {
        name.removeprefix("layer_0."): param.get_value()
        for name, param in model.named_params.items()
    }
    assert "twice.W" not in w, "the weights of a shared layer are there once"
    expected = nested_loop(x, w) @ w["layer_1.W"] + w["layer_1.b"]
    assert np.abs(model.predict(x) - expected).max() < 1e-12
    check_gradients(model, {"x": x})


def test_a_loop_in_a_loop_that_depends_on_the_outer_one_runs_inside_it():
    """A context carries the outer state in; the inner loop runs n_steps, from zeros, at each outer step."""
    inner = Recurrent(n_steps=3)
    inner.add_input("goal", is_sequence=False, dim=HIDDEN)
    inner.add_node(RecurrentDense(HIDDEN, 2, activation="tanh"), "think", input="goal")
    outer = Recursive(return_sequences=True)
    outer.add_input("x", dim=IN)
    outer.add_state("h", dim=HIDDEN, input="rec")
    outer.add_node(inner, "inner", input="h")
    outer.add_node(
        Dense(IN + 2, HIDDEN, activation="tanh"),
        "rec",
        inputs=["x", "inner"],
        create_output=True,
    )
    assert [node.name for node in outer.plan.nodes] == ["inner", "rec"]
    with_random_weights(outer)
    x, w, h, out = (
        x_of(BATCH, TIME, IN),
        weights_of(outer),
        np.zeros((BATCH, HIDDEN)),
        [],
    )
    for t in range(TIME):
        think = np.zeros((BATCH, 2))
        for _ in range(3):
            think = np.tanh(
                h @ w["inner.think.W"] + w["inner.think.b"] + think @ w["inner.think.U"]
            )
        h = np.tanh(np.concatenate([x[:, t], think], 1) @ w["rec.W"] + w["rec.b"])
        out.append(h)
    assert np.abs(outer.predict(x) - stack(out)).max() < 1e-12
    check_gradients(outer, {"x": x})


def test_a_node_of_several_outputs_is_read_by_each_name():
    two = Graph()
    two.add_input("x", dim=IN)
    two.add_node(Dense(IN, 2), "a", input="x", create_output=True)
    two.add_node(Dense(IN, 3), "b", input="x", create_output=True)
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(two, "two", input="x")
    rnn.add_node(Dense(2 + 3, 6), "out", input=["two.a", "two.b_tm1"])
    with_random_weights(rnn)
    x, w = x_of(BATCH, TIME, IN), weights_of(rnn)
    a = x @ w["two.a.W"] + w["two.a.b"]
    b = x @ w["two.b.W"] + w["two.b.b"]
    b = np.concatenate([np.zeros((BATCH, 1, 3)), b[:, :-1]], axis=1)
    expected = np.concatenate([a, b], axis=-1) @ w["out.W"] + w["out.b"]
    assert np.abs(rnn.predict(x) - expected).max() < 1e-12
    strict = Recursive()
    strict.add_input("x", dim=IN)
    strict.add_node(two, "two", input="x")
    with pytest.raises(errors.UnknownNameError, match=r"Did you mean 'two\.[ab]'"):
        strict.add_node(Identity(), "bad", input="two")


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (1, "model"),
        (2, "model"),
        (3, "model"),
        (4, "model"),
        (5, "R"),
        (6, "model"),
        (7, "gru"),
        (8, "model"),
        (9, "by_taps"),
        (10, "model"),
    ],
)
def test_every_model_of_the_page_comes_back_from_json(number, name, capsys):
    model = section(number)[name]
    again = model_from_json(model.to_json())
    assert type(again) is type(model)
    assert again.get_config() == model.get_config()


def test_a_sequential_may_begin_with_a_container_of_several_inputs():
    names = section(4)
    chain = Sequential([names["rnn"], Dense(HIDDEN, 1)])
    given = {name: x_of(BATCH, TIME, HIDDEN) for name in ("x_h", "x_r", "x_z")}
    [(name, found)] = chain.predict(given).items()
    assert (name, found.shape) == ("output", (BATCH, 1))
