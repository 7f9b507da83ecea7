"""Initial values that are drawn, computed from contexts, or given only sometimes."""

import numpy as np
import pytest

from recursive import (
    SGD,
    Activation,
    Dense,
    Dropout,
    Graph,
    Identity,
    Lambda,
    Recurrent,
    Recursive,
    Sequential,
    TimeDistributedDense,
    backend,
    errors,
    model_from_json,
    reference,
)
from tests.cases import BATCH, HIDDEN, IN, TIME, weights_of, with_random_weights


def x_of(*shape, seed=3):
    return np.random.RandomState(seed).normal(size=shape)


def loop(**settings):
    """A tanh loop over ``x`` whose only state is ``h``."""
    rnn = Recursive(return_sequences=True, **settings)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN, input="new")
    return rnn


def finished(rnn, *reads):
    rnn.add_node(
        Dense(HIDDEN, activation="tanh"),
        "new",
        input=["x", *(reads or ("h",))],
        create_output=True,
    )
    return with_random_weights(rnn)


def steps(w, x, h, node="new"):
    """The values of ``h`` at every step, from ``h``."""
    found = []
    for t in range(x.shape[1]):
        h = np.tanh(np.concatenate([x[:, t], h], 1) @ w[f"{node}.W"] + w[f"{node}.b"])
        found.append(h)
    return np.stack(found, 1)


def from_node(**settings):
    """``h`` starts from a node of the context ``c``."""
    rnn = loop(**settings)
    rnn.add_input("c", is_sequence=False, dim=2)
    rnn.add_node(Dense(HIDDEN, activation="tanh"), "first", input="c")
    rnn.set_state_from("h", "first")
    return finished(rnn)


def optional(**settings):
    """``h`` starts from ``h0`` if that is given."""
    rnn = loop(**settings)
    rnn.set_state_from("h", "h0", optional=True)
    return finished(rnn)


def close(found, expected):
    return np.abs(found - expected).max() <= 1e-12 * max(1, np.abs(expected).max())


# Initializations


def test_a_learned_row_starts_as_its_initialization_says():
    for init, scale, low, high in (
        ("uniform", 0.1, -0.1, 0.1),
        ("uniform", None, -0.05, 0.05),
        ("one", None, 1, 1),
        (None, None, 0, 0),
    ):
        rnn = Recursive()
        rnn.add_input("x", dim=IN)
        rnn.add_state(
            "h", dim=200, input="new", initial="learned", init=init, scale=scale
        )
        rnn.add_node(Dense(200), "new", input=["x", "h"], create_output=True)
        rnn.build()
        row = rnn.named_params["h.initial"].get_value()
        assert low <= row.min() and row.max() <= high
        assert row.max() - row.min() >= 0.9 * (high - low)


def test_a_normal_row_is_that_of_numpys_generator():
    rnn = Recursive()
    rnn.add_input("x", dim=IN)
    rnn.add_state(
        "h", dim=HIDDEN, input="new", initial="learned", init="normal", scale=3.0
    )
    rnn.add_node(Dense(HIDDEN), "new", input=["x", "h"], create_output=True)
    np.random.seed(8)
    rnn.build()
    np.random.seed(8)
    np.random.uniform(size=(IN + HIDDEN, HIDDEN))  # the weights of the node come first
    expected = 3.0 * np.random.randn(HIDDEN)
    assert np.abs(rnn.named_params["h.initial"].get_value() - expected).max() < 1e-12


