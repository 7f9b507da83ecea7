"""Loops over sequences with a mask of steps.

The mask is ``(time, batch)``. A step of a row is *unmasked* if its entry is true, else
*masked*: padding, for example. The rules:

1. No time passes at a masked step. The states of that row keep their values.
2. A tap counts unmasked steps only. ``h_tm2`` is the value of the unmasked step before
   the last unmasked step, however much padding lies between them.
3. Before the first unmasked step, states have their initial values, and taps of
   sequences read zeros.
4. What a node computes at a masked step is ignored. Outside the loop, an output at a
   masked step repeats the last unmasked one, with zeros before any (:func:`filled`).
5. A row whose steps are all masked ends with its initial states.

Scan cannot read further back in one row than in another. So each history is a *window*,
``(lag, batch, ...)``: the values of the last unmasked steps of each row, oldest first.
The windows are the states of the scan. At an unmasked step the new value enters at the
end and the oldest one leaves; at a masked step the window stays. A tap ``-k`` reads
``window[-k]``.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import Size, size
from recursive.loop.scanned import Results, Scanned
from recursive.loop.state import zeros_before
from recursive.scan.op import last_step
from recursive.spec.names import Ref


def masked_scan(scanned: Scanned, mask: TensorVariable) -> Results:
    """Run a loop with a mask of steps, ``(time, batch)``.

    Results at masked steps are as computed: see rule 4.
    """
    plan = scanned.plan
    windows = _windows(scanned)
    names = [item.name for item in plan.sequences]
    fed_by = {item.name: item.node for item in plan.recurrences}

    def step(valid: TensorVariable, *args: TensorVariable) -> list[TensorVariable]:
        # zip stops at the end of its first argument, before it takes from ``args``.
        remaining = iter(args)
        now = dict(zip(names, remaining, strict=False))
        past = dict(zip(windows, remaining, strict=False))
        now |= dict(zip(plan.contexts, remaining, strict=False))
        reads = [_read(ref, now, past) for ref in plan.per_step]
        results = dict(zip(plan.results, scanned.step(*reads, *remaining), strict=True))
        # A state's window takes what its node returned, a sequence's window its slice.
        moved = []
        for name, window in past.items():
            new = results[fed_by[name]] if name in fed_by else now[name]
            moved.append(_moved(window, new, valid))
        return [*moved, *[results[name] for name in plan.results]]

    found = scanned.repeat(
        step,
        sequences=[mask, *[scanned.values[name] for name in names]],
        outputs_info=[*windows.values(), *[None] * len(plan.results)],
        non_sequences=scanned.non_sequences,
        n_steps=scanned.length,
        truncate_gradient=scanned.truncate_gradient,
        name="masked",
    )
    lasts = {}
    for name, window in zip(windows, found, strict=False):
        lasts[name] = last_step(window)
    results = found[len(windows) :]
    return dict(zip(plan.results, results, strict=True)), lasts


def _windows(scanned: Scanned) -> dict[str, TensorVariable]:
    """The windows before the first step, of states and of sequences with taps."""
    windows = {}
    for item in scanned.plan.recurrences:
        windows[item.name] = scanned.starts[item.name]
    for item in scanned.plan.sequences:
        lag = -min(item.taps)
        if lag:
            windows[item.name] = zeros_before(scanned.values[item.name], lag)
    return windows


def _read(
    ref: Ref,
    now: Mapping[str, TensorVariable],
    past: Mapping[str, TensorVariable],
) -> TensorVariable:
    """The value that a step reads: the present one, or one from a window."""
    return past[ref.name][ref.tap] if ref.tap else now[ref.name]


def _moved(
    window: TensorVariable, new: TensorVariable, valid: TensorVariable
) -> TensorVariable:
    """The window after a step: with ``new`` in it in the rows that are ``valid``."""
    moved = new[None]
    if size(window, 0) != 1:
        moved = pt.concatenate([window[1:], moved], axis=0)
    # (batch,) as (1, batch, 1, ...)
    valid = valid.dimshuffle("x", 0, *["x"] * (window.ndim - 2))
    return pt.switch(valid, moved, window)


def last_valid(mask: TensorVariable, length: Size) -> TensorVariable:
    """The number of the last unmasked step so far, ``(time, batch)``; -1 before any."""
    steps = pt.switch(mask, pt.arange(length).dimshuffle(0, "x"), -1)
    # The running maximum of the numbers of unmasked steps.
    [last] = backend.scan(
        pt.maximum, [steps], [steps[0]], [], length, name="last_valid"
    )
    return last


def filled(values: TensorVariable, last: TensorVariable) -> TensorVariable:
    """``values`` with masked steps replaced by the last unmasked one, or zeros.

    Args:
        values: ``(time, batch, ...)``.
        last: the step to take for each, ``(time, batch)``, from :func:`last_valid`.
    """
    rows = pt.arange(size(values, 1)).dimshuffle("x", 0)
    found = values[pt.maximum(last, 0), rows]  # (time, batch, ...)
    has_any = pt.ge(last, 0).dimshuffle(0, 1, *["x"] * (values.ndim - 2))
    return pt.switch(has_any, found, 0).astype(values.dtype)
