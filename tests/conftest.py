"""Every test runs in float64, from the same seed, with one BLAS thread, whatever ran before it."""

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import pytensor
import pytest

from recursive import set_backend


@pytest.fixture(autouse=True)
def _same_start(monkeypatch):
    monkeypatch.delenv("RECURSIVE_BACKEND", raising=False)
    set_backend("python")
    np.random.seed(20150901)
    with pytensor.config.change_flags(floatX="float64"):
        yield
    set_backend(None)
