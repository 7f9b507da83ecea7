"""``_step`` of a recurrent layer, which users of Keras 0.1.3 overrode: its arguments, their order, and what follows."""

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
    Bidirectional,
    Dense,
    Recursive,
    Sequential,
    SimpleDeepRNN,
    SimpleRNN,
    model_from_json,
)
from recursive.backend import evaluate
from recursive.errors import ConfigError

BATCH, TIME, IN, HIDDEN = 3, 5, 4, 6
X = np.random.RandomState(0).normal(size=(BATCH, TIME, IN))
MASK = np.array([[1, 1, 0, 1, 1], [1, 1, 1, 1, 0], [0, 1, 1, 0, 0]])

# One formula for each signature, in NumPy and PyTensor alike. No two arguments can change places unnoticed, and the
# mask is used otherwise than as a factor of the state.


def simple(m, x_t, mask_tm1, h_tm1, u):
    return m.tanh(x_t + mask_tm1 * h_tm1.dot(u)) + 0.1 * mask_tm1


def deep(m, x_t, mask_1, mask_2, h_1, h_2, u_1, u_2):
    back = mask_1 * m.tanh(h_1.dot(u_1)) + 0.5 * mask_2 * m.tanh(h_2.dot(u_2))
    return m.tanh(x_t + back) + 0.1 * mask_1 - 0.2 * mask_2


def two_gates(m, xz_t, xr_t, xh_t, mask_tm1, h_tm1, u_r, u_h):
    h = mask_tm1 * h_tm1
    r = m.tanh(0.3 * xr_t + h.dot(u_r))
    return 0.6 * m.tanh(xz_t) * m.tanh(xh_t + (r * h).dot(u_h)) + 0.1 * mask_tm1


def three_gates(m, xz_t, xr_t, xh_t, mask_tm1, h_tm1, u_z, u_r, u_h):
    h = mask_tm1 * h_tm1
    z, r = m.tanh(xz_t + h.dot(u_z)), m.tanh(0.3 * xr_t + h.dot(u_r))
    return 0.6 * z * m.tanh(xh_t + (r * h).dot(u_h)) + 0.1 * mask_tm1


def lstm(m, xi_t, xf_t, xo_t, xc_t, mask_tm1, h_tm1, c_tm1, u_i, u_f, u_o, u_c):
    h, c = mask_tm1 * h_tm1, mask_tm1 * c_tm1
    i, f = m.tanh(xi_t + h.dot(u_i)), m.tanh(0.4 * xf_t + h.dot(u_f))
    o = m.tanh(0.7 * xo_t + h.dot(u_o))
    c_t = f * c + i * m.tanh(xc_t + 0.5 * h.dot(u_c))
    return o * m.tanh(c_t) + 0.1 * mask_tm1, c_t


def overriding(base, formula):
    class Mine(base):
        def _step(self, *args):
            return formula(pt, *args)

    return Mine


def by_gates(gates, fixed=None):
    """The projections and the ``U`` by the names of gates; a gate that reads ``Pmat`` is ``fixed``."""

    def parts(w, x):
        read = {}
        for g in gates:
            W = w["Pmat"] if g == fixed else w[f"W_{g}"]
            read[g] = np.tanh(x @ W) if (g, fixed) == ("h", "h") else x @ W
            read[g] = read[g] + w[f"b_{g}"]
        return [read[g] for g in gates], [w[f"U_{g}"] for g in gates if f"U_{g}" in w]

    return parts


def plain(w, x):
    return [x @ w["W"] + w["b"]], [w[name] for name in sorted(w) if name[0] == "U"]


CASES = {
    SimpleRNN: (simple, plain, 1),
    GRU: (three_gates, by_gates("zrh"), 1),
    LSTM: (lstm, by_gates("ifoc"), 2),
    JZS1: (two_gates, by_gates("zrh", fixed="h"), 1),
    JZS2: (three_gates, by_gates("zrh", fixed="r"), 1),
    JZS3: (three_gates, by_gates("zrh"), 1),
}
"""The formula, what it is given of x and of the parameters, in the order of 2015, and the number of states."""
EVERY = pytest.mark.parametrize("base", CASES, ids=lambda base: base.__name__)
ALL = pytest.mark.parametrize(
    "base", [*CASES, SimpleDeepRNN], ids=lambda base: base.__name__
)


