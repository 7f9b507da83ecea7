"""Judges whether a port meets a case, and says where it begins to differ if not.

A failure names the array that differs and the first index at which it does. For an
output, it also names the first time step, and the first node at that step, that
diverges: that is the node to debug.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from recursive.conformance import forms
from recursive.conformance.adapter import Adapter, can
from recursive.conformance.forms import FormError, RaisedError, UnmetError, listed
from recursive.conformance.suite import Arrays, Case, Invalid
from recursive.spec.graph import GraphSpec, OutputSpec
from recursive.spec.names import Ref
from recursive.spec.order import ordered


def judge(adapter: Adapter, case: Case | Invalid) -> None:
    """Run one case.

    Raises:
        UnmetError: if the port does not meet it.
    """
    if isinstance(case, Invalid):
        _judge_refusal(adapter, case)
        return
    if can(adapter, "refuses"):
        code = _refused(adapter, case)
        if code is not None:
            raise UnmetError(f"it was refused with {code!r}, but nothing is wrong")
    model = _built(adapter, case.about["spec"], case)
    if case.about["training"]:
        _judge_training(adapter, model, case)
        return
    if case.refused is not None:
        _judge_refused_run(adapter, model, case)
        return
    for number in range(case.batches):
        _judge_batch(adapter, model, case, number)
    if can(adapter, "grads") and case.part("cot/"):
        _judge_gradients(adapter, model, case)


def _judge_refusal(adapter: Adapter, case: Invalid) -> None:
    if not can(adapter, "refuses"):
        raise UnmetError("it cannot be asked, since the port has no refuses()")
    expected, why = case.about["code"], case.about["why"]
    found = _refused(adapter, case)
    if found is None:
        raise UnmetError(f"it was accepted, expected {expected}: {why}")
    if found != expected:
        raise UnmetError(f"it was refused with {found!r}, expected {expected!r}: {why}")


def _judge_refused_run(adapter: Adapter, model: object, case: Case) -> None:
    """Judge a run that must raise an error, because of its arrays."""
    expected, why = case.refused, case.about["why"]
    try:
        _run(adapter, model, case)
    except RaisedError as error:
        if error.code == expected:
            return
        raise UnmetError(f"{error}, expected {expected}: {why}") from error
    raise UnmetError(f"it was run, expected {expected}: {why}")


def _refused(adapter: Adapter, case: Case | Invalid) -> str | None:
    found = _call_port(adapter.refuses, _copied(case.about["spec"]))
    return forms.error_code(found)


def _built(adapter: Adapter, spec: Mapping[str, object], case: Case) -> object:
    return _call_port(adapter.build, _copied(spec), _copied(case.part("param/")))


def _judge_batch(adapter: Adapter, model: object, case: Case, number: int) -> None:
    """Judge one batch; a wrong number is traced to a node."""
    try:
        _judge_run(adapter, model, case.batch(number))
    except UnmetError as error:
        prefix = f"batch {number + 1}: " if case.batches > 1 else ""
        trace = ""
        if not isinstance(error, RaisedError | FormError):
            trace = _first_diverging(adapter, case, number)
        raise type(error)(f"{prefix}{error}{trace}") from None


def _run(adapter: Adapter, model: object, case: Case) -> dict[str, Arrays]:
    returned = _call_port(
        adapter.run, model, _copied(case.part("in/")), **_copied(case.given)
    )
    return forms.parts("run", returned)


def _judge_run(adapter: Adapter, model: object, case: Case) -> None:
    found = _run(adapter, model, case)
    tolerance = case.about["tolerance"]["outputs"]
    outputs = case.part("out/")
    _check_names("output", found["outputs"], outputs)
    for name, expected in outputs.items():
        compare(f"output {name!r}", found["outputs"][name], expected, tolerance)
    states = case.part("final/")
    if states:
        _check_known("state", found["finals"], states)
    for name, expected in states.items():
        if name in found["finals"]:
            what = f"state {name!r} after the last step"
            compare(what, found["finals"][name], expected, tolerance)


def _judge_gradients(adapter: Adapter, model: object, case: Case) -> None:
    inputs, cotangents = _copied(case.part("in/")), _copied(case.part("cot/"))
    returned = _call_port(
        adapter.grads, model, inputs, cotangents, **_copied(case.given)
    )
    found = forms.parts("grads", returned)
    tolerance = case.about["tolerance"]["grads"]
    for kind, prefix, word in (
        ("params", "grad/param/", "parameter"),
        ("inputs", "grad/in/", "input"),
    ):
        gradients = case.part(prefix)
        if gradients:
            _check_names(f"gradient of {word}", found[kind], gradients)
        for name, expected in gradients.items():
            what = f"the gradient of {word} {name!r}"
            compare(what, found[kind][name], expected, tolerance)


def _judge_training(adapter: Adapter, model: object, case: Case) -> None:
    training = case.about["training"]
    inputs, targets = _copied(case.part("in/")), _copied(case.part("target/"))
    returned = _call_port(adapter.train, model, inputs, targets, _copied(training))
    found = forms.parts("train", returned)
    tolerance = case.about["tolerance"]["steps"]
    losses = case.arrays["step/loss"]
    # Losses come back as a list, which has no dtype to compare.
    compare("the loss", found["losses"].astype(losses.dtype), losses, tolerance)
    trained = case.part("trained/")
    _check_names("trained parameter", found["params"], trained)
    for name, expected in trained.items():
        what = f"parameter {name!r} after {training['steps']} steps"
        compare(what, found["params"][name], expected, tolerance)


def compare(
    what: str, found: np.ndarray, expected: np.ndarray, tolerance: float
) -> None:
    """Raise an UnmetError unless ``found`` is ``expected``.

    Shape and dtype must be equal; values may differ by ``tolerance`` times the largest
    value, or times 1 if that is more.

    >>> compare("output", np.array([1.0, 2.5]), np.array([1.0, 2.0]), 1e-10)
    Traceback (most recent call last):
        ...
    recursive.conformance.forms.UnmetError: output is off by 0.5 (tolerance 2e-10), \
