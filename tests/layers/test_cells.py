"""Cells, gates and choices as nodes.

A container with the cell of a recurrent layer, or a recipe, equals the layer.
"""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from recursive import (
    GRU,
    JZS1,
    JZS2,
    JZS3,
    LSTM,
    RNN,
    SGD,
    Activation,
    Blend,
    Cell,
    Dense,
    Gate,
    IfElse,
    Lambda,
    Recurrent,
    RecurrentDeep,
    RecurrentDense,
    RecurrentGRU,
    RecurrentJZS1,
    RecurrentJZS2,
    RecurrentJZS3,
    RecurrentLSTM,
    Sequential,
    SimpleDeepRNN,
    SimpleRNN,
    Switch,
    backend,
    errors,
    model_from_json,
    recipes,
)
from recursive.errors import ConfigError
from recursive.regularizers import l2
from tests.cases import BATCH, HIDDEN, IN, TIME, with_random_weights

X = np.random.RandomState(3).normal(size=(BATCH, TIME, IN))
GATES = {
    "z": "z",
    "r": "r",
    "h": "candidate",
    "i": "i",
    "f": "f",
    "o": "o",
    "c": "candidate",
}


def as_node(cell):
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(cell, "h", input="x")
    return rnn


def by_letter(layer):
    """The name in a recipe of each parameter of a layer: ``z.W`` for ``W_z``."""
    return {name: f"{GATES[name[2:]]}.{name[0]}" for name in layer.named_params}


PAIRS = {
    "RecurrentDense": (
        lambda: SimpleRNN(IN, HIDDEN, return_sequences=True),
        lambda: as_node(RecurrentDense(HIDDEN)),
        lambda layer: {name: f"h.{name}" for name in layer.named_params},
    ),
    **{
        cell.__name__: (
            lambda layer=layer: layer(IN, HIDDEN, return_sequences=True),
            lambda cell=cell: as_node(cell(HIDDEN)),
            lambda layer: {name: f"h.{name}" for name in layer.named_params},
        )
        for layer, cell in (
            (SimpleDeepRNN, RecurrentDeep),
            (JZS1, RecurrentJZS1),
            (JZS2, RecurrentJZS2),
            (JZS3, RecurrentJZS3),
        )
    },
    "RecurrentGRU": (
        lambda: GRU(IN, HIDDEN, return_sequences=True),
        lambda: as_node(RecurrentGRU(HIDDEN)),
        lambda layer: {name: f"h.{name}" for name in layer.named_params},
    ),
    "RecurrentLSTM": (
        lambda: LSTM(IN, HIDDEN, return_sequences=True),
        lambda: as_node(RecurrentLSTM(HIDDEN)),
        lambda layer: {name: f"h.{name}" for name in layer.named_params},
    ),
    "recipes.gru": (
        lambda: GRU(IN, HIDDEN, return_sequences=True),
        lambda: recipes.gru(IN, HIDDEN, return_sequences=True),
        by_letter,
    ),
    "recipes.lstm": (
        lambda: LSTM(IN, HIDDEN, return_sequences=True),
        lambda: recipes.lstm(IN, HIDDEN, return_sequences=True),
        by_letter,
    ),
}


@pytest.mark.parametrize(
    ("make_layer", "make_graph", "places"), PAIRS.values(), ids=PAIRS
)
def test_a_graph_equals_the_layer_from_the_same_weights(make_layer, make_graph, places):
    layer, rnn = make_layer(), make_graph()
    rnn.build()
    rng, where = np.random.RandomState(7), places(layer)
    assert sorted(where.values()) == sorted(rnn.named_params)
    for name, param in layer.named_params.items():
        param.set_value(rng.normal(0, 0.4, param.get_value().shape))
        rnn.named_params[where[name]].set_value(param.get_value())
    weights = rng.normal(size=(TIME, HIDDEN))
    found = []
    for model, params in (
        (layer, layer.named_params),
        (rnn, {k: rnn.named_params[v] for k, v in where.items()}),
    ):
        x = pt.tensor3("x")
        output = model(x)
        gradients = pytensor.grad((output * weights).sum(), [x, *params.values()])
        found.append(backend.evaluate([output, *gradients], {x: X}))
    for value, right in zip(*found, strict=True):
        assert np.abs(value - right).max() <= 1e-12 * max(1, np.abs(right).max())


