"""The layers without a loop: the formula of each, forwards and backwards.

``dx`` is the gradient of the input, ``dy`` that of the output. A product is element by
element; ``@`` is a matrix product over the last axis.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from recursive.errors import DtypeError
from recursive.reference.activations import activate, sigmoid
from recursive.reference.arrays import (
    Array,
    LayerGradients,
    LayerResult,
    Scope,
    function_of,
    is_float,
    truth,
    unbroadcast,
)
from recursive.reference.masks import as_value, created
from recursive.reference.table import DROP, PASS, USE, layer


def rows_of(x: Array) -> Array:
    """``(..., dim)`` as ``(rows, dim)``."""
    return x.reshape(-1, x.shape[-1])


# Matrix products


@layer("Dense")
@layer("TimeDistributedDense", mask=PASS)
def dense(config, x, scope):
    """``y = f(z)``, ``z = x @ W + b``.

    Backwards: ``dz = f'(z) dy``, ``dx = dz @ W^T``, ``dW = x^T @ dz``, and ``db`` is
    the sum of ``dz`` over rows.
    """
    has_bias = config.get("bias", True)
    x, W = scope.floats(x), scope.params["W"]
    z = x @ W
    if has_bias:
        z = z + scope.params["b"]
    y, activation_back = activate(config.get("activation", "linear"), z)

    def back(dy):
        dz = activation_back(dy)
        d_params = {"W": rows_of(x).T @ rows_of(dz)}
        if has_bias:
            d_params["b"] = rows_of(dz).sum(axis=0)
        return LayerGradients(dz @ W.T, d_params)

    return LayerResult(y, back)


@layer("MaxoutDense")
def maxout(config, x, scope):
    """``y = max over k of x @ W[k] + b[k]``. Maps that are equal all get ``dy``."""
    x, W, b = scope.floats(x), scope.params["W"], scope.params["b"]
    # (..., nb_feature, output_dim)
    maps = np.einsum("...i,kio->...ko", x, W) + b
    y = maps.max(axis=-2)

    def back(dy):
        d_maps = dy[..., None, :] * (maps == y[..., None, :])
        dx = np.einsum("...ko,kio->...i", d_maps, W)
        dW = np.einsum("ni,nko->kio", rows_of(x), d_maps.reshape(-1, *b.shape))
        return LayerGradients(dx, {"W": dW, "b": unbroadcast(d_maps, b)})

    return LayerResult(y, back)


@layer("Embedding", mask=PASS)
def embedding(config, x, scope):
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

    def back(dy):
        # add.at and not +=: a row that is read twice sums both gradients.
        dW = np.zeros_like(W)
        np.add.at(dW, x, dy)
        return LayerGradients(None, {"W": dW})

    mask = created(x != 0) if config.get("mask_zero") else None
    return LayerResult(W[x], back, mask)


# Element by element


@layer("Identity", "ActivityRegularization", mask=PASS)
@layer("DropMask", mask=DROP)
def identity(config, x, scope):
    """``y = x``. The mask of a DropMask ends here."""
    return LayerResult(x, LayerGradients)


@layer("Activation", mask=PASS)
def activation(config, x, scope):
    """``y = f(x)``: each value by itself, or each row for softmax."""
    name = config["activation"]
    # A linear activation keeps integers as they are.
    y, back = activate(name, x if name == "linear" else scope.floats(x))
    return function_of(y, back)


@layer("LeakyReLU", mask=PASS)
def leaky_relu(config, x, scope):
    """``y = relu(x) - alpha relu(-x)``."""
    alpha = config.get("alpha", 0.3)
    x = scope.floats(x)
    above, above_back = activate("relu", x)
    below, below_back = activate("relu", -x)

    def back(dy):
        return above_back(dy) + alpha * below_back(dy)

    return function_of(above - alpha * below, back)


@layer("PReLU", mask=PASS)
def p_relu(config, x, scope):
    """``y = relu(x) - alphas relu(-x)``; the alphas are learned."""
    alphas = scope.params["alphas"]
    x = scope.floats(x)
    above, above_back = activate("relu", x)
    below, below_back = activate("relu", -x)

    def back(dy):
        dx = above_back(dy) + below_back(dy * alphas)
        return LayerGradients(dx, {"alphas": unbroadcast(-dy * below, alphas)})

    return LayerResult(above - alphas * below, back)


@layer("ParametricSoftplus", mask=PASS)
def parametric_softplus(config, x, scope):
    """``y = alphas log(1 + exp(z))``, ``z = betas x``; both are learned."""
    x, alphas, betas = scope.floats(x), scope.params["alphas"], scope.params["betas"]
    softplus, _ = activate("softplus", betas * x)

    def back(dy):
        dz = dy * alphas * sigmoid(betas * x)[0]
        d_alphas = unbroadcast(dy * softplus, alphas)
        d_betas = unbroadcast(dz * x, betas)
        return LayerGradients(dz * betas, {"alphas": d_alphas, "betas": d_betas})

    return LayerResult(alphas * softplus, back)


@layer("ThresholdedLinear", mask=PASS)
def thresholded_linear(config, x, scope):
    """``y = x`` where ``|x| >= theta``, else 0."""
    x = scope.floats(x)
    return times(x, np.abs(x) >= config.get("theta", 1.0))


@layer("ThresholdedReLU", "ThresholdedReLu", mask=PASS)
def thresholded_relu(config, x, scope):
    """``y = x`` where ``x > theta``, else 0."""
    x = scope.floats(x)
    return times(x, x.real > config.get("theta", 1.0))


def times(x: Array, kept: Array) -> LayerResult:
    """``y = x kept``, a truth value for each element; ``dx = dy kept``."""
    return function_of(x * kept.astype(x.dtype), lambda dy: dy * kept)


@layer("Masking", mask=PASS)
def masking(config, x, scope):
    """Mask the steps at which every value is ``mask_value``, and set them to 0."""
    gap = config.get("mask_value", 0.0)
    # In the dtype of x, so that 0.1 in float32 finds its gaps.
    gap = x.dtype.type(gap) if is_float(x) else float(gap)
    is_gap = np.isnan(x) if np.isnan(gap) else x == gap
    mask = ~is_gap.all(axis=-1)

    # Not a product: 0 times inf or NaN is NaN.
    def kept(values: Array) -> Array:
        return np.where(mask[..., None], values, np.zeros((), values.dtype))

    return function_of(kept(x), kept, created(mask))


@layer("ReadMask", mask=USE)
def read_mask(config, x, scope):
    """The mask of ``x`` as truth values over its leading axes; all true if none."""
    return function_of(as_value(x.array, x.mask), lambda dy: None)


@layer("BatchNormalization")
def batch_normalization(config, x, scope):
    """``y = gamma (x - mean) / (std + epsilon) + beta`` (Ioffe and Szegedy 2015).

    Mode 1 takes mean and std of each row over its last axis. Mode 0 takes them over the
    batch in training, with ``std = sqrt(mean((x - mean)**2 + epsilon))``, and the
    running means of them otherwise.
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


