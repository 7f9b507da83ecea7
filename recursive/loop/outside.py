"""What runs outside the loop: nodes applied to all steps at once, every step of every row being a row of one call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad
from pytensor.tensor.variable import TensorVariable

from recursive.backend.sizes import Size, size
from recursive.loop.call import Call, Value
from recursive.loop.step import Appliable, Env, run
from recursive.spec.graph import NodeSpec
from recursive.spec.names import Ref


def run_over_time(
    nodes: tuple[NodeSpec, ...],
    layers: Mapping[str, Appliable],
    env: Env,
    steady: Collection[str],
    rows: tuple[Size, Size],
    call: Call,
) -> None:
    """Add the value of each node at all steps, ``(time, batch, ...)``, to ``env``.

    Args:
        nodes: in the order in which they run.
        layers: what runs each of them.
        env: what they read: ``(time, batch, ...)``, and ``(batch, ...)`` where it is steady.
        steady: the names of the values that are the same at every step; nodes among them run once.
        rows: how many steps and rows there are.
        call: says whether the network is training.
    """
    call = call.in_step()
    for node in nodes:
        if set(node.values) <= set(steady):
            run((node,), layers, env, call)
            continue
        draws = [Ref(f"{node.name}.{name}") for name in layers[node.name].draws]
        flat: Env = {}
        for ref in (*node.refs, *draws):
            if ref in env:
                flat[ref] = _flattened(env[ref], is_steady(ref, steady), rows)
        run((node,), layers, flat, call)
        for name in node.values:
            env[Ref(name)] = on_tensors(flat[Ref(name)], lambda x: _in_time(x, rows))


def _flattened(value: Value, steady: bool, rows: tuple[Size, Size]) -> Value:
    """A value over time, every step of every row being a row; a steady one stands at each step."""
    if steady:
        value = over_time(value, rows[0])
    return on_tensors(value, lambda x: _flat(x, rows))


def over_time(value: Value, length: Size) -> Value:
    """A steady value as ``(time, batch, ...)``."""
    return on_tensors(value, lambda x: repeated(x, length))


def on_tensors(
    value: Value, change: Callable[[TensorVariable], TensorVariable]
) -> Value:
    """``value`` with the same ``change`` made to its tensor and to its mask."""
    mask = None if value.mask is None else change(value.mask)
    return Value(change(value.tensor), mask, value.is_context)


def is_steady(ref: Ref, steady: Collection[str]) -> bool:
    """Whether a value is the same at every step; its past need not be, which starts from an initial value."""
    return not ref.tap and ref.name in steady


def repeated(value: TensorVariable, length: Size) -> TensorVariable:
    """A steady value as ``(time, batch, ...)``."""
    return pt.alloc(value, length, *_sizes(value, 0))


def _flat(value: TensorVariable, rows: tuple[Size, Size]) -> TensorVariable:
    """``(time, batch, ...)`` as ``(time * batch, ...)``."""
    return value.reshape((rows[0] * rows[1], *_sizes(value, 2)))


def _in_time(value: TensorVariable, rows: tuple[Size, Size]) -> TensorVariable:
    """``(time * batch, ...)`` as ``(time, batch, ...)``."""
    return value.reshape((*rows, *_sizes(value, 1)))


def _sizes(value: TensorVariable, first: int) -> list[Size]:
    return [size(value, axis) for axis in range(first, value.ndim)]


def look_back(
    values: TensorVariable, lag: int, before: TensorVariable | None = None
) -> TensorVariable:
    """``values`` of ``lag`` steps before; in front of the first are the last rows of ``before``, or zeros."""
    if lag == 0:
        return values
    if before is None:
        before = pt.zeros((lag, *_sizes(values, 1)), dtype=values.dtype)
    return pt.concatenate([before[-lag:], values], axis=0)[: size(values, 0)]


def without_early_gradient(
    values: TensorVariable, steps: int, length: Size
) -> TensorVariable:
    """``values`` that pass a gradient on at the last ``steps`` of ``length`` only, as a truncated loop would."""
    if steps < 0:
        return values
    cut = (
        max(length - steps, 0)
        if isinstance(length, int)
        else pt.maximum(length - steps, 0)
    )
    return pt.concatenate([disconnected_grad(values[:cut]), values[cut:]], axis=0)