def drawn(**how):
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=HIDDEN)
    rnn.add_state("h", dim=HIDDEN, input="new", initial="drawn", **how)
    rnn.add_node(
        Identity(), "new", input=["x", "h"], merge_mode="sum", create_output=True
    )
    return rnn


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, lambda raw: raw),
        ({"scale": 0.1}, lambda raw: 0.1 * raw),
        ({"init": "normal", "scale": 2}, lambda raw: 2 * raw),
        ({"init": "uniform"}, lambda raw: 2 * raw - 1),
        ({"init": "uniform", "scale": 0.1}, lambda raw: 0.2 * raw - 0.1),
    ],
)
def test_a_draw_that_is_given_is_scaled_as_declared(how, expected):
    rnn, raw = drawn(**how), x_of(BATCH, HIDDEN)
    x = np.zeros((BATCH, TIME, HIDDEN))
    [found] = backend.evaluate([rnn(x, train=True, **{"h.initial": raw})], {})
    assert close(found, np.stack([expected(raw)] * TIME, 1))
    again = reference.run(
        rnn.spec, {}, {"x": x}, draws={"h.initial": raw}, train=True
    ).outputs["new"]
    assert close(found, again)
    assert model_from_json(rnn.to_json()).spec == rnn.spec
    assert (rnn.predict(x) == 0).all(), "only training draws"


def test_draws_have_the_range_and_deviation_that_were_declared():
    x = np.zeros((400, 1, HIDDEN))
    for how, deviation in (
        ({"init": "uniform", "scale": 0.3}, 0.3 / np.sqrt(3)),
        ({"init": "normal", "scale": 0.3}, 0.3),
    ):
        [found] = backend.evaluate([drawn(**how)(x, train=True)], {})
        assert abs(found.std() / deviation - 1) < 0.1
        assert abs(found.mean()) < 0.1 * deviation
        if how["init"] == "uniform":
            assert np.abs(found).max() <= 0.3


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"init": "uniform"}, errors.StateError, "takes init and scale with initial="),
        ({"scale": 0.1}, errors.StateError, "takes init and scale with initial="),
        (
            {"initial": "drawn", "init": "glorot_uniform"},
            errors.StateError,
            "takes draws of init 'normal' or 'uniform'; got 'glorot_uniform'",
        ),
        (
            {"initial": "learned", "scale": 0.1},
            errors.StateError,
            "takes a scale with init 'normal' or 'uniform'; got init=None",
        ),
        (
            {"initial": "learned", "init": "unifrom"},
            errors.UnknownNameError,
            "Did you mean 'uniform'",
        ),
        *(
            (
                {"initial": "drawn", "scale": scale},
                errors.StateError,
                "takes a scale that is a finite number above 0",
            )
            for scale in (0, -1.0, np.inf, "large", True)
        ),
    ],
)
def test_an_initialization_without_a_meaning_is_refused(how, error, message):
    rnn = Recursive()
    rnn.add_input("x", dim=IN)
    with pytest.raises(error, match=message):
        rnn.add_state("h", dim=HIDDEN, **how)
    assert not rnn.spec.states


def test_a_file_with_an_initialization_without_a_meaning_is_refused():
    data = drawn(init="uniform").to_json().replace('"drawn"', "0.0")
    with pytest.raises(errors.StateError, match="takes init and scale with initial="):
        model_from_json(data)


# Nodes of contexts


def test_a_state_starts_from_a_node_of_a_context():
    rnn, x, c = from_node(), x_of(BATCH, TIME, IN), x_of(BATCH, 2, seed=5)
    w = weights_of(rnn)
    start = np.tanh(c @ w["first.W"] + w["first.b"])
    found = rnn.predict({"x": x, "c": c})
    assert close(found["new"] if isinstance(found, dict) else found, steps(w, x, start))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"unroll": True, "n_steps": TIME},
        {"go_backwards": True},
        {"until": "done"},
    ],
    ids=str,
)
def test_however_the_loop_runs_it_starts_from_the_node(settings):
    rnn = loop(**settings)
    rnn.add_input("c", is_sequence=False, dim=2)
    # A function mixes the rows for all that the plan knows, so it stays in the loop.
    rnn.add_node(Lambda(lambda c: c.repeat(3, axis=1)), "first", input="c")
    rnn.set_state_from("h", "first")
    rnn.add_node(Lambda(lambda x: x[:, :1] > 100.0), "done", input="x")
    rnn = finished(rnn)
    x, c = x_of(BATCH, TIME, IN), x_of(BATCH, 2, seed=5)
    found = rnn.predict({"x": x, "c": c})["new"]
    in_order = x[:, ::-1] if settings.get("go_backwards") else x
    assert close(found, steps(weights_of(rnn), in_order, c.repeat(3, axis=1)))


