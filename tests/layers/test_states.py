"""States of containers: kept between batches, given, learned, drawn, and masked."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from recursive import (
    Dense,
    Dropout,
    Graph,
    Recurrent,
    Recursive,
    Sequential,
    backend,
    errors,
    model_from_json,
)
from recursive.loop.call import Call, Value
from tests.agreement.test_cases import COMPILER, JAX
from tests.cases import BATCH, HIDDEN, IN, weights_of, with_random_weights

TIME = 6


def x_of(*shape, seed=3):
    return np.random.RandomState(seed).normal(size=shape)


def looking_back(**settings):
    """A loop with h at lags 1 and 2, x at lags 0 and 1, and a deferred node."""
    rnn = Recurrent(return_sequences=True, **settings)
    rnn.add_input("x", dim=IN)
    rnn.add_node(
        Dense(2 * IN + 2 * HIDDEN, HIDDEN, activation="tanh"),
        "h",
        input=["x", "x_tm1", "h_tm1", "h_tm2"],
        create_output=True,
    )
    rnn.add_node(Dense(HIDDEN, 2), "y", input="h", create_output=True)
    return with_random_weights(rnn)


def of_states_only(**settings):
    """The same without lags of the input, which are not kept between batches."""
    rnn = Recurrent(return_sequences=True, **settings)
    rnn.add_input("x", dim=IN)
    rnn.add_node(
        Dense(IN + 2 * HIDDEN, HIDDEN, activation="tanh"),
        "h",
        input=["x", "h_tm1", "h_tm2"],
        create_output=True,
    )
    rnn.add_node(Dense(HIDDEN, 2), "y", input="h", create_output=True)
    return with_random_weights(rnn)


def loop_over(w, x, before, two_back=False):
    """h over time from the rows in ``before``, oldest first."""
    h, out, zeros = list(before), [], np.zeros_like(x[:, 0])
    for t in range(x.shape[1]):
        past = x[:, t - 1] if t else zeros
        seen = [x[:, t], *([past] if two_back else []), h[-1], h[-2]]
        h.append(np.tanh(np.concatenate(seen, 1) @ w["h.W"] + w["h.b"]))
        out.append(h[-1])
    return np.stack(out, 1)


ZEROS = [np.zeros((BATCH, HIDDEN))] * 2


# Kept between batches


def test_ten_batches_of_a_stateful_container_equal_one_long_run():
    rnn, x = of_states_only(stateful=True), x_of(BATCH, 20, IN)
    expected = loop_over(weights_of(rnn), x, ZEROS)
    found = np.concatenate(
        [rnn.predict(x[:, start : start + 2])["h"] for start in range(0, 20, 2)], axis=1
    )
    assert np.abs(found - expected).max() < 1e-12
    states = rnn.get_states()["h"]
    assert states.shape == (2, BATCH, HIDDEN)
    assert np.abs(states - expected[:, -2:].swapaxes(0, 1)).max() < 1e-12


def test_predicting_testing_and_training_all_keep_the_states():
    rnn, x = of_states_only(stateful=True), x_of(BATCH, 6, IN)
    rnn.compile("sgd", {"h": "mse", "y": "mse"}, backend="python")
    targets = {"h": np.zeros((BATCH, 2, HIDDEN)), "y": np.zeros((BATCH, 2, 2))}
    old = weights_of(rnn)
    expected = loop_over(old, x, ZEROS)
    rnn.predict(x[:, :2])
    rnn.test_on_batch({"x": x[:, 2:4], **targets})
    assert np.abs(rnn.get_states()["h"][-1] - expected[:, 3]).max() < 1e-12
    rnn.train_on_batch({"x": x[:, 4:], **targets})
    assert np.abs(rnn.get_states()["h"][-1] - expected[:, 5]).max() < 1e-12, (
        "computed with the old weights"
    )
    assert np.abs(weights_of(rnn)["h.W"] - old["h.W"]).max() > 1e-6


def test_after_a_reset_another_batch_size_runs_from_the_start():
    rnn = Recursive(return_sequences=True, stateful=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN, input="h_", initial=[1, 2, 3, 4, 5, 6])
    rnn.add_node(
        Dense(IN + HIDDEN, HIDDEN), "h_", inputs=["x", "h"], create_output=True
    )
    with_random_weights(rnn)
    x, w = x_of(5, 1, IN), weights_of(rnn)
    assert rnn.get_states()["h"].shape == (0, HIDDEN), "nothing before the first batch"
    start = np.tile(np.arange(1.0, 7), (5, 1))
    expected = np.concatenate([x[:, 0], start], 1) @ w["h_.W"] + w["h_.b"]
    rnn.predict(x[:3])
    with pytest.raises(
        errors.BatchSizeError,
        match=r"takes 3 rows, .* got 5\. Call reset_states\(\) first",
    ):
        rnn.predict(x)
    assert np.abs(rnn.get_states()["h"] - expected[:3]).max() < 1e-12, (
        "a refused batch changes nothing"
    )
    rnn.reset_states()
    assert np.abs(rnn.predict(x)[:, 0] - expected).max() < 1e-12
    rnn.reset_states(batch_size=2)
    assert np.abs(rnn.get_states()["h"] - start[:2]).max() == 0
    with pytest.raises(errors.BatchSizeError):
        rnn.predict(x)


def test_states_can_be_set_and_are_checked():
    rnn, x = of_states_only(stateful=True), x_of(BATCH, 2, IN)
    given = x_of(2, BATCH, HIDDEN, seed=8)
    rnn.set_states({"h": given})
    assert (
        np.abs(rnn.predict(x)["h"] - loop_over(weights_of(rnn), x, list(given))).max()
        < 1e-12
    )
    before = rnn.get_states()["h"]
    with pytest.raises(
        errors.UnknownNameError,
        match="state 'g' takes the name of a state",
    ):
        rnn.set_states({"g": given})
    with pytest.raises(errors.ShapeError, match=r"takes \(2, batch, 6\), oldest first"):
        rnn.set_states({"h": given[0]})
    assert (rnn.get_states()["h"] == before).all()


def test_stateful_may_be_set_for_each_state():
    rnn = Recursive(return_sequences=True, stateful=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("goes", dim=HIDDEN, input="a")
    rnn.add_state("starts", dim=HIDDEN, input="b", stateful=False)
    rnn.add_node(
        Dense(IN + HIDDEN, HIDDEN, activation="tanh"),
        "a",
        inputs=["x", "goes"],
        create_output=True,
    )
    rnn.add_node(
        Dense(IN + HIDDEN, HIDDEN, activation="tanh"),
        "b",
        inputs=["x", "starts"],
        create_output=True,
    )
    with_random_weights(rnn)
    x = x_of(BATCH, 2, IN)
    first, second = rnn.predict(x), rnn.predict(x)
    assert list(rnn.get_states()) == ["goes"]
    assert (first["b"] == second["b"]).all()
    assert np.abs(first["a"] - second["a"]).min() > 0


def test_a_stateful_container_keeps_its_states_inside_a_sequential():
    rnn = Recursive(stateful=True, return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(
        Dense(IN + HIDDEN, HIDDEN, activation="tanh"),
        "h",
        inputs=["x", "h_tm1"],
        create_output=True,
    )
    chain = Sequential([rnn, Dense(HIDDEN, 2)])
    chain.build()
    with_random_weights(chain)
    x = x_of(BATCH, 6, IN)
    long = chain.predict(x)
    rnn.reset_states()
    parts = [chain.predict(x[:, :2]), chain.predict(x[:, 2:])]
    assert np.abs(np.concatenate(parts, 1) - long).max() < 1e-12


def test_a_stateful_container_is_only_one_node_and_not_inside_a_step():
    rnn = of_states_only(stateful=True)
    graph = Graph()
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_node(rnn, "once", input="x")
    with pytest.raises(
        errors.NodeError,
        match="node 'twice' takes a stateful layer that no other node uses",
    ):
        graph.add_node(rnn, "twice", input="x")
    outer = Recursive()
    outer.add_input("x", ndim=4, dim=IN)
    with pytest.raises(errors.NodeError, match="takes a stateful container by itself"):
        outer.add_node(Sequential([rnn]), "inner", input="x")
    call, inputs = Call(), {"x": Value(pt.tensor3("x"))}
    rnn.apply(inputs, call)
    with pytest.raises(errors.StateError, match="takes one layer call"):
        rnn.apply(inputs, call)


@pytest.mark.parametrize("outer_goes_on", [False, True])
def test_the_states_of_a_stateful_container_in_a_loop_are_states_of_that_loop(
    outer_goes_on,
):
    """They are kept between outer steps; between batches if the outer loop does so."""
    inner = Recurrent(stateful=True)
    inner.add_input("word", dim=IN)
    inner.add_node(
        Dense(IN + 2 * HIDDEN, HIDDEN, activation="tanh"),
        "h",
        input=["word", "h_tm1", "h_tm2"],
    )
    outer = Recurrent(return_sequences=True, stateful=outer_goes_on)
    outer.add_input("text", ndim=4, dim=IN)
    outer.add_node(inner, "read", input="text")
    outer.add_node(
        Dense(HIDDEN + 2, 2, activation="tanh"),
        "rec",
        input=["read", "rec_tm1"],
        create_output=True,
    )
    with_random_weights(outer)
    w, x = weights_of(outer), x_of(BATCH, 4, 3, IN)
    h, rec = list(ZEROS), np.zeros((BATCH, 2))
    for half in (x[:, :2], x[:, 2:]):
        found = outer.predict(half)
        if not outer_goes_on:
            h, rec = list(ZEROS), np.zeros((BATCH, 2))
        for t in range(2):
            for s in range(3):
                h.append(
                    np.tanh(
                        np.concatenate([half[:, t, s], h[-1], h[-2]], 1) @ w["read.h.W"]
                        + w["read.h.b"]
                    )
                )
            rec = np.tanh(np.concatenate([h[-1], rec], 1) @ w["rec.W"] + w["rec.b"])
            assert np.abs(found[:, t] - rec).max() < 1e-12
    again = model_from_json(outer.to_json())
    assert again.get_config() == outer.get_config()
    outer.compile("sgd", "mse", backend="python")
    outer.reset_states()
    first = outer.train_on_batch(x, np.zeros((BATCH, 4, 2)))
    outer.reset_states()
    assert outer.train_on_batch(x, np.zeros((BATCH, 4, 2))) < first


# Initial values


def start_by(kind, taps=1, **settings):
    rnn = Recursive(return_sequences=True, **settings)
    rnn.add_input("x", dim=IN)
    if kind == "rows":
        rnn.add_input("h0", ndim=3, is_sequence=False, dim=HIDDEN)
    rnn.add_state(
        "h",
        dim=HIDDEN,
        input="h_",
        initial=0 if kind == "given" else "h0" if kind == "rows" else kind,
    )
    if kind == "given":
        rnn.set_state_from("h", "h0")
    reads = ["x", *(f"h_tm{tap}" for tap in range(1, taps + 1))]
    rnn.add_node(
        Dense(IN + taps * HIDDEN, HIDDEN, activation="tanh"),
        "h_",
        inputs=reads,
        create_output=True,
    )
    return rnn


@pytest.mark.parametrize(("kind", "taps"), [("given", 1), ("given", 2), ("rows", 2)])
def test_a_state_starts_from_an_input(kind, taps):
    rnn = with_random_weights(start_by(kind, taps))
    x, w = x_of(BATCH, TIME, IN), weights_of(rnn)
    h0 = (
        x_of(BATCH, taps, HIDDEN, seed=7)
        if kind == "rows"
        else x_of(BATCH, HIDDEN, seed=7)
    )
    h = list(h0.swapaxes(0, 1)) if kind == "rows" else [h0] * taps
    found = rnn.predict({"x": x, "h0": h0})["h_"]
    for t in range(TIME):
        h.append(
            np.tanh(
                np.concatenate([x[:, t], *h[: -taps - 1 : -1]], 1) @ w["h_.W"]
                + w["h_.b"]
            )
        )
        assert np.abs(found[:, t] - h[-1]).max() < 1e-12


@pytest.mark.parametrize("taps", [1, 2])
def test_a_learned_start_is_one_row_for_all_and_has_a_gradient(taps):
    rnn = start_by("learned", taps)
    rnn.build()
    assert (rnn.named_params["h.initial"].get_value() == 0).all(), "it starts at zero"
    with_random_weights(rnn)
    x, w = x_of(BATCH, TIME, IN), weights_of(rnn)
    h = [np.tile(w["h.initial"], (BATCH, 1))] * taps
    found = rnn.predict(x)
    for t in range(TIME):
        h.append(
            np.tanh(
                np.concatenate([x[:, t], *h[: -taps - 1 : -1]], 1) @ w["h_.W"]
                + w["h_.b"]
            )
        )
        assert np.abs(found[:, t] - h[-1]).max() < 1e-12
    start, symbol = rnn.named_params["h.initial"], rnn.get_input()
    loss = (rnn.get_output() ** 2).sum()
    program = backend.Program(
        [backend.Argument("x", "float64", (None, None, IN))],
        lambda given: (
            pytensor.graph.replace.clone_replace(
                [loss, pytensor.grad(loss, start)], {symbol: given[0]}
            ),
            [],
        ),
        "python",
    )
    gradient = program(x)[1]
    for index in range(HIDDEN):
        losses = []
        for step in (1e-6, -1e-6):
            moved = w["h.initial"].copy()
            moved[index] += step
            start.set_value(moved)
            losses.append(program(x)[0])
        assert abs((losses[0] - losses[1]) / 2e-6 - gradient[index]) < 1e-6 * max(
            1, abs(gradient[index])
        )


def test_a_drawn_start_is_drawn_while_training_only():
    rnn, x = with_random_weights(start_by("drawn")), x_of(BATCH, TIME, IN)
    zeros = with_random_weights(start_by(0.0))
    assert np.abs(rnn.predict(x) - zeros.predict(x)).max() == 0
    symbol = rnn.get_input()
    train = [
        backend.evaluate([rnn.get_output(train=True)], {symbol: x})[0] for _ in range(2)
    ]
    assert np.abs(train[0] - train[1]).min() > 0
    assert np.abs(train[0] - zeros.predict(x)).min() > 0


@pytest.mark.parametrize("shape", [(BATCH, HIDDEN), (BATCH, 2, HIDDEN)])
def test_a_drawn_start_can_be_given(shape):
    rnn, x, start = (
        with_random_weights(start_by("drawn", taps=2)),
        x_of(BATCH, TIME, IN),
        x_of(*shape, seed=8),
    )
    [found] = backend.evaluate([rnn(x, train=True, **{"h.initial": start})], {})
    w, h = (
        weights_of(rnn),
        [start] * 2 if start.ndim == 2 else list(start.swapaxes(0, 1)),
    )
    for t in range(TIME):
        h.append(
            np.tanh(np.concatenate([x[:, t], h[-1], h[-2]], 1) @ w["h_.W"] + w["h_.b"])
        )
        assert np.abs(found[:, t] - h[-1]).max() < 1e-12
    [in_use, zeros] = backend.evaluate([rnn(x, **{"h.initial": start}), rnn(x)], {})
    assert (in_use == zeros).all(), "it is a draw: only training takes it"
    for wrong in (x_of(BATCH, 1), x_of(BATCH, 3, HIDDEN), x_of(2, HIDDEN)):
        with pytest.raises(
            errors.ShapeError,
            match=r"draw 'h\.initial' takes an array of shape \(3, (2, )?6\)",
        ):
            rnn(x, train=True, **{"h.initial": wrong})
    with pytest.raises(errors.DataError, match=r"Did you mean 'h\.initial'"):
        rnn(x, train=True, **{"g.initial": start})


def test_an_initial_value_for_another_lag_is_refused():
    rnn, x = with_random_weights(start_by("rows", taps=2)), x_of(BATCH, TIME, IN)
    with pytest.raises(
        errors.ShapeError,
        match=r"state 'h' takes a start of \(batch, 2, dim\), .* got 3 of them",
    ):
        rnn({"x": x, "h0": x_of(BATCH, 3, HIDDEN)})
    for taps in (1, 3):
        with pytest.raises(
            errors.ShapeError, match=r"takes a start of .* got another number"
        ):
            rnn.predict({"x": x, "h0": x_of(BATCH, taps, HIDDEN)})


@pytest.mark.parametrize(("name", "kind"), [("h", "state"), ("h_", "node")])
def test_a_state_cannot_start_from_a_value_of_the_loop_itself(name, kind):
    rnn = start_by(0.0)
    with pytest.raises(
        errors.UnknownNameError,
        match=f"state 'h' takes a context .* got the {kind} '{name}'",
    ):
        rnn.set_state_from("h", name)
    assert rnn.ports == ("x",)


def test_stateful_may_be_assigned_later():
    rnn, x = of_states_only(), x_of(BATCH, 6, IN)
    expected = rnn.predict(x)["h"]
    rnn.stateful = True
    found = [rnn.predict(x[:, part])["h"] for part in (slice(0, 2), slice(2, 6))]
    assert np.abs(np.concatenate(found, axis=1) - expected).max() < 1e-12
    rnn.stateful = False
    assert rnn.get_states() == {}


def test_an_encoder_passes_its_states_to_a_decoder():
    encoder = with_random_weights(of_states_only(return_final_states=True))
    decoder = Recursive(return_sequences=True)
    decoder.add_input("u", dim=2)
    decoder.add_input("h0", ndim=3, is_sequence=False, dim=HIDDEN)
    decoder.add_state("h", dim=HIDDEN, input="d", initial="h0")
    decoder.add_node(
        Dense(2 + 2 * HIDDEN, HIDDEN, activation="tanh"),
        "d",
        inputs=["u", "h", "h_tm2"],
        create_output=True,
    )
    graph = Graph()
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_input("u", ndim=3, dim=2)
    graph.add_node(encoder, "encoder", input="x")
    graph.add_node(
        decoder,
        "decoder",
        input={"u": "u", "h0": "encoder.h_final"},
        create_output=True,
    )
    with_random_weights(graph)
    x, u, w = x_of(BATCH, TIME, IN), x_of(BATCH, 3, 2), weights_of(graph)
    inner = {name.removeprefix("encoder."): value for name, value in w.items()}
    h = list(loop_over(inner, x, ZEROS)[:, -2:].swapaxes(0, 1))
    found = graph.predict({"x": x, "u": u})["decoder"]
    for t in range(3):
        h.append(
            np.tanh(
                np.concatenate([u[:, t], h[-1], h[-2]], 1) @ w["decoder.d.W"]
                + w["decoder.d.b"]
            )
        )
        assert np.abs(found[:, t] - h[-1]).max() < 1e-12


@pytest.mark.parametrize(
    ("declare", "error", "words"),
    [
        (
            lambda: start_by("h0").build(),
            errors.UnknownNameError,
            "'learned', 'drawn' or a context; got 'h0'|got 'h0'",
        ),
        (lambda: start_by("x").build(), errors.UnknownNameError, "got 'x'"),
        (
            lambda: start_by("learned", stateful=True).build(),
            errors.StateError,
            "takes numbers to start from",
        ),
        (
            lambda: start_by("given", stateful=True).build(),
            errors.StateError,
            "takes numbers to start from",
        ),
        (
            lambda: start_by(0.0).set_state_from("g", "h0"),
            errors.UnknownNameError,
            "Did you mean 'h'|There are: 'h'",
        ),
        (
            lambda: start_by([1.0, 2.0]).build(),
            errors.StateError,
            "initial rows of 6 numbers",
        ),
        (
            lambda: of_wrong_start().build(),
            errors.StateError,
            r"an initial value of \(batch, 6\)",
        ),
    ],
)
def test_an_invalid_initial_value_is_refused(declare, error, words):
    with pytest.raises(error, match=words):
        declare()


def of_wrong_start():
    rnn = start_by("given")
    rnn.add_input("other", is_sequence=False, dim=3)
    rnn.set_state_from("h", "other")
    return rnn


# Masks

MASK = np.array(
    [[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1], [1, 0, 1, 1, 0, 1]], dtype=bool
)
"""Padding on the right, on the left, and inside."""


@pytest.mark.parametrize(
    "settings",
    [{}, {"unroll": True, "n_steps": TIME}, {"go_backwards": True}],
    ids=["a loop", "written out", "backwards"],
)
def test_a_masked_batch_equals_its_rows_without_padding(settings):
    rnn = looking_back(return_final_states=True, **settings)
    alone = looking_back(
        return_final_states=True, go_backwards=settings.get("go_backwards", False)
    )
    x, given, mask = x_of(BATCH, TIME, IN), rnn.get_input(), pt.bmatrix("mask")
    rng = np.random.RandomState(9)
    weights = {
        "h": rng.normal(size=HIDDEN),
        "y": rng.normal(size=2),
        "h_final": rng.normal(size=HIDDEN),
    }

    def judged(outputs, valid=None):
        def part(name):
            kept = (
                outputs[name]
                if valid is None or name == "h_final"
                else outputs[name] * valid
            )
            return (kept * weights[name]).sum()

        return sum(part(name) for name in weights)

    outputs = rnn(given, mask=mask)
    shown = mask[:, ::-1] if settings.get("go_backwards") else mask
    loss = judged(outputs, shown[..., None])
    found = dict(
        zip(
            [*outputs, "x", *rnn.named_params],
            backend.evaluate(
                [*outputs.values(), *pytensor.grad(loss, [given, *rnn.params])],
                {given: x, mask: MASK.astype("int8")},
            ),
            strict=True,
        )
    )
    single, totals = alone.get_input(), dict.fromkeys(rnn.named_params, 0)
    lone = alone(single)
    graph = [*lone.values(), *pytensor.grad(judged(lone), [single, *alone.params])]
    program = backend.Program(
        [backend.Argument("x", "float64", (None, None, IN))],
        lambda args: (
            pytensor.graph.replace.clone_replace(graph, {single: args[0]}),
            [],
        ),
        "python",
    )
    for row, valid in enumerate(MASK):
        values = dict(
            zip(
                [*lone, "x", *rnn.named_params],
                program(x[row : row + 1, valid]),
                strict=True,
            )
        )
        where = valid[::-1] if settings.get("go_backwards") else valid
        for name in ("h", "y"):
            assert np.abs(found[name][row, where] - values[name][0]).max() < 1e-12
        assert np.abs(found["h_final"][row] - values["h_final"][0]).max() < 1e-12
        assert np.abs(found["x"][row, valid] - values["x"][0]).max() < 1e-12
        assert (found["x"][row, ~valid] == 0).all(), "no gradient leaks into padding"
        for name in totals:
            totals[name] = totals[name] + values[name]
    for name, total in totals.items():
        assert np.abs(found[name] - total).max() < 1e-12 * max(1, np.abs(total).max())


def masked_values(rnn, x, mask):
    given, symbol = rnn.get_input(), pt.bmatrix("mask")
    outputs = rnn(given, mask=symbol)
    return dict(
        zip(
            outputs,
            backend.evaluate(
                list(outputs.values()), {given: x, symbol: mask.astype("int8")}
            ),
            strict=True,
        )
    )


def test_a_masked_step_repeats_the_last_valid_one_or_zeros():
    found = masked_values(looking_back(), x_of(BATCH, TIME, IN), MASK)
    for value in found.values():
        assert (value[0, 3:] == value[0, 2]).all()
        assert (value[1, :2] == 0).all()
        assert (value[2, 1] == value[2, 0]).all() and (value[2, 4] == value[2, 3]).all()


def test_without_return_sequences_the_last_valid_step_is_returned():
    rnn = looking_back()
    every = masked_values(rnn, x_of(BATCH, TIME, IN), MASK)
    rnn.return_sequences = False
    for name, last in masked_values(rnn, x_of(BATCH, TIME, IN), MASK).items():
        assert np.abs(last - every[name][:, -1]).max() < 1e-14


def test_a_row_without_valid_steps_leaves_its_state_as_it_was():
    rnn = of_states_only(stateful=True)
    rnn.add_mask("m")
    x, start = x_of(BATCH, TIME, IN), x_of(2, BATCH, HIDDEN)
    rnn.set_states({"h": start})
    mask = MASK.copy()
    mask[1] = False
    found = rnn.predict({"x": x, "m": mask})
    assert (found["h"][1] == 0).all()
    assert (rnn.get_states()["h"][:, 1] == start[:, 1]).all()
    assert np.abs(rnn.get_states()["h"][:, 0] - start[:, 0]).max() > 0


def test_values_at_masked_steps_do_not_matter():
    rnn, x = looking_back(), x_of(BATCH, TIME, IN)
    other = np.where(MASK[..., None], x, 100 * x_of(BATCH, TIME, IN, seed=11))
    for value, same in zip(
        masked_values(rnn, x, MASK).values(),
        masked_values(rnn, other, MASK).values(),
        strict=True,
    ):
        assert (value == same).all()


def test_a_second_mask_and_a_mask_with_until_are_refused():
    rnn = looking_back()
    rnn.add_mask()
    with pytest.raises(errors.ConfigError, match="takes one mask"):
        rnn.add_mask("other")
    stopping = Recurrent(until="h")
    stopping.add_input("x", dim=IN)
    stopping.add_mask()
    stopping.add_node(Dense(6), "h", input="x")
    with pytest.raises(errors.ConfigError, match="without a mask"):
        stopping.build()


# Backwards, unrolled, random


def test_go_backwards_is_the_loop_over_the_reversed_input():
    rnn, x = looking_back(go_backwards=True), x_of(BATCH, TIME, IN)
    expected = loop_over(weights_of(rnn), x[:, ::-1], ZEROS, two_back=True)
    assert np.abs(rnn.predict(x)["h"] - expected).max() < 1e-12


@pytest.mark.parametrize("steps", [-1, 2])
def test_an_unrolled_loop_equals_scan_truncated_or_not(steps):
    x, gradients = x_of(BATCH, TIME, IN), []
    for settings in ({}, {"unroll": True, "n_steps": TIME}):
        rnn = looking_back(truncate_gradient=steps, **settings)
        given, outputs = rnn.get_input(), rnn.get_output()
        loss = sum((output**2).sum() for output in outputs.values())
        gradients.append(
            backend.evaluate(
                [*outputs.values(), *pytensor.grad(loss, rnn.params)], {given: x}
            )
        )
    for value, right in zip(*gradients, strict=True):
        assert np.abs(value - right).max() <= 1e-12 * max(1, np.abs(right).max())


def test_an_unrolled_loop_needs_a_known_number_of_steps():
    with pytest.raises(errors.ConfigError, match=r"Pass n_steps=5 too"):
        looking_back(unroll=True).predict(x_of(BATCH, TIME, IN))
    with pytest.raises(errors.SequenceLengthError, match="Set n_steps=5"):
        looking_back(unroll=True, n_steps=6).predict(x_of(BATCH, 5, IN))


def test_a_state_may_be_fed_by_a_value_that_is_constant_over_time():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_input("c", is_sequence=False, dim=2)
    rnn.add_state("s", dim=2, input="once")
    rnn.add_node(Dense(2, 2), "once", input="c")
    rnn.add_node(Dense(IN + 2, HIDDEN), "y", input=["x", "s"], create_output=True)
    with_random_weights(rnn)
    x, c, w = x_of(BATCH, TIME, IN), x_of(BATCH, 2), weights_of(rnn)
    past = np.repeat((c @ w["once.W"] + w["once.b"])[:, None], TIME, axis=1)
    past[:, 0] = 0
    right = np.concatenate([x, past], axis=-1) @ w["y.W"] + w["y.b"]
    assert np.abs(rnn.predict({"x": x, "c": c})["y"] - right).max() < 1e-12
    inputs = rnn.get_input()
    by_context = pt.grad(rnn.get_output().sum(), inputs["c"])
    [found] = backend.evaluate([by_context], {inputs["x"]: x, inputs["c"]: c})
    by_past = (TIME - 1) * w["y.W"][IN:].sum(axis=1)
    assert np.abs(found - w["once.W"] @ by_past).max() < 1e-12


def test_a_stateful_container_in_a_loop_has_its_final_states_already():
    inner = Recursive(stateful=True, return_final_states=True)
    inner.add_input("a", dim=IN)
    inner.add_state("h", dim=IN, input="rec")
    inner.add_node(Dense(2 * IN, IN), "rec", inputs=["a", "h"], create_output=True)
    outer = Recurrent()
    outer.add_input("x", dim=IN)
    with pytest.raises(
        errors.NodeError,
        match=r"node 'read' takes a stateful container without return_final_states",
    ):
        outer.add_node(inner, "read", input="x")


def dropping():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN, input="rec")
    rnn.add_node(
        Dropout(0.5, per="sequence", seed=1), "early", input="x", create_output=True
    )
    rnn.add_node(
        Dropout(0.4, per="sequence", seed=2), "held", input="h", create_output=True
    )
    rnn.add_node(Dropout(0.3, seed=3), "stepwise", input="h")
    rnn.add_node(
        Dense(IN + 2 * HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["early", "held", "stepwise"],
        create_output=True,
    )
    return with_random_weights(rnn)


def test_given_draws_replace_random_ones():
    rnn, x = dropping(), x_of(BATCH, TIME, IN)
    rng = np.random.RandomState(0)
    early, held, stepwise = (
        rng.uniform(size=(BATCH, IN)),
        rng.uniform(size=(BATCH, HIDDEN)),
        rng.uniform(size=(BATCH, TIME, HIDDEN)),
    )
    given, draws = (
        rnn.get_input(),
        {"early.keep": early, "held.keep": held, "stepwise.keep": stepwise},
    )
    outputs = rnn(given, train=True, **draws)
    found = dict(
        zip(outputs, backend.evaluate(list(outputs.values()), {given: x}), strict=True)
    )
    w, h = weights_of(rnn), np.zeros((BATCH, HIDDEN))
    for t in range(TIME):
        seen = [
            x[:, t] * (early >= 0.5) / 0.5,
            h * (held >= 0.4) / 0.6,
            h * (stepwise[:, t] >= 0.3) / 0.7,
        ]
        h = np.tanh(np.concatenate(seen, 1) @ w["rec.W"] + w["rec.b"])
        assert np.abs(found["rec"][:, t] - h).max() < 1e-12
    with pytest.raises(errors.DataError, match=r"Did you mean 'held\.keep'"):
        rnn(given, train=True, **{"hold.keep": held})


def test_draws_per_sequence_are_constant_over_time_and_others_are_not():
    rnn, x = dropping(), np.ones((BATCH, TIME, IN))
    given = rnn.get_input()
    (found,) = backend.evaluate([rnn.get_output(train=True)["early"]], {given: x})
    assert (found == found[:, :1]).all()
    assert set(np.unique(found)) == {0.0, 2.0}
    rnn = dropping()
    assert [
        str(ref)
        for ref in rnn.loop_run().plan(train=True).per_step
        if "keep" in str(ref)
    ] == ["stepwise.keep", "held.keep"], "one a sequence of draws, one a context"


def everything():
    """A loop with kept, masked, learned and dropped values at once."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_mask("m")
    rnn.add_state("h", dim=HIDDEN, input="rec", stateful=True)
    rnn.add_state("g", dim=2, input="low", initial="learned", stateful=False)
    rnn.add_node(Dense(HIDDEN + 2, 2, activation="sigmoid"), "low", inputs=["h", "g"])
    rnn.add_node(
        Dense(IN + 2 + HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["x", "low", "h_tm2"],
        create_output=True,
    )
    return with_random_weights(rnn)


@pytest.mark.parametrize(
    "target",
    [pytest.param("jax", marks=JAX), "numba", pytest.param("c", marks=COMPILER)],
)
def test_a_loop_of_everything_learns_alike_on_every_backend(target):
    x = x_of(BATCH, TIME, IN)
    results = []
    for name in ("python", target):
        rnn = everything()
        rnn.compile("sgd", "mse", backend=name)
        batch = {"x": x, "m": MASK, "rec": 0 * x_of(BATCH, TIME, HIDDEN)}
        losses = [rnn.train_on_batch(batch) for _ in range(2)]
        losses += rnn.fit(
            batch, batch_size=BATCH, nb_epoch=2, verbose=0, shuffle=False, tbptt_steps=3
        ).history["loss"]
        rnn.reset_states()
        losses.append(
            rnn.train_on_batch({name: array[:2] for name, array in batch.items()})
        )
        results.append([np.array(losses), rnn.get_states()["h"], *rnn.get_weights()])
    for value, right in zip(*results, strict=True):
        assert np.abs(value - right).max() < 1e-10
