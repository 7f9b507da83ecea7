"""One table of networks, each with a NumPy loop that says what it computes. Every path runs the whole table.

The loops share no code with the library: they index arrays by hand, from the declaration as one reads it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recursive import Activation, Dense, Embedding, Lambda, Recursive, Sequential

BATCH, TIME, IN, HIDDEN = 3, 5, 4, 6


@dataclass(frozen=True)
class Case:
    """A container, arrays for its inputs, and its outputs' sequences by a NumPy loop over ``(weights, inputs)``."""

    name: str
    build: Callable[[], Recursive]
    inputs: Callable[[np.random.RandomState], dict]
    oracle: Callable[[dict, dict], dict]

    def __str__(self):
        return self.name


def with_random_weights(rnn, seed=7):
    """Give every parameter, biases too, values of its own, so that none can stand in for another."""
    rng = np.random.RandomState(seed)
    rnn.build()
    rnn.set_weights([rng.normal(0, 0.5, w.shape) for w in rnn.get_weights()])
    return rnn


def weights_of(rnn):
    return {name: param.get_value() for name, param in rnn.named_params.items()}


def x_only(rng):
    return {"x": rng.normal(size=(BATCH, TIME, IN))}


def stack(rows):
    return np.stack(rows, axis=1)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def vanilla():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", ndim=3)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(Dense(IN, HIDDEN), "i2h", inputs=["x"], create_output=True)
    rnn.add_node(Dense(HIDDEN, HIDDEN), "h2h", inputs=["h"], create_output=True)
    rnn.add_node(Activation("tanh"), "rec", inputs=["i2h", "h2h"], merge_mode="sum", return_state="h",
                 create_output=True)
    return rnn


def vanilla_loop(w, given):
    h = np.zeros((BATCH, HIDDEN))
    i2h, h2h, rec = [], [], []
    for t in range(given["x"].shape[1]):
        i2h.append(given["x"][:, t] @ w["i2h.W"] + w["i2h.b"])
        h2h.append(h @ w["h2h.W"] + w["h2h.b"])
        h = np.tanh(i2h[-1] + h2h[-1])
        rec.append(h)
    return {"i2h": stack(i2h), "h2h": stack(h2h), "rec": stack(rec)}


def crossed_states():
    """Two states, declared in the other order than the nodes that return them: the original swapped them."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", ndim=3)
    rnn.add_state("hb", dim=HIDDEN)
    rnn.add_state("ha", dim=2)
    rnn.add_node(Dense(IN + 2, 2, activation="tanh"), "ra", inputs=["x", "ha"], return_state="ha")
    rnn.add_node(Dense(2 + HIDDEN, HIDDEN, activation="sigmoid"), "rb", inputs=["ra", "hb"], return_state="hb",
                 create_output=True)
    return rnn


def crossed_states_loop(w, given):
    ha, hb, out = np.zeros((BATCH, 2)), np.zeros((BATCH, HIDDEN)), []
    for t in range(TIME):
        ha = np.tanh(np.concatenate([given["x"][:, t], ha], 1) @ w["ra.W"] + w["ra.b"])
        hb = sigmoid(np.concatenate([ha, hb], 1) @ w["rb.W"] + w["rb.b"])
        out.append(hb)
    return {"rb": stack(out)}


def equal_crossed_states():
    """The same with equal dims, where a swap would not show in a shape."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", ndim=3)
    rnn.add_state("hb", dim=HIDDEN)
    rnn.add_state("ha", dim=HIDDEN)
    rnn.add_node(Dense(IN + HIDDEN, HIDDEN, activation="tanh"), "ra", inputs=["x", "ha"], return_state="ha")
    rnn.add_node(Dense(2 * HIDDEN, HIDDEN, activation="tanh"), "rb", inputs=["ra", "hb"], return_state="hb",
                 create_output=True)
    return rnn


def equal_crossed_states_loop(w, given):
    ha = hb = np.zeros((BATCH, HIDDEN))
    out = []
    for t in range(TIME):
        ha = np.tanh(np.concatenate([given["x"][:, t], ha], 1) @ w["ra.W"] + w["ra.b"])
        hb = np.tanh(np.concatenate([ha, hb], 1) @ w["rb.W"] + w["rb.b"])
        out.append(hb)
    return {"rb": stack(out)}