@pytest.mark.parametrize(
    "cell",
    [RecurrentDense(HIDDEN), RecurrentGRU(HIDDEN), RecurrentLSTM(HIDDEN)],
    ids=lambda cell: type(cell).__name__,
)
def test_the_products_with_the_input_are_one_before_the_loop(cell):
    rnn = as_node(cell)
    gates = len([name for name in cell.param_names if name.startswith("W")])
    plan = rnn.plan
    assert [item.name for item in plan.hoisted] == ["h.before"]
    assert plan.hoisted[0].share.product.dim == gates * HIDDEN
    assert all(name.startswith("h.U") for name in plan.param_names)


@pytest.mark.parametrize(
    ("reads", "words"),
    [
        ({"input": "x", "prev_hid": "x"}, r"port 'prev_hid' takes \(batch, 6\)"),
        ({"input": "x", "prev_hid": "low"}, r"got \(None, 2\)"),
    ],
)
def test_a_cell_reads_a_state_of_its_own_dim(reads, words):
    rnn = Recurrent()
    rnn.add_input("x", dim=IN)
    rnn.add_node(Dense(2), "low", input="x")
    rnn.add_node(RecurrentDense(HIDDEN), "h", input=reads)
    with pytest.raises(errors.ShapeError, match=words):
        rnn.build()


def test_a_gate_needs_a_state_to_read():
    with pytest.raises(errors.NodeError, match="nothing at 'prev_hid'"):
        as_node(Gate(HIDDEN))


def test_a_cell_with_a_custom_activation_stays_in_the_loop():
    rnn = as_node(RecurrentDense(HIDDEN, activation=lambda x: x - x.mean(axis=0)))
    rnn.add_node(Blend(), "late", input={"gate": "h", "old": "h", "new": "h"})
    plan = rnn.plan
    assert [item.name for item in plan.nodes] == ["h"]
    assert [item.name for item in plan.deferred] == ["late"]


def test_blend_mixes_old_and_new_by_the_gate():
    rng = np.random.RandomState(0)
    gate, old, new = (
        rng.uniform(size=(3, 4)),
        rng.normal(size=(3, 4)),
        rng.normal(size=(3, 4)),
    )
    found = Blend()({"gate": gate, "old": old, "new": new}).eval()
    assert np.abs(found - (gate * old + (1 - gate) * new)).max() < 1e-15
    with pytest.raises(errors.ShapeError, match="old and new of one shape"):
        Blend().get_output_shape_for(
            {"gate": (None, 4), "old": (None, 4), "new": (None, 6)}
        )


def test_blend_takes_a_gate_of_one_value_for_whole_rows():
    rng = np.random.RandomState(0)
    gate, old, new = (
        rng.uniform(size=(3, 1)),
        rng.normal(size=(3, 4)),
        rng.normal(size=(3, 4)),
    )
    found = Blend()({"gate": gate, "old": old, "new": new}).eval()
    np.testing.assert_allclose(found, gate * old + (1 - gate) * new)


def test_a_gate_of_one_value_does_not_decide_the_dim_of_a_blend():
    def shape(gate, old, new):
        return Blend().get_output_shape_for({"gate": gate, "old": old, "new": new})

    assert shape((None, 1), (None, None), (None, 4)) == (None, 4)
    assert shape((None, 1), (None, None), (None, None)) == (None, None)
    assert shape((None, 4), (None, None), (None, None)) == (None, 4)
    assert shape((None, 1), (None, 1), (None, 1)) == (None, 1)
    with pytest.raises(errors.ShapeError, match=r"or of \(batch, 1\)"):
        shape((None, 4), (None, 1), (None, 4))


def test_a_blend_in_a_loop_takes_a_gate_of_one_value():
    rnn = Recurrent()
    rnn.add_input("x", dim=IN)
    rnn.add_node(Dense(1, activation="sigmoid"), "g", input="x")
    rnn.add_node(Dense(HIDDEN), "n", input="x")
    rnn.add_node(Blend(), "h", input={"gate": "g", "old": "h_tm1", "new": "n"})
    x = np.random.RandomState(0).normal(size=(2, 3, IN))
    found = rnn(x).eval()

    G, g, W, b = rnn.get_weights()
    h = np.zeros((2, HIDDEN))
    for step in x.swapaxes(0, 1):
        gate = 1 / (1 + np.exp(-(step @ G + g)))
        h = gate * h + (1 - gate) * (step @ W + b)
    np.testing.assert_allclose(found, h)


