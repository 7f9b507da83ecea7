"""How ports in other processes, and other languages, are spoken to, and how an adapter in Python answers there.

One JSON object a line, arrays by the paths of safetensors files:

Asked:    {"id": 2, "method": "run", "arrays": "/scratch/2/in.safetensors", "out": "/scratch/2/out.safetensors",
           "train": false}
Answered: {"id": 2, "result": {}}     or     {"id": 2, "error": {"code": "ShapeError", "message": "..."}}

``hello`` is answered with ``{"name", "capabilities", "methods"}``. ``build`` is given ``spec`` and ``param/<name>``;
``run`` is given ``in/<name>``, ``mask``, ``state0/<name>``, ``draw/<name>`` and writes ``out/<name>``, and if it can
``final/<name>`` and ``node/<name>``; ``grads`` is given ``cot/<output>`` too and writes ``grad/param/<name>`` and
``grad/in/<name>``; ``train`` is given ``target/<name>`` and ``training`` and writes ``step/loss`` and
``trained/<name>``; ``refuses`` is given ``spec`` and answers ``{"code": null}`` or the error's class.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from recursive.conformance import forms
from recursive.conformance.adapter import OPTIONAL, Adapter, can, load
from recursive.conformance.suite import Arrays, packed, unpacked
from recursive.errors import RecursiveError

IN = {
    "params": "param/",
    "inputs": "in/",
    "states": "state0/",
    "draws": "draw/",
    "cotangents": "cot/",
    "targets": "target/",
}
"""What a port is given, and what it is called in a file; a mask is ``mask``."""
OUT = {
    "run": {"outputs": "out/", "finals": "final/", "nodes": "node/"},
    "grads": {"params": "grad/param/", "inputs": "grad/in/"},
    "train": {"losses": "step/", "params": "trained/"},
}
"""What a port returns, method by method, and what it is called in a file."""


def part_of(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays called ``<prefix><name>``, by ``name``."""
    return {
        name[len(prefix) :]: value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def serve(adapter: Adapter, asked: IO[str], answers: IO[str]) -> None:
    """Answer for an adapter, until there is nothing more to answer."""
    model: list[object] = [None]
    for line in asked:
        question = json.loads(line)
        try:
            answer = {"result": _METHODS[question["method"]](adapter, model, question)}
        except (
            Exception,
            SystemExit,
        ) as error:  # a port may raise anything: the runner makes a sentence of it
            answer = {"error": _told(error)}
        print(json.dumps({"id": question["id"], **answer}), file=answers, flush=True)


def _told(error: BaseException) -> dict[str, str]:
    words = (
        str(error)
        if isinstance(error, forms.FormError | RecursiveError)
        else forms.words_of(error)
    )
    return {"code": type(error).__name__, "message": words}


def _hello(adapter: Adapter, model: list, question: Mapping) -> dict[str, object]:
    return {
        "name": adapter.name,
        "capabilities": sorted(adapter.capabilities),
        "methods": [method for method in OPTIONAL if can(adapter, method)],
    }


def _build(adapter: Adapter, model: list, question: Mapping) -> dict[str, object]:
    model[0] = adapter.build(
        question["spec"], part_of(unpacked(question["arrays"]), IN["params"])
    )
    return {}


def _given(question: Mapping) -> tuple[Arrays, dict[str, object]]:
    arrays = unpacked(question["arrays"])
    return arrays, {
        "mask": arrays.get("mask"),
        "states": part_of(arrays, IN["states"]) or None,
        "draws": part_of(arrays, IN["draws"]) or None,
        "train": question["train"],
    }


def _run(adapter: Adapter, model: list, question: Mapping) -> dict[str, object]:
    arrays, given = _given(question)
    return _wrote(
        question, adapter.run(model[0], part_of(arrays, IN["inputs"]), **given)
    )


def _grads(adapter: Adapter, model: list, question: Mapping) -> dict[str, object]:
    arrays, given = _given(question)
    return _wrote(
        question,
        adapter.grads(
            model[0],
            part_of(arrays, IN["inputs"]),
            part_of(arrays, IN["cotangents"]),
            **given,
        ),
    )


def _train(adapter: Adapter, model: list, question: Mapping) -> dict[str, object]:
    arrays = unpacked(question["arrays"])
    return _wrote(
        question,
        adapter.train(
            model[0],
            part_of(arrays, IN["inputs"]),
            part_of(arrays, IN["targets"]),
            question["training"],
        ),
    )


def _wrote(question: Mapping, returned: object) -> dict[str, object]:
    """Write what the adapter returned, each array under the prefix of its kind."""
    method = question["method"]
    found = forms.parts(method, returned)
    if method == "train":
        found["losses"] = {"loss": found["losses"]}
    Path(question["out"]).write_bytes(
        packed(
            {
                OUT[method][kind] + name: np.asarray(value)
                for kind, part in found.items()
                for name, value in part.items()
            }
        )
    )
    return {}


def _refuses(adapter: Adapter, model: list, question: Mapping) -> dict[str, object]:
    return {"code": forms.code(adapter.refuses(question["spec"]))}


_METHODS: dict[str, Callable] = {
    "hello": _hello,
    "build": _build,
    "run": _run,
    "grads": _grads,
    "train": _train,
    "refuses": _refuses,
}


def main(path: str) -> None:
    """Serve an adapter; what it prints goes to stderr, since stdout is for answers."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        try:
            adapter = load(path)
        except RecursiveError as error:
            question = json.loads(sys.stdin.readline())
            print(
                json.dumps({"id": question["id"], "error": _told(error)}), file=answers
            )
            return
        serve(adapter, sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1])
