"""Recurrent formulas in NumPy, for batches with a mask, and random weights for a model."""

import numpy as np

from recursive.backend import floatX


def rng_of(seed=3):
    return np.random.RandomState(seed)


def randomized(model, seed=7):
    """The model with random weights, biases too: no weight can stand in for another."""
    model.build()
    rng = rng_of(seed)
    weights = []
    for value in model.get_weights():
        weights.append(rng.normal(0, 0.6, value.shape).astype(floatX()))
    model.set_weights(weights)
    return model


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def rnn_step(weights, x, states):
    W, U, b = weights
    return (sigmoid(x @ W + b + states[0] @ U),)


def gru_step(weights, x, states):
    W_z, U_z, b_z, W_r, U_r, b_r, W_h, U_h, b_h = weights
    [h] = states
    z = hard_sigmoid(x @ W_z + b_z + h @ U_z)
    r = hard_sigmoid(x @ W_r + b_r + h @ U_r)
    new = sigmoid(x @ W_h + b_h + (r * h) @ U_h)
    return (z * h + (1 - z) * new,)


def lstm_step(weights, x, states):
    W_i, U_i, b_i, W_c, U_c, b_c, W_f, U_f, b_f, W_o, U_o, b_o = weights
    h, c = states
    i = hard_sigmoid(x @ W_i + b_i + h @ U_i)
    f = hard_sigmoid(x @ W_f + b_f + h @ U_f)
    o = hard_sigmoid(x @ W_o + b_o + h @ U_o)
    c = f * c + i * np.tanh(x @ W_c + b_c + h @ U_c)
    return o * np.tanh(c), c


def run(step, weights, x, mask=None, start=None, states=1):
    """The first state at every step, ``(batch, time, dim)``; masked steps keep all."""
    rows, time = x.shape[:2]
    hidden = weights[1].shape[0]
    now = [np.zeros((rows, hidden)) for _ in range(states)]
    if start is not None:
        now[0] = start
    mask = np.ones((rows, time), bool) if mask is None else mask.astype(bool)
    steps = []
    for t in range(time):
        found = step(weights, x[:, t], now)
        kept = mask[:, t, None]
        now = [np.where(kept, new, old) for new, old in zip(found, now, strict=True)]
        steps.append(now[0])
    return np.stack(steps, axis=1)


def rnn(weights, x, mask=None, start=None):
    return run(rnn_step, weights, x, mask, start)


def gru(weights, x, mask=None, start=None):
    return run(gru_step, weights, x, mask, start)


def lstm(weights, x, mask=None, start=None):
    return run(lstm_step, weights, x, mask, start, states=2)


def close(found, expected, bound=1e-10):
    """True where both have one shape, all is finite and nothing differs."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return False
    return bool(np.isfinite(found).all() and np.abs(found - expected).max() < bound)