def test_switch_chooses_values_or_rows():
    rng = np.random.RandomState(0)
    then, otherwise = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    for condition in (rng.normal(size=(3, 4)) > 0, np.array([[True], [False], [True]])):
        found = Switch()(
            {"condition": condition, "then": then, "otherwise": otherwise}
        ).eval()
        assert (found == np.where(condition, then, otherwise)).all()


def choosing(layer, condition):
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(Lambda(condition), "c", input="x")
    rnn.add_node(
        layer, "y", input={"condition": "c", "then": "x", "otherwise": "y_tm1"}
    )
    return rnn


@pytest.mark.parametrize(
    ("layer", "condition", "error", "words"),
    [
        (
            Switch(),
            lambda x: x,
            errors.DtypeError,
            "port 'condition' takes booleans",
        ),
        (
            Switch(),
            lambda x: x[:, :3] > 0,
            errors.ShapeError,
            r"takes \(batch, 1\) or \(batch, 4\)",
        ),
        (Switch(), lambda x: x.sum() > 0, errors.ShapeError, r"got \(\)"),
        (
            IfElse(),
            lambda x: x > 0,
            errors.ShapeError,
            "one boolean for the whole batch",
        ),
        (IfElse(), lambda x: x.sum(), errors.DtypeError, "Compare"),
    ],
    ids=["numbers", "another dim", "one for all", "one a row", "a number"],
)
def test_a_condition_of_a_wrong_dtype_or_shape_is_refused(
    layer, condition, error, words
):
    with pytest.raises(error, match=words):
        choosing(layer, condition).predict(X)


def test_both_sides_of_a_choice_have_one_shape():
    with pytest.raises(errors.ShapeError, match="two sides of one shape"):
        Switch().get_output_shape_for(
            {"condition": (None, 1), "then": (None, 4), "otherwise": (None, 6)}
        )


def test_cells_and_choices_come_back_from_json():
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_input("c", dtype="bool", dim=HIDDEN)
    rnn.add_state("start", dim=HIDDEN, input="lstm", initial=[1, 2, 3, 4, 5, 6])
    rnn.add_node(RecurrentLSTM(HIDDEN, activation="sigmoid"), "lstm", input="x")
    rnn.add_node(RecurrentGRU(HIDDEN), "gru", input=["lstm.cell", "start"])
    rnn.add_node(Gate(HIDDEN), "z", input={"input": "x", "prev_hid": "gru_tm1"})
    rnn.add_node(Blend(), "mixed", input={"gate": "z", "old": "gru", "new": "lstm"})
    rnn.add_node(
        Switch(), "y", input={"condition": "c", "then": "mixed", "otherwise": "gru"}
    )
    with_random_weights(rnn)
    again = model_from_json(rnn.to_json())
    again.build()
    again.set_weights(rnn.get_weights())
    data = {"x": X, "c": X[..., :1] * np.ones(HIDDEN) > 0}
    assert again.get_config() == rnn.get_config()
    assert np.abs(again.predict(data)["y"] - rnn.predict(data)["y"]).max() == 0


def test_every_recipe_reads_like_its_equations():
    text = recipes.lstm(IN, HIDDEN).explain()
    for line in (
        "i = hard_sigmoid(i_before + i_prev_hid)",
        "c = kept + written",
        "h = o * shown",
        "f_before = x @ f_W + f_b",
        "i_prev_hid, f_prev_hid, o_prev_hid, candidate_prev_hid = "
        "split(h_tm1 @ concat([i_U, f_U, o_U, candidate_U]), [6, 6, 6, 6])",
    ):
        assert line in text
    assert "h = z * h_tm1 + (1 - z) * candidate" in recipes.gru(IN, HIDDEN).explain()
    assert (
        recipes.vanilla(IN, HIDDEN, activation="relu").nodes["rec"].activation
        is Activation("relu").activation
    )
    with pytest.raises(errors.ConfigError, match="takes 1 layer or more"):
        recipes.gated_feedback(IN, HIDDEN, layers=0)


# RNN, which loops a cell

MASK = np.ones((BATCH, TIME))
MASK[1, 1] = MASK[2, -2:] = 0


