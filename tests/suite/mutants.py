"""Mutants, which test the suite: adapters of the interpreter with one mistake each.

Every mutant must fail some case; :func:`caught` says which. A mistake is made in what the interpreter is given, or in
what it hands out: its formulas are left as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from recursive.conformance.adapters.numpy import Adapter
from recursive.conformance.needs import RULES
from recursive.conformance.runner import FAILED, run
from recursive.conformance.suite import Suite, folder_of
from recursive.spec.graph import GraphSpec, LayerSpec, NodeSpec, PortSpec
from recursive.spec.names import Ref

Change = Callable[..., object]
Arrays = dict[str, np.ndarray]


class Mutant(Adapter):
    """The interpreter with a mistake.

    Args:
        name: what was done wrong.
        spec, params, given, found, pulled, training: the function that changes each.
    """

    def __init__(
        self,
        name: str,
        *,
        spec: Change | None = None,
        params: Change | None = None,
        given: Change | None = None,
        found: Change | None = None,
        pulled: Change | None = None,
        training: Change | None = None,
    ):
        self.name = name
        self._changes = {
            "spec": spec,
            "params": params,
            "given": given,
            "found": found,
            "pulled": pulled,
            "training": training,
        }

    def _changed(self, what: str, value: object) -> object:
        change = self._changes[what]
        return value if change is None else change(value)

    def build(self, spec: Mapping[str, object], params: Mapping) -> dict:
        model = super().build(spec, self._changed("params", dict(params)))
        return {**model, "spec": self._changed("spec", model["spec"])}

    def run(self, model: dict, inputs: Mapping, **given: object) -> dict:
        given = self._changed(
            "given", {**given, "inputs": dict(inputs), "spec": model["spec"]}
        )
        given.pop("spec")
        return self._changed("found", super().run(model, given.pop("inputs"), **given))

    def grads(
        self, model: dict, inputs: Mapping, cotangents: Mapping, **given: object
    ) -> dict:
        given = self._changed(
            "given", {**given, "inputs": dict(inputs), "spec": model["spec"]}
        )
        given.pop("spec")
        return self._changed(
            "pulled", super().grads(model, given.pop("inputs"), cotangents, **given)
        )

    def train(
        self, model: dict, inputs: Mapping, targets: Mapping, training: Mapping
    ) -> dict:
        return super().train(
            model, inputs, targets, self._changed("training", dict(training))
        )


def _ports(change: Callable[[PortSpec], PortSpec]) -> Change:
    """A change of what nodes and outputs read."""

    def of(spec: GraphSpec) -> GraphSpec:
        nodes = tuple(
            dataclasses.replace(node, ports=tuple(map(change, node.ports)))
            for node in spec.nodes
        )
        return spec.replace(nodes=nodes, outputs=tuple(map(change, spec.outputs)))

    return of


def _taps(change: Callable[[GraphSpec, Ref], Ref]) -> Change:
    def of(spec: GraphSpec) -> GraphSpec:
        return _ports(
            lambda read: dataclasses.replace(
                read, refs=tuple(change(spec, ref) for ref in read.refs)
            )
        )(spec)

    return of


def _merge(old: str, new: str) -> Change:
    return _ports(
        lambda read: (
            dataclasses.replace(read, merge_mode=new)
            if read.merge_mode == old
            else read
        )
    )


def _config(**changes: object) -> Change:
    """A change of the configurations of layers."""

    def of(node: NodeSpec) -> NodeSpec:
        config = {
            key: changes[key].get(value, value) if key in changes else value
            for key, value in node.layer.config.items()
        }
        return dataclasses.replace(node, layer=LayerSpec(node.layer.class_name, config))

    return lambda spec: spec.replace(nodes=tuple(map(of, spec.nodes)))


def _layers(change: Callable[[NodeSpec], NodeSpec]) -> Change:
    """A change of every node."""
    return lambda spec: spec.replace(nodes=tuple(map(change, spec.nodes)))


def _without_mask_of_memory(node: NodeSpec) -> NodeSpec:
    """A node that reads no mask as a value, and masks nothing."""
    ports = node.ports
    if node.layer.class_name == "Attention":
        ports = tuple(port for port in ports if port.name != "mask")
    layer = node.layer
    if layer.class_name == "Masking":
        layer = LayerSpec("Identity")
    return dataclasses.replace(node, ports=ports, layer=layer)


def _without_rules(end: str) -> Change:
    """A change that leaves out the settings whose names end so."""

    def of(node: NodeSpec) -> NodeSpec:
        config = {
            key: value
            for key, value in node.layer.config.items()
            if not key.endswith(end)
        }
        return dataclasses.replace(node, layer=LayerSpec(node.layer.class_name, config))

    return _layers(of)


def _with_biases(params: Arrays) -> Arrays:
    """Ones for each bias that a cell does not have."""
    found = dict(params)
    for name, value in params.items():
        path, _, own = name.rpartition(".")
        if own.startswith("U") and value.shape[0] == value.shape[-1]:
            found.setdefault(f"{path}.b{own[1:]}", np.ones(value.shape[-1]))
    return found


def _other_share(params: Arrays) -> Arrays:
    return {
        name: 1 - value if name.endswith(".rate") else value
        for name, value in params.items()
    }


def _gamma_and_beta_swapped(params: Arrays) -> Arrays:
    found = dict(params)
    for name, value in params.items():
        if name.endswith(".gamma"):
            beta = f"{name.removesuffix('gamma')}beta"
            found[name], found[beta] = params[beta], value
    return found


def _states(change: Callable) -> Change:
    return lambda spec: spec.replace(states=tuple(map(change, spec.states)))


def _in_order_of_declaration(spec: GraphSpec) -> GraphSpec:
    """Feed the states from their nodes in the order of the nodes, as in 2015."""
    order = [value for node in spec.nodes for value in node.values]
    fed = sorted(
        (state.input for state in spec.states), key=lambda name: order.index(name)
    )
    return spec.replace(
        states=tuple(
            dataclasses.replace(state, input=name)
            for state, name in zip(spec.states, fed, strict=True)
        )
    )


def _oldest_last(state: object) -> object:
    rows = isinstance(state.initial, tuple) and isinstance(state.initial[0], tuple)
    return dataclasses.replace(state, initial=state.initial[::-1]) if rows else state


def _swapped(one: str, other: str) -> Change:
    """The parameters of two gates exchanged."""
    names = {one: other, other: one}

    def of(params: Arrays) -> Arrays:
        return {
            name: params.get(
                name[: -len(one)] + names.get(name[-len(one) :], name[-len(one) :]),
                value,
            )
            for name, value in params.items()
        }

    return of


def _square_transposed(params: Arrays) -> Arrays:
    return {
        name: value.T if value.ndim == 2 and len(set(value.shape)) == 1 else value
        for name, value in params.items()
    }


def _given(**changes: Callable) -> Change:
    """A change of the arguments of a run by keyword, if they are given."""
    return lambda given: {
        name: changes[name](value) if name in changes and value is not None else value
        for name, value in given.items()
    }


def _without_mask(given: dict) -> dict:
    name = given["spec"].mask
    inputs = {
        key: np.ones_like(value) if key == name else value
        for key, value in given["inputs"].items()
    }
    return {**given, "inputs": inputs, "mask": None}


def _each(kind: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda found: {
        **found,
        kind: {name: change(value) for name, value in found[kind].items()},
    }


def _optimizer(name: str, value: object) -> Change:
    return lambda training: (
        {**training, "optimizer": {**training["optimizer"], name: value}}
        if name in training["optimizer"]
        else training
    )


def _reversed_blend(spec: GraphSpec) -> GraphSpec:
    swap = {"old": "new", "new": "old"}
    nodes = tuple(
        dataclasses.replace(
            node,
            ports=tuple(
                dataclasses.replace(port, name=swap.get(port.name, port.name))
                for port in node.ports
            ),
        )
        for node in spec.nodes
    )
    return spec.replace(nodes=nodes)


MUTANTS = (
    Mutant("gates z and r swapped", params=_swapped("_z", "_r")),
    Mutant("gates i and f swapped", params=_swapped("_i", "_f")),
    Mutant("gates i and o swapped", params=_swapped("_i", "_o")),
    Mutant("square weights transposed", params=_square_transposed),
    Mutant(
        "biases forgotten",
        params=lambda params: {
            name: np.zeros_like(value) if value.ndim == 1 else value
            for name, value in params.items()
        },
    ),
    Mutant("states in the order of nodes, as in 2015", spec=_in_order_of_declaration),
    Mutant("mask ignored", given=_without_mask),
    Mutant(
        "taps off by one",
        spec=_taps(
            lambda spec, ref: Ref(ref.name, ref.tap + 1) if ref.tap < -1 else ref
        ),
    ),
    Mutant(
        "taps of inputs ignored",
        spec=_taps(
            lambda spec, ref: (
                Ref(ref.name)
                if ref.name in {item.name for item in spec.inputs}
                else ref
            )
        ),
    ),
    Mutant("truncation ignored", spec=lambda spec: spec.replace(truncate_gradient=-1)),
    Mutant(
        "truncation one step too long",
        spec=lambda spec: spec.replace(
            truncate_gradient=spec.truncate_gradient + (spec.truncate_gradient > 0)
        ),
    ),
    Mutant(
        "state not carried",
        spec=lambda spec: _states(
            lambda state: dataclasses.replace(state, stateful=False)
        )(spec.replace(stateful=False)),
    ),
    Mutant("given states ignored", given=lambda given: {**given, "states": None}),
    Mutant(
        "order of concat reversed",
        spec=_ports(
            lambda read: (
                dataclasses.replace(read, refs=read.refs[::-1])
                if read.merge_mode == "concat"
                else read
            )
        ),
    ),
    Mutant("ave is sum", spec=_merge("ave", "sum")),
    Mutant("max is sum", spec=_merge("max", "sum")),
    Mutant("mul is sum", spec=_merge("mul", "sum")),
    Mutant(
        "initial values forgotten",
        spec=_states(
            lambda state: (
                dataclasses.replace(state, initial=0.0)
                if not isinstance(state.initial, str)
                else state
            )
        ),
    ),
    Mutant("initial rows newest first", spec=_states(_oldest_last)),
    Mutant("go_backwards ignored", spec=lambda spec: spec.replace(go_backwards=False)),
    Mutant("until ignored", spec=lambda spec: spec.replace(until=None)),
    Mutant(
        "the last step returned in place of all",
        spec=lambda spec: spec.replace(return_sequences=False),
    ),
    Mutant(
        "hard_sigmoid is sigmoid",
        spec=_config(
            activation={"hard_sigmoid": "sigmoid"},
            inner_activation={"hard_sigmoid": "sigmoid"},
        ),
    ),
    Mutant(
        "dropout keeps what it should drop",
        given=_given(
            draws=lambda draws: {
                name: 1 - value if name.endswith("keep") else value
                for name, value in draws.items()
            }
        ),
    ),
    Mutant("no noise while training", given=lambda given: {**given, "train": False}),
    Mutant("old and new of a blend swapped", spec=_reversed_blend),
    Mutant(
        "computed in float32",
        found=_each(
            "outputs",
            lambda value: (
                value.astype("float32").astype(value.dtype)
                if value.dtype == "float64"
                else value
            ),
        ),
    ),
    Mutant(
        "float64 where float32 was given",
        found=_each("outputs", lambda value: value.astype("float64")),
    ),
    Mutant(
        "time before batch",
        found=_each(
            "outputs", lambda value: value.swapaxes(0, 1) if value.ndim > 2 else value
        ),
    ),
    Mutant("gradients of inputs forgotten", pulled=_each("inputs", np.zeros_like)),
    Mutant("gradients are means", pulled=_each("params", lambda value: value / 3)),
    Mutant("mask of a memory ignored", spec=_layers(_without_mask_of_memory)),
    Mutant("scores not scaled", spec=_config(score={"scaled_dot": "dot"})),
    Mutant("the truth read at rest", given=lambda given: {**given, "train": True}),
    Mutant("share of the prediction, not of the truth", params=_other_share),
    Mutant("gamma and beta swapped", params=_gamma_and_beta_swapped),
    Mutant("epsilon ignored", spec=_config(epsilon={0.5: 1e-5})),
    Mutant("a bias invented", params=_with_biases),
    Mutant("penalties ignored", spec=_without_rules(RULES[0])),
    Mutant("constraints ignored", spec=_without_rules(RULES[1])),
    Mutant("momentum ignored", training=_optimizer("momentum", 0.0)),
    Mutant("nesterov ignored", training=_optimizer("nesterov", False)),
    Mutant("decay ignored", training=_optimizer("decay", 0.0)),
    Mutant(
        "one step of training too many",
        training=lambda training: {**training, "steps": training["steps"] + 1},
    ),
)
"""Mistakes that ports make."""


def caught(mutant: Mutant, suite: Suite | None = None) -> list[str]:
    """The cases that a mutant fails.

    >>> caught(MUTANTS[0])[0]
    'gating/cell-gru'
    """
    suite = suite or Suite(folder_of("1.1"))
    return [
        outcome.id
        for outcome in run(mutant, suite, suite.entries)
        if outcome.status == FAILED
    ]


def table(suite: Suite | None = None) -> str:
    """A Markdown table of the mutants and of the cases that catch them."""
    suite = suite or Suite(folder_of("1.1"))
    rows = [(mutant.name, caught(mutant, suite)) for mutant in MUTANTS]
    lines = [
        f"| {name} | {len(cases)} | {', '.join(f'`{case}`' for case in _one_an_area(cases)[:3]) or 'none'} |"
        for name, cases in rows
    ]
    return "\n".join(
        ["| mistake | cases that fail | for example |", "|---|---|---|", *lines]
    )


def _one_an_area(cases: list[str]) -> list[str]:
    """The first case of each area."""
    return list({case.partition("/")[0]: case for case in reversed(cases)}.values())[
        ::-1
    ]
