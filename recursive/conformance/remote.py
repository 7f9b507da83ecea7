"""A port in another process, as an adapter: the runner's side of the JSON lines.

The protocol is described in :mod:`recursive.conformance.stdio`. A process that gives
no answer in time, or one that cannot be read, is killed. The next question starts it
again, so that one bad case does not spoil the others.
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
from recursive.conformance.forms import FormError, RaisedError, error_code, raised_text
from recursive.conformance.stdio import IN, OUT
from recursive.conformance.suite import Arrays, packed, part_of, unpacked
from recursive.errors import ConfigError, DataError

GRACE = 1.0
"""Seconds to wait for a process that is about to end."""


class PortError(RaisedError):
    """A port in another process gave an error, or no answer that can be read.

    Args:
        sentence: the whole message.
        message: the message in the port's own answer, if it gave one.
        code: the class of the error in that answer.
    """

    def __init__(self, sentence: str, message: str = "", code: str = ""):
        super().__init__(sentence, code)
        self.message = message


class Remote:
    """A port in another process, as an adapter.

    It is a context manager; on exit the process is killed and its files are removed.

    Args:
        command: the command that starts the port.
        time_limit: the seconds that each answer may take.

    Raises:
        ConfigError: if the command cannot be started.
        PortError: if the port does not answer ``hello``.
    """

    def __init__(self, command: Sequence[str], time_limit: float = 60.0):
        self._command = list(command)
        self._time_limit = time_limit
        self._scratch = tempfile.TemporaryDirectory(prefix="conformance-")
        self._process: subprocess.Popen | None = None
        self._reader: threading.Thread | None = None
        self._number = 0
        try:
            hello, _ = self._ask("hello")
            self.name, capabilities, methods = _introduction(hello)
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
        """Kill the process, and remove the files that were written for it."""
        self._kill()
        self._scratch.cleanup()

    def build(self, spec: Mapping[str, object], params: Arrays) -> None:
        """Build the one model of the process."""
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
        """The arrays that the port wrote: outputs, and finals and nodes if it can."""
        given = {"inputs": inputs, "states": states, "draws": draws}
        return self._ask_arrays("run", given, mask, train=train)

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
        """The gradients that the port wrote."""
        given = {
            "inputs": inputs,
            "states": states,
            "draws": draws,
            "cotangents": cotangents,
        }
        return self._ask_arrays("grads", given, mask, train=train)

    def train(
        self,
        model: None,
        inputs: Arrays,
        targets: Arrays,
        training: Mapping[str, object],
    ) -> dict[str, object]:
        """The losses and parameters that the port wrote."""
        given = {"inputs": inputs, "targets": targets}
        found = self._ask_arrays("train", given, training=training)
        losses = found.pop("losses")
        if "loss" in losses:
            found["losses"] = losses["loss"]
        return found

    def refuses(self, spec: Mapping[str, object]) -> str | None:
        """The class of the error that a declaration raises; None if it is accepted."""
        result, _ = self._ask("refuses", spec=spec)
        return error_code(result.get("code"))

    # Questions and answers

    def _ask_arrays(
        self,
        method: str,
        given: Mapping[str, Arrays | None],
        mask: np.ndarray | None = None,
        **fields: object,
    ) -> dict[str, Arrays]:
        """Ask for arrays, and sort them by kind."""
        _, arrays = self._ask(method, given, mask, **fields)
        prefixes = OUT[method]
        expected = tuple(prefixes.values())
        for name in arrays:
            if not name.startswith(expected):
                raise FormError(
                    f"{method} wrote {name!r}, expected a name that begins with "
                    f"{', '.join(expected)}."
                )
        return {kind: part_of(arrays, prefix) for kind, prefix in prefixes.items()}

    def _ask(
        self,
        method: str,
        given: Mapping[str, Arrays | None] | None = None,
        mask: np.ndarray | None = None,
        **fields: object,
    ) -> tuple[dict[str, object], Arrays]:
        """The result of a question, and the arrays that the port wrote."""
        self._number += 1
        question = {"id": self._number, "method": method, **fields}
        folder = Path(self._scratch.name) / str(self._number)
        given_path = folder / "in.safetensors"
        out_path = folder / "out.safetensors"
        folder.mkdir()
        try:
            if given is not None:
                given_path.write_bytes(packed(_named(given, mask)))
                question |= {"arrays": str(given_path), "out": str(out_path)}
            result = self._result(method, json.dumps(question))
            return result, unpacked(out_path) if out_path.exists() else {}
        except DataError as error:
            raise PortError(f"what {method} wrote cannot be read: {error}") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _result(self, method: str, question: str) -> dict[str, object]:
        line = self._line(method, question)
        try:
            answer = _read_answer(line, self._number)
        except ValueError as error:
            self._kill()
            raise PortError(
                f"{method} was answered with {line.strip()[:200]!r}: {error}"
            ) from None
        if "error" not in answer:
            return answer["result"]
        code = answer["error"]["code"]
        message = answer["error"].get("message", "")
        if code == FormError.__name__:
            raise FormError(message)
        raise PortError(raised_text(method, code, message), message, code)

    def _line(self, method: str, question: str) -> str:
        """The line that follows a question."""
        process = self._started()
        try:
            process.stdin.write(question + "\n")
            process.stdin.flush()
            line = self._lines.get(timeout=self._time_limit)
        except queue.Empty:
            self._kill()
            raise PortError(
                f"{method} gave no answer in {self._time_limit:g} s and was killed"
            ) from None
        except OSError:  # the process closed its stdin
            line = None
        if line is None:
            raise PortError(f"{method} gave no answer: {self._how_it_ended(process)}")
        return line

    # The process

    def _started(self) -> subprocess.Popen:
        if self._process is not None:
            return self._process
        try:
            # A session of its own, so that its children can be killed with it.
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
                got=str(error),
                do="Check its path.",
            ) from error
        # A thread reads, because reading a pipe has no time limit.
        self._lines: queue.Queue = queue.Queue()
        self._reader = threading.Thread(
            target=_read, args=(self._process.stdout, self._lines), daemon=True
        )
        self._reader.start()
        return self._process

    def _how_it_ended(self, process: subprocess.Popen) -> str:
        try:
            status = process.wait(GRACE)
        except subprocess.TimeoutExpired:
            words = "it closed its output and was killed"
        else:
            words = f"the process ended with exit code {status}"
            if status < 0:
                words = f"the process ended by signal {-status}"
        self._kill()
        return words

    def _kill(self) -> None:
        """Kill the process and its children, and close its pipes."""
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
            self._reader.join(GRACE)
        else:
            # The reader closes stdout, unless Ctrl-C came before the reader started.
            self._process.stdout.close()
        self._process = None


def _named(given: Mapping[str, Arrays | None], mask: np.ndarray | None) -> Arrays:
    """The arrays of a file by name."""
    named = {}
    for kind, part in given.items():
        for name, value in (part or {}).items():
            named[IN[kind] + name] = value
    if mask is not None:
        named["mask"] = mask
    return named


def _read(stream: IO[str], lines: queue.Queue) -> None:
    """Put every line of a stream into a queue, and None at its end."""
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def _read_answer(line: str, number: int) -> dict[str, object]:
    """The answer to the question of that number.

    Raises:
        ValueError: if the line is not such an answer.
    """
    try:
        answer = json.loads(line)
    except ValueError:
        raise ValueError(
            "this is not JSON; print anything but answers to stderr"
        ) from None
    if not isinstance(answer, dict) or answer.get("id") != number:
        raise ValueError(f"this is not the answer to the question of id {number}")
    if "error" in answer:
        if not _is_error(answer["error"]):
            raise ValueError('an error is {"code": "TapError", "message": "..."}')
    elif not isinstance(answer.get("result"), dict):
        raise ValueError("a result is an object, {} if there is none")
    return answer


def _is_error(found: object) -> bool:
    if not isinstance(found, dict):
        return False
    has_code = isinstance(found.get("code"), str)
    return has_code and isinstance(found.get("message", ""), str)


def _introduction(answer: Mapping[str, object]) -> tuple[str, list[str], list[str]]:
    """The name, capabilities and methods in the answer to ``hello``."""
    name = answer.get("name")
    capabilities = answer.get("capabilities", [])
    methods = answer.get("methods", [])
    if (
        not isinstance(name, str)
        or not _are_strings(capabilities)
        or not _are_strings(methods)
    ):
        raise PortError(
            f"hello was answered with {str(answer)[:200]}, expected a name that is a "
            "string, and capabilities and methods that are lists of strings"
        )
    return name, capabilities, methods


def _are_strings(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(word, str) for word in found)


def command_of(path: str) -> list[str]:
    """The command that serves the adapter ``module:object`` from its own process."""
    return [sys.executable, "-m", "recursive.conformance.stdio", path]