@layer("LayerNormalization", mask=PASS)
def layer_normalization(config, x, scope):
    """``y = gamma u + beta``, ``u = (x - mean) / s``, ``s = sqrt(variance + epsilon)``.

    Mean and variance are those of a row over its last axis (Ba et al. 2016). Backwards,
    ``du = gamma dy`` and ``dx = (du - mean(du) - u mean(u du)) / s``.
    """
    x, gamma, beta = scope.floats(x), scope.params["gamma"], scope.params["beta"]
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    s = np.sqrt(variance + config.get("epsilon", 1e-5))
    u = centred / s

    def back(dy):
        du = dy * gamma
        mean = du.mean(axis=-1, keepdims=True)
        along_u = (u * du).mean(axis=-1, keepdims=True)
        d_params = {"gamma": unbroadcast(dy * u, gamma), "beta": unbroadcast(dy, beta)}
        return LayerGradients((du - mean - u * along_u) / s, d_params)

    return LayerResult(gamma * u + beta, back)


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
    # A row has its own mean and std, or each value has those of its batch.
    c = x - x.mean(axis=axis, keepdims=True)
    s = np.sqrt((c**2 + inner_epsilon).mean(axis=axis, keepdims=True))
    u = c / (s + epsilon)

    def back(dy):
        du = dy * gamma
        ds = -(du * u).sum(axis=axis, keepdims=True) / (s + epsilon)
        dc = du / (s + epsilon) + ds * c / (s * x.shape[axis])
        dx = dc - dc.mean(axis=axis, keepdims=True)
        d_params = {"gamma": unbroadcast(dy * u, gamma), "beta": unbroadcast(dy, beta)}
        return LayerGradients(dx, d_params)

    return LayerResult(gamma * u + beta, back), s


