"""Declarations that must be refused, and the class of the error that says why.

Each is a good one with something changed in its dict. That the words help is each library's own affair: the code is
what is compared.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.suite.declare import (
    HIDDEN,
    IN,
    Net,
    attention,
    dense,
    identity,
    ruled,
    teacher,
)

Spec = dict[str, object]
INVALID: list[dict[str, object]] = []


def good(**settings: object) -> Net:
    """The plain loop, to be spoilt."""
    return (
        Net(**settings)
        .input()
        .state("h")
        .node("rec", dense(IN + HIDDEN, HIDDEN), ["x", "h"], "h", True)
    )


def refused(
    name: str, code: str, why: str, spec: Spec | Net, version: str = "1.0"
) -> None:
    """One more of them."""
    spec = spec.spec.to_dict() if isinstance(spec, Net) else spec
    INVALID.append(
        {"version": version, "id": name, "why": why, "code": code, "spec": spec}
    )


def changed(
    *path: object, to: object, net: Callable[[], Net] = good, **settings: object
) -> Spec:
    """A good declaration with what is at ``path`` changed."""
    spec = place = net(**settings).spec.to_dict()
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return spec


def without(*path: object) -> Spec:
    """A good declaration with a key left out."""
    spec = place = good().spec.to_dict()
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return spec


def by_context(**settings: object) -> Net:
    """A loop with a context."""
    net = Net(**settings).input().input("c", HIDDEN, sequence=False).state("h")
    return net.node("rec", dense(IN + 2 * HIDDEN, HIDDEN), ["x", "c", "h"], "h", True)


def once() -> Net:
    """A Graph."""
    return Net(loop=False).input("x").node("y", dense(IN, 2), "x", out=True)


# The format

refused(
    "version-missing",
    "ConfigError",
    "Without a version nobody knows what it means.",
    without("version"),
)
refused(
    "version-of-tomorrow",
    "ConfigError",
    "Another version may mean other things.",
    changed("version", to="2.0"),
)
refused(
    "version-a-number", "ConfigError", "A version is text.", changed("version", to=1.0)
)
refused(
    "key-unknown",
    "ConfigError",
    "An unknown key would be lost.",
    changed("colour", to="red"),
)
refused(
    "key-unknown-in-a-node",
    "ConfigError",
    "An unknown key would be lost.",
    changed("nodes", 0, "colour", to=1),
)
refused(
    "key-unknown-in-a-state",
    "ConfigError",
    "An unknown key would be lost.",
    changed("states", 0, "size", to=6),
)
refused(
    "name-missing", "ConfigError", "An input has a name.", without("inputs", 0, "name")
)
refused(
    "inputs-no-list",
    "ConfigError",
    "Declarations have an order.",
    changed("inputs", to={"x": 4}),
)
refused("loop-no-truth", "ConfigError", "Fields are typed.", changed("loop", to="yes"))
refused(
    "layer-missing", "ConfigError", "A node has a layer.", without("nodes", 0, "layer")
)
refused(
    "ports-no-mapping",
    "ConfigError",
    "Ports have names.",
    changed("nodes", 0, "ports", to=["x", "h"]),
)
refused(
    "dim-as-text",
    "ConfigError",
    "Fields are typed.",
    changed("inputs", 0, "dim", to="4"),
)

# Names

refused(
    "name-with-a-space",
    "InvalidNameError",
    "A name is an identifier.",
    changed("inputs", 0, "name", to="x y"),
)
refused(
    "name-a-keyword",
    "InvalidNameError",
    "A name may be a variable somewhere.",
    changed("inputs", 0, "name", to="for"),
)
refused(
    "name-of-a-tap",
    "ReservedNameError",
    "_tm<k> reads an earlier time.",
    changed("states", 0, "name", to="h_tm1"),
)
refused(
    "name-twice",
    "DuplicateNameError",
    "Names tell parts apart.",
    Net().input().input().node("rec", dense(IN, 2), "x", out=True),
)
refused(
    "node-named-as-its-state",
    "DuplicateNameError",
    "Where names are not free, they are one apiece.",
    Net()
    .input()
    .state("h", node="h")
    .node("h", dense(IN + HIDDEN, HIDDEN), ["x", "h"], out=True),
)
refused(
    "output-named-as-an-input",
    "DuplicateNameError",
    "Names tell parts apart.",
    good().output("x", "rec"),
)
refused(
    "output-twice",
    "DuplicateNameError",
    "Names tell parts apart.",
    good().output("rec", "rec"),
)
refused(
    "read-unknown",
    "UnknownNameError",
    "Nothing is called so.",
    changed("nodes", 0, "ports", "input", "read", to=["x", "g"]),
)
refused(
    "read-before-declared",
    "UnknownNameError",
    "Nodes run in the order in which they were added.",
    Net().input().node("a", identity(), "b").node("b", identity(), "x", out=True),
)
refused(
    "read-unknown-where-free",
    "UnknownNameError",
    "Nothing is called so, now or later.",
    Net(free=True)
    .input()
    .node("a", dense(IN + HIDDEN, HIDDEN), ["x", "b_tm1"], out=True),
)
refused(
    "output-of-nothing-known",
    "UnknownNameError",
    "Nothing is called so.",
    good().output("y", "other"),
)
refused(
    "state-fed-by-an-unknown",
    "UnknownNameError",
    "No node is called so.",
    changed("states", 0, "input", to="other"),
)
refused(
    "state-fed-by-an-input",
    "UnknownNameError",
    "An input is no node.",
    changed("states", 0, "input", to="x"),
)
refused(
    "until-unknown",
    "UnknownNameError",
    "No node is called so.",
    changed("until", to="done"),
)
refused(
    "until-an-input",
    "UnknownNameError",
    "An input is no node.",
    changed("until", to="x"),
)
refused(
    "start-from-a-sequence",
    "UnknownNameError",
    "A sequence is not there before the first step.",
    changed("states", 0, "initial", to="x"),
)
refused(
    "start-from-an-unknown",
    "UnknownNameError",
    "No context is called so.",
    changed("states", 0, "initial", to="c"),
)

# Taps

refused(
    "tap-of-zero",
    "TapError",
    "The present has no tap.",
    changed("nodes", 0, "ports", "input", "read", to=["x", "h_tm0"]),
)
refused(
    "tap-with-a-zero-in-front",
    "TapError",
    "One spelling each.",
    changed("nodes", 0, "ports", "input", "read", to=["x", "h_tm02"]),
)
refused(
    "tap-of-a-context",
    "TapError",
    "A context is the same at every step.",
    changed(
        "nodes", 0, "ports", "input", "read", to=["x", "c_tm1", "h"], net=by_context
    ),
)
refused(
    "tap-in-a-graph",
    "TapError",
    "A Graph runs once.",
    changed("nodes", 0, "ports", "input", "read", to=["x_tm1"], net=once),
)
refused(
    "tap-of-a-node-of-two-states",
    "TapError",
    "Its past has two starts.",
    Net()
    .input()
    .state("h", node="rec")
    .state("g", node="rec")
    .node("rec", dense(IN + HIDDEN, HIDDEN), ["x", "rec_tm1"], out=True),
)

# States, nodes, outputs, merges, numbers

refused(
    "state-fed-by-none",
    "StateError",
    "It would stay at its start.",
    changed("states", 0, "input", to=None),
)
refused(
    "state-in-a-graph",
    "StateError",
    "A Graph runs once.",
    Net(loop=False)
    .input("x")
    .state("h", node="y")
    .node("y", dense(IN, HIDDEN), "x", out=True),
)
refused(
    "start-of-too-many-rows",
    "StateError",
    "It is looked back to one step.",
    changed("states", 0, "initial", to=[[0.0] * HIDDEN, [1.0] * HIDDEN]),
)
refused(
    "start-of-unequal-rows",
    "StateError",
    "Rows are equally long.",
    changed("states", 0, "initial", to=[[0.0], [1.0, 2.0]]),
)
refused(
    "start-a-truth",
    "StateError",
    "It is a number.",
    changed("states", 0, "initial", to=True),
)
refused(
    "start-that-goes-on-from-a-context",
    "StateError",
    "A state that goes on starts from numbers.",
    changed("states", 0, "initial", to="c", net=by_context, stateful=True),
)
refused(
    "start-learned-that-goes-on",
    "StateError",
    "A state that goes on starts from numbers.",
    changed("states", 0, "initial", to="learned", stateful=True),
)
refused(
    "node-that-reads-nothing",
    "NodeError",
    "A layer is a function of something.",
    changed("nodes", 0, "ports", "input", "read", to=[]),
)
refused(
    "no-input",
    "NodeError",
    "There is nothing to run on.",
    Net(free=True).node("h", identity(), "h_tm1", out=True),
)
refused(
    "no-output", "OutputError", "It would return nothing.", changed("outputs", to=[])
)
refused(
    "output-that-reads-nothing",
    "OutputError",
    "It has no value of its own.",
    good().output("y", []),
)
refused(
    "merge-unknown",
    "MergeError",
    "Nobody knows how.",
    changed("nodes", 0, "ports", "input", "merge_mode", to="average"),
)
refused(
    "merge-unknown-at-an-output",
    "MergeError",
    "Nobody knows how.",
    changed("outputs", 0, "merge_mode", to="Sum"),
)
refused(
    "dim-zero", "ShapeError", "A row has values.", changed("inputs", 0, "dim", to=0)
)
refused(
    "dim-negative",
    "ShapeError",
    "A row has values.",
    changed("states", 0, "dim", to=-6),
)
refused(
    "ndim-without-time",
    "ShapeError",
    "A sequence has batch and time.",
    changed("inputs", 0, "ndim", to=1),
)
refused(
    "dim-without-an-axis",
    "ShapeError",
    "(batch, time) has no axis of values.",
    changed("inputs", 0, "ndim", to=2),
)
refused(
    "dtype-unknown",
    "DtypeError",
    "It is float, int or bool.",
    changed("inputs", 0, "dtype", to="float64"),
)
refused(
    "truncate-zero",
    "ConfigError",
    "-1 is all, 1 and more are steps.",
    changed("truncate_gradient", to=0),
)
refused(
    "truncate-negative",
    "ConfigError",
    "-1 is all, 1 and more are steps.",
    changed("truncate_gradient", to=-2),
)
refused("n-steps-zero", "ConfigError", "A loop has steps.", changed("n_steps", to=0))
refused(
    "n-steps-beside-sequences",
    "ConfigError",
    "A loop is as long as its sequences.",
    changed("n_steps", to=5),
)
refused(
    "until-and-unroll",
    "ConfigError",
    "Nobody knows how many steps to write out.",
    {**good(unroll=True, n_steps=5).spec.to_dict(), "until": "rec"},
)
refused(
    "until-and-a-mask",
    "ConfigError",
    "Nobody knows where masked steps end.",
    Net(until="rec", free=True)
    .input()
    .mask()
    .state("h")
    .node("rec", dense(IN + HIDDEN, HIDDEN), ["x", "h_tm1"], "h", True),
)
refused(
    "cycle-of-two",
    "CycleError",
    "Each waits for the other.",
    Net(free=True)
    .input()
    .node("a", dense(IN + 2, 2), ["x", "b"])
    .node("b", dense(2, 2), "a", out=True),
)
refused(
    "cycle-of-one",
    "CycleError",
    "It waits for itself.",
    Net(free=True).input().node("a", dense(IN + 2, 2), ["x", "a"], out=True),
)


# Version 1.1


def attending(score: str) -> Net:
    """An attention in a Graph."""
    net = Net(loop=False).input("memory", IN, 3).input("query", IN)
    ports = {"memory": "memory", "query": "query"}
    return net.node("att", attention(score, IN, IN), ports, out=True)


def taught(**layer: object) -> Spec:
    """A Teacher with a truth for training only, and a changed configuration."""
    net = Net().input().input("truth", IN, training_only=True)
    ports = {"truth": "truth_tm1", "prediction": "x"}
    net.node("previous", ruled(teacher(), **layer), ports)
    return net.node("out", dense(IN, 2), "previous", out=True).spec.to_dict()


def newly_refused(name: str, code: str, why: str, spec: Spec | Net) -> None:
    """One more of version 1.1."""
    refused(name, code, why, spec, "1.1")


newly_refused(
    "share-above-one", "ConfigError", "A share is a probability.", taught(share=1.5)
)
newly_refused(
    "share-negative", "ConfigError", "A share is a probability.", taught(share=-0.5)
)
newly_refused(
    "share-a-truth", "ConfigError", "A share is a number.", taught(share=True)
)
newly_refused("score-unknown", "ConfigError", "Nobody knows how.", attending("cosine"))
newly_refused(
    "training-only-read-by-a-dense",
    "NodeError",
    "At rest it would read nothing.",
    Net()
    .input()
    .input("truth", 2, training_only=True)
    .node("out", dense(IN + 2, 2), ["x", "truth"], out=True),
)
newly_refused(
    "training-only-as-a-prediction",
    "NodeError",
    "At rest it would read nothing.",
    Net()
    .input()
    .input("truth", IN, training_only=True)
    .node("out", teacher(), {"truth": "truth", "prediction": "truth_tm1"}, out=True),
)
newly_refused(
    "training-only-as-an-output",
    "NodeError",
    "At rest it would show nothing.",
    Net()
    .input()
    .input("truth", IN, training_only=True)
    .node("previous", teacher(), {"truth": "truth", "prediction": "x"}, out=True)
    .output("y", "truth"),
)
newly_refused(
    "training-only-no-truth-value",
    "ConfigError",
    "Fields are typed.",
    {
        **taught(),
        "inputs": [
            {"name": "x", "dim": IN},
            {"name": "truth", "dim": IN, "training_only": "yes"},
        ],
    },
)
newly_refused(
    "training-only-in-version-1-0",
    "ConfigError",
    "Version 1.0 has no such field.",
    {**taught(), "version": "1.0"},
)
