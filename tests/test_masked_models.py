"""Masks given to a model as data: what they must be like, and that masked steps have no share in the loss."""

import functools

import numpy as np
import pytest

from recursive import (
    SGD,
    Dense,
    Graph,
    Recursive,
    Sequential,
    TimeDistributedDense,
    errors,
)
from tests.cases import HIDDEN, IN, TIME, weights_of, with_random_weights

OUT = 2
RNG = np.random.RandomState(3)
MASK = np.array([[1, 1, 0, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
X, Y = RNG.normal(size=(4, TIME, IN)), RNG.normal(size=(4, TIME, OUT))


def masked(**settings):
    rnn = Recursive(return_sequences=True, **settings)
    rnn.add_input("x", dim=IN)
    rnn.add_mask()
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(
        Dense(IN + HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["x", "h"],
        return_state="h",
    )
    rnn.add_node(Dense(HIDDEN, OUT), "y", input="rec", create_output=True)
    return rnn


def compiled(model, **losses):
    model.build()
    with_random_weights(model)
    model.compile(SGD(lr=0.5), losses)
    return model


def alone():
    return compiled(masked(), y="mse")


def in_a_chain():
    return compiled(
        Sequential([masked(), TimeDistributedDense(OUT, OUT)]), output="mse"
    )


def in_a_graph():
    model = Graph()
    model.add_input("x", ndim=3, dim=IN)
    model.add_input("mask", ndim=2, dtype="bool")
    model.add_node(masked(), "rnn", input={"x": "x", "mask": "mask"})
    model.add_node(
        TimeDistributedDense(OUT, OUT), "last", input="rnn", create_output=True
    )
    return compiled(model, last="mse")


KINDS = {"alone": alone, "in a chain": in_a_chain, "in a graph": in_a_graph}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_masked_steps_have_no_share_in_the_loss_and_none_in_what_is_learned(kind):
    model = kind()
    [output] = model.output_names
    given = {"x": X, "mask": MASK}
    errors_by_step = ((model.predict(given)[output] - Y) ** 2).mean(axis=-1)
    assert (
        abs(model.test_on_batch(given, y=Y) - errors_by_step[MASK == 1].mean()) < 1e-14
    )
    weights = np.array([1.0, 2.0, 0.5, 3.0])
    shares = MASK * weights[:, None]
    weighted = model.test_on_batch(given, y=Y, sample_weight=weights)
    assert abs(weighted - (shares * errors_by_step).sum() / shares.sum()) < 1e-14
    learned, start = [], model.get_weights()
    for x, y in (
        (X, Y),
        (np.where(MASK[..., None], X, 9.0), np.where(MASK[..., None], Y, 99.0)),
    ):
        model.set_weights(start)
        model.train_on_batch({"x": x, "mask": MASK}, y=y)
        learned.append(model.get_weights())
    assert all(np.abs(a - b).max() < 1e-14 for a, b in zip(*learned, strict=True))
    assert any((a != b).any() for a, b in zip(learned[0], start, strict=True))


@functools.cache
def once():
    return alone()


def test_a_batch_without_any_data_has_a_loss_of_zero_and_teaches_nothing():
    model = once()
    before = model.get_weights()
    nothing = {"x": X, "mask": np.zeros_like(MASK)}
    assert (model.predict(nothing)["y"] == 0).all()
    assert model.train_on_batch(nothing, Y) == 0
    assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))


def test_final_states_beside_masked_sequences_count_whole():
    model = compiled(masked(return_final_states=True), y="mse", h_final="mae")
    given, finals = {"x": X, "mask": MASK}, RNG.normal(size=(4, HIDDEN))
    found = model.predict(given)
    w, h = weights_of(model), np.zeros((4, HIDDEN))
    for t in range(TIME):
        new = np.tanh(np.concatenate([X[:, t], h], 1) @ w["rec.W"] + w["rec.b"])
        h = np.where(MASK[:, t, None], new, h)
    assert np.abs(found["h_final"] - h).max() < 1e-12
    expected = ((found["y"] - Y) ** 2)[MASK == 1].mean() + np.abs(h - finals).mean()
    assert (
        abs(model.test_on_batch(given, {"y": Y, "h_final": finals}) - expected) < 1e-14
    )


def test_outputs_of_a_graph_have_masks_of_their_own():
    model = Graph()
    model.add_input("x", ndim=3, dim=IN)
    model.add_input("mask", ndim=2, dtype="bool")
    model.add_node(
        masked(), "rnn", input={"x": "x", "mask": "mask"}, create_output=True
    )
    model.add_node(
        TimeDistributedDense(IN, OUT), "plain", input="x", create_output=True
    )
    compiled(model, rnn="mse", plain="mse")
    given = {"x": X, "mask": MASK}
    found = model.predict(given)
    expected = ((found["rnn"] - Y) ** 2)[MASK == 1].mean() + (
        (found["plain"] - Y) ** 2
    ).mean()
    assert abs(model.test_on_batch(given, y={"rnn": Y, "plain": Y}) - expected) < 1e-14


def test_without_sequences_out_every_row_counts():
    model = masked()
    model.return_sequences = False
    compiled(model, y="mse")
    found = model.predict({"x": X, "mask": MASK})["y"]
    assert (
        abs(
            model.test_on_batch({"x": X, "mask": MASK}, Y[:, 0])
            - ((found - Y[:, 0]) ** 2).mean()
        )
        < 1e-14
    )


@pytest.mark.parametrize(
    ("mask", "error", "words"),
    [
        (
            MASK[..., None],
            errors.ShapeError,
            r"input 'mask' takes an array of shape \(any, any\); got \(4, 5, 1\)",
        ),
        (MASK[:, 0], errors.ShapeError, r"input 'mask' takes .* got \(4,\)"),
        (MASK[:, :4], errors.SequenceLengthError, "x: 5, mask: 4"),
        (MASK[:3], errors.DataError, "x: 4, mask: 3"),
        (
            MASK * 0.5,
            errors.DtypeError,
            "input 'mask' takes integers that fit bool",
        ),
        (None, errors.DataError, "input 'mask' takes an array"),
    ],
)
def test_a_mask_of_another_shape_is_told(mask, error, words):
    given = {"x": X} if mask is None else {"x": X, "mask": mask}
    with pytest.raises(error, match=words):
        once().predict(given)


def test_a_mask_may_come_as_numbers_or_truth_values():
    found = [
        once().predict({"x": X, "mask": mask})["y"]
        for mask in (MASK, MASK == 1, MASK.astype(float))
    ]
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()