def normalized_by_running_means(x: Array, scope: Scope, epsilon: float) -> LayerResult:
    """``u = (x - running_mean) / (running_std + epsilon)``, ``y = gamma u + beta``."""
    gamma, beta = scope.params["gamma"], scope.params["beta"]
    mean, std = scope.params["running_mean"], scope.params["running_std"]
    u = (x - mean) / (std + epsilon)

    def back(dy):
        dx = dy * gamma / (std + epsilon)
        d_params = {
            "gamma": unbroadcast(dy * u, gamma),
            "beta": unbroadcast(dy, beta),
            "running_mean": unbroadcast(-dx, mean),
            "running_std": unbroadcast(-dx * u, std),
        }
        return LayerGradients(dx, d_params)

    return LayerResult(gamma * u + beta, back)


# Changes of shape


@layer("Reshape")
def reshape(config, x, scope):
    """``(batch, ...)`` as ``(batch, *dims)``."""
    y = x.reshape(len(x), *config["dims"])
    return function_of(y, lambda dy: dy.reshape(x.shape))


@layer("Flatten")
def flatten(config, x, scope):
    """``(batch, ...)`` as ``(batch, dim)``."""
    y = x.reshape(len(x), math.prod(x.shape[1:]))
    return function_of(y, lambda dy: dy.reshape(x.shape))


@layer("Permute")
def permute(config, x, scope):
    """The axes after the batch in another order, numbered from 1."""
    axes = (0, *config["dims"])
    return function_of(x.transpose(axes), lambda dy: dy.transpose(np.argsort(axes)))


@layer("RepeatVector")
def repeat_vector(config, x, scope):
    """``(batch, dim)`` repeated to ``(batch, n, dim)``; ``dx`` is summed over ``n``."""
    # (batch, n, dim)
    y = np.repeat(x[:, None], config["n"], axis=1)
    return function_of(y, lambda dy: dy.sum(axis=1))


# Several inputs, by port


@layer("Blend", mask=PASS)
def blend(config, x, scope):
    """``y = gate old + (1 - gate) new``."""
    gate, old, new = x["gate"], x["old"], x["new"]

    def back(dy):
        return {
            "gate": unbroadcast(dy * (old - new), gate),
            "old": unbroadcast(dy * gate, old),
            "new": unbroadcast(dy * (1 - gate), new),
        }

    return function_of(gate * old + (1 - gate) * new, back)


@layer("Switch", mask=PASS)
def switch(config, x, scope):
    """``y = then`` where ``condition`` is true, ``otherwise`` elsewhere."""
    condition = truth("port", "condition", x["condition"])

    def back(dy):
        then = np.where(condition, dy, 0)
        otherwise = np.where(condition, 0, dy)
        return {"condition": None, "then": then, "otherwise": otherwise}

    return function_of(np.where(condition, x["then"], x["otherwise"]), back)


@layer("IfElse", mask=PASS)
def if_else(config, x, scope):
    """``y = then`` if the ``condition`` of the batch is true, else ``otherwise``."""
    taken, other = "otherwise", "then"
    if truth("port", "condition", x["condition"]).all():
        taken, other = other, taken

    def back(dy):
        return {"condition": None, taken: dy, other: np.zeros_like(x[other])}

    return function_of(x[taken], back)
