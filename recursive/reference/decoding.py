"""The choice of a word from probabilities: the most probable one, or a draw."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recursive.errors import DataError
from recursive.reference.arrays import Array, LayerGradients, LayerResult
from recursive.reference.noise import drawn
from recursive.reference.table import PASS, Config, layer


@layer("Greedy", mask=PASS)
def greedy(config, x, scope):
    """``y = argmax_i p_i``, the first of equals; integers have no gradient."""
    p = _scores(x, scope)
    if np.isnan(p).any():
        raise DataError.about(
            "layer",
            "Greedy",
            takes="numbers",
            got="NaN",
            do="Look for an overflow in what computes them.",
        )
    return _result(config, x, p.argmax(axis=-1))


@layer("Sample", mask=PASS)
def sample(config, x, scope):
    """``y`` is the first word with ``chance < p_0 + ... + p_y``, of ``p ** (1 / T)``.

    ``chance`` is uniform in [0, 1); it is needed while predicting too.
    """
    p = _scores(x, scope)
    if (p < 0).any() or not np.allclose(p.sum(axis=-1), 1, atol=1e-3):
        raise DataError.about(
            "layer",
            "Sample",
            takes="probabilities, which are 0 or more and sum to 1",
            got="other values",
            do="Put Activation('softmax') before it.",
        )
    temperature = config.get("temperature", 1.0)
    if temperature != 1:
        p = (p / p.max(axis=-1, keepdims=True)) ** (1 / temperature)
    chance = drawn(scope, "chance", "Sample", (*p.shape[:-1], 1)).astype(p.dtype)
    sums = p.cumsum(axis=-1)
    total = sums[..., -1:]
    # argmax is the first place that is true. The last sum is above no chance that
    # rounds to 1, but there it is the total.
    is_reached = (sums > chance * total) | (sums == total)
    return _result(config, x, is_reached.argmax(axis=-1))


def _scores(x: Array | Mapping[str, Array], scope) -> Array:
    """What the layer chooses by; a complex step changes no choice."""
    found = x["input"] if isinstance(x, Mapping) else x
    return scope.floats(found).real


def _result(
    config: Config, x: Array | Mapping[str, Array], words: Array
) -> LayerResult:
    """The words; with an end symbol also which rows have ended."""
    words = words.astype("int32")
    end = config.get("end")
    if end is None:
        return LayerResult(words, lambda dy: LayerGradients(None))
    words = np.where(x["ended"] != 0, np.int32(end), words)
    y = {"output": words, "ended": words == end}
    return LayerResult(y, lambda dy: LayerGradients(dict.fromkeys(x)))
