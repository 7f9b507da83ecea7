"""Cases of tier ``legacy2015``: today's declarations with the numbers of 2015."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from recursive.conformance import case as golden
from recursive.conformance.needs import capabilities
from recursive.conformance.suite import TOLERANCE, Case
from tests.suite.declare import Net, Part, activation, dense, identity

DRAWN_LAYERS = ("JZS1", "JZS2")
"""Layers with a fixed random matrix, which is an identity if the dims are equal."""

RUNS = (
    ("seq", "seq", -1),
    ("last", "last", -1),
    ("seq_trunc3", "seq", 3),
    ("last_trunc3", "last", 3),
)
"""The runs in a file: the names of gradients and of outputs, and the truncation."""


def cases_of_2015() -> Iterator[Case]:
    """Every recurrent layer and container whose numbers of 2015 are right."""
    for name in golden.names():
        found = golden.read(name)
        if not found.about["judged"] or (
            found.about.get("layer") in DRAWN_LAYERS and "square" not in name
        ):
            continue
        if name.startswith("legacy2015/layers/") and "layer" in found.about:
            yield from (
                _layer(found, *run) for run in RUNS if f"out_{run[1]}" in found.arrays
            )
        elif name.startswith("legacy2015/recursive/") and "architecture" in found.about:
            yield from (_container(found, *run) for run in RUNS)


def _layer(found: golden.Case, run: str, shown: str, truncate: int) -> Case:
    """A recurrent layer of Keras 0.1.3, as the one node of a Graph."""
    config = {
        **found.about["kwargs"],
        "return_sequences": shown == "seq",
        "truncate_gradient": truncate,
    }
    weights, x = found.part("w__"), found.arrays["x"]
    part = Part(
        str(found.about["layer"]),
        config,
        {name: value.shape for name, value in weights.items()},
    )
    net = Net(loop=False).input("x", x.shape[-1], ndim=3).node("y", part, "x", out=True)
    gradients = found.part(f"grad_{run}__")
    return _case(
        found,
        run,
        net,
        {
            "in/x": x,
            "out/y": found.arrays[f"out_{shown}"],
            "node/y": found.arrays[f"out_{shown}"],
            **{f"param/y.{name}": value for name, value in weights.items()},
            **{f"grad/param/y.{name}": value for name, value in gradients.items()},
        },
        truncated=truncate != -1,
    )


def _container(found: golden.Case, run: str, shown: str, truncate: int) -> Case:
    """A Recursive of September 2015."""
    said = found.about["architecture"]
    net = Net(return_sequences=shown == "seq", truncate_gradient=truncate)
    for item in said["inputs"]:
        net.input(item["name"], item["dim"], ndim=item["ndim"])
    for state in said["states"]:
        net.state(state["name"], state["dim"])
    for node in said["nodes"]:
        net.node(
            node["name"],
            _part(node["layer"]),
            (node["merge_mode"] or "concat", node["inputs"]),
            node["return_state"],
            node["create_output"],
        )
    arrays = {f"in/{name}": value for name, value in found.part("x__").items()}
    arrays |= {
        f"param/{_dotted(name)}": value for name, value in found.part("w__").items()
    }
    nodes = found.part("node__")
    arrays |= {
        f"out/{name}": nodes[name] if shown == "seq" else nodes[name][:, -1]
        for name in (item.name for item in net.spec.outputs)
    }
    arrays |= {f"node/{name}": value for name, value in nodes.items()}
    arrays |= {
        f"grad/param/{_dotted(name)}": value
        for name, value in found.part(f"grad_{run}__").items()
    }
    return _case(found, run, net, arrays)


def _case(
    found: golden.Case,
    run: str,
    net: Net,
    arrays: Mapping[str, np.ndarray],
    truncated: bool = False,
) -> Case:
    """A case. The loss of 2015 was the sum of squares: the cotangent is twice the output."""
    cotangents = {
        f"cot/{name.removeprefix('out/')}": 2 * value
        for name, value in arrays.items()
        if name.startswith("out/")
    }
    needs = sorted({*capabilities(net.spec), *(["truncate"] if truncated else [])})
    made = found.about["produced_by"]
    name = found.name.rpartition("/")[2].replace("_", "-")
    about = {
        "version": "1.0",
        "id": f"legacy2015/{name}-{run.replace('_', '-')}",
        "area": "legacy2015",
        "tier": "legacy2015",
        "why": found.about["why"],
        "source": f"{made['how']}: {made['code']}",
        "by_hand": False,
        "capabilities": needs,
        "dtype": "float64",
        "call": {"train": False, "batches": 1},
        "tolerance": TOLERANCE,
        "training": None,
        "spec": net.spec.to_dict(),
    }
    return Case(
        about,
        {
            **arrays,
            **(cotangents if any(key.startswith("grad/") for key in arrays) else {}),
        },
    )


def _part(text: str) -> Part:
    """``Dense(7,4,tanh)``, ``Activation(tanh)`` or ``Lambda(identity)``."""
    kind, arguments = re.fullmatch(r"(\w+)\((.*)\)(?: linear)?", text).groups()
    words = [int(word) if word.isdigit() else word for word in arguments.split(",")]
    return {"Dense": dense, "Activation": activation, "Lambda": lambda *_: identity()}[
        kind
    ](*words)


def _dotted(name: str) -> str:
    """``i2h_W`` as ``i2h.W``."""
    node, _, letter = name.rpartition("_")
    return f"{node}.{letter}"
