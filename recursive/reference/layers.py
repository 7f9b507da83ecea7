"""The layers without a loop in them: for each its formula, and beside it how a gradient goes back through it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from recursive.errors import DtypeError
from recursive.reference.activations import activate, sigmoid
from recursive.reference.arrays import (
    Array,
    Computed,
    Given,
    Pulled,
    Value,
    is_float,
    like,
)
from recursive.reference.masks import as_value, made
from recursive.reference.table import DROP, PASS, USE, layer

Config = Mapping[str, object]


def affine(
    x: Array, W: Array, b: Array | None
) -> tuple[Array, Callable[[Array], Pulled]]:
    """``x @ W + b`` over the last axis."""
    z = x @ W if b is None else x @ W + b

    def back(d: Array) -> Pulled:
        rows = d.reshape(-1, d.shape[-1])
        params = {
            "W": x.reshape(-1, x.shape[-1]).T @ rows,
            **({} if b is None else {"b": rows.sum(axis=0)}),
        }
        return Pulled(d @ W.T, params)

    return z, back


# Products


@layer("Dense")
@layer("TimeDistributedDense", mask=PASS)
def dense(config: Config, x: Array, given: Given) -> Computed:
    """``activation(x @ W + b)``."""
    z, product_back = affine(
        given.floats(x),
        given.params["W"],
        given.params["b"] if config.get("bias", True) else None,
    )
    y, back = activate(config.get("activation", "linear"), z)
    return Computed(y, lambda d: product_back(back(d)))


@layer("MaxoutDense")
def maxout(config: Config, x: Array, given: Given) -> Computed:
    """``max over k of x @ W[k] + b[k]``; maps that are equal all have the whole gradient."""
    x, W, b = given.floats(x), given.params["W"], given.params["b"]
    maps = np.einsum("...i,kio->...ko", x, W) + b
    y = maps.max(axis=-2)

    def back(d: Array) -> Pulled:
        share = d[..., None, :] * (maps == y[..., None, :])
        rows = x.reshape(-1, x.shape[-1]), share.reshape(-1, *b.shape)
        return Pulled(
            np.einsum("...ko,kio->...i", share, W),
            {"W": np.einsum("ni,nko->kio", *rows), "b": like(share, b)},
        )

    return Computed(y, back)


@layer("Embedding", mask=PASS)
def embedding(config: Config, x: Array, given: Given) -> Computed:
    """``W[x]``: row ``i`` for the number ``i``. With ``mask_zero``, the number 0 is no data."""
    if is_float(x):
        raise DtypeError.about(
            "layer",
            "Embedding",
            takes="whole numbers",
            because="they number rows",
            got=x.dtype,
            do="Declare the input with dtype='int'.",
        )
    W = given.params["W"]

    def back(d: Array) -> Pulled:
        dW = np.zeros_like(W)
        np.add.at(dW, x, d)
        return Pulled(None, {"W": dW})

    mask = made(x != 0) if config.get("mask_zero") else None
    return Computed(W[x], back, mask)


# Element by element


@layer("Identity", mask=PASS)
def identity(config: Config, x: Array, given: Given) -> Computed:
    """``x``."""
    return Computed(x, Pulled)


layer("ActivityRegularization")(identity)


@layer("Activation", mask=PASS)
def activation(config: Config, x: Array, given: Given) -> Computed:
    """A function of every value by itself, or of every row."""
    y, back = activate(
        config["activation"], x if config["activation"] == "linear" else given.floats(x)
    )
    return Computed(y, lambda d: Pulled(back(d)))


@layer("LeakyReLU", mask=PASS)
def leaky_relu(config: Config, x: Array, given: Given) -> Computed:
    """``relu(x) - alpha relu(-x)``."""
    alpha = config.get("alpha", 0.3)
    (above, above_back), (below, below_back) = (
        activate("relu", given.floats(x)),
        activate("relu", -given.floats(x)),
    )
    return Computed(
        above - alpha * below, lambda d: Pulled(above_back(d) + alpha * below_back(d))
    )


@layer("PReLU", mask=PASS)
def p_relu(config: Config, x: Array, given: Given) -> Computed:
    """``relu(x) - alphas relu(-x)``, the alphas learned."""
    alphas = given.params["alphas"]
    (above, above_back), (below, below_back) = (
        activate("relu", given.floats(x)),
        activate("relu", -given.floats(x)),
    )
    return Computed(
        above - alphas * below,
        lambda d: Pulled(
            above_back(d) + below_back(d * alphas), {"alphas": like(-d * below, alphas)}
        ),
    )


@layer("ParametricSoftplus", mask=PASS)
def parametric_softplus(config: Config, x: Array, given: Given) -> Computed:
    """``alphas log(1 + exp(betas x))``, both learned."""
    x, alphas, betas = given.floats(x), given.params["alphas"], given.params["betas"]
    y, _ = activate("softplus", betas * x)

    def back(d: Array) -> Pulled:
        inner = d * alphas * sigmoid(betas * x)[0]
        return Pulled(
            inner * betas,
            {"alphas": like(d * y, alphas), "betas": like(inner * x, betas)},
        )

    return Computed(alphas * y, back)


@layer("ThresholdedLinear", mask=PASS)
def thresholded_linear(config: Config, x: Array, given: Given) -> Computed:
    """``x`` where ``|x|`` is theta or more, else 0."""
    return _where(np.abs(given.floats(x)) >= config.get("theta", 1.0), given.floats(x))


@layer("ThresholdedReLU", "ThresholdedReLu", mask=PASS)
def thresholded_relu(config: Config, x: Array, given: Given) -> Computed:
    """``x`` above theta, else 0."""
    return _where(given.floats(x).real > config.get("theta", 1.0), given.floats(x))


@layer("Masking", mask=PASS)
def masking(config: Config, x: Array, given: Given) -> Computed:
    """Steps of which every value is ``mask_value`` are no data, and set to 0; with NaN, those of NaN alone."""
    gap = config.get("mask_value", 0.0)
    gap = x.dtype.type(gap) if is_float(x) else float(gap)
    is_gap = np.isnan(x) if np.isnan(gap) else x == gap
    mask = ~is_gap.all(axis=-1)
    kept = mask[..., None]

    # A product would leave NaN where the gap is inf or NaN, so that both ways choose.
    def back(d: Array) -> Pulled:
        return Pulled(np.where(kept, d, np.zeros((), d.dtype)))

    return Computed(np.where(kept, x, np.zeros((), x.dtype)), back, made(mask))


@layer("ReadMask", mask=USE)
def read_mask(config: Config, x: Value, given: Given) -> Computed:
    """The mask of ``x`` as truth values over its leading axes, all true where it has none."""
    return Computed(as_value(x.array, x.mask), lambda d: Pulled(None))


@layer("DropMask", mask=DROP)
def drop_mask(config: Config, x: Array, given: Given) -> Computed:
    """``x``, whose mask ends here."""
    return Computed(x, Pulled)


def _where(kept: Array, x: Array) -> Computed:
    return Computed(x * kept.astype(x.dtype), lambda d: Pulled(d * kept))


@layer("BatchNormalization")
def batch_normalization(config: Config, x: Array, given: Given) -> Computed:
    """``gamma (x - mean) / (std + epsilon) + beta``.

    Mode 1 takes mean and std of each row over its last axis. Mode 0 takes them over the rows of the batch while
    training, std being ``sqrt(mean((x - mean)**2 + epsilon))``, and else their running means.
    """
    epsilon, gamma, beta = (
        config.get("epsilon", 1e-6),
        given.params["gamma"],
        given.params["beta"],
    )
    by_row = config.get("mode", 0) == 1
    if not by_row and not given.train:
        return _normalized_by(
            x,
            given.params["running_mean"],
            given.params["running_std"],
            gamma,
            beta,
            epsilon,
        )
    axis = -1 if by_row else 0
    centred = x - x.mean(axis=axis, keepdims=True)
    std = np.sqrt(
        (centred**2 + (0 if by_row else epsilon)).mean(axis=axis, keepdims=True)
    )
    normal = centred / (std + epsilon)

    def back(d: Array) -> Pulled:
        d_normal = d * gamma
        d_std = -(d_normal * normal).sum(axis=axis, keepdims=True) / (std + epsilon)
        d_centred = d_normal / (std + epsilon) + d_std * centred / (std * x.shape[axis])
        return Pulled(
            d_centred - d_centred.mean(axis=axis, keepdims=True),
            {"gamma": like(d * normal, gamma), "beta": like(d, beta)},
        )

    kept = {} if by_row else {"running_mean": x.mean(axis=0), "running_std": std[0]}
    share = config.get("momentum", 0.9)
    updates = {
        name: share * given.params[name] + (1 - share) * now
        for name, now in kept.items()
    }
    return Computed(gamma * normal + beta, back, updates=updates)


def _normalized_by(
    x: Array, mean: Array, std: Array, gamma: Array, beta: Array, epsilon: float
) -> Computed:
    normal = (x - mean) / (std + epsilon)

    def back(d: Array) -> Pulled:
        d_normal = d * gamma / (std + epsilon)
        return Pulled(
            d_normal,
            {
                "gamma": like(d * normal, gamma),
                "beta": like(d, beta),
                "running_mean": like(-d_normal, mean),
                "running_std": like(-d_normal * normal, std),
            },
        )

    return Computed(gamma * normal + beta, back)


# Another shape


@layer("Reshape")
def reshape(config: Config, x: Array, given: Given) -> Computed:
    """``(batch, ...)`` as ``(batch, *dims)``."""
    return Computed(
        x.reshape(len(x), *config["dims"]), lambda d: Pulled(d.reshape(x.shape))
    )


@layer("Flatten")
def flatten(config: Config, x: Array, given: Given) -> Computed:
    """``(batch, ...)`` as ``(batch, values)``."""
    return Computed(
        x.reshape(len(x), math.prod(x.shape[1:])), lambda d: Pulled(d.reshape(x.shape))
    )


@layer("Permute")
def permute(config: Config, x: Array, given: Given) -> Computed:
    """The axes behind the batch in another order."""
    axes = (0, *config["dims"])
    return Computed(x.transpose(axes), lambda d: Pulled(d.transpose(np.argsort(axes))))


@layer("RepeatVector")
def repeat_vector(config: Config, x: Array, given: Given) -> Computed:
    """``(batch, dim)`` as ``(batch, n, dim)``."""
    return Computed(
        np.repeat(x[:, None], config["n"], axis=1), lambda d: Pulled(d.sum(axis=1))
    )


# Of several inputs


@layer("Blend", mask=PASS)
def blend(config: Config, x: Mapping[str, Array], given: Given) -> Computed:
    """``gate old + (1 - gate) new``."""
    gate, old, new = x["gate"], x["old"], x["new"]
    return Computed(
        gate * old + (1 - gate) * new,
        lambda d: Pulled(
            {
                "gate": like(d * (old - new), gate),
                "old": like(d * gate, old),
                "new": like(d * (1 - gate), new),
            }
        ),
    )


@layer("Switch", mask=PASS)
def switch(config: Config, x: Mapping[str, Array], given: Given) -> Computed:
    """``then`` where the condition holds, ``otherwise`` where not."""
    holds = _truth(x["condition"])
    return Computed(
        np.where(holds, x["then"], x["otherwise"]),
        lambda d: Pulled(
            {
                "condition": None,
                "then": np.where(holds, d, 0),
                "otherwise": np.where(holds, 0, d),
            }
        ),
    )


@layer("IfElse", mask=PASS)
def if_else(config: Config, x: Mapping[str, Array], given: Given) -> Computed:
    """``then`` if the one truth value for the whole batch holds, else ``otherwise``."""
    taken, other = (
        ("then", "otherwise") if _truth(x["condition"]).all() else ("otherwise", "then")
    )
    return Computed(
        x[taken],
        lambda d: Pulled({"condition": None, taken: d, other: np.zeros_like(x[other])}),
    )


def _truth(condition: Array) -> Array:
    if condition.dtype != bool:
        raise DtypeError.about(
            "port",
            "condition",
            takes="true or false",
            because="one side is chosen by it",
            got=condition.dtype,
            do="Declare the input with dtype='bool'.",
        )
    return condition