first at [1]: 2.5, expected 2.0.
    """
    if found.shape != expected.shape:
        raise UnmetError(f"{what} has shape {found.shape}, expected {expected.shape}.")
    if found.dtype != expected.dtype:
        raise UnmetError(f"{what} has dtype {found.dtype}, expected {expected.dtype}.")
    if not np.isfinite(found).all():
        index = tuple(np.argwhere(~np.isfinite(found))[0])
        raise UnmetError(
            f"{what} is {found[index]} at {_shown(index)}, "
            f"expected {expected[index]!s}."
        )
    allowed = _allowed(expected, tolerance)
    off = _distance(found, expected)
    if off.max(initial=0) > allowed:
        index = tuple(np.argwhere(off > allowed)[0])
        raise UnmetError(
            f"{what} is off by {off.max():.3g} (tolerance {allowed:.3g}), "
            f"first at {_shown(index)}: {found[index]!s}, expected {expected[index]!s}."
        )


def _allowed(expected: np.ndarray, tolerance: float) -> float:
    return tolerance * max(1.0, float(np.abs(expected).max(initial=0)))


def _distance(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    # In float64, because bools and unsigned integers cannot be subtracted safely.
    return np.abs(found.astype("float64") - expected.astype("float64"))


def _shown(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]"


def _check_names(
    kind: str, found: Mapping[str, object], expected: Mapping[str, object]
) -> None:
    """Raise a FormError unless both have the same names."""
    for name in expected:
        if name not in found:
            raise FormError(f"{kind} {name!r} is missing (returned: {listed(found)}).")
    _check_known(kind, found, expected)


def _check_known(
    kind: str, found: Mapping[str, object], expected: Mapping[str, object]
) -> None:
    for name in found:
        if name not in expected:
            raise FormError(
                f"{kind} {name!r} was not asked for, expected {listed(expected)}."
            )


def _call_port(function: Callable, *args: object, **kwargs: object) -> object:
    """The result of a port's function; whatever it raises is a RaisedError."""
    try:
        return function(*args, **kwargs)
    except UnmetError:
        raise
    except (Exception, SystemExit) as error:  # a port may raise anything
        words = forms.error_text(error)
        sentence = forms.raised_text(function.__name__, type(error).__name__, words)
        raise RaisedError(sentence, type(error).__name__) from error


