"""Layers of the reference by hand, where a gradient that fits its formula would not show a wrong formula."""

import numpy as np
import pytest

from recursive import (
    LSTM,
    BatchNormalization,
    Bidirectional,
    Graph,
    Masking,
    Recursive,
    Sequential,
    SimpleRNN,
)
from recursive.layers.core import Dense
from recursive.reference import gradients, run, train
from tests.reference.networks import (
    BATCH,
    GAP,
    HIDDEN,
    IN,
    TIME,
    looking_back,
    on_one_input,
    plain,
    prepared,
    x_and_c,
    x_only,
    x_with_gaps,
)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def hard_sigmoid(z):
    return np.clip(0.2 * z + 0.5, 0, 1)


def test_a_loop_that_goes_backwards_reads_the_steps_from_the_last_and_returns_them_so():
    spec, w, given = prepared(looking_back()(), x_and_c)
    turned = {**given, "x": given["x"][:, ::-1]}
    expected, found = (
        run(spec, w, turned),
        run(spec.replace(go_backwards=True), w, given),
    )
    for name, value in expected.outputs.items():
        assert np.array_equal(found.outputs[name], value)


def test_a_node_and_the_state_that_it_feeds_share_one_history():
    """By hand: ``rec_tm1`` is ``h`` of the step before, which starts from ones."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=IN, input="rec", initial=1.0)
    rnn.add_node(Dense(IN, IN), "rec", input="x", create_output=True)
    rnn.add_output("before", input="rec_tm1")
    spec, w, given = prepared(rnn, x_only)
    found = run(spec, w, given).outputs["before"]
    assert (found[:, 0] == 1).all()
    np.testing.assert_allclose(
        found[:, 1:], (given["x"] @ w["rec.W"] + w["rec.b"])[:, :-1]
    )


def test_lstm_is_as_its_equations_say():
    spec, w, given = prepared(on_one_input(LSTM(IN, HIDDEN), (BATCH, TIME, IN)), x_only)
    h = c = np.zeros((BATCH, HIDDEN))
    for t in range(TIME):
        i, f, o, new = (
            given["x"][:, t] @ w[f"y.W_{g}"] + h @ w[f"y.U_{g}"] + w[f"y.b_{g}"]
            for g in "ifoc"
        )
        c = hard_sigmoid(f) * c + hard_sigmoid(i) * np.tanh(new)
        h = hard_sigmoid(o) * np.tanh(c)
    np.testing.assert_allclose(run(spec, w, given).outputs["y"], h, atol=1e-14)


def test_under_a_mask_of_2015_the_step_after_a_masked_one_reads_zeros():
    graph = Graph()
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_node(Masking(GAP), "masked", input="x")
    graph.add_node(
        SimpleRNN(IN, HIDDEN, return_sequences=True),
        "zero",
        input="masked",
        create_output=True,
    )
    graph.add_node(
        SimpleRNN(IN, HIDDEN, return_sequences=True, mask_mode="carry"),
        "carry",
        input="masked",
        create_output=True,
    )
    spec, w, given = prepared(graph, x_with_gaps)
    found = run(spec, w, given)
    data = (given["x"] != GAP).any(axis=-1)
    x = given["x"] * data[..., None]
    for mode in ("zero", "carry"):
        h = np.zeros((BATCH, HIDDEN))
        for t in range(TIME):
            if mode == "zero" and t:
                h = h * data[:, t - 1, None]
            new = sigmoid(
                x[:, t] @ w[f"{mode}.W"] + h @ w[f"{mode}.U"] + w[f"{mode}.b"]
            )
            h = np.where(data[:, t, None], new, h) if mode == "carry" else new
            np.testing.assert_allclose(found.outputs[mode][:, t], h, atol=1e-14)
        assert np.array_equal(found.masks[mode], data)


def test_a_layer_of_2015_passes_no_gradient_before_the_last_steps():
    layer = SimpleRNN(IN, HIDDEN, truncate_gradient=2, stateful=True)
    spec, w, given = prepared(on_one_input(layer, (BATCH, TIME, IN)), x_only)
    states = {"y.h": np.ones((BATCH, HIDDEN))}
    found = gradients(spec, w, given, {"y": np.ones((BATCH, HIDDEN))}, states=states)
    assert found.inputs["x"][:, 3:].any()
    assert not found.inputs["x"][:, :3].any()
    assert not found.states["y.h"].any()


@pytest.mark.parametrize(
    ("backwards", "columns"),
    [("backward_layer", slice(HIDDEN, None)), ("layer", slice(HIDDEN))],
)
def test_both_directions_return_their_steps_in_the_order_of_the_input(
    backwards, columns
):
    """At the last step, the one that runs backwards has seen that step alone."""
    both = Bidirectional(
        SimpleRNN(IN, HIDDEN, return_sequences=True, go_backwards=backwards == "layer")
    )
    graph = on_one_input(Sequential([Masking(GAP), both]), (BATCH, TIME, IN))
    spec, w, given = prepared(graph, x_with_gaps)
    found, data = run(spec, w, given), (given["x"] != GAP).any(axis=-1)
    assert np.array_equal(found.masks["y"], data)
    last = given["x"][:, -1] * data[:, -1, None]
    own = sigmoid(last @ w[f"y.layer_1.{backwards}.W"] + w[f"y.layer_1.{backwards}.b"])
    np.testing.assert_allclose(found.outputs["y"][:, -1, columns], own, atol=1e-14)


def test_a_batch_is_normalized_while_training_and_running_means_follow():
    spec, w, given = prepared(
        on_one_input(BatchNormalization(IN, epsilon=0.1, momentum=0.75), (BATCH, IN)),
        lambda rng: {"x": rng.normal(size=(BATCH, IN))},
    )
    x = given["x"]
    mean, std = x.mean(axis=0), np.sqrt(((x - x.mean(axis=0)) ** 2 + 0.1).mean(axis=0))
    found = run(spec, w, given, train=True)
    np.testing.assert_allclose(
        found.outputs["y"],
        w["y.gamma"] * (x - mean) / (std + 0.1) + w["y.beta"],
        atol=1e-14,
    )
    expected = 0.75 * w["y.running_std"] + 0.25 * std
    np.testing.assert_allclose(found.updates["y.running_std"], expected, atol=1e-14)
    trained = train(spec, w, given, {"y": x}, steps=1)
    np.testing.assert_allclose(trained.params["y.running_std"], expected, atol=1e-14)
    still = (
        w["y.gamma"] * (x - w["y.running_mean"]) / (w["y.running_std"] + 0.1)
        + w["y.beta"]
    )
    np.testing.assert_allclose(run(spec, w, given).outputs["y"], still, atol=1e-14)


def test_training_goes_on_from_the_states_of_the_step_before():
    spec, w, given = prepared(plain(stateful=True), x_only)
    y = np.zeros((BATCH, HIDDEN))
    found = train(spec, w, given, {"h": y}, {"name": "sgd", "lr": 0.5}, 2)
    first = run(spec, w, given)
    back = gradients(spec, w, given, {"h": 2 * first.outputs["h"] / y.size})
    moved = {name: value - 0.5 * back.params[name] for name, value in w.items()}
    second = run(spec, moved, given, states=first.finals)
    np.testing.assert_allclose(
        found.losses,
        [(first.outputs["h"] ** 2).mean(), (second.outputs["h"] ** 2).mean()],
    )
    np.testing.assert_allclose(found.states["h"], second.finals["h"])
