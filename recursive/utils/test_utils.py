"""Small data to try a model on. Source: ``keras.utils.test_utils`` of Keras 0.1."""

from __future__ import annotations

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]


def get_test_data(
    nb_train: int = 1000,
    nb_test: int = 500,
    input_shape: tuple[int, ...] = (10,),
    output_shape: tuple[int, ...] = (2,),
    classification: bool = True,
    nb_class: int = 2,
) -> tuple[Pair, Pair]:
    """Return ``(X_train, y_train), (X_test, y_test)``.

    For classification, a row of ``X`` is drawn from a normal distribution with its
    class as mean. Otherwise a row of ``X`` and its row of ``y`` have the same mean,
    drawn from [0, 1). The draws of numpy's global generator are those of Keras 0.1.

    >>> (X, y), _ = get_test_data(nb_train=3, nb_test=2, input_shape=(5, 4))
    >>> X.shape, y.shape
    ((3, 5, 4), (3, 1))
    """
    nb_sample = nb_train + nb_test
    X = np.zeros((nb_sample, *input_shape))
    if classification:
        y = np.random.randint(0, nb_class, size=(nb_sample, 1))
        for row, mean in zip(X, y, strict=True):
            row[...] = np.random.normal(loc=mean, scale=1.0, size=input_shape)
    else:
        y = np.zeros((nb_sample, *output_shape))
        means = np.random.random(nb_sample)
        for row, target, mean in zip(X, y, means, strict=True):
            row[...] = np.random.normal(loc=mean, scale=1.0, size=input_shape)
            target[...] = np.random.normal(loc=mean, scale=1.0, size=output_shape)
    return (X[:nb_train], y[:nb_train]), (X[nb_train:], y[nb_train:])
