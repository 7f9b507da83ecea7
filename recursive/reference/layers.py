"""The layers without a loop: the formula of each, forwards and backwards.

``dx`` is the gradient of the input, ``dy`` that of the output; where the code says ``d``,
it is ``dy``. A product is element by element; ``@`` is a matrix product over the last
axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from recursive.errors import DtypeError
from recursive.reference.activations import activate, sigmoid
from recursive.reference.arrays import (
    Array,
    LayerGradients,
    LayerResult,
    Scope,
    Value,
    is_float,
    unbroadcast,
)
from recursive.reference.masks import as_value, created
from recursive.reference.table import DROP, PASS, USE, Config, layer


def rows_of(x: Array) -> Array:
    """``(..., dim)`` as ``(rows, dim)``."""
    return x.reshape(-1, x.shape[-1])


# Matrix products


@layer("Dense")
@layer("TimeDistributedDense", mask=PASS)
def dense(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``y = f(z)``, ``z = x @ W + b``.

    Backwards: ``dz = f'(z) dy``, ``dx = dz @ W^T``, ``dW = x^T @ dz``, and ``db`` is the
    sum of ``dz`` over rows.
    """
    has_bias = config.get("bias", True)
    x, W = scope.floats(x), scope.params["W"]
    z = x @ W
    if has_bias:
        z = z + scope.params["b"]
    y, activation_back = activate(config.get("activation", "linear"), z)

    def back(d: Array) -> LayerGradients:
        dz = activation_back(d)
        d_params = {"W": rows_of(x).T @ rows_of(dz)}
        if has_bias:
            d_params["b"] = rows_of(dz).sum(axis=0)
        return LayerGradients(dz @ W.T, d_params)

    return LayerResult(y, back)