def _copied(argument: object) -> object:
    """A copy of an array or of a dict, for a port that writes into its arguments.

    Anything else is returned as it is.
    """
    if isinstance(argument, np.ndarray):
        return argument.copy()
    if isinstance(argument, Mapping):
        return {name: _copied(value) for name, value in argument.items()}
    return argument


# The first node that diverges


def _first_diverging(adapter: Adapter, case: Case, number: int) -> str:
    """A sentence about the first time step and node that differ in one batch.

    It needs the value of every node: the port returns them, or is built again with
    every node as an output.
    """
    expected = case.batch(number).part("node/")
    try:
        found = _nodes(adapter, case, number)
    except UnmetError as error:
        return f" Its nodes could not be checked: {error}"
    tolerance = case.about["tolerance"]["outputs"]
    is_known = False
    first_step, sentence = None, ""
    # In running order, so that of several nodes at one step the first one counts.
    for name in _values_in_order(case.spec):
        if name not in found or name not in expected:
            continue
        is_known = True
        step, words = _divergence(
            found[name], expected[name], tolerance, has_time=case.spec.loop
        )
        if step is not None and (first_step is None or step < first_step):
            when = f" at time step {step}" if case.spec.loop else ""
            sentence = f" The first node that diverges is {name!r}{when}{words}."
            first_step = step
    if not is_known:
        return " Its nodes could not be checked: the case knows none of their names."
    return sentence or (
        " Every node is correct: check how outputs and states are read from them."
    )


def _nodes(adapter: Adapter, case: Case, number: int) -> Arrays:
    """The value of every node in one batch, by name."""
    nodes = _run_up_to(adapter, case.about["spec"], case, number)["nodes"]
    if nodes:
        return nodes
    # Its outputs are called value_0, value_1, ..., as "lstm.cell" is not a valid name.
    with_outputs = _with_nodes_as_outputs(case.spec).to_dict()
    outputs = _run_up_to(adapter, with_outputs, case, number)["outputs"]
    for place, name in enumerate(_values_in_order(case.spec)):
        if f"value_{place}" in outputs:
            nodes[name] = outputs[f"value_{place}"]
    return nodes


def _run_up_to(
    adapter: Adapter, spec: Mapping[str, object], case: Case, number: int
) -> dict[str, Arrays]:
    """The results of one batch, by a new model that has run the batches before it."""
    model = _built(adapter, spec, case)
    for before in range(number):
        _run(adapter, model, case.batch(before))
    return _run(adapter, model, case.batch(number))


def _with_nodes_as_outputs(spec: GraphSpec) -> GraphSpec:
    outputs = []
    for place, name in enumerate(_values_in_order(spec)):
        outputs.append(OutputSpec(f"value_{place}", (Ref(name),)))
    return spec.replace(
        outputs=tuple(outputs), return_sequences=spec.loop, return_final_states=False
    )


def _values_in_order(spec: GraphSpec) -> list[str]:
    names = []
    for node in ordered(spec):
        names += node.values
    return names


def _divergence(
    found: np.ndarray, expected: np.ndarray, tolerance: float, has_time: bool
) -> tuple[int | None, str]:
    """The first step at which a node differs, and how; None if it does not.

    Without a time axis the step is 0.
    """
    if found.shape != expected.shape:
        return 0, f", of shape {found.shape}, expected {expected.shape}"
    off = np.nan_to_num(_distance(found, expected), nan=np.inf)
    wrong = [tuple(index) for index in np.argwhere(off > _allowed(expected, tolerance))]
    if not wrong:
        return None, ""
    has_time = has_time and expected.ndim > 1
    index = min(wrong, key=lambda index: index[1]) if has_time else wrong[0]
    words = f" (row {index[0]}): {found[index]!s}, expected {expected[index]!s}"
    return int(index[1]) if has_time else 0, words