def run(layer, mask=None):
    masked = {} if mask is None else {"mask": pt.as_tensor_variable(mask)}
    return backend.evaluate([layer(X, **masked)], {})[0]


@pytest.mark.parametrize("mode", ["zero", "carry"])
@pytest.mark.parametrize(
    ("layer", "cell"),
    [(SimpleDeepRNN, RecurrentDeep), (LSTM, RecurrentLSTM), (JZS2, RecurrentJZS2)],
)
def test_a_recurrent_layer_is_an_rnn_of_its_cell(layer, cell, mode):
    same = {"return_sequences": True, "mask_mode": mode}
    one, other = (
        layer(IN, HIDDEN, seed=5, **same),
        RNN(cell(IN, HIDDEN, seed=5), **same),
    )
    assert isinstance(one, RNN)
    assert type(one.cell) is cell
    assert list(one.named_params) == list(other.named_params)
    for mask in (None, MASK):
        assert np.array_equal(run(one, mask), run(other, mask))


def test_an_rnn_finds_the_dim_of_its_input_in_the_data():
    rnn = RNN(RecurrentGRU(HIDDEN))
    assert not rnn.built
    assert rnn.input_dim is None
    assert rnn(np.ones((2, TIME, IN))).type.shape[-1] == HIDDEN
    assert rnn.built
    assert rnn.input_dim == IN
    assert list(rnn.named_params)[:3] == ["W_z", "U_z", "b_z"]


def test_a_cell_reads_attributes_that_are_assigned_to_its_layer():
    layer = SimpleRNN(IN, HIDDEN, seed=1)
    layer.activation = Activation("tanh").activation
    layer.W = backend.shared(np.zeros((IN, HIDDEN)))
    layer.b = backend.shared(np.full(HIDDEN, 0.5))
    h = np.zeros((1, HIDDEN))
    for _ in range(TIME):
        h = np.tanh(0.5 + h @ layer.U.get_value())
    assert np.abs(run(layer) - h).max() < 1e-14
    layer.params = []
    assert layer.cell.params == [] and len(layer.get_weights()) == 3


class Leaky(Cell):
    """A custom cell: a step, and the names of its parameters."""

    param_names = ("W", "U", "b")

    def step(self, x, h_tm1, U):
        return (0.9 * h_tm1 + 0.1 * self.activation(x + h_tm1.dot(U)),)


class Called(Cell):
    """The same formula as a call, which reads its parameters as attributes."""

    param_names = ("W", "U", "b")

    def call(self, x, train=False):
        h = x["prev_hid"]
        z = x["input"].dot(self.W) + self.b + h.dot(self.U)
        return 0.9 * h + 0.1 * self.activation(z)


class Summed(Cell):
    """Two states and no product: a running sum, and the number of steps."""

    state_names = ("h", "count")

    @property
    def state_dims(self):
        return (self.output_dim, 1)

    def step(self, x, h_tm1, count):
        return h_tm1 + x, count + 1


def leaky(w, x, mask):
    h, found = np.zeros((BATCH, HIDDEN)), []
    for t in range(TIME):
        h = h if t == 0 else h * mask[:, t - 1, None]
        z = x[:, t] @ w["W"] + h @ w["U"] + w["b"]
        h = 0.9 * h + 0.1 / (1 + np.exp(-z))
        found.append(h)
    return np.stack(found, axis=1)


@pytest.mark.parametrize("cell", [Leaky, Called])
def test_a_custom_cell_is_looped_trained_and_restored_from_json(cell):
    rnn = RNN(cell(HIDDEN, seed=2), return_sequences=True)
    model = Sequential([rnn])
    model.compile("sgd", "mse")
    model.predict(X)
    w = {name: param.get_value() for name, param in rnn.named_params.items()}
    for mask in (np.ones((BATCH, TIME)), MASK):
        assert np.abs(run(rnn, mask) - leaky(w, X, mask)).max() < 1e-13
    assert (
        np.abs(as_node(rnn.cell).predict(X) - leaky(w, X, 1 + 0 * MASK)).max() < 1e-12
    )
    loss = [model.train_on_batch(X, 0.3 * np.ones((BATCH, TIME, HIDDEN)))]
    loss += [model.train_on_batch(X, 0.3 * np.ones((BATCH, TIME, HIDDEN)))]
    assert loss[1] < loss[0]
    assert all(
        np.abs(param.get_value() - w[name]).max() > 0
        for name, param in rnn.named_params.items()
    )
    again = model_from_json(model.to_json(), custom_layers={cell.__name__: cell})
    again.complete()
    again.set_weights(model.get_weights())
    assert np.array_equal(again.predict(X), model.predict(X))
    assert not rnn.rowwise