def test_the_gradient_of_the_node_is_that_of_central_differences():
    rnn, x, c = from_node(), x_of(BATCH, TIME, IN), x_of(BATCH, 2, seed=5)
    rnn.compile(SGD(lr=1.0), "mse", backend="python")
    target, before = x_of(BATCH, TIME, HIDDEN, seed=6), weights_of(rnn)
    given = {"x": x, "c": c}
    for name in ("first.W", "first.b"):
        found = np.zeros_like(before[name])
        for place in np.ndindex(found.shape):
            losses = []
            for nudge in (1e-6, -1e-6):
                moved = before[name].copy()
                moved[place] += nudge
                rnn.named_params[name].set_value(moved)
                losses.append(rnn.test_on_batch({**given, "new": target}))
            found[place] = (losses[0] - losses[1]) / 2e-6
        rnn.named_params[name].set_value(before[name])
        before[name] = before[name], found
    rnn.train_on_batch({**given, "new": target})
    for name in ("first.W", "first.b"):
        old, gradient = before[name]
        assert np.abs(old - rnn.named_params[name].get_value() - gradient).max() < 1e-7
        assert np.abs(gradient).max() > 1e-3


def test_a_container_that_starts_from_a_node_is_saved_nested_and_shown(tmp_path):
    rnn = from_node()
    x, c = x_of(BATCH, TIME, IN), x_of(BATCH, 2, seed=5)
    expected = rnn.predict({"x": x, "c": c})["new"]
    again = model_from_json(rnn.to_json())
    rnn.save_weights(tmp_path / "w.safetensors")
    again.build()
    again.load_weights(tmp_path / "w.safetensors")
    assert (again.predict({"x": x, "c": c})["new"] == expected).all()
    graph = Graph()
    graph.add_input("a", ndim=3, dim=IN)
    graph.add_input("b", dim=2)
    graph.add_node(again, "loop", input={"x": "a", "c": "b"}, create_output=True)
    assert close(graph.predict({"a": x, "b": c})["loop"], expected)
    assert close(rnn.trace({"x": x, "c": c})["new"], expected)
    assert rnn.gradient_norms({"x": x, "c": c})["h"].shape == (BATCH, TIME)
    assert "starts from first" in rnn.draw().mermaid
    assert "first" in rnn.explain() and "first" in rnn.summary()
    assert "Start h from the node 'first'." in rnn.source("numpy")


def test_in_a_loop_the_node_is_computed_at_every_outer_step():
    """The context of the inner loop is a value of the outer one."""
    inner = Recursive()
    inner.add_input("word", dim=IN)
    inner.add_input("c", is_sequence=False, dim=HIDDEN)
    inner.add_node(Dense(HIDDEN, activation="tanh"), "first", input="c")
    inner.add_state("h", dim=HIDDEN, input="new", initial="first")
    inner.add_node(
        Dense(HIDDEN, activation="tanh"),
        "new",
        input=["word", "h"],
        create_output=True,
    )
    outer = Recurrent(return_sequences=True)
    outer.add_input("text", ndim=4, dim=IN)
    outer.add_node(inner, "read", input={"word": "text", "c": "read_tm1"})
    with_random_weights(outer)
    text, w = x_of(BATCH, 4, 3, IN), weights_of(outer)
    found = outer.predict(text)
    read = np.zeros((BATCH, HIDDEN))
    inner_weights = {name.removeprefix("read."): value for name, value in w.items()}
    for t in range(4):
        start = np.tanh(read @ w["read.first.W"] + w["read.first.b"])
        read = steps(inner_weights, text[:, t], start)[:, -1]
        assert close(found[:, t], read)


