"""What a container computed at every step, against loops by hand in NumPy."""

import sys

import numpy as np
import pytest

from recursive import Activation, Dense, Recurrent, RecurrentDense, Recursive
from recursive.errors import MissingPackageError, ShapeError, UnknownNameError

X = np.random.RandomState(0).normal(size=(3, 5, 4))


def network(**settings):
    rnn = Recursive(**settings)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=6, initial=0.5)
    rnn.add_node(Dense(4, 6), "i2h", input="x")
    rnn.add_node(Dense(6, 6), "h2h", input="h")
    rnn.add_node(
        Activation("tanh"),
        "rec",
        inputs=["i2h", "h2h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    return rnn


def by_hand(rnn, x, mask=None):
    """The state after each step, and the Jacobian of each step by the state before."""
    value = {name: param.get_value() for name, param in rnn.named_params.items()}
    h, states = np.full((len(x), 6), 0.5), []
    for t in range(x.shape[1]):
        new = np.tanh(
            x[:, t] @ value["i2h.W"]
            + value["i2h.b"]
            + h @ value["h2h.W"]
            + value["h2h.b"]
        )
        h = new if mask is None else np.where(mask[:, t, None], new, h)
        states.append(h)
    return np.stack(states, axis=1), value["h2h.W"]


def test_every_node_and_state_is_there_at_every_step():
    rnn = network()
    trace, (states, W) = rnn.trace(X), by_hand(rnn, X)
    assert trace.nodes == ("i2h", "h2h", "rec")
    assert trace.states == ("h",)
    assert {name: value.shape for name, value in trace.items()} == dict.fromkeys(
        ["i2h", "h2h", "rec", "h"], (3, 5, 6)
    )
    assert np.abs(trace["h"] - states).max() < 1e-14
    assert np.abs(trace["h2h"][:, 1:] - states[:, :-1] @ W).max() < 1e-14


def test_a_masked_state_stays_as_it_is_and_starts_from_its_start():
    rnn, mask = network(), np.array([[0, 0, 1, 1, 0], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1]])
    rnn.add_mask("mask")
    found = rnn.trace({"x": X, "mask": mask})["h"]
    assert np.abs(found - by_hand(rnn, X, mask == 1)[0]).max() < 1e-14
    assert (found[0, :2] == 0.5).all()


def test_steps_are_in_the_order_in_which_the_loop_ran():
    rnn = network(go_backwards=True)
    assert np.abs(rnn.trace(X)["h"] - by_hand(rnn, X[:, ::-1])[0]).max() < 1e-14


def test_a_mask_is_read_in_that_order_too():
    rnn, mask = (
        network(go_backwards=True),
        np.array([[0, 1, 1, 0, 0], [1, 0, 1, 0, 1], [1, 1, 1, 1, 0]]),
    )
    rnn.add_mask("mask")
    found = rnn.trace({"x": X, "mask": mask})["h"]
    assert np.abs(found - by_hand(rnn, X[:, ::-1], mask[:, ::-1] == 1)[0]).max() < 1e-14


def test_nothing_is_carried_over():
    rnn = network(stateful=True)
    rnn.reset_states(3)
    before = rnn.get_states()["h"]
    rnn.trace(X)
    assert (rnn.get_states()["h"] == before).all()


def test_a_name_that_is_not_there_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'rec'"):
        network().trace(X)["recc"]


def test_gradients_of_the_last_output_are_products_of_jacobians():
    rnn = network()
    norms = rnn.gradient_norms(X)["h"]
    states, W = by_hand(rnn, X)
    gradient, expected = np.ones((3, 6)), []
    for t in reversed(range(5)):
        expected.insert(0, np.linalg.norm(gradient, axis=1))
        gradient = (gradient * (1 - states[:, t] ** 2)) @ W.T
    assert norms.shape == (3, 5)
    assert np.abs(norms - np.stack(expected, axis=1)).max() < 1e-13


def test_a_truncated_gradient_ends_where_it_was_cut():
    norms = network(truncate_gradient=2).gradient_norms(X)["h"]
    assert (norms[:, 2:] != 0).sum() >= 6
    assert (norms[:, :2] == 0).all()


def test_states_without_a_declaration_are_traced_under_the_name_of_their_node():
    rnn = Recurrent()
    rnn.add_input("x", dim=4)
    rnn.add_node(RecurrentDense(6), "h", input="x")
    assert rnn.trace(X).states == ("h",)
    assert list(rnn.gradient_norms(X)) == ["h"]


def test_a_dataset_names_its_axes():
    dataset = network().trace(X).to_xarray()
    assert dataset["rec"].dims == ("batch", "time", "rec_dim")
    assert dataset.sizes["time"] == 5


def test_without_xarray_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(MissingPackageError, match="examples"):
        network().trace(X).to_xarray()


def test_a_heat_map_for_each_name_shows_the_row_that_was_asked_for(tmp_path):
    trace = network().trace(X)
    figure = trace.plot(tmp_path / "trace.png", row=2)
    maps = [axes for axes in figure.axes if axes.images]
    titled = {axes.get_title(loc="left"): axes.images[0].get_array() for axes in maps}
    assert list(titled) == ["i2h", "h2h", "rec", "h"]
    assert (titled["h"] == trace["h"][2].T).all()
    assert (tmp_path / "trace.png").stat().st_size > 1000


def test_a_row_that_is_not_there_is_told_of():
    with pytest.raises(ShapeError, match="below 3"):
        network().trace(X).plot(row=3)
