"""Derivatives along a direction from values alone, to check gradients."""

import numpy as np

from recursive.reference import gradients, run
from tests.reference.networks import GAP

STEP = 1e-20
"""Of the complex step, which cancels nothing: as small as can be."""
NUDGE = 1e-6
"""Of central differences."""


def random_like(arrays, rng):
    return {name: rng.normal(size=np.shape(value)) for name, value in arrays.items()}


def floats(arrays):
    return {
        name: value
        for name, value in arrays.items()
        if np.asarray(value).dtype.kind == "f"
    }


def check_gradients(spec, params, inputs, states=None, draws=None, **how):
    """Compare the gradient of each array that goes in with the complex step and central differences."""
    rng = np.random.RandomState(11)
    states = states or {}
    outputs = run(spec, params, inputs, states=states, draws=draws, **how).outputs
    cotangents = random_like(outputs, rng)
    found = gradients(
        spec, params, inputs, cotangents, states=states, draws=draws, **how
    )
    given = {"params": params, "inputs": inputs, "states": states}

    def loss(changed):
        every = {**given, **changed}
        shown = run(
            spec,
            every["params"],
            every["inputs"],
            states=every["states"],
            draws=draws,
            **how,
        ).outputs
        return sum((cotangents[name] * value).sum() for name, value in shown.items())

    for kind, arrays in given.items():
        for name, value in floats(arrays).items():
            direction = rng.normal(size=value.shape) * (
                value != GAP
            )  # moved a little, a gap would be data
            along = (getattr(found, kind)[name] * direction).sum()

            def moved(
                by,
                kind=kind,
                name=name,
                arrays=arrays,
                value=value,
                direction=direction,
            ):
                return loss({kind: {**arrays, name: value + by * direction}})

            by_complex_step = moved(1j * STEP).imag / STEP
            by_differences = (moved(NUDGE) - moved(-NUDGE)) / (2 * NUDGE)
            scale = max(1, abs(along))
            assert abs(along - by_complex_step) <= 1e-12 * scale, (
                kind,
                name,
                along,
                by_complex_step,
            )
            assert abs(along - by_differences) <= 1e-6 * scale, (
                kind,
                name,
                along,
                by_differences,
            )