def test_a_step_of_ones_own_starts_from_the_node_too():
    class Mine(Recursive):
        def _step(self, *args):
            return super()._step(*args)

    made = Mine.from_spec(from_node().spec, from_node().nodes)
    with_random_weights(made)
    x, c = x_of(BATCH, TIME, IN), x_of(BATCH, 2, seed=5)
    w = weights_of(made)
    start = np.tanh(c @ w["first.W"] + w["first.b"])
    assert close(made.predict({"x": x, "c": c})["new"], steps(w, x, start))


@pytest.mark.parametrize(
    ("read", "what"),
    [("x", "the sequence x"), ("h", "the past value h"), ("c_tm1", "c_tm1")],
)
def test_a_node_of_anything_but_contexts_is_no_start(read, what):
    rnn = loop()
    rnn.add_input("c", is_sequence=False, dim=2)
    rnn.add_node(Dense(HIDDEN), "late", input=read)
    rnn.add_node(Identity(), "later", input="late")
    with pytest.raises(
        errors.UnknownNameError,
        match=f"takes a context or a node of contexts alone .* depends on .*{what}",
    ):
        rnn.set_state_from("h", "later")


def test_a_start_with_draws_or_of_other_numbers_is_refused():
    rnn = loop()
    rnn.add_input("c", is_sequence=False, dim=HIDDEN)
    rnn.add_node(Dropout(0.5), "first", input="c")
    rnn.set_state_from("h", "first")
    with pytest.raises(
        errors.NodeError, match="node 'first' takes a layer without random draws"
    ):
        finished(rnn)
    rnn = loop()
    rnn.add_input("c", is_sequence=False, dim=HIDDEN)
    rnn.add_node(Lambda(lambda c: c > 0), "first", input="c")
    rnn.set_state_from("h", "first")
    with pytest.raises(
        errors.DtypeError, match=r"node 'first' takes values of float64, .* got bool"
    ):
        finished(rnn).predict(
            {"x": x_of(BATCH, TIME, IN), "c": x_of(BATCH, HIDDEN, seed=5)}
        )
    rnn = loop()
    rnn.add_input("c", is_sequence=False, dim=2)
    rnn.add_node(Activation("tanh"), "first", input="c")
    rnn.set_state_from("h", "first")
    with pytest.raises(errors.StateError, match=r"\(None, 2\) from 'first'"):
        finished(rnn)


# Optional starts


def test_an_optional_start_may_be_left_out_of_the_data():
    rnn, x, h0 = optional(), x_of(BATCH, TIME, IN), x_of(BATCH, HIDDEN, seed=5)
    w = weights_of(rnn)
    without = steps(w, x, np.zeros((BATCH, HIDDEN)))
    given = steps(w, x, h0)
    for left_out in (x, {"x": x}, [x]):
        found = rnn.predict(left_out)
        assert close(found["new"] if isinstance(found, dict) else found, without)
    for complete in ({"x": x, "h0": h0}, [x, h0]):
        found = rnn.predict(complete)
        assert close(found["new"] if isinstance(found, dict) else found, given)
    for inputs, expected in (({"x": x}, without), ({"x": x, "h0": h0}, given)):
        assert close(reference.run(rnn.spec, w, inputs).outputs["new"], expected)
    with pytest.raises(errors.DataError, match="'h1'"):
        rnn.predict({"x": x, "h1": h0})
    with pytest.raises(errors.DataError, match="input 'x' takes an array"):
        rnn.predict({"h0": h0})
    with pytest.raises(errors.ShapeError, match="input 'h0' takes"):
        rnn.predict({"x": x, "h0": h0[:, 1:]})


