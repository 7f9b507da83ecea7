"""Ports in other processes, and other languages: one JSON object a line, arrays by the paths of safetensors files.

Asked:    {"id": 2, "method": "run", "arrays": "/scratch/2.in.safetensors", "out": "/scratch/2.out.safetensors",
           "train": false}
Answered: {"id": 2, "result": {}}     or     {"id": 2, "error": {"code": "ShapeError", "message": "..."}}

``hello`` is answered with ``{"name", "capabilities", "methods"}``. ``build`` is given ``spec`` and ``param/<name>``;
``run`` is given ``in/<name>``, ``mask``, ``state0/<name>``, ``draw/<name>`` and writes ``out/<name>``, and if it can
``final/<name>`` and ``node/<name>``; ``grads`` is given ``cot/<output>`` too and writes ``grad/param/<name>`` and
``grad/in/<name>``; ``train`` is given ``target/<name>`` and ``training`` and writes ``step/loss`` and
``trained/<name>``; ``refuses`` is given ``spec`` and answers ``{"code": null}`` or the error's class.

One that does not answer in time is ended, and started again for the next case.
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np

from recursive.conformance.adapter import OPTIONAL, Adapter, can, load
from recursive.conformance.suite import Arrays, packed, unpacked
from recursive.errors import ConfigError, RecursiveError

OUT = {"outputs": "out/", "finals": "final/", "nodes": "node/", "params": "grad/param/", "inputs": "grad/in/"}
"""What a port returns, and what it is called in a file."""


class PortError(Exception):
    """What a port in another process answered in place of a result."""


def prefixed(**parts: Mapping[str, np.ndarray] | None) -> Arrays:
    """Arrays by the names that they have in a file."""
    prefixes = {"params": "param/", "inputs": "in/", "states": "state0/", "draws": "draw/", "cotangents": "cot/",
                "targets": "target/"}
    return {prefixes[kind] + name: value for kind, part in parts.items() for name, value in (part or {}).items()}


def part_of(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays called ``<prefix><name>``, by ``name``."""
    return {name[len(prefix):]: value for name, value in arrays.items() if name.startswith(prefix)}


