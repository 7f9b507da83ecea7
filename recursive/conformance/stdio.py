"""The protocol for ports in other processes and languages, and the port's side of it.

The runner starts the port and writes questions to its stdin; the port writes answers to
its stdout. Each is one line of JSON. Arrays travel in safetensors files, by path::

    -> {"id": 2, "method": "run", "train": false,
        "arrays": "/tmp/c/2/in.safetensors", "out": "/tmp/c/2/out.safetensors"}
    <- {"id": 2, "result": {}}
    <- {"id": 2, "error": {"code": "ShapeError", "message": "..."}}      or this

The methods are those of :class:`recursive.conformance.adapter.Adapter`, and ``hello``.
In the table, *given* names the arrays in the file ``arrays``, and *written* those that
the port writes into ``out``, in parentheses if it may leave them out:

    method   question has  given                           written               result
    hello                                                                        *)
    build    spec          param/<name>                                          {}
    run      train         in/<name> mask state0/<name>    out/<name>
                           draw/<name>                     (final/<name>
                                                           node/<name>)          {}
    grads    train         those of run, cot/<output>      grad/param/<name>
                                                           grad/in/<name>        {}
    train    training      in/<name> target/<name>         step/loss
                                                           trained/<name>        {}
    refuses  spec                                                                **)

    *)  {"name": "mine", "capabilities": ["taps"], "methods": ["grads"]}; the optional
        methods that the port has
    **) {"code": "TapError"}, or {"code": null} if nothing is wrong

The rules:

- An answer has the ``id`` of its question. The next question comes after the answer.
- An array that is not given is not in the file.
- Both files are removed after the answer.
- There is one model at a time: ``build`` replaces it.
- Anything but answers goes to stderr.

The runner's side is :mod:`recursive.conformance.remote`. ``adapters/port.js`` speaks
the protocol in JavaScript, and :func:`serve` here speaks it for an adapter in Python,
which the runner starts in its own process so that it may hang or crash.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from recursive.conformance import forms
from recursive.conformance.adapter import OPTIONAL, Adapter, can, load
from recursive.conformance.suite import Arrays, packed, part_of, unpacked
from recursive.errors import RecursiveError

IN = {
    "params": "param/",
    "inputs": "in/",
    "states": "state0/",
    "draws": "draw/",
    "cotangents": "cot/",
    "targets": "target/",
}
"""The prefix in a file of each kind of array that a port is given, but the mask."""
OUT = {
    "run": {"outputs": "out/", "finals": "final/", "nodes": "node/"},
    "grads": {"params": "grad/param/", "inputs": "grad/in/"},
    "train": {"losses": "step/", "params": "trained/"},
}
"""The prefix in a file of each kind of array that a method returns."""

Question = Mapping[str, object]
Result = dict[str, object]


class Server:
    """Answers questions for an adapter; keeps the model that was built last."""

    def __init__(self, adapter: Adapter):
        self.adapter = adapter
        self.model: object = None
        self.methods = {
            "hello": self._hello,
            "build": self._build,
            "run": self._run,
            "grads": self._grads,
            "train": self._train,
            "refuses": self._refuses,
        }

    def answer(self, question: Question) -> Result:
        """The answer to one question, an error if the adapter raises one."""
        try:
            answer = {"result": self.methods[question["method"]](question)}
        except (Exception, SystemExit) as error:  # a port may raise anything
            answer = {"error": error_as_json(error)}
        return {"id": question["id"], **answer}

    def _hello(self, question: Question) -> Result:
        return {
            "name": self.adapter.name,
            "capabilities": sorted(self.adapter.capabilities),
            "methods": [method for method in OPTIONAL if can(self.adapter, method)],
        }

    def _build(self, question: Question) -> Result:
        params = part_of(unpacked(question["arrays"]), IN["params"])
        self.model = self.adapter.build(question["spec"], params)
        return {}

    def _run(self, question: Question) -> Result:
        arrays = unpacked(question["arrays"])
        inputs = part_of(arrays, IN["inputs"])
        returned = self.adapter.run(self.model, inputs, **_given(question, arrays))
        return _write(question, returned)

    def _grads(self, question: Question) -> Result:
        arrays = unpacked(question["arrays"])
        inputs = part_of(arrays, IN["inputs"])
        cotangents = part_of(arrays, IN["cotangents"])
        returned = self.adapter.grads(
            self.model, inputs, cotangents, **_given(question, arrays)
        )
        return _write(question, returned)

    def _train(self, question: Question) -> Result:
        arrays = unpacked(question["arrays"])
        inputs = part_of(arrays, IN["inputs"])
        targets = part_of(arrays, IN["targets"])
        returned = self.adapter.train(self.model, inputs, targets, question["training"])
        return _write(question, returned)

    def _refuses(self, question: Question) -> Result:
        return {"code": forms.error_code(self.adapter.refuses(question["spec"]))}


def _given(question: Question, arrays: Arrays) -> dict[str, object]:
    """The keyword arguments of ``run`` and ``grads``."""
    return {
        "mask": arrays.get("mask"),
        "states": part_of(arrays, IN["states"]) or None,
        "draws": part_of(arrays, IN["draws"]) or None,
        "train": question["train"],
    }


def _write(question: Question, returned: object) -> Result:
    """Write what the adapter returned, each array under the prefix of its kind."""
    method = question["method"]
    found = forms.parts(method, returned)
    if method == "train":
        found["losses"] = {"loss": found["losses"]}
    arrays = {}
    for kind, part in found.items():
        for name, value in part.items():
            arrays[OUT[method][kind] + name] = np.asarray(value)
    Path(question["out"]).write_bytes(packed(arrays))
    return {}


def error_as_json(error: BaseException) -> dict[str, str]:
    """An error in the form of an answer."""
    # The errors of this package are sentences; only others need the port's line.
    is_sentence = isinstance(error, forms.FormError | RecursiveError)
    message = str(error) if is_sentence else forms.error_text(error)
    return {"code": type(error).__name__, "message": message}


def serve(adapter: Adapter, questions: IO[str], answers: IO[str]) -> None:
    """Answer every question for an adapter, until there are no more."""
    server = Server(adapter)
    for line in questions:
        answer = server.answer(json.loads(line))
        print(json.dumps(answer), file=answers, flush=True)


def main(path: str) -> None:
    """Serve the adapter ``module:object`` on stdin and stdout."""
    # The adapter may print: its stdout becomes stderr, and answers keep the real one.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        try:
            adapter = load(path)
        except RecursiveError as error:
            hello = json.loads(sys.stdin.readline())
            answer = {"id": hello["id"], "error": error_as_json(error)}
            print(json.dumps(answer), file=answers)
            return
        serve(adapter, sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1])