@pytest.mark.parametrize("initial", [0.5, "learned", "drawn"])
def test_what_is_left_out_is_replaced_by_the_states_own_start(initial):
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN, input="new", initial=initial)
    rnn.set_state_from("h", "h0", optional=True)
    rnn = finished(rnn)
    x, h0, w = x_of(BATCH, TIME, IN), x_of(BATCH, HIDDEN, seed=5), weights_of(rnn)
    own = {"learned": w.get("h.initial"), "drawn": 0.0}.get(initial, initial)
    own = np.broadcast_to(own, (BATCH, HIDDEN))
    assert close(rnn.predict({"x": x})["new"], steps(w, x, own))
    assert close(rnn.predict({"x": x, "h0": h0})["new"], steps(w, x, h0))
    # Training on one and the other changes a learned row only where it is used.
    rnn.compile("sgd", "mse", backend="python")
    y = x_of(BATCH, TIME, HIDDEN, seed=6)
    rnn.fit({"x": x, "h0": h0}, y, nb_epoch=1, verbose=0)
    if initial == "learned":
        assert (weights_of(rnn)["h.initial"] == w["h.initial"]).all()
        rnn.fit({"x": x}, y, nb_epoch=1, verbose=0)
        assert (weights_of(rnn)["h.initial"] != w["h.initial"]).all()
    again = model_from_json(rnn.to_json())
    assert again.spec == rnn.spec


def test_as_a_node_the_start_is_a_port_that_may_be_left_open():
    x, h0 = x_of(BATCH, TIME, IN), x_of(BATCH, HIDDEN, seed=5)
    rnn = optional()
    w = weights_of(rnn)
    for connected in (False, True):
        graph = Graph()
        graph.add_input("a", ndim=3, dim=IN)
        read = "a"
        if connected:
            graph.add_input("b", dim=HIDDEN)
            read = {"x": "a", "h0": "b"}
        graph.add_node(rnn, "loop", input=read, create_output=True)
        start = h0 if connected else np.zeros_like(h0)
        given = {"a": x, "b": h0} if connected else {"a": x}
        again = model_from_json(graph.to_json())
        again.build()
        again.set_weights(graph.get_weights())
        for made in (graph, again):
            found = made.predict(given)
            found = found["loop"] if isinstance(found, dict) else found
            assert close(found, steps(w, x, start))
        spec, weights = graph.spec, {f"loop.{name}": w[name] for name in w}
        assert close(
            reference.run(spec, weights, given).outputs["loop"], steps(w, x, start)
        )


def test_the_first_layer_of_a_chain_takes_the_start_a_later_one_leaves_it_out():
    x, h0 = x_of(BATCH, TIME, IN), x_of(BATCH, HIDDEN, seed=5)
    first = Sequential([optional(), TimeDistributedDense(HIDDEN, 2)])
    w, dense = weights_of(first.layers[0]), first.layers[1].get_weights()
    for given, start in (
        ({"x": x}, np.zeros_like(h0)),
        ({"x": x, "h0": h0}, h0),
        (x, np.zeros_like(h0)),
    ):
        expected = steps(w, x, start) @ dense[0] + dense[1]
        found = first.predict(given)
        found = next(iter(found.values())) if isinstance(found, dict) else found
        assert close(found, expected)
    later = Sequential([TimeDistributedDense(IN, IN), optional()])
    later.build()
    dense, w = later.layers[0].get_weights(), weights_of(later.layers[1])
    expected = steps(w, x @ dense[0] + dense[1], np.zeros_like(h0))
    assert close(later.predict(x), expected)


def test_a_start_that_is_given_starts_a_kept_state_and_otherwise_it_goes_on():
    rnn, x, h0 = (
        optional(stateful=True),
        x_of(BATCH, TIME, IN),
        x_of(BATCH, HIDDEN, seed=5),
    )
    w = weights_of(rnn)
    first = steps(w, x, np.zeros_like(h0))
    assert close(rnn.predict({"x": x})["new"], first)
    second = steps(w, x, first[:, -1])
    assert close(rnn.predict({"x": x})["new"], second), "it goes on"
    third = steps(w, x, h0)
    assert close(rnn.predict({"x": x, "h0": h0})["new"], third), "what is given counts"
    fourth = steps(w, x, third[:, -1])
    assert close(rnn.predict({"x": x})["new"], fourth), "and it goes on from there"
    assert close(rnn.get_states()["h"], fourth[:, -1])
    found = reference.run(rnn.spec, w, {"x": x, "h0": h0}, states={"h": first[:, -1]})
    assert close(found.outputs["new"], third)


