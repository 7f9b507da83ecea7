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
    """``(X_train, y_train), (X_test, y_test)``, drawn from numpy's global generator in the order of Keras 0.1.

    Each row of ``X`` is normal about its class, a number from 0; or, for ``classification=False``, each row of ``X``
    and of ``y`` about one number in [0, 1).

    >>> (X, y), _ = get_test_data(nb_train=3, nb_test=2, input_shape=(5, 4))
    >>> X.shape, y.shape
    ((3, 5, 4), (3, 1))
    """
    nb_sample = nb_train + nb_test
    X = np.zeros((nb_sample, *input_shape))
    if classification:
        y = np.random.randint(0, nb_class, size=(nb_sample, 1))
        for row, center in zip(X, y, strict=True):
            row[...] = np.random.normal(loc=center, scale=1.0, size=input_shape)
    else:
        y = np.zeros((nb_sample, *output_shape))
        for row, target, center in zip(X, y, np.random.random(nb_sample), strict=True):
            row[...] = np.random.normal(loc=center, scale=1.0, size=input_shape)
            target[...] = np.random.normal(loc=center, scale=1.0, size=output_shape)
    return (X[:nb_train], y[:nb_train]), (X[nb_train:], y[nb_train:])