def test_a_cell_may_have_several_states_and_no_parameters():
    rnn = RNN(Summed(IN, IN), return_sequences=True)
    assert np.abs(run(rnn) - np.cumsum(X, axis=1)).max() < 1e-13
    node = as_node(Summed(IN))
    node.add_output("sum", input="h")
    node.add_output("count", input="h.count")
    found = node.predict(X)
    assert np.abs(found["sum"] - np.cumsum(X, axis=1)).max() < 1e-13
    assert (found["count"][0, :, 0] == 1 + np.arange(TIME)).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RNN(Dense(4, 6)), "layer 'RNN' takes a cell; got Dense"),
        (lambda: RNN(RecurrentGRU), "layer 'RNN' takes a cell; got type"),
        (lambda: RNN(RecurrentGRU(6), mask_mode="keep"), "mask_mode of zero or carry"),
        (lambda: RNN(RecurrentGRU(6), truncate_gradient=0), "truncate_gradient of -1"),
    ],
)
def test_an_rnn_refuses_what_it_cannot_loop(make, words):
    with pytest.raises(errors.ConfigError, match=words):
        make()


RULED = {
    "RecurrentDense": (RecurrentDense, ("W", "U", "b")),
    "RecurrentGRU": (RecurrentGRU, ("W_z", "U_z", "b_z")),
    "RecurrentLSTM": (RecurrentLSTM, ("W_i", "U_i", "b_i")),
}


def of_cell(cell):
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_node(cell, "h", input="x", create_output=True)
    return rnn


@pytest.mark.parametrize("name", RULED)
def test_the_rules_of_a_cell_hold_for_all_parameters_of_a_letter(name):
    cls, _ = RULED[name]
    rules = {"W_regularizer": l2(0.5), "U_regularizer": "l1", "U_constraint": "nonneg"}
    rnn = of_cell(cls(4, 6, seed=1, **rules))
    rnn.compile(SGD(lr=0.1), "mse", backend="python")
    weights = {key: param.get_value() for key, param in rnn.named_params.items()}
    x, y = np.ones((3, 5, 4)), np.zeros((3, 5, 6))
    expected = rnn.evaluate(x, y, verbose=0)
    for key, value in weights.items():
        if ".W" in key:
            expected += 0.5 * (value**2).sum()
        if ".U" in key:
            expected += 0.01 * np.abs(value).sum()
    assert rnn.train_on_batch(x, y) == pytest.approx(expected)
    for key, param in rnn.named_params.items():
        if ".U" in key:
            assert param.get_value().min() >= 0, key
            assert weights[key].min() < 0, key
    again = model_from_json(rnn.to_json())
    assert again.nodes["h"].get_config() == rnn.nodes["h"].get_config()
    assert again.nodes["h"].W_regularizer.get_config()["l2"] == 0.5


@pytest.mark.parametrize("name", RULED)
@pytest.mark.parametrize("looped", [False, True])
def test_a_cell_without_biases_is_one_whose_biases_are_0(name, looped):
    cls, _ = RULED[name]
    x = np.random.RandomState(2).normal(size=(3, 5, 4))
    without, with_zeros = cls(4, 6, seed=1, bias=False), cls(4, 6, seed=1)
    assert not [name for name in without.named_params if name.startswith("b")]
    for param, value in with_zeros.named_params.items():
        if param.startswith("b"):
            value.set_value(np.zeros(6))
    if looped:
        networks = [Sequential([RNN(cell)]) for cell in (without, with_zeros)]
    else:
        networks = [of_cell(cell) for cell in (without, with_zeros)]
    found, expected = (network.predict(x) for network in networks)
    np.testing.assert_allclose(found, expected, atol=1e-15)
    again = model_from_json(networks[0].to_json())
    assert len(again.get_weights()) == len(networks[0].get_weights())


def test_a_rule_that_a_cell_does_not_have_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'W_regularizer'"):
        RecurrentGRU(4, 6, W_regularizr="l2")
