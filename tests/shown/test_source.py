"""Scripts that stand alone give the numbers of the container that they were written from."""

import numpy as np
import pytensor
import pytest
from pytensor.compile.mode import Mode

from recursive import (
    Activation,
    Blend,
    Dense,
    Embedding,
    Gate,
    Lambda,
    Recurrent,
    RecurrentDense,
    Recursive,
    backend,
)
from recursive.errors import UnknownNameError
from recursive.layers.core import Identity

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(3, 5, 4))
LIBRARIES = ("numpy", "pytensor")


def executed(rnn, library):
    names = {}
    text = rnn.source(library)
    exec(compile(text, f"source.{library}", "exec"), names)
    return names["run"], text


def weights_of(rnn):
    for param in rnn.named_params.values():
        param.set_value(RANDOM.normal(size=param.get_value().shape) / 2)
    return {name: param.get_value() for name, param in rnn.named_params.items()}


def expected(rnn, inputs):
    """What the container computes."""
    symbols = {
        name: pytensor.tensor.tensor(name, dtype=value.dtype, shape=value.shape)
        for name, value in inputs.items()
    }
    found = rnn(symbols)
    found = found if isinstance(found, dict) else {rnn.output_names[0]: found}
    values = backend.evaluate(
        [*found.values()], {symbols[name]: value for name, value in inputs.items()}
    )
    return dict(zip(found, values, strict=True))


def check(rnn, inputs):
    rnn.complete()
    weights = weights_of(rnn)
    wanted = expected(rnn, inputs)
    for library in LIBRARIES:
        run, text = executed(rnn, library)
        assert "import recursive" not in text
        assert "from recursive" not in text
        with pytensor.config.change_flags(
            mode=Mode(linker="py", optimizer="fast_compile"), cxx=""
        ):
            found = run(weights, inputs)
        assert list(found) == list(wanted)
        for name, value in wanted.items():
            assert found[name].shape == value.shape
            assert np.abs(found[name] - value).max() < 1e-12


def simple(activation="tanh", merge_mode="sum", **settings):
    rnn = Recursive(**settings)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=6, initial=0.25)
    rnn.add_node(Dense(4, 6), "i2h", input="x")
    rnn.add_node(Dense(6, 6), "h2h", input="h")
    rnn.add_node(
        Activation(activation),
        "rec",
        inputs=["i2h", "h2h"],
        merge_mode=merge_mode,
        return_state="h",
        create_output=True,
    )
    return rnn


@pytest.mark.parametrize(
    "activation",
    ["tanh", "sigmoid", "hard_sigmoid", "relu", "softplus", "softmax", "linear"],
)
def test_every_activation_is_written(activation):
    check(simple(activation, return_sequences=True), {"x": X})


@pytest.mark.parametrize("mode", ["sum", "mul", "ave", "max"])
def test_every_merge_element_by_element_is_written(mode):
    check(simple("tanh", mode), {"x": X})


def test_concat_and_dot_are_written_and_a_dim_of_one_is_spread():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=1)
    rnn.add_state("g", dim=6)
    rnn.add_node(Dense(7, 6, activation="tanh"), "max", inputs=["x", "h", "h", "h"])
    rnn.add_node(
        Activation("tanh"),
        "dotted",
        inputs=["max", "g"],
        merge_mode="dot",
        return_state="h",
    )
    rnn.add_node(Dense(6, 6), "tanh", input="max", return_state="g")
    rnn.add_node(
        Identity(), "spread", inputs=["h", "tanh"], merge_mode="mul", create_output=True
    )
    rnn.add_output("both", input=["dotted", "tanh"])
    check(rnn, {"x": X})


def test_gates_cells_blends_and_words_are_written():
    rnn = Recurrent(return_sequences=True, return_final_states=True)
    rnn.add_input("words", ndim=2, dtype="int")
    rnn.add_node(Embedding(9, 4), "e", input="words")
    rnn.add_node(Gate(6), "z", input={"input": "e", "prev_hid": "h_tm1"})
    rnn.add_node(
        RecurrentDense(6, activation="tanh"),
        "new",
        input={"input": "e", "prev_hid": "h_tm2"},
    )
    rnn.add_node(Blend(), "h", input={"gate": "z", "old": "h_tm1", "new": "new"})
    rnn.add_output("y", input="h")
    check(rnn, {"words": RANDOM.randint(9, size=(3, 5))})


@pytest.mark.parametrize(
    "settings",
    [
        {"go_backwards": True, "return_sequences": True},
        {"n_steps": 5, "unroll": True},
        {"return_final_states": True},
    ],
    ids=str,
)
def test_what_the_loop_was_told_is_written(settings):
    check(simple(**settings), {"x": X})