def weights_of(layer):
    rng = np.random.RandomState(7)
    layer.set_weights([rng.normal(0, 0.7, w.shape) for w in layer.get_weights()])
    named = {name: param.get_value() for name, param in layer.named_params.items()}
    return named | ({"Pmat": layer.Pmat.get_value()} if hasattr(layer, "Pmat") else {})


def run(layer, x=X, mask=None):
    masked = {} if mask is None else {"mask": pt.as_tensor_variable(mask)}
    return evaluate([layer(x, **masked)], {})[0]


def looped(base, w, mask=None, mode="zero"):
    """h at every step, by a loop in NumPy."""
    formula, parts, count = CASES[base]
    past, found = [np.zeros((BATCH, HIDDEN)) for _ in range(count)], []
    for t in range(TIME):
        projected, inner = parts(w, X[:, t])
        mask_tm1 = np.ones((BATCH, 1))
        if mode == "zero" and t == 0:
            mask_tm1 = np.zeros((BATCH, 1))  # as in 2015
        elif mode == "zero" and mask is not None:
            mask_tm1 = mask[:, t - 1, None]
        new = formula(np, *projected, mask_tm1, *past, *inner)
        new = new if count > 1 else (new,)
        if mask is not None and mode == "carry":
            new = [
                np.where(mask[:, t, None], now, old)
                for now, old in zip(new, past, strict=True)
            ]
        past = list(new)
        found.append(past[0])
    return np.stack(found, axis=1)


@EVERY
def test_it_is_called_with_the_arguments_of_2015_in_their_order(base):
    layer = overriding(base, CASES[base][0])(IN, HIDDEN, return_sequences=True)
    expected = looped(base, weights_of(layer))
    assert np.abs(run(layer) - expected).max() < 1e-13
    layer.return_sequences = False
    assert np.abs(run(layer) - expected[:, -1]).max() < 1e-13


@EVERY
@pytest.mark.parametrize("mode", ["zero", "carry"])
def test_it_is_given_the_mask_of_the_step_before_and_carrying_is_not_its_business(
    base, mode
):
    layer = overriding(base, CASES[base][0])(
        IN, HIDDEN, return_sequences=True, mask_mode=mode
    )
    expected = looped(base, weights_of(layer), MASK, mode)
    assert np.abs(run(layer, mask=MASK) - expected).max() < 1e-13


@pytest.mark.parametrize("mask", [None, MASK], ids=["no mask", "a mask"])
def test_a_simple_deep_rnn_is_given_the_masks_then_the_states_then_the_weights(mask):
    layer = overriding(SimpleDeepRNN, deep)(IN, HIDDEN, depth=2, return_sequences=True)
    w, back = weights_of(layer), [np.zeros((BATCH, HIDDEN))] * 2
    there = np.ones((BATCH, TIME)) if mask is None else mask
    found = run(layer, mask=mask)
    for t in range(TIME):
        masks = [
            there[:, t - k, None] if t >= k else np.zeros((BATCH, 1)) for k in (1, 2)
        ]
        x = X[:, t] @ w["W"] + w["b"]
        back = [deep(np, x, *masks, *back, w["U1"], w["U2"]), back[0]]
        assert np.abs(found[:, t] - back[0]).max() < 1e-13


@ALL
@pytest.mark.parametrize("mode", ["zero", "carry"])
def test_the_step_of_the_base_may_be_called(base, mode):
    class Half(base):
        def _step(self, *args):
            found = super()._step(*args)
            return found if isinstance(found, tuple) else 1.0 * found

    same = {"return_sequences": True, "mask_mode": mode, "seed": 3}
    layer, mine = base(IN, HIDDEN, **same), Half(IN, HIDDEN, **same)
    for mask in (None, MASK):
        found, expected = run(mine, mask=mask), run(layer, mask=mask)
        assert np.abs(found - expected).max() < 1e-14


def test_a_step_may_be_put_on_one_layer_alone():
    layer = SimpleRNN(IN, HIDDEN, return_sequences=True)
    w = weights_of(layer)
    layer._step = lambda *args: simple(pt, *args)
    assert np.abs(run(layer) - looped(SimpleRNN, w)).max() < 1e-13