@layer("MaxoutDense")
def maxout(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``y = max over k of x @ W[k] + b[k]``. Maps that are equal all get ``dy``."""
    x, W, b = scope.floats(x), scope.params["W"], scope.params["b"]
    maps = np.einsum("...i,kio->...ko", x, W) + b
    y = maps.max(axis=-2)

    def back(d: Array) -> LayerGradients:
        d_maps = d[..., None, :] * (maps == y[..., None, :])
        dx = np.einsum("...ko,kio->...i", d_maps, W)
        dW = np.einsum("ni,nko->kio", rows_of(x), d_maps.reshape(-1, *b.shape))
        return LayerGradients(dx, {"W": dW, "b": unbroadcast(d_maps, b)})

    return LayerResult(y, back)


@layer("Embedding", mask=PASS)
def embedding(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``y = W[x]``: row ``i`` for the integer ``i``. With ``mask_zero``, 0 is masked.

    Backwards, each row of ``W`` sums the gradients of all places that read it.
    """
    if is_float(x):
        raise DtypeError.about(
            "layer",
            "Embedding",
            takes="integers",
            got=x.dtype,
            do="Declare the input with dtype='int'.",
        )
    W = scope.params["W"]

    def back(d: Array) -> LayerGradients:
        dW = np.zeros_like(W)
        np.add.at(dW, x, d)
        return LayerGradients(None, {"W": dW})

    mask = created(x != 0) if config.get("mask_zero") else None
    return LayerResult(W[x], back, mask)


# Element by element


@layer("Identity", "ActivityRegularization", mask=PASS)
@layer("DropMask", mask=DROP)
def identity(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``y = x``. The mask of a DropMask ends here."""
    return LayerResult(x, LayerGradients)


@layer("Activation", mask=PASS)
def activation(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``y = f(x)``: each value by itself, or each row for softmax."""
    name = config["activation"]
    # A linear activation keeps integers as they are.
    y, back = activate(name, x if name == "linear" else scope.floats(x))
    return LayerResult(y, lambda d: LayerGradients(back(d)))


@layer("LeakyReLU", mask=PASS)
def leaky_relu(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``y = relu(x) - alpha relu(-x)``."""
    alpha = config.get("alpha", 0.3)
    x = scope.floats(x)
    above, above_back = activate("relu", x)
    below, below_back = activate("relu", -x)

    def back(d: Array) -> LayerGradients:
        return LayerGradients(above_back(d) + alpha * below_back(d))

    return LayerResult(above - alpha * below, back)


@layer("PReLU", mask=PASS)
def p_relu(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``y = relu(x) - alphas relu(-x)``; the alphas are learned."""
    alphas = scope.params["alphas"]
    x = scope.floats(x)
    above, above_back = activate("relu", x)
    below, below_back = activate("relu", -x)

    def back(d: Array) -> LayerGradients:
        dx = above_back(d) + below_back(d * alphas)
        return LayerGradients(dx, {"alphas": unbroadcast(-d * below, alphas)})

    return LayerResult(above - alphas * below, back)


@layer("ParametricSoftplus", mask=PASS)
def parametric_softplus(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``y = alphas log(1 + exp(z))``, ``z = betas x``; both are learned."""
    x, alphas, betas = scope.floats(x), scope.params["alphas"], scope.params["betas"]
    softplus, _ = activate("softplus", betas * x)

    def back(d: Array) -> LayerGradients:
        dz = d * alphas * sigmoid(betas * x)[0]
        d_alphas = unbroadcast(d * softplus, alphas)
        d_betas = unbroadcast(dz * x, betas)
        return LayerGradients(dz * betas, {"alphas": d_alphas, "betas": d_betas})

    return LayerResult(alphas * softplus, back)


@layer("ThresholdedLinear", mask=PASS)
def thresholded_linear(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``y = x`` where ``|x| >= theta``, else 0."""
    x = scope.floats(x)
    return times(x, np.abs(x) >= config.get("theta", 1.0))


@layer("ThresholdedReLU", "ThresholdedReLu", mask=PASS)
def thresholded_relu(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``y = x`` where ``x > theta``, else 0."""
    x = scope.floats(x)
    return times(x, x.real > config.get("theta", 1.0))


def times(x: Array, kept: Array) -> LayerResult:
    """``y = x kept``, a truth value for each element; ``dx = dy kept``."""
    return LayerResult(x * kept.astype(x.dtype), lambda d: LayerGradients(d * kept))


@layer("Masking", mask=PASS)
def masking(config: Config, x: Array, scope: Scope) -> LayerResult:
    """Mask the steps at which every value is ``mask_value``, and set them to 0."""
    gap = config.get("mask_value", 0.0)
    gap = x.dtype.type(gap) if is_float(x) else float(gap)
    is_gap = np.isnan(x) if np.isnan(gap) else x == gap
    mask = ~is_gap.all(axis=-1)

    # Not a product: 0 times inf or NaN is NaN.
    def kept(values: Array) -> Array:
        return np.where(mask[..., None], values, np.zeros((), values.dtype))

    return LayerResult(kept(x), lambda d: LayerGradients(kept(d)), created(mask))


@layer("ReadMask", mask=USE)
def read_mask(config: Config, x: Value, scope: Scope) -> LayerResult:
    """The mask of ``x`` as truth values over its leading axes; all true if it has none."""
    return LayerResult(as_value(x.array, x.mask), lambda d: LayerGradients(None))


@layer("BatchNormalization")
def batch_normalization(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``y = gamma (x - mean) / (std + epsilon) + beta`` (Ioffe and Szegedy 2015).

    Mode 1 takes mean and std of each row over its last axis. Mode 0 takes them over the
    batch in training, with ``std = sqrt(mean((x - mean)**2 + epsilon))``, and the running
    means of them otherwise.
    """
    epsilon = config.get("epsilon", 1e-6)
    if config.get("mode", 0) == 1:
        return normalized(x, scope, epsilon, axis=-1, inner_epsilon=0)[0]
    if not scope.train:
        return normalized_by_running_means(x, scope, epsilon)
    result, std = normalized(x, scope, epsilon, axis=0, inner_epsilon=epsilon)
    momentum = config.get("momentum", 0.9)
    updates = {}
    for name, now in {"running_mean": x.mean(axis=0), "running_std": std[0]}.items():
        updates[name] = momentum * scope.params[name] + (1 - momentum) * now
    return replace(result, updates=updates)


def normalized(
    x: Array, scope: Scope, epsilon: float, axis: int, inner_epsilon: float
) -> tuple[LayerResult, Array]:
    """Normalize ``x`` over an axis of ``n`` values; return also the std.

    ``c = x - mean(x)``, ``s = sqrt(mean(c**2 + inner_epsilon))``,
    ``u = c / (s + epsilon)``, ``y = gamma u + beta``.

    Backwards: ``du = gamma dy``, ``ds = -sum(du u) / (s + epsilon)``,
    ``dc = du / (s + epsilon) + ds c / (n s)``, ``dx = dc - mean(dc)``.
    """
    gamma, beta = scope.params["gamma"], scope.params["beta"]
    c = x - x.mean(axis=axis, keepdims=True)
    s = np.sqrt((c**2 + inner_epsilon).mean(axis=axis, keepdims=True))
    u = c / (s + epsilon)

    def back(d: Array) -> LayerGradients:
        du = d * gamma
        ds = -(du * u).sum(axis=axis, keepdims=True) / (s + epsilon)
        dc = du / (s + epsilon) + ds * c / (s * x.shape[axis])
        dx = dc - dc.mean(axis=axis, keepdims=True)
        d_params = {"gamma": unbroadcast(d * u, gamma), "beta": unbroadcast(d, beta)}
        return LayerGradients(dx, d_params)

    return LayerResult(gamma * u + beta, back), s


def normalized_by_running_means(x: Array, scope: Scope, epsilon: float) -> LayerResult:
    """``u = (x - running_mean) / (running_std + epsilon)``, ``y = gamma u + beta``."""
    gamma, beta = scope.params["gamma"], scope.params["beta"]
    mean, std = scope.params["running_mean"], scope.params["running_std"]
    u = (x - mean) / (std + epsilon)

    def back(d: Array) -> LayerGradients:
        dx = d * gamma / (std + epsilon)
        d_params = {
            "gamma": unbroadcast(d * u, gamma),
            "beta": unbroadcast(d, beta),
            "running_mean": unbroadcast(-dx, mean),
            "running_std": unbroadcast(-dx * u, std),
        }
        return LayerGradients(dx, d_params)

    return LayerResult(gamma * u + beta, back)


# Changes of shape


def rearranged(y: Array, back: Callable[[Array], Array]) -> LayerResult:
    """The values of the input in another arrangement; ``back`` undoes it."""
    return LayerResult(y, lambda d: LayerGradients(back(d)))


@layer("Reshape")
def reshape(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``(batch, ...)`` as ``(batch, *dims)``."""
    y = x.reshape(len(x), *config["dims"])
    return rearranged(y, lambda d: d.reshape(x.shape))


@layer("Flatten")
def flatten(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``(batch, ...)`` as ``(batch, dim)``."""
    y = x.reshape(len(x), math.prod(x.shape[1:]))
    return rearranged(y, lambda d: d.reshape(x.shape))


@layer("Permute")
def permute(config: Config, x: Array, scope: Scope) -> LayerResult:
    """The axes after the batch in another order, numbered from 1."""
    axes = (0, *config["dims"])
    return rearranged(x.transpose(axes), lambda d: d.transpose(np.argsort(axes)))


@layer("RepeatVector")
def repeat_vector(config: Config, x: Array, scope: Scope) -> LayerResult:
    """``(batch, dim)`` repeated to ``(batch, n, dim)``; ``dx`` is summed over ``n``."""
    y = np.repeat(x[:, None], config["n"], axis=1)
    return rearranged(y, lambda d: d.sum(axis=1))


# Several inputs


@layer("Blend", mask=PASS)
def blend(config: Config, x: Mapping[str, Array], scope: Scope) -> LayerResult:
    """``y = gate old + (1 - gate) new``."""
    gate, old, new = x["gate"], x["old"], x["new"]

    def back(d: Array) -> LayerGradients:
        d_gate = unbroadcast(d * (old - new), gate)
        d_old = unbroadcast(d * gate, old)
        d_new = unbroadcast(d * (1 - gate), new)
        return LayerGradients({"gate": d_gate, "old": d_old, "new": d_new})

    return LayerResult(gate * old + (1 - gate) * new, back)


@layer("Switch", mask=PASS)
def switch(config: Config, x: Mapping[str, Array], scope: Scope) -> LayerResult:
    """``then`` where the condition is true, ``otherwise`` elsewhere."""
    condition = _truth(x["condition"])

    def back(d: Array) -> LayerGradients:
        d_then = np.where(condition, d, 0)
        d_otherwise = np.where(condition, 0, d)
        d_x = {"condition": None, "then": d_then, "otherwise": d_otherwise}
        return LayerGradients(d_x)

    return LayerResult(np.where(condition, x["then"], x["otherwise"]), back)


@layer("IfElse", mask=PASS)
def if_else(config: Config, x: Mapping[str, Array], scope: Scope) -> LayerResult:
    """``then`` if the one truth value of the batch is true, else ``otherwise``."""
    taken, other = "otherwise", "then"
    if _truth(x["condition"]).all():
        taken, other = other, taken

    def back(d: Array) -> LayerGradients:
        return LayerGradients(
            {"condition": None, taken: d, other: np.zeros_like(x[other])}
        )

    return LayerResult(x[taken], back)


def _truth(condition: Array) -> Array:
    """Check that a condition has truth values."""
    if condition.dtype != bool:
        raise DtypeError.about(
            "port",
            "condition",
            takes="truth values",
            got=condition.dtype,
            do="Declare the input with dtype='bool'.",
        )
    return condition
