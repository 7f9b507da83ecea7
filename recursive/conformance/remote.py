"""A port in another process, as an adapter: asked by lines of JSON (see :mod:`recursive.conformance.stdio`).

One that does not answer in time, or not as it should, is ended, and started again for the next question.
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np

from recursive.conformance.adapter import OPTIONAL
from recursive.conformance.forms import FormError, RaisedError, code, raised
from recursive.conformance.stdio import IN, OUT, part_of
from recursive.conformance.suite import Arrays, packed, unpacked
from recursive.errors import ConfigError, DataError

PATIENCE = 1.0
"""Seconds that a process which is at its end may still take."""


class PortError(RaisedError):
    """A port in another process gave an error, or no answer that can be read; the text is a sentence.

    Args:
        said: what the port itself said, if it did.
    """

    def __init__(self, sentence: str, said: str = ""):
        super().__init__(sentence)
        self.said = said


class Remote:
    """A port in another process, as an adapter.

    Args:
        command: what starts it.
        time_limit: seconds in which it must answer.

    Raises:
        ConfigError: where it cannot be started.
        PortError: where it does not say what it can do.
    """

    def __init__(self, command: Sequence[str], time_limit: float = 60.0):
        self._command, self._time_limit = list(command), time_limit
        self._scratch = tempfile.TemporaryDirectory(prefix="conformance-")
        self._process: subprocess.Popen | None = None
        self._reader: threading.Thread | None = None
        self._number = 0
        try:
            self.name, capabilities, methods = _introduced(self._ask("hello"))
        except BaseException:
            self.close()
            raise
        self.capabilities = set(capabilities)
        for method in OPTIONAL:
            if method not in methods:
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
        self._ask("build", {"params": params}, spec=spec)

    def run(
        self,
        model: None,
        inputs: Arrays,
        *,
        mask: np.ndarray | None,
        states: Arrays | None,
        draws: Arrays | None,
        train: bool,
    ) -> dict[str, Arrays]:
        """Outputs, and what else it wrote."""
        return self._wrote(
            "run",
            {"inputs": inputs, "states": states, "draws": draws},
            mask,
            train=train,
        )

    def grads(
        self,
        model: None,
        inputs: Arrays,
        cotangents: Arrays,
        *,
        mask: np.ndarray | None,
        states: Arrays | None,
        draws: Arrays | None,
        train: bool,
    ) -> dict[str, Arrays]:
        """Gradients by name."""
        given = {
            "inputs": inputs,
            "states": states,
            "draws": draws,
            "cotangents": cotangents,
        }
        return self._wrote("grads", given, mask, train=train)

    def train(
        self,
        model: None,
        inputs: Arrays,
        targets: Arrays,
        training: Mapping[str, object],
    ) -> dict[str, object]:
        """Losses and parameters."""
        found = self._wrote(
            "train", {"inputs": inputs, "targets": targets}, training=training
        )
        steps = found.pop("losses")
        return {**found, "losses": steps["loss"]} if "loss" in steps else found

    def refuses(self, spec: Mapping[str, object]) -> str | None:
        """The class of the error that it is refused with."""
        return code(self._ask("refuses", spec=spec)[0].get("code"))

    # The line

    def _wrote(
        self,
        method: str,
        given: Mapping[str, Arrays | None],
        mask: np.ndarray | None = None,
        **said: object,
    ) -> dict[str, Arrays]:
        """The arrays that it wrote, by kind."""
        _, found = self._ask(method, given, mask, **said)
        prefixes = OUT[method]
        for name in found:
            if not name.startswith(tuple(prefixes.values())):
                raise FormError(
                    f"{method} wrote {name!r}, which begins with none of {', '.join(prefixes.values())}."
                )
        return {kind: part_of(found, prefix) for kind, prefix in prefixes.items()}

    def _ask(
        self,
        method: str,
        given: Mapping[str, Arrays | None] | None = None,
        mask: np.ndarray | None = None,
        **said: object,
    ) -> tuple[dict[str, object], Arrays]:
        """What it answers, and the arrays that it wrote."""
        self._number += 1
        asked = {"id": self._number, "method": method, **said}
        folder = Path(self._scratch.name) / str(self._number)
        out = folder / "out.safetensors"
        folder.mkdir()
        try:
            if given is not None:
                (folder / "in.safetensors").write_bytes(packed(_named(given, mask)))
                asked |= {"arrays": str(folder / "in.safetensors"), "out": str(out)}
            answer = self._answered(method, json.dumps(asked))
            return answer, unpacked(out) if out.exists() else {}
        except DataError as error:
            raise PortError(f"what {method} wrote cannot be read: {error}") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _answered(self, method: str, line: str) -> dict[str, object]:
        process = self._started()
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            found = self._lines.get(timeout=self._time_limit)
        except queue.Empty:
            self._end()
            raise PortError(
                f"{method} gave no answer in {self._time_limit:g} s, so that it was ended"
            ) from None
        except OSError:
            found = None
        if found is None:
            raise PortError(f"{method} gave no answer: {self._how_it_ended(process)}")
        answer = _answer(found, self._number)
        if isinstance(answer, str):
            self._end()
            raise PortError(
                f"{method} was answered with {found.strip()[:200]!r}, {answer}"
            )
        if "error" in answer:
            kind, words = answer["error"]["code"], answer["error"].get("message", "")
            raise (
                FormError(words)
                if kind == FormError.__name__
                else PortError(raised(method, kind, words), words)
            )
        return answer.get("result") or {}

    def _started(self) -> subprocess.Popen:
        if self._process is None:
            try:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,
                )
            except OSError as error:
                raise ConfigError.about(
                    "command",
                    shlex.join(self._command),
                    takes="a program that can be started",
                    because="it speaks for the port",
                    got=str(error),
                    do="Look at its path again.",
                ) from error
            self._lines: queue.Queue = queue.Queue()
            self._reader = threading.Thread(
                target=_read, args=(self._process.stdout, self._lines), daemon=True
            )
            self._reader.start()
        return self._process

    def _how_it_ended(self, process: subprocess.Popen) -> str:
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            words = "it closed its output, so that it was ended"
        else:
            words = f"the process ended, {f'by signal {-status}' if status < 0 else f'with exit code {status}'}"
        self._end()
        return words

    def _end(self) -> None:
        """End it, and the processes that it has started."""
        if self._process is None:
            return
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        with suppress(OSError):
            self._process.stdin.close()
        if self._reader is not None and self._reader.is_alive():
            self._reader.join(PATIENCE)
        else:
            # The reader closes what it reads; after a Ctrl-C before it started, nobody does.
            self._process.stdout.close()
        self._process = None


def _named(given: Mapping[str, Arrays | None], mask: np.ndarray | None) -> Arrays:
    """Arrays by the names that they have in a file."""
    named = {
        IN[kind] + name: value
        for kind, part in given.items()
        for name, value in (part or {}).items()
    }
    return named if mask is None else {**named, "mask": mask}


def _read(stream: IO[str], lines: queue.Queue) -> None:
    """Hand on every line, and None at the end."""
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def _answer(line: str, number: int) -> dict[str, object] | str:
    """The answer to the question of that number, or why the line is none."""
    try:
        answer = json.loads(line)
    except ValueError:
        return "which is no JSON; anything but answers goes to stderr"
    if not isinstance(answer, dict) or answer.get("id") != number:
        return f"not the question of id {number}"
    if "error" in answer:
        return (
            answer
            if _is_error(answer["error"])
            else 'where an error is {"code": "TapError", "message": "..."}'
        )
    return (
        answer
        if isinstance(answer.get("result"), dict)
        else "where a result is an object, {} if there is none"
    )


def _is_error(error: object) -> bool:
    return (
        isinstance(error, dict)
        and all(isinstance(error.get(word, ""), str) for word in ("code", "message"))
        and "code" in error
    )


def _introduced(
    answer: tuple[dict[str, object], Arrays],
) -> tuple[str, list[str], list[str]]:
    """Name, capabilities and methods, as ``hello`` was answered."""
    told, _ = answer
    name, capabilities, methods = (
        told.get(word, []) for word in ("name", "capabilities", "methods")
    )
    if not isinstance(name, str) or not all(
        isinstance(words, list) and all(isinstance(word, str) for word in words)
        for words in (capabilities, methods)
    ):
        raise PortError(
            f"hello was answered with {str(told)[:200]}, where a name is text, and capabilities and "
            "methods are lists of words"
        )
    return name, capabilities, methods


def command_of(path: str) -> list[str]:
    """What starts the adapter ``module:object`` in a process of its own, where it may hang or crash."""
    return [sys.executable, "-m", "recursive.conformance.stdio", path]
