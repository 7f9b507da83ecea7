"""Whether a port meets a case, and if not, what to tell its author: which array, where in it, and which node first."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from recursive.conformance import forms
from recursive.conformance.adapter import Adapter, can
from recursive.conformance.forms import FormError, RaisedError, UnmetError
from recursive.conformance.suite import Arrays, Case, Invalid
from recursive.spec.graph import GraphSpec, OutputSpec
from recursive.spec.names import Ref
from recursive.spec.order import ordered


def judge(adapter: Adapter, case: Case | Invalid) -> None:
    """Run one case.

    Raises:
        UnmetError: where the port does not meet it.
    """
    if isinstance(case, Invalid):
        _judge_refusal(adapter, case)
        return
    _judge_acceptance(adapter, case)
    model = _built(adapter, case.about["spec"], case)
    if case.about["training"]:
        _judge_training(adapter, model, case)
        return
    for number in range(case.batches):
        batch = case.batch(number)
        try:
            _judge_run(adapter, model, batch)
        except UnmetError as error:
            where = f"batch {number + 1}: " if case.batches > 1 else ""
            nodes = (
                ""
                if isinstance(error, RaisedError | FormError)
                else _first_diverging(adapter, case, number)
            )
            raise type(error)(f"{where}{error}{nodes}") from None
    if can(adapter, "grads") and case.part("cot/"):
        _judge_gradients(adapter, model, case)


def _judge_refusal(adapter: Adapter, case: Invalid) -> None:
    if not can(adapter, "refuses"):
        raise UnmetError("it cannot be asked, since it has no refuses()")
    code, found = case.about["code"], _refused(adapter, case)
    if found is None:
        raise UnmetError(
            f"it was accepted, where {code} was to be raised: {case.about['why']}"
        )
    if found != code:
        raise UnmetError(
            f"it was refused with {found!r} in place of {code!r}: {case.about['why']}"
        )


def _judge_acceptance(adapter: Adapter, case: Case) -> None:
    found = _refused(adapter, case) if can(adapter, "refuses") else None
    if found is not None:
        raise UnmetError(
            f"it was refused with {found!r}, where nothing is wrong with it"
        )


def _refused(adapter: Adapter, case: Case | Invalid) -> str | None:
    return forms.code(_called(adapter.refuses, dict(case.about["spec"])))


def _built(adapter: Adapter, spec: Mapping[str, object], case: Case) -> object:
    return _called(adapter.build, dict(spec), _copies(case.part("param/")))


def _run(adapter: Adapter, model: object, case: Case) -> dict[str, Arrays]:
    return forms.parts(
        "run",
        _called(adapter.run, model, _copies(case.part("in/")), **_copied(case.given)),
    )


def _judge_run(adapter: Adapter, model: object, case: Case) -> None:
    found, expected = _run(adapter, model, case), case.part("out/")
    _check_names("output", found["outputs"], expected)
    tolerance = case.about["tolerance"]["outputs"]
    for name, value in expected.items():
        compare(f"output {name!r}", found["outputs"][name], value, tolerance)
    states = case.part("final/")
    if states:
        _check_known("state", found["finals"], states)
    for name in states.keys() & found["finals"].keys():
        compare(
            f"state {name!r} after the last step",
            found["finals"][name],
            states[name],
            tolerance,
        )


def _judge_gradients(adapter: Adapter, model: object, case: Case) -> None:
    found = forms.parts(
        "grads",
        _called(
            adapter.grads,
            model,
            _copies(case.part("in/")),
            _copies(case.part("cot/")),
            **_copied(case.given),
        ),
    )
    tolerance = case.about["tolerance"]["grads"]
    for kind, prefix, words in (
        ("params", "grad/param/", "parameter"),
        ("inputs", "grad/in/", "input"),
    ):
        expected, given = case.part(prefix), found[kind]
        if expected:
            _check_names(f"gradient of {words}", given, expected)
        for name, value in expected.items():
            compare(f"the gradient of {words} {name!r}", given[name], value, tolerance)


def _judge_training(adapter: Adapter, model: object, case: Case) -> None:
    found = forms.parts(
        "train",
        _called(
            adapter.train,
            model,
            _copies(case.part("in/")),
            _copies(case.part("target/")),
            dict(case.about["training"]),
        ),
    )
    tolerance, losses = case.about["tolerance"]["steps"], case.arrays["step/loss"]
    compare(
        "the loss, step by step,",
        found["losses"].astype(losses.dtype),
        losses,
        tolerance,
    )
    expected, given = case.part("trained/"), found["params"]
    _check_names("trained parameter", given, expected)
    for name, value in expected.items():
        compare(
            f"parameter {name!r} after {case.about['training']['steps']} steps",
            given[name],
            value,
            tolerance,
        )


def compare(
    what: str, found: np.ndarray, expected: np.ndarray, tolerance: float
) -> None:
    """Raise an UnmetError unless ``found`` is ``expected``: shape and dtype exactly, values within ``tolerance``.

    >>> compare("output", np.array([1.0, 2.5]), np.array([1.0, 2.0]), 1e-10)
    Traceback (most recent call last):
        ...
    recursive.conformance.forms.UnmetError: output is off by 0.5 (2e-10 is allowed), first at [1]: 2.5 in place of 2.0.
    """
    if found.shape != expected.shape:
        raise UnmetError(
            f"{what} has the shape {found.shape} in place of {expected.shape}."
        )
    if found.dtype != expected.dtype:
        raise UnmetError(f"{what} is of {found.dtype} in place of {expected.dtype}.")
    if not np.isfinite(found).all():
        place = tuple(np.argwhere(~np.isfinite(found))[0])
        raise UnmetError(
            f"{what} is {found[place]} {_place(place)}, in place of {expected[place]!s}."
        )
    allowed = tolerance * max(1.0, float(np.abs(expected).max(initial=0)))
    off = np.abs(found.astype("float64") - expected.astype("float64"))
    if off.max(initial=0) > allowed:
        place = tuple(np.argwhere(off > allowed)[0])
        raise UnmetError(
            f"{what} is off by {off.max():.3g} ({allowed:.3g} is allowed), first {_place(place)}: "
            f"{found[place]!s} in place of {expected[place]!s}."
        )


def _place(place: tuple[int, ...]) -> str:
    return f"at [{', '.join(map(str, place))}]"


def _check_names(
    kind: str, found: Mapping[str, object], expected: Mapping[str, object]
) -> None:
    for name in expected:
        if name not in found:
            raise FormError(
                f"{kind} {name!r} is missing; there are {', '.join(map(repr, found)) or 'none'}."
            )
    _check_known(kind, found, expected)


def _check_known(
    kind: str, found: Mapping[str, object], expected: Mapping[str, object]
) -> None:
    for name in found:
        if name not in expected:
            raise FormError(
                f"{kind} {name!r} was not asked for; there should be {', '.join(map(repr, expected))}."
            )


def _called(function: Callable, *args: object, **kwargs: object) -> object:
    """What the port's function returns; whatever it raises is its failure, and the run goes on."""
    try:
        return function(*args, **kwargs)
    except UnmetError:
        raise
    except (
        Exception,
        SystemExit,
    ) as error:  # a port may raise anything: the sentence is the report
        raise RaisedError(
            forms.raised(function.__name__, type(error).__name__, forms.words_of(error))
        ) from error


