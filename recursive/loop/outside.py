"""Nodes outside the loop, applied to all steps at once.

A layer takes rows and treats each of them alone. So all steps of all rows are the rows
of one call: ``(time, batch, dim)`` becomes ``(time * batch, dim)`` and back. One large
matrix product is faster than one small product for each step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad
from pytensor.tensor.variable import TensorVariable

from recursive.backend.sizes import Size, size, sizes
from recursive.loop.call import Call, Value
from recursive.loop.nodes import Env, Layers, run
from recursive.loop.state import zeros_before
from recursive.spec.graph import NodeSpec
from recursive.spec.names import Ref


def run_over_time(
    nodes: tuple[NodeSpec, ...],
    layers: Layers,
    env: Env,
    steady: Collection[str],
    rows: tuple[Size, Size],
    call: Call,
) -> None:
    """Add the value of each node at all steps, ``(time, batch, ...)``, to ``env``.

    Args:
        nodes: the nodes, in the order in which they run.
        layers: what runs each of them.
        env: what they read: ``(time, batch, ...)``, or ``(batch, ...)`` if it is
            constant over time.
        steady: the names of the values that are constant over time. Nodes whose values
            are among them run once.
        rows: the number of steps and of rows.
        call: says if the network is training.
    """
    call = call.in_step()
    for node in nodes:
        if set(node.values) <= set(steady):
            run((node,), layers, env, call)
            continue
        # The node sees a flat copy of what it reads, and of its draws.
        draws = [Ref(f"{node.name}.{name}") for name in layers[node.name].draws]
        flat: Env = {}
        for ref in (*node.refs, *draws):
            if ref in env:
                flat[ref] = _flattened(env[ref], is_steady(ref, steady), rows)
        run((node,), layers, flat, call)
        for name in node.values:
            env[Ref(name)] = on_tensors(flat[Ref(name)], lambda x: _in_time(x, rows))


def _flattened(value: Value, steady: bool, rows: tuple[Size, Size]) -> Value:
    """A value at all steps as the rows of one call."""
    if steady:
        value = over_time(value, rows[0])
    return on_tensors(value, lambda x: _flat(x, rows))


def over_time(value: Value, length: Size) -> Value:
    """A value that is constant over time, repeated as ``(time, batch, ...)``."""
    return on_tensors(value, lambda x: repeated(x, length))


def on_tensors(
    value: Value, change: Callable[[TensorVariable], TensorVariable]
) -> Value:
    """``value`` with ``change`` applied to its tensor and to its mask."""
    mask = None if value.mask is None else change(value.mask)
    return Value(change(value.tensor), mask, value.is_context)


def is_steady(ref: Ref, steady: Collection[str]) -> bool:
    """True if what a name reads is constant over time.

    The past of such a value is not: it starts from an initial value.
    """
    return not ref.tap and ref.name in steady


def repeated(value: TensorVariable, length: Size) -> TensorVariable:
    """``(batch, ...)`` repeated as ``(time, batch, ...)``."""
    return pt.alloc(value, length, *sizes(value))


def _flat(value: TensorVariable, rows: tuple[Size, Size]) -> TensorVariable:
    """``(time, batch, ...)`` as ``(time * batch, ...)``."""
    return value.reshape((rows[0] * rows[1], *sizes(value, 2)))


def _in_time(value: TensorVariable, rows: tuple[Size, Size]) -> TensorVariable:
    """``(time * batch, ...)`` as ``(time, batch, ...)``."""
    return value.reshape((*rows, *sizes(value, 1)))


def look_back(
    values: TensorVariable, lag: int, before: TensorVariable | None = None
) -> TensorVariable:
    """``values`` as they were ``lag`` steps before, ``(time, batch, ...)``.

    In front of the first step are the last rows of ``before``, or zeros.
    """
    if lag == 0:
        return values
    if before is None:
        before = zeros_before(values, lag)
    return pt.concatenate([before[-lag:], values], axis=0)[: size(values, 0)]


def without_early_gradient(
    values: TensorVariable, steps: int, length: Size
) -> TensorVariable:
    """``values`` that pass a gradient only at the last ``steps`` of ``length``.

    A truncated loop passes none at earlier steps. Values that were hoisted or deferred
    have to do the same.
    """
    if steps < 0:
        return values
    larger = max if isinstance(length, int) else pt.maximum
    cut = larger(length - steps, 0)
    return pt.concatenate([disconnected_grad(values[:cut]), values[cut:]], axis=0)