class Remote:
    """A port in another process, as an adapter.

    Args:
        command: what starts it.
        time_limit: seconds in which it must answer.
    """

    def __init__(self, command: Sequence[str], time_limit: float = 60.0):
        self._command, self._time_limit = list(command), time_limit
        self._scratch = tempfile.TemporaryDirectory(prefix="conformance-")
        self._process: subprocess.Popen | None = None
        self._number = 0
        try:
            told = self._ask("hello")
        except BaseException:
            self.close()
            raise
        self.name, self.capabilities = str(told.get("name")), set(told.get("capabilities", ()))
        for method in OPTIONAL:
            if method not in told.get("methods", ()):
                setattr(self, method, None)

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and remove what was written for it."""
        self._end()
        self._scratch.cleanup()

    def build(self, spec: Mapping[str, object], params: Arrays) -> None:
        """Have a model built; there is one at a time."""
        self._ask("build", prefixed(params=params), spec=spec)

    def run(self, model: None, inputs: Arrays, *, mask: np.ndarray | None, states: Arrays | None,
            draws: Arrays | None, train: bool) -> dict[str, Arrays]:
        """Outputs, and what else it wrote."""
        given = prefixed(inputs=inputs, states=states, draws=draws) | ({} if mask is None else {"mask": mask})
        found = self._ask("run", given, train=train)["arrays"]
        return {kind: part_of(found, OUT[kind]) for kind in ("outputs", "finals", "nodes")}

    def grads(self, model: None, inputs: Arrays, cotangents: Arrays, *, mask: np.ndarray | None,
              states: Arrays | None, draws: Arrays | None, train: bool) -> dict[str, Arrays]:
        """Gradients by name."""
        given = prefixed(inputs=inputs, states=states, draws=draws, cotangents=cotangents)
        found = self._ask("grads", given | ({} if mask is None else {"mask": mask}), train=train)["arrays"]
        return {kind: part_of(found, OUT[kind]) for kind in ("params", "inputs")}

    def train(self, model: None, inputs: Arrays, targets: Arrays, training: Mapping[str, object]) -> dict[str, object]:
        """Losses and parameters."""
        found = self._ask("train", prefixed(inputs=inputs, targets=targets), training=training)["arrays"]
        return {"losses": found.get("step/loss"), "params": part_of(found, "trained/")}

    def refuses(self, spec: Mapping[str, object]) -> str | None:
        """The class of the error that it is refused with."""
        return self._ask("refuses", spec=spec).get("code")

    # The line

    def _ask(self, method: str, arrays: Arrays | None = None, **said: object) -> dict[str, object]:
        """What it answers, with the arrays that it wrote."""
        self._number += 1
        out = Path(self._scratch.name) / f"{self._number}.out.safetensors"
        asked = {"id": self._number, "method": method, **said}
        if arrays is not None:
            given = out.with_name(f"{self._number}.in.safetensors")
            given.write_bytes(packed(arrays))
            asked |= {"arrays": str(given), "out": str(out)}
        try:
            answer = self._answered(json.dumps(asked))
            return {**answer, "arrays": unpacked(out) if out.exists() else {}}
        finally:
            for path in Path(self._scratch.name).glob("*.safetensors"):
                path.unlink()

    def _answered(self, line: str) -> dict[str, object]:
        process = self._started()
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            found = self._lines.get(timeout=self._time_limit)
        except queue.Empty:
            self._end()
            raise PortError(f"no answer in {self._time_limit:g} s, so that it was ended") from None
        except OSError:
            found = None
        if found is None:
            code = process.wait()
            self._end()
            raise PortError(f"the process ended, with exit code {code}")
        return _result(found, self._number)

    def _started(self) -> subprocess.Popen:
        if self._process is None:
            try:
                self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                 text=True, encoding="utf-8")
            except OSError as error:
                raise ConfigError.about("command", shlex.join(self._command), takes="a program that can be started",
                                        because="it speaks for the port", got=str(error),
                                        do="Look at its path again.") from error
            self._lines: queue.Queue = queue.Queue()
            self._reader = threading.Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True)
            self._reader.start()
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            with suppress(BrokenPipeError):
                self._process.stdin.close()
            self._reader.join()
            self._process = None


def _read(stream: IO[str], lines: queue.Queue) -> None:
    """Hand on every line, and None at the end."""
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def _result(line: str, number: int) -> dict[str, object]:
    try:
        answer = json.loads(line)
    except ValueError:
        raise PortError(f"it answered {line.strip()[:200]!r}, which is no JSON; anything but answers goes to stderr") \
            from None
    if not isinstance(answer, dict) or answer.get("id") != number:
        raise PortError(f"it answered {line.strip()[:200]!r}, not the question of id {number}")
    if answer.get("error"):
        raise PortError(f"{answer['error'].get('code')}: {answer['error'].get('message')}")
    return answer.get("result") or {}


# The other end


def serve(adapter: Adapter, asked: IO[str], answers: IO[str]) -> None:
    """Answer for an adapter, until there is nothing more to answer."""
    model: list[object] = [None]
    for line in asked:
        question = json.loads(line)
        try:
            answer = {"result": _METHODS[question["method"]](adapter, model, question)}
        except Exception as error:  # a port may raise anything: the runner turns it into the sentence of a failure
            answer = {"error": _told(error)}
        print(json.dumps({"id": question["id"], **answer}), file=answers, flush=True)


def _told(error: Exception) -> dict[str, str]:
    return {"code": type(error).__name__, "message": str(error)}


def _hello(adapter: Adapter, model: list, question: Mapping) -> dict[str, object]:
    return {"name": adapter.name, "capabilities": sorted(adapter.capabilities),
            "methods": [method for method in OPTIONAL if can(adapter, method)]}


def _build(adapter: Adapter, model: list, question: Mapping) -> dict[str, object]:
    model[0] = adapter.build(question["spec"], part_of(unpacked(question["arrays"]), "param/"))
    return {}


def _given(question: Mapping) -> tuple[Arrays, dict[str, object]]:
    arrays = unpacked(question["arrays"])
    return arrays, {"mask": arrays.get("mask"), "states": part_of(arrays, "state0/") or None,
                    "draws": part_of(arrays, "draw/") or None, "train": question["train"]}


def _run(adapter: Adapter, model: list, question: Mapping) -> dict[str, object]:
    arrays, given = _given(question)
    return _wrote(question, adapter.run(model[0], part_of(arrays, "in/"), **given))


def _grads(adapter: Adapter, model: list, question: Mapping) -> dict[str, object]:
    arrays, given = _given(question)
    return _wrote(question, adapter.grads(model[0], part_of(arrays, "in/"), part_of(arrays, "cot/"), **given))


def _wrote(question: Mapping, found: Mapping[str, Arrays]) -> dict[str, object]:
    """Write what the adapter returned, each array under the prefix of its kind."""
    arrays = {OUT[kind] + name: np.asarray(value)
              for kind, part in found.items() for name, value in (part or {}).items()}
    Path(question["out"]).write_bytes(packed(arrays))
    return {}


def _train(adapter: Adapter, model: list, question: Mapping) -> dict[str, object]:
    arrays = unpacked(question["arrays"])
    found = adapter.train(model[0], part_of(arrays, "in/"), part_of(arrays, "target/"), question["training"])
    wrote = {f"trained/{name}": np.asarray(value) for name, value in found["params"].items()}
    Path(question["out"]).write_bytes(packed({**wrote, "step/loss": np.asarray(found["losses"])}))
    return {}


def _refuses(adapter: Adapter, model: list, question: Mapping) -> dict[str, object]:
    return {"code": adapter.refuses(question["spec"])}


_METHODS: dict[str, Callable] = {"hello": _hello, "build": _build, "run": _run, "grads": _grads, "train": _train,
                                 "refuses": _refuses}


def command_of(path: str) -> list[str]:
    """What starts the adapter ``module:object`` in a process of its own, where it may hang or crash."""
    return [sys.executable, "-m", "recursive.conformance.stdio", path]


def main(path: str) -> None:
    """Serve an adapter; what it prints goes to stderr, since stdout is for answers."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        try:
            adapter = load(path)
        except RecursiveError as error:
            question = json.loads(sys.stdin.readline())
            print(json.dumps({"id": question["id"], "error": _told(error)}), file=answers)
            return
        serve(adapter, sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1])