@pytest.mark.parametrize(
    "initial",
    [[[1.0] * 6, [2.0] * 6], [0.5, 1, 2, 3, 4, 5], "learned", "given", "rows"],
    ids=str,
)
def test_every_start_and_tap_is_written(initial):
    rnn = Recursive(return_sequences=True, return_final_states=True)
    rnn.add_input("x", dim=4)
    rnn.add_input("given", dim=6, is_sequence=False)
    rnn.add_input("rows", dim=6, ndim=3, is_sequence=False)
    rnn.add_state("h", dim=6, initial=initial)
    rnn.add_node(
        Dense(20, 6, activation="tanh"),
        "y",
        inputs=["x", "x_tm2", "h", "given"],
        create_output=False,
    )
    rnn.add_node(
        Activation("tanh"),
        "rec",
        inputs=["y", "h_tm2"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    check(
        rnn,
        {
            "x": X,
            "given": RANDOM.normal(size=(3, 6)),
            "rows": RANDOM.normal(size=(3, 2, 6)),
        },
    )


def test_a_loop_without_sequences_runs_as_many_steps_as_were_said():
    rnn = Recurrent(n_steps=7, return_sequences=True)
    rnn.add_input("c", dim=4, is_sequence=False)
    rnn.add_node(RecurrentDense(6, activation="tanh"), "h", input="c")
    check(rnn, {"c": RANDOM.normal(size=(3, 4))})


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_loop_stops_where_the_container_does(library):
    rnn = Recursive(until="enough", return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=4)
    rnn.add_node(
        Identity(),
        "total",
        inputs=["x", "h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    rnn.add_node(Lambda(lambda x: x > 2.5), "enough", input="total")
    rnn.complete()
    names, ones = {}, {"x": np.ones((3, 5, 4))}
    exec(rnn.source(library), names)
    names["Lambda_enough"] = lambda x: x > 2.5
    with pytensor.config.change_flags(
        mode=Mode(linker="py", optimizer="fast_compile"), cxx=""
    ):
        found = names["run"]({}, ones)["total"]
    assert found.tolist() == [[[step] * 4 for step in (1, 2, 3)]] * 3
    assert (found == expected(rnn, ones)["total"]).all()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_lambda_leaves_a_gap_that_says_what_is_missing(library):
    rnn = simple()
    rnn.add_node(Lambda(lambda x: 2 * x), "twice", input="rec", create_output=True)
    run, text = executed(rnn, library)
    assert "# GAP" in text
    with pytest.raises(NotImplementedError, match=r"Write the node 'twice' \(Lambda\)"):
        run(weights_of(rnn), {"x": X})


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_node_may_be_called_as_the_stub_is(library):
    rnn = simple()
    rnn.add_node(Lambda(lambda x: 2 * x), "twice", input="rec")
    rnn.add_node(Identity(), "Lambda_twice", input="twice", create_output=True)
    with pytest.raises(NotImplementedError, match="'twice'"):
        executed(rnn, library)[0](weights_of(rnn), {"x": X})


def test_a_gap_that_is_filled_gives_the_numbers():
    rnn = simple()
    rnn.add_node(Lambda(lambda x: 2 * x), "twice", input="rec", create_output=True)
    rnn.complete()
    names = {}
    exec(rnn.source("numpy"), names)
    names["Lambda_twice"] = lambda x: 2 * x
    weights = weights_of(rnn)
    found, wanted = names["run"](weights, {"x": X}), expected(rnn, {"x": X})
    assert all(
        np.abs(found[name] - value).max() < 1e-12 for name, value in wanted.items()
    )


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_activation_of_ones_own_is_a_gap(library):
    def tanh(x):
        return 3 * x

    run, _ = executed(simple(tanh), library)
    with pytest.raises(NotImplementedError, match=r"'rec' \(Activation\)"):
        run(weights_of(simple()), {"x": X})


@pytest.mark.parametrize("library", LIBRARIES)
def test_masks_and_carried_states_are_gaps(library):
    masked, carried = simple(), simple(stateful=True)
    masked.add_mask()
    for rnn, sentence in (
        (masked, "where the mask is 0"),
        (carried, "in the previous batch"),
    ):
        with pytest.raises(NotImplementedError, match=sentence):
            executed(rnn, library)[0](
                weights_of(rnn), {"x": X, "mask": np.ones((3, 5))}
            )


def test_another_library_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'numpy'"):
        simple().source("nunpy")
