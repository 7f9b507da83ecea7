"""Attention: means over the steps of a memory or of the past, weighted by scores."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from recursive.errors import DataError
from recursive.reference.activations import activate
from recursive.reference.arrays import Array, LayerGradients, LayerResult, summed
from recursive.reference.masks import joined
from recursive.reference.table import PASS, USE, Config, layer, look_up

Back = Callable[[Array], dict[str, Array]]


@layer("Attention", mask=USE)
def attention(config, x, scope):
    """``w = softmax(s)`` over the valid steps, ``y = sum_j w_j memory_j``.

    ``s_j`` is the score of step ``j``. Padding has weight 0. Backwards, ``dw_j = dy .
    memory_j``, plus the gradient of the weights as an output; ``ds = w (dw - sum(dw
    w))``; and ``dmemory_j = w_j dy``, plus what the score returns.
    """
    memory = scope.floats(x["memory"].array)
    query = scope.floats(x["query"].array)
    score = look_up("score", config.get("score", "dot"), SCORES)
    valid = _valid(x)
    if valid is not None:
        # 0 times what is not finite would be NaN.
        memory = np.where(valid[..., None], memory, 0)
    s, score_back = score(scope.params, memory, query)
    w = weights(s, valid)
    y = (w[..., None] * memory).sum(axis=1)

    def back(d):
        dy, of_weights = d["output"], d["weights"]
        dw = (dy[:, None] * memory).sum(axis=-1) + of_weights
        ds = w * (dw - (dw * w).sum(axis=-1, keepdims=True))
        found = summed(score_back(ds), {"memory": w[..., None] * dy[:, None]})
        d_x = {"memory": found.pop("memory"), "query": found.pop("query")}
        if "mask" in x:
            d_x["mask"] = None
        return LayerGradients(d_x, found)

    return LayerResult({"output": y, "weights": w}, back)


def _valid(x: dict) -> Array | None:
    """The steps that both masks keep, ``(batch, source)``; None if there is no mask."""
    as_value = x["mask"].array if "mask" in x else None
    return joined([x["memory"].mask, as_value])


def weights(s: Array, valid: Array | None) -> Array:
    """The softmax over the valid steps, and 0 at all others.

    Raises:
        DataError: for a row without a valid step.
    """
    if valid is None:
        return activate("softmax", s)[0]
    if not valid.any(axis=-1).all():
        raise DataError.about(
            "layer",
            "Attention",
            takes="a memory with one valid step or more in each row",
            got="a row that is all padding",
            do="Leave the row out, or drop the mask with DropMask().",
        )
    lowest = np.where(valid, s.real, -np.inf).max(axis=-1, keepdims=True)
    powers = np.where(valid, np.exp(np.where(valid, s - lowest, 0)), 0)
    return powers / powers.sum(axis=-1, keepdims=True)


# Scores


def dot(params: Config, m: Array, q: Array) -> tuple[Array, Back]:
    """``s_j = m_j . q``."""

    def back(ds):
        return {
            "memory": ds[..., None] * q[:, None],
            "query": (ds[..., None] * m).sum(axis=1),
        }

    return (m * q[:, None]).sum(axis=-1), back


def scaled_dot(params: Config, m: Array, q: Array) -> tuple[Array, Back]:
    """``s_j = m_j . q / sqrt(dim)``."""
    root = math.sqrt(m.shape[-1])
    s, dot_back = dot(params, m, q)
    return s / root, lambda ds: dot_back(ds / root)


def general(params: Config, m: Array, q: Array) -> tuple[Array, Back]:
    """``s_j = m_j . (q @ W)``."""
    W = params["W"]
    s, dot_back = dot(params, m, q @ W)

    def back(ds):
        found = dot_back(ds)
        d_product = found["query"]
        return {**found, "query": d_product @ W.T, "W": q.T @ d_product}

    return s, back


def additive(params: Config, m: Array, q: Array) -> tuple[Array, Back]:
    """``s_j = v . tanh(m_j @ W + q @ U + b)``."""
    W, U, b, v = (params[name] for name in "WUbv")
    units, tanh_back = activate("tanh", m @ W + (q @ U + b)[:, None])

    def back(ds):
        dz = tanh_back(ds[..., None] * v[:, 0])
        of_query = dz.sum(axis=1)
        return {
            "memory": dz @ W.T,
            "query": of_query @ U.T,
            "W": np.einsum("bsm,bsu->mu", m, dz),
            "U": q.T @ of_query,
            "b": of_query.sum(axis=0),
            "v": np.einsum("bs,bsu->u", ds, units)[:, None],
        }

    return (units @ v)[..., 0], back


SCORES = {
    "dot": dot,
    "scaled_dot": scaled_dot,
    "general": general,
    "additive": additive,
}
"""The scores by name."""


# An average over the past, step by step


@layer("RunningAverage", mask=PASS)
def running_average(config, x, scope):
    """``N' = k N + a v``, ``D' = k D + a``, ``y = N' / D'``.

    ``a = exp(s - m')`` and ``k = exp(m - m')``, where ``m' = max(m, s)`` is the highest
    score so far (Ostmeyer and Cowell 2017, arXiv:1703.01253). Where ``D`` is 0, nothing
    has been seen: ``m' = s`` and ``k = 1``.
    """
    v, s = scope.floats(x["value"]), scope.floats(x["score"])
    N, D, m = x["prev_total"], x["prev_weight"], x["prev_highest"]
    is_first = D == 0
    is_higher = is_first | (s.real > m.real)
    new_m = np.where(is_higher, s, m)
    k = np.exp(np.where(is_first, 0, m - new_m))
    a = np.exp(s - new_m)
    new_N = k * N + a * v
    new_D = k * D + a

    def back(d):
        # y = N' / D'
        d_N = d["total"] + d["output"] / new_D
        d_D = d["weight"] - d["output"] * new_N / new_D**2
        # The exponents: m - m' of k, and s - m' of a.
        of_k = np.where(is_first, 0, k * (d_N * N + d_D * D))
        of_a = a * (d_N * v + d_D)
        d_m = d["highest"] - of_k - of_a
        return LayerGradients(
            {
                "value": a * d_N,
                "score": of_a + np.where(is_higher, d_m, 0),
                "prev_total": k * d_N,
                "prev_weight": k * d_D,
                "prev_highest": of_k + np.where(is_higher, 0, d_m),
            }
        )

    y = {"output": new_N / new_D, "total": new_N, "weight": new_D, "highest": new_m}
    return LayerResult(y, back)
