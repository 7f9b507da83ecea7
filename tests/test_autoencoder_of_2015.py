"""``AutoEncoder(output_reconstruction=False)`` learns a reconstruction, predicts a code."""

import numpy as np
import pytest

from recursive import (
    SGD,
    Activation,
    AutoEncoder,
    Dense,
    Graph,
    Recursive,
    Sequential,
    model_from_json,
)
from recursive.errors import ConfigError, ShapeError

X = np.array([[1.0, 2.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], [2.0, 0.0, 1.0, 1.0]])
ENCODE = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, -1.0]])
DECODE = np.array([[1.0, 0.0, 0.5, 0.0], [0.0, 1.0, 0.0, 0.5]])
CODE = X @ ENCODE
REBUILT = CODE @ DECODE
LOSS = ((REBUILT - X) ** 2).mean()


def auto_encoder():
    return AutoEncoder(
        Dense(4, 2, weights=[ENCODE]),
        Dense(2, 4, weights=[DECODE]),
        output_reconstruction=False,
    )


def chain(*after):
    model = Sequential([auto_encoder(), *after])
    model.compile(SGD(lr=0.1), "mse", backend="python")
    return model


def test_it_trains_on_the_reconstruction_and_predicts_the_code():
    model = chain()
    assert model.train_on_batch(X, X) == pytest.approx(LOSS)
    error = 2 * (REBUILT - X) / X.size
    found = model.get_weights()
    assert found[0] == pytest.approx(ENCODE - 0.1 * X.T @ (error @ DECODE.T))
    assert found[1] == pytest.approx(-0.1 * (error @ DECODE.T).sum(axis=0))
    assert found[2] == pytest.approx(DECODE - 0.1 * CODE.T @ error)
    assert found[3] == pytest.approx(-0.1 * error.sum(axis=0))
    assert model.predict(X) == pytest.approx(X @ found[0] + found[1])


def test_it_is_evaluated_and_validated_by_its_reconstruction():
    model = chain()
    assert model.evaluate(X, X, verbose=0) == pytest.approx(LOSS)
    assert model.test_on_batch(X, X) == pytest.approx(LOSS)
    model.optimizer.lr = 0.0
    history = model.fit(X, X, nb_epoch=1, verbose=0, validation_data=(X, X))
    assert history.history["val_loss"] == pytest.approx([LOSS])
    assert model.predict(X) == pytest.approx(CODE)


def test_targets_have_the_shape_of_the_reconstruction():
    with pytest.raises(ShapeError, match=r"\(any, 4\)"):
        chain().train_on_batch(X, CODE)


def test_a_layer_behind_it_reads_what_it_returns():
    model = chain(Activation("tanh"))
    expected = ((np.tanh(REBUILT) - X) ** 2).mean()
    assert model.train_on_batch(X, X) == pytest.approx(expected)
    assert chain(Activation("tanh")).predict(X) == pytest.approx(np.tanh(CODE))


def test_a_node_of_a_graph_does_the_same():
    model = Graph()
    model.add_input("x", dim=4)
    model.add_node(auto_encoder(), "code", input="x")
    model.add_output("y", input="code")
    model.compile("sgd", {"y": "mse"}, backend="python")
    data = {"x": X, "y": X}
    assert model.evaluate(data) == pytest.approx(LOSS)
    assert model.train_on_batch(data) == pytest.approx(LOSS)
    assert model_from_json(model.to_json()).predict({"x": X})["y"].shape == (3, 2)


def test_get_output_is_the_reconstruction_only_while_training():
    layer = auto_encoder()
    layer.input = X
    assert layer.get_output(train=True).eval() == pytest.approx(REBUILT)
    assert layer.get_output(train=False).eval() == pytest.approx(CODE)
    assert layer.get_output_shape_for((None, 4)) == (None, 2)


def test_inside_a_loop_it_must_return_the_reconstruction_to_be_trained():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_node(auto_encoder(), "code", input="x")
    rnn.add_state("h", dim=3)
    rnn.add_node(Dense(5, 3), "rec", inputs=["code", "h"], return_state="h")
    rnn.add_output("y", input="rec")
    rnn.compile("sgd", "mse", backend="python")
    steps = np.stack([X, X])
    assert rnn.predict(steps).shape == (2, 3, 3)
    with pytest.raises(ConfigError, match="inside a loop that is trained"):
        rnn.train_on_batch(steps, np.zeros((2, 3, 3)))
