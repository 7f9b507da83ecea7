"""Computes every case with the NumPy interpreter; the name of a case is its seed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from recursive import reference
from recursive.conformance.needs import capabilities
from recursive.conformance.suite import TOLERANCE, Arrays, Case
from recursive.conformance.versions import VERSIONS
from recursive.errors import DataError, RecursiveError
from recursive.spec.graph import GraphSpec
from tests.suite.drafts import Draft
from tests.suite.writing import write

STEPS = 10
"""Steps of training."""

LOOSER = {"float64": 1, "float32": 10**5}
"""The factor on the tolerance of float64."""


def generate(folder: Path, seen: Callable[[Iterable], Iterable] = iter) -> int:
    """Write every version of the suite into ``folder/v1.0`` and so on; return the number of cases.

    Args:
        seen: wraps the drafts on their way, for a progress bar.
    """
    from tests.suite import areas  # noqa: F401 (it fills the list)
    from tests.suite.areas.invalid import INVALID
    from tests.suite.drafts import DRAFTS
    from tests.suite.legacy import cases_of_2015
    from tests.suite.schemas import schemas_of

    cases = [*map(case_of, seen(DRAFTS)), *cases_of_2015()]
    before = None
    for version in VERSIONS:
        own = [case for case in cases if case.about["version"] == version]
        invalid = [about for about in INVALID if about["version"] == version]
        place = Path(folder) / f"v{version}"
        write(place, own, invalid, schemas_of(version), version, before)
        before = version
    return len(cases) + len(INVALID)


def case_of(draft: Draft) -> Case:
    """The case of a draft, with its numbers.

    Raises:
        DataError: if the interpreter differs from values worked out by hand.
    """
    rng = np.random.RandomState(zlib.crc32(draft.id.encode()))
    arrays = _given(draft, rng)
    if draft.refused:
        _check_refused(draft, arrays)
    elif draft.training:
        arrays |= _trained(draft, arrays)
    else:
        arrays |= _computed(draft, arrays, rng)
    _check_by_hand(draft, arrays)
    return Case(
        _about(draft, arrays),
        {name: _as_said(value, draft.dtype) for name, value in arrays.items()},
    )


def _about(draft: Draft, arrays: Arrays) -> dict[str, object]:
    needs = capabilities(
        draft.net.spec,
        draft.batches,
        bool(draft.net.draws) and draft.train,
        "mask" in arrays,
        any(name.startswith("state0/") for name in arrays),
        draft.dtype,
        bool(draft.training),
        _has_unlearned(draft),
        draft.refused is not None,
    )
    tolerance = {name: value * LOOSER[draft.dtype] for name, value in TOLERANCE.items()}
    training = {**draft.training, "steps": STEPS} if draft.training else None
    refused = {"refused": draft.refused} if draft.refused else {}
    return {
        "version": draft.version,
        "id": draft.id,
        "area": draft.area,
        "tier": draft.tier or ("optional" if needs else "core"),
        "why": draft.why,
        "source": draft.source,
        "by_hand": bool(draft.hand),
        "capabilities": needs,
        "dtype": draft.dtype,
        "call": {"train": draft.train, "batches": draft.batches},
        "tolerance": tolerance,
        "training": training,
        **refused,
        "spec": draft.net.spec.to_dict(),
    }


def _has_unlearned(draft: Draft) -> bool:
    """True if an output has no loss."""
    loss = draft.training["loss"] if draft.training else "mse"
    return isinstance(loss, dict) and None in loss.values()


# What is given


def _given(draft: Draft, rng: np.random.RandomState) -> Arrays:
    net, batches = draft.net, range(draft.batches)
    prefixes = [""] if draft.batches == 1 else [f"b{number}/" for number in batches]
    found = {
        f"param/{name}": rng.normal(0, min(0.5, 2 / np.sqrt(shape[0])), shape)
        for name, shape in net.params.items()
    }
    for prefix in prefixes:
        found |= {
            f"{prefix}in/{item.name}": _drawn(
                rng,
                item.dtype,
                (draft.rows, *net.shapes[item.name]),
                net.limits[item.name],
            )
            for item in net.spec.inputs
            if item.name not in draft.absent
        }
    if draft.train:
        found |= {
            f"draw/{name}": _noise(rng, name, _draw_shape(draft, name))
            for name in net.draws
        }
    for name, value in draft.given.items():
        found[name] = (
            _state(draft, rng, name, value)
            if isinstance(value, str)
            else _like(found.get(name), value)
        )
    return {name: _rounded(value, draft.dtype) for name, value in found.items()}


def _drawn(
    rng: np.random.RandomState, dtype: str, shape: tuple[int, ...], below: int
) -> np.ndarray:
    if dtype == "int":
        return rng.randint(0, below, shape).astype("int32")
    return rng.uniform(size=shape) < 0.5 if dtype == "bool" else rng.normal(size=shape)


def _draw_shape(draft: Draft, name: str) -> tuple[int, ...]:
    steps = next(
        draft.net.shapes[item.name][0]
        for item in draft.net.spec.inputs
        if item.is_sequence
    )
    over_time = () if name in draft.net.held else (steps,)
    return (draft.rows, *over_time, *draft.net.draws[name])


def _noise(rng: np.random.RandomState, name: str, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=shape) if name.endswith("noise") else rng.uniform(size=shape)


def _state(
    draft: Draft, rng: np.random.RandomState, name: str, words: str
) -> np.ndarray:
    """``random`` values of a state, or ``random 2`` for a state of lag 2."""
    dim = next(
        item.dim for item in draft.net.spec.states if name == f"state0/{item.name}"
    )
    lag = words.split()[1:]
    return rng.normal(size=(*map(int, lag), draft.rows, dim))


def _like(drawn: np.ndarray | None, value: object) -> np.ndarray:
    value = np.asarray(value)
    return value if drawn is None else value.astype(drawn.dtype)


def _rounded(value: np.ndarray, dtype: str) -> np.ndarray:
    """Floats as they are in ``dtype``, to compute with in float64."""
    return value.astype(dtype).astype("float64") if value.dtype.kind == "f" else value


def _as_said(value: np.ndarray, dtype: str) -> np.ndarray:
    return np.asarray(value, dtype) if value.dtype.kind == "f" else value


# What comes out


def _computed(draft: Draft, arrays: Arrays, rng: np.random.RandomState) -> Arrays:
    found, states = {}, None
    case = Case(
        {"id": draft.id, "call": {"train": draft.train, "batches": draft.batches}},
        arrays,
    )
    for number in range(draft.batches):
        batch, prefix = case.batch(number), f"b{number}/" if draft.batches > 1 else ""
        given = {**batch.given, "states": states or batch.given["states"]}
        params, inputs = batch.part("param/"), batch.part("in/")
        result = reference.run(draft.net.spec, params, inputs, **_said(given))
        states = {
            name: value
            for name, value in result.finals.items()
            if _goes_on(draft.net.spec, name)
        }
        parts = {"out": result.outputs, "final": result.finals, "node": result.values}
        found |= {
            f"{prefix}{kind}/{name}": value
            for kind, part in parts.items()
            for name, value in part.items()
        }
        if draft.gradients and draft.batches == 1:
            found |= _gradients(draft, batch, given, result.outputs, rng)
    return found


def _gradients(
    draft: Draft,
    batch: Case,
    given: dict[str, object],
    outputs: Arrays,
    rng: np.random.RandomState,
) -> Arrays:
    said = {
        f"cot/{name}": np.ones_like(value)
        if draft.hand
        else _rounded(rng.normal(size=value.shape), draft.dtype)
        for name, value in outputs.items()
    }
    cotangents = {name.removeprefix("cot/"): value for name, value in said.items()}
    found = reference.gradients(
        draft.net.spec,
        batch.part("param/"),
        batch.part("in/"),
        cotangents,
        **_said(given),
    )
    return {
        **said,
        **{f"grad/param/{name}": value for name, value in found.params.items()},
        **{f"grad/in/{name}": value for name, value in found.inputs.items()},
    }


def _said(given: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in given.items() if value is not None}


def _goes_on(spec: GraphSpec, name: str) -> bool:
    said = {state.name: state.stateful for state in spec.states}.get(name)
    return spec.stateful if said is None else said


def _trained(draft: Draft, arrays: Arrays) -> Arrays:
    """Targets, the loss before each step, and the parameters after the last."""
    case = Case({"id": draft.id}, arrays)
    params, inputs = case.part("param/"), case.part("in/")
    outputs = reference.run(draft.net.spec, params, inputs).outputs
    rng = np.random.RandomState(zlib.crc32(f"{draft.id} targets".encode()))
    drawn = {
        name: np.tanh(rng.normal(size=value.shape))
        for name, value in outputs.items()
        if not isinstance(draft.training["loss"], dict)
        or draft.training["loss"][name] is not None
    }
    targets = {**drawn, **case.part("target/")}
    found = reference.train(
        draft.net.spec,
        params,
        inputs,
        targets,
        draft.training["optimizer"],
        STEPS,
        loss=draft.training["loss"],
    )
    return {
        **{f"target/{name}": value for name, value in targets.items()},
        "step/loss": np.asarray(found.losses),
        **{f"trained/{name}": value for name, value in found.params.items()},
    }


def _check_refused(draft: Draft, arrays: Arrays) -> None:
    """Raise a DataError unless the interpreter refuses the arrays."""
    case = Case({"call": {"train": draft.train, "batches": 1}}, arrays)
    params, inputs = case.part("param/"), case.part("in/")
    found = "no error"
    try:
        reference.run(draft.net.spec, params, inputs, **_said(case.given))
    except RecursiveError as error:
        found = type(error).__name__
    if found != draft.refused:
        raise DataError.about(
            "case",
            draft.id,
            takes=draft.refused,
            because="the interpreter is judged too",
            got=found,
            do="One of the two is wrong.",
        )


def _check_by_hand(draft: Draft, arrays: Arrays) -> None:
    for name, expected in draft.hand.items():
        found = arrays[name]
        if found.shape != np.shape(expected) or np.abs(found - expected).max() > 1e-12:
            raise DataError.about(
                "case",
                draft.id,
                takes=f"{name} as it was worked out by hand",
                because="the interpreter is judged too",
                got=found.tolist(),
                do=f"One of the two is wrong: by hand it is {expected}.",
            )