def test_of_the_chunks_of_a_batch_only_the_first_starts_from_what_is_given():
    x, h0 = x_of(BATCH, 6, IN), x_of(BATCH, HIDDEN, seed=5)
    rnn = optional(stateful=True)
    w = weights_of(rnn)
    rnn.compile(SGD(lr=1e-300), "mse", backend="python")
    history = rnn.fit(
        {"x": x, "h0": h0},
        np.zeros((BATCH, 6, HIDDEN)),
        nb_epoch=1,
        verbose=0,
        shuffle=False,
        tbptt_steps=2,
    )
    whole = steps(w, x, h0)
    assert close(rnn.get_states()["h"], whole[:, -1])
    assert abs(history.history["loss"][0] - (whole**2).mean()) < 1e-12


def test_a_stateful_loop_must_not_always_be_given_its_start():
    rnn = loop(stateful=True)
    rnn.set_state_from("h", "h0")
    with pytest.raises(
        errors.StateError,
        match=r"takes numbers to start from.*set_state_from\('h', name, optional=True\)",
    ):
        finished(rnn)


def test_optional_starts_are_for_states_alone():
    rnn = loop()
    rnn.set_state_from("h", "h0", optional=True)
    with pytest.raises(
        errors.NodeError, match="node 'new' takes values that are always there"
    ):
        finished(rnn, "h", "h0")
    rnn = loop()
    rnn.add_state("g", dim=HIDDEN, input="new")
    rnn.set_state_from("h", "h0", optional=True)
    rnn.set_state_from("g", "h0")
    with pytest.raises(
        errors.StateError, match="takes an initial value that is always there"
    ):
        finished(rnn)
    rnn = loop()
    rnn.add_node(Identity(), "first", input="x")
    with pytest.raises(errors.UnknownNameError, match="takes a context as its opt"):
        rnn.set_state_from("h", "first", optional=True)
    with pytest.raises(errors.ConfigError, match="optional"):
        rnn.set_state_from("h", "h0", optional="yes")


def test_inside_a_loop_a_stateful_container_has_no_optional_start():
    outer = Recursive()
    outer.add_input("text", ndim=4, dim=IN)
    with pytest.raises(
        errors.NodeError, match="takes a stateful container without optional starts"
    ):
        outer.add_node(optional(stateful=True), "read", input={"x": "text"})


def test_a_step_of_ones_own_has_no_argument_for_an_optional_start():
    class Mine(Recursive):
        def _step(self, *args):
            return super()._step(*args)

    made = Mine.from_spec(optional().spec, optional().nodes)
    with_random_weights(made)
    w, x, h0 = weights_of(made), x_of(BATCH, TIME, IN), x_of(BATCH, HIDDEN, seed=5)
    assert [str(ref) for ref in made.declared_plan.per_step] == ["x", "h_tm1"]
    assert close(made.predict({"x": x, "h0": h0})["new"], steps(w, x, h0))
    assert close(made.predict({"x": x})["new"], steps(w, x, np.zeros_like(h0)))


def test_an_optional_start_is_shown():
    rnn = optional()
    x, h0 = x_of(BATCH, TIME, IN), x_of(BATCH, HIDDEN, seed=5)
    w = weights_of(rnn)
    assert "or from h0, if given" in rnn.draw().mermaid
    assert rnn.draw(unrolled=2).mermaid.count("h0") >= 1
    assert close(rnn.trace({"x": x, "h0": h0})["new"], steps(w, x, h0))
    assert close(rnn.trace(x)["new"], steps(w, x, np.zeros_like(h0)))
    norms = rnn.gradient_norms({"x": x, "h0": h0})["h"]
    assert norms.shape == (BATCH, TIME)
    assert (norms != rnn.gradient_norms(x)["h"]).any()
    assert rnn.explain() and rnn.summary()
    assert "Start states from 'h0'" in rnn.source("numpy")
    outputs = rnn.all_outputs()
    assert list(outputs) == ["new"]
    assert [ref.type.ndim for ref in rnn.initial_states] == [2]
