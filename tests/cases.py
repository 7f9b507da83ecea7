"""One table of networks, each with a NumPy loop that says what it computes. Every path runs the whole table.

The loops share no code with the library: they index arrays by hand, from the declaration as one reads it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recursive import (
    Activation,
    Attention,
    Dense,
    Embedding,
    Greedy,
    Lambda,
    LayerNormalization,
    Recursive,
    Sequential,
)
from tests.proposal import section

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
    rnn.set_weights(
        [
            rng.normal(0, min(0.5, 2 / np.sqrt(len(w))), w.shape)
            for w in rnn.get_weights()
        ]
    )
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
    rnn.add_node(
        Activation("tanh"),
        "rec",
        inputs=["i2h", "h2h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
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
    rnn.add_node(
        Dense(IN + 2, 2, activation="tanh"), "ra", inputs=["x", "ha"], return_state="ha"
    )
    rnn.add_node(
        Dense(2 + HIDDEN, HIDDEN, activation="sigmoid"),
        "rb",
        inputs=["ra", "hb"],
        return_state="hb",
        create_output=True,
    )
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
    rnn.add_node(
        Dense(IN + HIDDEN, HIDDEN, activation="tanh"),
        "ra",
        inputs=["x", "ha"],
        return_state="ha",
    )
    rnn.add_node(
        Dense(2 * HIDDEN, HIDDEN, activation="tanh"),
        "rb",
        inputs=["ra", "hb"],
        return_state="hb",
        create_output=True,
    )
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
    rnn.add_node(
        Activation("tanh"),
        "rec",
        inputs=["now", "before", "far", "own", "h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
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
        h.append(
            np.tanh(
                x[:, t + 2] @ w["now.W"]
                + w["now.b"]
                + x[:, t] @ w["before.W"]
                + w["before.b"]
                + h[-3] @ w["far.W"]
                + w["far.b"]
                + own
                + h[-1]
            )
        )
    return {"rec": stack(h[3:]), "past": stack(past)}


def merges():
    """Every merge mode once; the node that merges feeds no state."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", ndim=3)
    rnn.add_input("u", ndim=3, dim=2)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(Dense(IN, HIDDEN), "a", input="x")
    rnn.add_node(Dense(2, HIDDEN), "b", input="u")
    rnn.add_node(
        Dense(2 + HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["u", "h"],
        merge_mode="concat",
        return_state="h",
    )
    for mode in ("sum", "mul", "ave", "max"):
        rnn.add_node(
            Lambda(lambda z: 2 * z),
            mode + "ed",
            inputs=["a", "b", "rec"],
            merge_mode=mode,
            create_output=True,
        )
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
    rnn.add_node(
        Dense(1, activation="tanh"),
        "rec",
        inputs=["x", "h"],
        return_state="h",
        create_output=True,
    )
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
    rnn.add_node(
        Sequential([Dense(IN, 2, activation="sigmoid"), Dense(2, HIDDEN)]),
        "chain",
        input="vector",
    )
    rnn.add_node(
        Activation("tanh"),
        "rec",
        inputs=["chain", "h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    return rnn


def words_loop(w, given):
    h, out = np.zeros((BATCH, HIDDEN)), []
    for t in range(TIME):
        vector = w["vector.W"][given["word"][:, t]]
        inner = sigmoid(vector @ w["chain.layer_0.W"] + w["chain.layer_0.b"])
        h = np.tanh(inner @ w["chain.layer_1.W"] + w["chain.layer_1.b"] + h)
        out.append(h)
    return {"rec": stack(out)}


def hard_sigmoid(z):
    return np.clip(0.2 * z + 0.5, 0, 1)


def proposal(number, name):
    """The container that a section of docs/proposal.md declares."""

    def build():
        found = section(number)[name]
        found.return_sequences = True
        return found

    return build


def his_vanilla_loop(w, given):
    found = vanilla_loop(w, {"x": given["input"]})
    return {"rec": found["rec"], "projection": found["i2h"]}


def fed_by_name_loop(w, given):
    return {"rec": vanilla_loop(w, {"x": given["input"]})["rec"]}


def elanmart_loop(w, given):
    h1 = h2 = y = np.zeros((BATCH, 256))
    out = []
    for t in range(TIME):
        merged = np.concatenate([given["X"][:, t], y], 1)
        h1 = sigmoid(merged @ w["h1.W"] + w["h1.b"] + h1 @ w["h1.U"])
        h2 = sigmoid(h1 @ w["h2.W"] + w["h2.b"] + h2 @ w["h2.U"])
        y = sigmoid(h2 @ w["y.W"] + w["y.b"] + y @ w["y.U"])
        out.append(y)
    return {"y": stack(out)}


def gru_step(x, h, w, of, activation):
    z = hard_sigmoid(x @ w[of["W_z"]] + w[of["b_z"]] + h @ w[of["U_z"]])
    r = hard_sigmoid(x @ w[of["W_r"]] + w[of["b_r"]] + h @ w[of["U_r"]])
    return z * h + (1 - z) * activation(
        x @ w[of["W_h"]] + w[of["b_h"]] + (r * h) @ w[of["U_h"]]
    )


def cells_loop(w, given):
    h, g, c = np.zeros((BATCH, 6)), np.zeros((BATCH, 5)), np.zeros((BATCH, 5))
    of = {
        f"{letter}_{gate}": f"gru.{letter}_{gate}" for letter in "WUb" for gate in "zrh"
    }
    out = []
    for t in range(TIME):
        x = given["x"][:, t]
        h = gru_step(x, h, w, of, sigmoid)
        both = np.concatenate([x, h], 1)
        i, f, o, new = (
            both @ w[f"lstm.W_{gate}"] + w[f"lstm.b_{gate}"] + g @ w[f"lstm.U_{gate}"]
            for gate in "ifoc"
        )
        c = hard_sigmoid(f) * c + hard_sigmoid(i) * np.tanh(new)
        g = hard_sigmoid(o) * np.tanh(c)
        out.append(g @ w["out.W"] + w["out.b"])
    return {"out": stack(out)}


def gates_loop(w, given):
    nodes = {"z": "z", "r": "r", "h": "candidate"}
    of = {
        f"{letter}_{gate}": f"{node}.{letter}"
        for letter in "WUb"
        for gate, node in nodes.items()
    }
    h, out = np.zeros((BATCH, HIDDEN)), []
    for t in range(TIME):
        h = gru_step(given["x"][:, t], h, w, of, sigmoid)
        out.append(h)
    return {"h": stack(out)}


def gated_feedback_loop(w, given):
    h, out = [np.zeros((BATCH, HIDDEN))] * 3, []
    for t in range(TIME):
        new, below = [], given["x"][:, t]
        for j in (1, 2, 3):
            total = below @ w[f"up{j}.W"] + w[f"up{j}.b"]
            for i in (1, 2, 3):
                gate = sigmoid(np.concatenate([below, *h], 1) @ w[f"gate{i}to{j}.W"])
                total = total + gate * (h[i - 1] @ w[f"back{i}to{j}.W"])
            below = np.tanh(total)
            new.append(below)
        h = new
        out.append(below)
    return {"h3": stack(out)}


def choices_loop(w, given):
    h, rec, either = np.zeros((BATCH, IN)), [], []
    for t in range(TIME):
        x = given["x"][:, t]
        h = np.where(x > 0, x, h)
        rec.append(h)
        either.append(h if x.sum() > 0 else x)
    return {"rec": stack(rec), "either": stack(either)}


def contexts():
    """A context that every step sees, a projection of it, and a state that starts from numbers of its own."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_input("c", is_sequence=False, dim=2)
    rnn.add_state(
        "h", dim=HIDDEN, input="rec", initial=[[0.5] * HIDDEN, [1, 2, 3, 4, 5, 6]]
    )
    rnn.add_node(Dense(2, HIDDEN), "once", input="c")
    rnn.add_node(Dense(IN + 2 + HIDDEN, HIDDEN), "all", inputs=["h", "x_tm1", "c"])
    rnn.add_node(
        Activation("tanh"),
        "rec",
        inputs=["once", "all", "h_tm2"],
        merge_mode="sum",
        create_output=True,
    )
    rnn.add_output("same", inputs=["c", "once"])
    rnn.add_output("late", inputs=["h_tm2", "c", "x"])
    return rnn


def contexts_loop(w, given):
    c, zeros = given["c"], np.zeros((BATCH, IN))
    h = [np.full((BATCH, HIDDEN), 0.5), np.tile(np.arange(1.0, 7), (BATCH, 1))]
    rec, same, late = [], [], []
    for t in range(TIME):
        x, before = given["x"][:, t], given["x"][:, t - 1] if t else zeros
        once = c @ w["once.W"] + w["once.b"]
        late.append(np.concatenate([h[-2], c, x], 1))
        h.append(
            np.tanh(
                once
                + np.concatenate([h[-1], before, c], 1) @ w["all.W"]
                + w["all.b"]
                + h[-2]
            )
        )
        rec.append(h[-1])
        same.append(np.concatenate([c, once], 1))
    return {"rec": stack(rec), "same": stack(same), "late": stack(late)}


def moved():
    """Nodes that leave the loop in every way: hoisted behind another, deferred behind another, a state fed by one."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN, input="rec")
    rnn.add_state("before", dim=2, input="low")
    rnn.add_node(
        Dense(IN, 3, activation="tanh"), "early", input="x", create_output=True
    )
    rnn.add_node(Dense(3, 2), "low", inputs=["early"])
    rnn.add_node(
        Dense(3 + HIDDEN + 2, HIDDEN, activation="tanh"),
        "rec",
        inputs=["early", "h", "before"],
    )
    rnn.add_node(Dense(HIDDEN, 2), "deferred", input="rec")
    rnn.add_node(
        Dense(2 + 3 + HIDDEN, 5),
        "last",
        inputs=["deferred", "early", "h_tm1"],
        create_output=True,
    )
    return rnn


def moved_loop(w, given):
    h, before, zeros = (
        np.zeros((BATCH, HIDDEN)),
        np.zeros((BATCH, 2)),
        np.zeros((BATCH, HIDDEN)),
    )
    early, last = [], []
    for t in range(TIME):
        early.append(np.tanh(given["x"][:, t] @ w["early.W"] + w["early.b"]))
        past = h if t else zeros
        h = np.tanh(np.concatenate([early[-1], h, before], 1) @ w["rec.W"] + w["rec.b"])
        before = early[-1] @ w["low.W"] + w["low.b"]
        deferred = h @ w["deferred.W"] + w["deferred.b"]
        last.append(
            np.concatenate([deferred, early[-1], past], 1) @ w["last.W"] + w["last.b"]
        )
    return {"early": stack(early), "last": stack(last)}


def attention():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_input("memory", ndim=3, dim=5, is_sequence=False)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(
        Attention("additive", dim=3), "att", input={"memory": "memory", "query": "h"}
    )
    rnn.add_node(Dense(IN + 5 + HIDDEN, HIDDEN), "sum", inputs=["x", "att", "h"])
    rnn.add_node(LayerNormalization(HIDDEN), "norm", input="sum")
    rnn.add_node(
        Activation("tanh"), "new", input="norm", return_state="h", create_output=True
    )
    rnn.add_output("read", input="att")
    return rnn


def attention_loop(w, given):
    memory = given["memory"]
    h = np.zeros((BATCH, HIDDEN))
    new, reads = [], []
    for t in range(given["x"].shape[1]):
        scores = np.zeros(memory.shape[:2])
        for j in range(memory.shape[1]):
            units = np.tanh(memory[:, j] @ w["att.W"] + h @ w["att.U"] + w["att.b"])
            scores[:, j] = units @ w["att.v"][:, 0]
        share = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        read = sum(share[:, j, None] * memory[:, j] for j in range(memory.shape[1]))
        z = np.concatenate([given["x"][:, t], read, h], 1) @ w["sum.W"] + w["sum.b"]
        u = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
        h = np.tanh(w["norm.gamma"] * u + w["norm.beta"])
        new.append(h)
        reads.append(read)
    return {"new": stack(new), "read": stack(reads)}


def speaking():
    """A decoder that reads the word it has said, and the one before."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("word", dtype="int", initial=[4, 2])
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(Embedding(5, 3), "read", input="word")
    rnn.add_node(Embedding(5, 2), "older", input="word_tm2")
    rnn.add_node(
        Dense(IN + 3 + 2 + HIDDEN, HIDDEN, activation="tanh"),
        "new",
        inputs=["x", "read", "older", "h"],
        return_state="h",
        create_output=True,
    )
    rnn.add_node(
        Dense(HIDDEN, 5, activation="softmax"), "p", input="new", create_output=True
    )
    rnn.add_node(Greedy(), "said", input="p", return_state="word")
    return rnn


def speaking_loop(w, given):
    older, word = np.full(BATCH, 4), np.full(BATCH, 2)
    h, new, p = np.zeros((BATCH, HIDDEN)), [], []
    for t in range(given["x"].shape[1]):
        read = [given["x"][:, t], w["read.W"][word], w["older.W"][older], h]
        h = np.tanh(np.concatenate(read, 1) @ w["new.W"] + w["new.b"])
        powers = np.exp(h @ w["p.W"] + w["p.b"])
        new.append(h)
        p.append(powers / powers.sum(1, keepdims=True))
        older, word = word, p[-1].argmax(1)
    return {"new": stack(new), "p": stack(p)}


def input_only(rng):
    return {"input": rng.normal(size=(BATCH, TIME, IN))}


CASES = (
    Case("vanilla", vanilla, x_only, vanilla_loop),
    Case("crossed states", crossed_states, x_only, crossed_states_loop),
    Case(
        "crossed states of equal dims",
        equal_crossed_states,
        x_only,
        equal_crossed_states_loop,
    ),
    Case("taps", taps, x_only, taps_loop),
    Case(
        "merges",
        merges,
        lambda rng: {**x_only(rng), "u": rng.normal(size=(BATCH, TIME, 2))},
        merges_loop,
    ),
    Case(
        "dim one",
        dim_one,
        lambda rng: {"x": rng.normal(size=(BATCH, TIME, 1))},
        dim_one_loop,
    ),
    Case(
        "contexts",
        contexts,
        lambda rng: {**x_only(rng), "c": rng.normal(size=(BATCH, 2))},
        contexts_loop,
    ),
    Case("moved", moved, x_only, moved_loop),
    Case("proposal 1", proposal(1, "model"), input_only, his_vanilla_loop),
    Case("proposal 2", proposal(2, "model"), input_only, fed_by_name_loop),
    Case(
        "proposal 5",
        proposal(5, "R"),
        lambda rng: {"X": rng.normal(size=(BATCH, TIME, IN))},
        elanmart_loop,
    ),
    Case("proposal 6", proposal(6, "model"), x_only, cells_loop),
    Case("proposal 7", proposal(7, "gru"), x_only, gates_loop),
    Case("proposal 8", proposal(8, "model"), x_only, gated_feedback_loop),
    Case("proposal 9", proposal(9, "choose"), x_only, choices_loop),
    Case(
        "attention",
        attention,
        lambda rng: {**x_only(rng), "memory": rng.normal(size=(BATCH, 7, 5))},
        attention_loop,
    ),
    Case("speaking", speaking, x_only, speaking_loop),
    Case(
        "words",
        words,
        lambda rng: {"word": rng.randint(9, size=(BATCH, TIME)).astype("int32")},
        words_loop,
    ),
)