class Doubled(SimpleRNN):
    """A step that reads the other rows, so that it may not be moved out of a loop."""

    def _step(self, x_t, mask_tm1, h_tm1, u):
        return super()._step(x_t, mask_tm1, h_tm1, u) - h_tm1.mean(axis=0)


def by_hand(w, x):
    h, found = np.zeros((len(x), HIDDEN)), []
    for t in range(x.shape[1]):
        z = x[:, t] @ w["W"] + h @ w["U"] + w["b"]
        h = 1 / (1 + np.exp(-z)) - h.mean(axis=0)
        found.append(h)
    return np.stack(found, axis=1)


def test_a_model_and_a_graph_run_the_step_of_ones_own():
    layer = Doubled(IN, HIDDEN, return_sequences=True)
    expected = by_hand(weights_of(layer), X)
    assert np.abs(Sequential([layer]).predict(X) - expected).max() < 1e-12
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", ndim=4, dim=IN)
    rnn.add_node(layer, "inner", input="x", create_output=True)
    sentences = np.stack([X, 2 * X], axis=1)
    found = rnn.predict(sentences)
    for k in range(2):
        inside = by_hand(weights_of(layer), sentences[:, k])
        assert np.abs(found[:, k] - inside).max() < 1e-12
    assert SimpleRNN(IN, HIDDEN).rowwise
    assert not layer.rowwise


def test_it_runs_in_both_directions_and_comes_back_from_json():
    layer = Doubled(IN, HIDDEN, return_sequences=True)
    w = weights_of(layer)
    both = run(Bidirectional(layer))
    assert np.abs(both[..., :HIDDEN] - by_hand(w, X)).max() < 1e-13
    turned = by_hand(w, X[:, ::-1])[:, ::-1]
    assert np.abs(both[..., HIDDEN:] - turned).max() < 1e-13
    model = Sequential([layer])
    again = model_from_json(model.to_json(), custom_layers={"Doubled": Doubled})
    again.set_weights(model.get_weights())
    assert np.array_equal(again.predict(X), model.predict(X))


def test_states_that_are_kept_go_through_a_step_of_ones_own():
    layer = Doubled(IN, HIDDEN, return_sequences=True)
    expected = by_hand(weights_of(layer), X)
    layer.stateful = True
    model = Sequential([layer])
    parts = [model.predict(X[:, :2]), model.predict(X[:, 2:])]
    assert np.abs(np.concatenate(parts, axis=1) - expected).max() < 1e-12


class Scaled(GRU):
    """A step with a parameter of its own, added as one did in 2015."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.scale = pytensor.shared(np.full(self.output_dim, 0.5), name="scale")
        self.params += [self.scale]

    def _step(self, *args):
        return self.scale * super()._step(*args)


def test_a_parameter_that_the_step_reads_by_itself_is_learned_and_saved():
    layer = Scaled(IN, HIDDEN)
    assert list(layer.named_params)[-1] == "scale"
    assert len(layer.get_weights()) == 10
    loss = layer(X).sum()
    gradients = evaluate(pytensor.grad(loss, layer.params), {})
    for param, gradient in zip(layer.params, gradients, strict=True):
        value, direction = param.get_value(), np.ones(param.get_value().shape)
        moved = []
        for epsilon in (1e-6, -1e-6):
            param.set_value(value + epsilon * direction)
            moved.append(evaluate([layer(X).sum()], {})[0])
        param.set_value(value)
        slope = (moved[0] - moved[1]) / 2e-6
        assert abs(slope - gradient.sum()) < 1e-6 * max(1, abs(slope))
    model = Sequential([layer, Dense(HIDDEN, 2)])
    model.compile("sgd", "mse")
    before = layer.scale.get_value()
    model.train_on_batch(X, np.ones((BATCH, 2)))
    assert np.abs(layer.scale.get_value() - before).min() > 0


def test_a_step_that_returns_another_number_of_states_is_told():
    class Wrong(LSTM):
        def _step(self, *args):
            return super()._step(*args)[0]

    with pytest.raises(ConfigError, match="takes a _step that returns h, c at t"):
        Wrong(IN, HIDDEN)(X)
