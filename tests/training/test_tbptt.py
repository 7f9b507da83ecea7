"""Truncated backpropagation through time, against a NumPy loop and its gradient."""

import copy
import functools

import numpy as np
import pytest

from recursive import (
    GRU,
    LSTM,
    SGD,
    Bidirectional,
    Dense,
    Embedding,
    Graph,
    LeakyReLU,
    Recursive,
    Sequential,
    TimeDistributedDense,
    errors,
)
from recursive.training import tbptt
from tests.agreement.test_cases import JAX
from tests.cases import BATCH, HIDDEN, IN, TIME, with_random_weights

OUT, RATE = 2, 0.5
RNG = np.random.RandomState(7)
X, Y = RNG.normal(size=(2 * BATCH, TIME, IN)), RNG.normal(size=(2 * BATCH, TIME, OUT))


def recurrent(masked=False, **settings):
    rnn = Recursive(**{"stateful": True, "return_sequences": True, **settings})
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(
        Dense(IN + HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["x", "h"],
        return_state="h",
        create_output=not masked,
    )
    if masked:
        rnn.add_mask()
        rnn.add_node(Dense(HIDDEN, OUT), "y", input="rec", create_output=True)
    return rnn


def compiled(model, loss="mse"):
    model.build()
    with_random_weights(model)
    model.compile(SGD(lr=RATE), loss)
    return model, model.get_weights()


@functools.cache
def vanilla():
    return compiled(Sequential([recurrent(), TimeDistributedDense(HIDDEN, OUT)]))


@functools.cache
def masked():
    return compiled(recurrent(masked=True))


def fresh(kept):
    """A model that is compiled once and returned to its initial values."""
    model, weights = kept()
    model.set_weights(weights)
    model.reset_states()
    return model


def step(w, x, y, h, shares):
    """One gradient step on a chunk by hand: the loss and final state of before it.

    ``shares`` is the weight of each step of each row, ``(batch, time)``. A step of
    weight 0 is masked: h keeps its value.
    """
    W, b, V, c = w
    states, seen, data = [h], [], shares > 0
    for t in range(x.shape[1]):
        seen.append(np.concatenate([x[:, t], states[-1]], 1))
        states.append(np.where(data[:, t, None], np.tanh(seen[-1] @ W + b), states[-1]))
    error = np.stack(states[1:], 1) @ V + c - y
    counts = shares[..., None] / max(shares.sum(), 1) / OUT
    loss = (counts * error**2).sum()
    toward = 2 * counts * error
    grads = [np.zeros_like(W), np.zeros_like(b), np.zeros_like(V), toward.sum((0, 1))]
    back = np.zeros_like(h)
    for t in reversed(range(x.shape[1])):
        grads[2] += states[t + 1].T @ toward[:, t]
        back = back + toward[:, t] @ V.T
        inner = np.where(data[:, t, None], back * (1 - states[t + 1] ** 2), 0)
        grads[0] += seen[t].T @ inner
        grads[1] += inner.sum(0)
        back = np.where(data[:, t, None], 0, back) + (inner @ W.T)[:, IN:]
    return (
        loss,
        states[-1],
        [param - RATE * grad for param, grad in zip(w, grads, strict=True)],
    )


def by_hand(weights, steps, resets, shares=None):
    """The weights, the mean loss and the last state after two batches."""
    shares, h, losses = (
        np.ones(X.shape[:2]) if shares is None else shares,
        np.zeros((BATCH, HIDDEN)),
        [],
    )
    for rows in (slice(0, BATCH), slice(BATCH, None)):
        h = np.zeros((BATCH, HIDDEN)) if resets == "batch" else h
        for start in range(0, TIME, steps):
            span = slice(start, start + steps)
            x, y, share = X[rows, span], Y[rows, span], shares[rows, span]
            loss, h, weights = step(weights, x, y, h, share)
            losses.append(loss * x.shape[1])
    return weights, sum(losses) / (2 * TIME), h


@pytest.mark.parametrize("resets", [None, "batch"])
@pytest.mark.parametrize("steps", [1, 2, TIME, TIME + 3])
def test_two_batches_in_chunks_give_the_weights_of_the_loop_by_hand(steps, resets):
    model = fresh(vanilla)
    weights, loss, h = by_hand(model.get_weights(), steps, resets)
    found = model.fit(
        X,
        Y,
        batch_size=BATCH,
        nb_epoch=1,
        verbose=0,
        shuffle=False,
        reset_states=resets,
        tbptt_steps=steps,
    )
    assert all(
        np.abs(a - b).max() < 1e-10
        for a, b in zip(model.get_weights(), weights, strict=True)
    )
    assert abs(found.history["loss"][0] - loss) < 1e-10
    assert np.abs(model.get_states()["layer_0.h"] - h).max() < 1e-10


def test_the_loop_by_hand_has_the_gradient_of_differences():
    """The oracle's own check: a step moves along the gradient of its loss."""
    w, rows = [RNG.normal(size=param.shape) for param in vanilla()[1]], slice(0, BATCH)
    h, shares = (
        RNG.normal(size=(BATCH, HIDDEN)),
        RNG.randint(0, 2, size=(BATCH, TIME)) * 1.5,
    )
    _, _, moved = step(w, X[rows], Y[rows], h, shares)
    for index, param in enumerate(w):
        place = tuple(RNG.randint(size) for size in param.shape)
        losses = []
        for by in (1e-6, -1e-6):
            near = [other.copy() for other in w]
            near[index][place] += by
            losses.append(step(near, X[rows], Y[rows], h, shares)[0])
        assert (
            abs((param - moved[index])[place] / RATE - (losses[0] - losses[1]) / 2e-6)
            < 1e-7
        )


def test_chunks_and_whole_sequences_learn_differently():
    weights = [fresh(vanilla).get_weights()]
    for steps in (None, 2):
        model = fresh(vanilla)
        model.fit(
            X,
            Y,
            batch_size=BATCH,
            nb_epoch=1,
            verbose=0,
            shuffle=False,
            tbptt_steps=steps,
        )
        weights.append(model.get_weights())
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(weights[one][0] - weights[other][0]).max() > 1e-3


def test_masks_and_weights_are_cut_with_the_sequences():
    mask = RNG.randint(0, 2, size=X.shape[:2])
    mask[1], mask[0] = 0, 1
    weights = np.array([1.0, 2.0, 0.5, 0.0, 1.0, 3.0])
    model = fresh(masked)
    expected, _, h = by_hand(model.get_weights(), 2, None, mask * weights[:, None])
    model.fit(
        {"x": X, "mask": mask, "y": Y},
        batch_size=BATCH,
        nb_epoch=1,
        verbose=0,
        shuffle=False,
        sample_weight=weights,
        tbptt_steps=2,
    )
    stands = weights[BATCH:] > 0
    assert all(
        np.abs(a - b).max() < 1e-10
        for a, b in zip(model.get_weights(), expected, strict=True)
    )
    assert np.abs(model.get_states()["h"] - h)[stands].max() < 1e-10


def test_contexts_are_handed_whole_to_every_chunk():
    rnn = Recursive(return_sequences=True, stateful=True)
    rnn.add_input("x", dim=IN)
    rnn.add_input("c", dim=OUT, is_sequence=False)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(
        Dense(IN + OUT + HIDDEN, HIDDEN),
        "rec",
        inputs=["x", "c", "h"],
        return_state="h",
        create_output=True,
    )
    model, weights = compiled(rnn)
    context, y = RNG.normal(size=(BATCH, OUT)), RNG.normal(size=(BATCH, TIME, HIDDEN))
    model.fit(
        {"x": X[:BATCH], "c": context, "rec": y},
        batch_size=BATCH,
        nb_epoch=1,
        verbose=0,
        shuffle=False,
        tbptt_steps=3,
    )
    found = model.get_weights()
    model.set_weights(weights)
    model.reset_states()
    for span in (slice(0, 3), slice(3, None)):
        model.train_on_batch({"x": X[:BATCH, span], "c": context, "rec": y[:, span]})
    assert all((a == b).all() for a, b in zip(model.get_weights(), found, strict=True))


def test_words_are_cut_where_vectors_are():
    """An input of integers is (batch, time)."""
    model = Sequential([Embedding(9, IN), recurrent()])
    model, weights = compiled(model)
    words, y = (
        RNG.randint(9, size=(BATCH, TIME)),
        RNG.normal(size=(BATCH, TIME, HIDDEN)),
    )
    model.fit(
        words, y, batch_size=BATCH, nb_epoch=1, verbose=0, shuffle=False, tbptt_steps=3
    )
    found = model.get_weights()
    model.set_weights(weights)
    model.reset_states()
    for span in (slice(0, 3), slice(3, None)):
        model.train_on_batch(words[:, span], y[:, span])
    assert all((a == b).all() for a, b in zip(model.get_weights(), found, strict=True))


@JAX
def test_on_jax_a_shorter_last_chunk_costs_one_more_compilation():
    model, weights = copy.deepcopy(fresh(vanilla)), by_hand(vanilla()[1], 2, None)[0]
    model.compile(SGD(lr=RATE), "mse", backend="jax")
    model.fit(
        X, Y, batch_size=BATCH, nb_epoch=1, verbose=0, shuffle=False, tbptt_steps=2
    )
    assert all(
        np.abs(a - b).max() < 1e-10
        for a, b in zip(model.get_weights(), weights, strict=True)
    )
    [program] = model._programs.compiled.values()
    assert len(program._functions) == 2


def joined():
    """Two sequences, which a graph allows to have different lengths."""
    model = Graph()
    model.add_input("x", ndim=3, dim=IN)
    model.add_input("z", ndim=3, dim=IN)
    reads = Recursive()
    reads.add_input("z", dim=IN)
    reads.add_state("s", dim=OUT)
    reads.add_node(
        Dense(IN + OUT, OUT),
        "read",
        inputs=["z", "s"],
        return_state="s",
        create_output=True,
    )
    model.add_node(recurrent(), "rec", input="x", create_output=True)
    model.add_node(reads, "read", input="z")
    return model


def counting():
    rnn = Recursive(n_steps=TIME, stateful=True, return_sequences=True)
    rnn.add_input("c", is_sequence=False, dim=HIDDEN)
    rnn.add_state("h", dim=HIDDEN, input="sum")
    rnn.add_node(
        LeakyReLU(0.5), "sum", inputs=["c", "h"], merge_mode="sum", create_output=True
    )
    return rnn


Z = RNG.normal(size=(2 * BATCH, TIME + 1, IN))
H = RNG.normal(size=(2 * BATCH, TIME, HIDDEN))


def chain(*layers):
    return lambda: Sequential([recurrent(), *(layer() for layer in layers)])


def partly():
    """A loop that keeps one state; of the others, one is declared stateful=False."""
    rnn = recurrent(stateful=False)
    rnn.add_state("g", dim=OUT, input="own", stateful=True)
    rnn.add_state("f", dim=OUT, input="told", stateful=False)
    rnn.add_node(Dense(HIDDEN + OUT, OUT), "own", inputs=["rec", "g"])
    rnn.add_node(Dense(HIDDEN + OUT, OUT), "told", inputs=["rec", "f"])
    return rnn


@pytest.mark.parametrize(
    ("model", "x", "y", "steps", "error", "words"),
    [
        (
            chain(lambda: GRU(HIDDEN, OUT, return_sequences=True)),
            X,
            Y,
            2,
            errors.ConfigError,
            r"takes loops that keep all their states; got 'h' of layer_1 \(GRU\), .* Pass stateful=True",
        ),
        (
            chain(lambda: LSTM(HIDDEN, OUT, return_sequences=True)),
            X,
            Y,
            2,
            errors.ConfigError,
            "got 'h', 'c' of layer_1",
        ),
        (
            partly,
            X,
            H,
            2,
            errors.ConfigError,
            r"got 'h' of the model \(Recursive\), reset before each chunk",
        ),
        (
            chain(
                lambda: GRU(
                    HIDDEN, OUT, return_sequences=True, stateful=True, go_backwards=True
                )
            ),
            X,
            Y,
            2,
            errors.ConfigError,
            r"takes loops that run forwards, .* got go_backwards=True in layer_1 \(GRU\)",
        ),
        (
            chain(
                lambda: Bidirectional(
                    GRU(HIDDEN, 1, return_sequences=True, stateful=True)
                )
            ),
            X,
            Y,
            2,
            errors.ConfigError,
            r"got go_backwards=True in layer_1\.backward_layer \(GRU\)",
        ),
        (
            lambda: recurrent(unroll=True, n_steps=TIME),
            X,
            H,
            2,
            errors.ConfigError,
            r"takes loops of at most 2 steps, because a chunk has no more; got n_steps=5 in the model",
        ),
        (
            lambda: recurrent(stateful=False),
            X,
            H,
            2,
            errors.ConfigError,
            r"'tbptt_steps' takes a stateful model, .* Pass stateful=True",
        ),
        (
            lambda: recurrent(return_sequences=False),
            X,
            H[:, 0],
            2,
            errors.ConfigError,
            r"takes outputs that are sequences, .* from 'rec'\. Pass return_sequences=True",
        ),
        (
            lambda: recurrent(return_final_states=True),
            X,
            {"rec": H, "h_final": H[:, 0]},
            2,
            errors.ConfigError,
            r"one value for all steps from 'h_final'",
        ),
        (
            counting,
            H[:, 0],
            H,
            2,
            errors.ConfigError,
            "takes an input that is a sequence",
        ),
        (
            joined,
            {"x": X, "z": Z},
            {"rec": H},
            2,
            errors.SequenceLengthError,
            "got x: 5, z: 6, rec: 5",
        ),
        (
            recurrent,
            X,
            H,
            0,
            errors.ConfigError,
            "'tbptt_steps' takes an integer of 1 or more",
        ),
        (
            recurrent,
            X,
            H,
            2.5,
            errors.ConfigError,
            "'tbptt_steps' takes an integer of 1 or more",
        ),
    ],
)
def test_what_cannot_be_cut_is_refused_before_anything_runs(
    model, x, y, steps, error, words
):
    model = model()
    model.compile("sgd", dict.fromkeys(model.output_names, "mse"))
    with pytest.raises(error, match=words):
        model.fit(x, y=y, batch_size=BATCH, verbose=0, shuffle=False, tbptt_steps=steps)
    assert all(len(value) == 0 for value in model.get_states().values())


def test_a_state_that_was_declared_to_start_anew_does_so_at_each_chunk():
    rnn = partly()
    rnn.stateful = True
    rnn.compile(SGD(lr=RATE), "mse")
    rnn.fit(
        X[:BATCH],
        H[:BATCH],
        batch_size=BATCH,
        nb_epoch=1,
        verbose=0,
        shuffle=False,
        tbptt_steps=2,
    )
    assert list(rnn.get_states()) == ["h", "g"]


def test_a_loop_inside_a_step_of_another_runs_over_steps_that_are_not_cut():
    outer = Recursive(return_sequences=True, stateful=True)
    outer.add_input("text", ndim=4, dim=IN)
    outer.add_state("h", dim=HIDDEN, input="rec")
    outer.add_node(LSTM(IN, OUT), "read", input="text")
    outer.add_node(
        Dense(OUT + HIDDEN, HIDDEN), "rec", inputs=["read", "h"], create_output=True
    )
    outer.compile(SGD(lr=RATE), "mse")
    texts = RNG.normal(size=(BATCH, TIME, 2, IN))
    history = outer.fit(
        texts,
        H[:BATCH],
        batch_size=BATCH,
        nb_epoch=1,
        verbose=0,
        shuffle=False,
        tbptt_steps=2,
    )
    assert np.isfinite(history.history["loss"]).all()


def test_what_is_cut_is_in_one_piece_of_memory():
    """Numba would compile again for strided arrays."""
    for _, chunk in tbptt.cut({"x": X}, (), 2):
        assert chunk["x"].flags.c_contiguous