def taps():
    """h one and three steps back, x now and two back, and a node that no state remembers, one step back."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", ndim=3)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(Dense(IN, HIDDEN), "now", input="x")
    rnn.add_node(Dense(IN, HIDDEN), "before", input="x_tm2")
    rnn.add_node(Dense(HIDDEN, HIDDEN), "far", input="h_tm3")
    rnn.add_node(Dense(HIDDEN, HIDDEN), "own", input="own_tm1")
    rnn.add_node(Activation("tanh"), "rec", inputs=["now", "before", "far", "own", "h"], merge_mode="sum",
                 return_state="h", create_output=True)
    rnn.add_output("past", inputs=["rec_tm2", "own"])
    return rnn


def taps_loop(w, given):
    x = np.concatenate([np.zeros((BATCH, 2, IN)), given["x"]], axis=1)
    h = [np.zeros((BATCH, HIDDEN))] * 3
    own = np.zeros((BATCH, HIDDEN))
    past = []
    for t in range(TIME):
        own = own @ w["own.W"] + w["own.b"]
        past.append(np.concatenate([h[-2], own], 1))
        h.append(np.tanh(x[:, t + 2] @ w["now.W"] + w["now.b"] + x[:, t] @ w["before.W"] + w["before.b"]
                         + h[-3] @ w["far.W"] + w["far.b"] + own + h[-1]))
    return {"rec": stack(h[3:]), "past": stack(past)}


def merges():
    """Every merge mode once; the node that merges feeds no state."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", ndim=3)
    rnn.add_input("u", ndim=3, dim=2)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(Dense(IN, HIDDEN), "a", input="x")
    rnn.add_node(Dense(2, HIDDEN), "b", input="u")
    rnn.add_node(Dense(2 + HIDDEN, HIDDEN, activation="tanh"), "rec", inputs=["u", "h"], merge_mode="concat",
                 return_state="h")
    for mode in ("sum", "mul", "ave", "max"):
        rnn.add_node(Lambda(lambda z: 2 * z), mode + "ed", inputs=["a", "b", "rec"], merge_mode=mode,
                     create_output=True)
    rnn.add_output("product", inputs=["a", "h"], merge_mode="mul")
    return rnn


def merges_loop(w, given):
    h = np.zeros((BATCH, HIDDEN))
    out = {"sumed": [], "muled": [], "aveed": [], "maxed": [], "product": []}
    for t in range(TIME):
        u = given["u"][:, t]
        a, b = given["x"][:, t] @ w["a.W"] + w["a.b"], u @ w["b.W"] + w["b.b"]
        out["product"].append(a * h)
        h = np.tanh(np.concatenate([u, h], 1) @ w["rec.W"] + w["rec.b"])
        out["sumed"].append(2 * (a + b + h))
        out["muled"].append(2 * (a * b * h))
        out["aveed"].append(2 * (a + b + h) / 3)
        out["maxed"].append(2 * np.maximum(np.maximum(a, b), h))
    return {name: stack(rows) for name, rows in out.items()}


def dim_one():
    """A state of one value a row, which scan would take for a broadcast."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", ndim=3, dim=1)
    rnn.add_state("h", dim=1)
    rnn.add_node(Dense(1, activation="tanh"), "rec", inputs=["x", "h"], return_state="h", create_output=True)
    return rnn


def dim_one_loop(w, given):
    h, out = np.zeros((BATCH, 1)), []
    for t in range(TIME):
        h = np.tanh(np.concatenate([given["x"][:, t], h], 1) @ w["rec.W"] + w["rec.b"])
        out.append(h)
    return {"rec": stack(out)}


def words():
    """Whole numbers through an Embedding, and a chain of layers as one node."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("word", ndim=2, dtype="int")
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(Embedding(9, IN), "vector", input="word")
    rnn.add_node(Sequential([Dense(IN, 2, activation="sigmoid"), Dense(2, HIDDEN)]), "chain", input="vector")
    rnn.add_node(Activation("tanh"), "rec", inputs=["chain", "h"], merge_mode="sum", return_state="h",
                 create_output=True)
    return rnn


def words_loop(w, given):
    h, out = np.zeros((BATCH, HIDDEN)), []
    for t in range(TIME):
        vector = w["vector.W"][given["word"][:, t]]
        inner = sigmoid(vector @ w["chain.layer_0.W"] + w["chain.layer_0.b"])
        h = np.tanh(inner @ w["chain.layer_1.W"] + w["chain.layer_1.b"] + h)
        out.append(h)
    return {"rec": stack(out)}


CASES = (
    Case("vanilla", vanilla, x_only, vanilla_loop),
    Case("crossed states", crossed_states, x_only, crossed_states_loop),
    Case("crossed states of equal dims", equal_crossed_states, x_only, equal_crossed_states_loop),
    Case("taps", taps, x_only, taps_loop),
    Case("merges", merges, lambda rng: {**x_only(rng), "u": rng.normal(size=(BATCH, TIME, 2))}, merges_loop),
    Case("dim one", dim_one, lambda rng: {"x": rng.normal(size=(BATCH, TIME, 1))}, dim_one_loop),
    Case("words", words, lambda rng: {"word": rng.randint(9, size=(BATCH, TIME)).astype("int32")}, words_loop),
)