def _copies(arrays: Mapping[str, np.ndarray]) -> Arrays:
    """A port that writes into what it is given must not change what it is judged by."""
    return {name: value.copy() for name, value in arrays.items()}


def _copied(given: Mapping[str, object]) -> dict[str, object]:
    return {
        name: _copies(value)
        if isinstance(value, Mapping)
        else value.copy()
        if isinstance(value, np.ndarray)
        else value
        for name, value in given.items()
    }


# Where it begins


def _first_diverging(adapter: Adapter, case: Case, number: int) -> str:
    """A sentence: the first time step, and the first node at it, that is not as it should be.

    A port that hands out nodes is asked; of any other, every node is made an output.
    """
    expected = case.batch(number).part("node/")
    try:
        found = _nodes(adapter, case, number)
    except UnmetError as error:
        return f" Its nodes could not be looked at: {error}"
    known = [
        name for name in _in_order(case.spec) if name in found and name in expected
    ]
    if not known:
        return " Its nodes could not be looked at: there is none that the case knows."
    places = [
        place
        for name in known
        for place in _diverging(
            name,
            found[name],
            expected[name],
            case.about["tolerance"]["outputs"],
            case.spec.loop,
        )
    ]
    if not places:
        return " Every node is as it should be: look at how outputs and states are made of them."
    step, name, words = min(places, key=lambda place: place[0])
    when = f" at time step {step}" if case.spec.loop else ""
    return f" The first node that diverges is {name!r}{when}{words}."


def _nodes(adapter: Adapter, case: Case, number: int) -> Arrays:
    handed_out = _run_up_to(adapter, case.about["spec"], case, number)["nodes"]
    if handed_out:
        return handed_out
    outputs = _run_up_to(adapter, _showing_nodes(case.spec).to_dict(), case, number)[
        "outputs"
    ]
    return {
        name: outputs[f"value_{place}"]
        for place, name in enumerate(_in_order(case.spec))
        if f"value_{place}" in outputs
    }


def _run_up_to(
    adapter: Adapter, spec: Mapping[str, object], case: Case, number: int
) -> dict[str, Arrays]:
    """What the batch of that number comes to, of a model that is built anew and has run those before."""
    model = _built(adapter, spec, case)
    return [_run(adapter, model, case.batch(before)) for before in range(number + 1)][
        -1
    ]


def _showing_nodes(spec: GraphSpec) -> GraphSpec:
    """The declaration with every value of every node as an output over time."""
    outputs = tuple(
        OutputSpec(f"value_{place}", (Ref(name),))
        for place, name in enumerate(_in_order(spec))
    )
    return spec.replace(
        outputs=outputs, return_sequences=spec.loop, return_final_states=False
    )


def _in_order(spec: GraphSpec) -> list[str]:
    return [name for node in ordered(spec) for name in node.values]


def _diverging(
    name: str, found: np.ndarray, expected: np.ndarray, tolerance: float, loop: bool
) -> list[tuple[int, str, str]]:
    """The first step at which a node diverges, if it does."""
    if found.shape != expected.shape:
        return [(0, name, f", of shape {found.shape} in place of {expected.shape}")]
    allowed = tolerance * max(1.0, float(np.abs(expected).max(initial=0)))
    off = np.nan_to_num(
        np.abs(found.astype("float64") - expected.astype("float64")), nan=np.inf
    )
    wrong = np.argwhere(off > allowed)
    if not len(wrong):
        return []
    place = (
        min(map(tuple, wrong), key=lambda place: place[1])
        if loop and expected.ndim > 1
        else tuple(wrong[0])
    )
    step = int(place[1]) if loop and expected.ndim > 1 else 0
    return [
        (
            step,
            name,
            f" (row {place[0]}): {found[place]!s} in place of {expected[place]!s}",
        )
    ]
