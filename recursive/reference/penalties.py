"""Penalties that parameters add to the loss, and constraints after each step.

A rule is found by the name of its parameter, ``W_regularizer`` for ``W``, or by the
letter that the name begins with, ``W_regularizer`` for ``W_z``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from recursive.reference.arguments import Arrays
from recursive.reference.arrays import Array
from recursive.reference.parts import walk
from recursive.reference.table import Config, look_up
from recursive.spec.graph import GraphSpec

Penalty = Callable[[Config, Array], tuple[float, Array]]
"""The penalty of a parameter, and its gradient."""


def weight_regularizer(rule, p):
    """``l1 sum(|p|) + l2 sum(p**2)``; the gradient of ``|p|`` at 0 is 0."""
    l1, l2 = rule.get("l1", 0.0), rule.get("l2", 0.0)
    value = l1 * np.abs(p).sum() + l2 * (p**2).sum()
    return value, l1 * np.sign(p) + 2 * l2 * p


def nothing(rule, p):
    """No penalty."""
    return 0.0, np.zeros_like(p)


PENALTIES: dict[str, Penalty] = {
    "WeightRegularizer": weight_regularizer,
    "Regularizer": nothing,
}
"""The penalties by name."""


def max_norm(rule, p):
    """Scale the columns whose norm is above ``m`` down to it. The 1e-7 is of 2015."""
    norms = np.sqrt((p**2).sum(axis=0))
    return p * np.clip(norms, 0, rule.get("m", 2)) / (1e-7 + norms)


def non_negative(rule, p):
    """``max(p, 0)``."""
    return np.maximum(p, 0)


def unit_norm(rule, p):
    """Scale each row to a norm of 1; a row of zeros stays."""
    norms = np.sqrt((p**2).sum(axis=-1, keepdims=True))
    return np.where(norms == 0, p, p / np.where(norms == 0, 1, norms))


CONSTRAINTS: dict[str, Callable[[Config, Array], Array]] = {
    "MaxNorm": max_norm,
    "NonNeg": non_negative,
    "UnitNorm": unit_norm,
    "Constraint": lambda rule, p: p,
}
"""The constraints by name."""


def rules(spec: GraphSpec, params: Arrays, kind: str) -> dict[str, Config]:
    """The rule of each parameter that has one, by the name of the parameter.

    Args:
        spec: the declaration.
        params: the parameters by name, ``node.W_z``.
        kind: ``regularizer`` or ``constraint``.
    """
    configs = {path: config for path, _, config in walk(spec)}
    found = {}
    for name in params:
        path, _, own_name = name.rpartition(".")
        config = configs.get(path, {})
        for key in (own_name, own_name[:1]):
            rule = config.get(f"{key}_{kind}")
            if rule:
                found[name] = rule
                break
    return found


def penalties(
    rules_by_name: Mapping[str, Config], params: Arrays
) -> tuple[float, dict[str, Array]]:
    """The sum of all penalties, and the gradient of each parameter that has one."""
    total = 0.0
    gradients = {}
    for name, rule in rules_by_name.items():
        formula = look_up("regularizer", rule["name"], PENALTIES)
        value, gradients[name] = formula(rule, params[name])
        total = total + value
    return total, gradients


def constrained(rules_by_name: Mapping[str, Config], params: Arrays) -> dict:
    """The parameters, each under its constraint if it has one."""
    found = dict(params)
    for name, rule in rules_by_name.items():
        if name in found:
            formula = look_up("constraint", rule["name"], CONSTRAINTS)
            found[name] = formula(rule, found[name])
    return found
