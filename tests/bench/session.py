"""Measures all contenders in one session.

Each has its own process. The processes take turns, so that all share the machine's good
and bad moments; one that waits sleeps. The first call of each contender is measured
twice: by a process with empty caches on disk, which then ends, and by the one that is
timed.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TextIO

from tests.bench.contestants import Contender, Sizes
from tests.bench.results import Row, Spread
from tests.bench.worker import Job

LIBRARIES = (
    "recursive-rnn",
    "pytensor",
    "numpy",
    "jax",
    "numba",
    "keras",
    "torch",
    "scipy-openblas32",
)
REST = 0.2
"""Seconds before each turn, in which idle threads of the last one stop spinning."""
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a session: turns, timed calls in each, cores, and empty caches."""

    rounds: int = 15
    calls: int = 5
    threads: int = os.cpu_count() or 1
    cold: bool = True


class ContenderError(RuntimeError):
    """A contender that could not go on; the text is why."""


class Process:
    """The parent's end of a worker."""

    def __init__(self, job: Job, cache: Path | None, complaints: TextIO):
        self._complaints = complaints
        self._started = time.time()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.worker", job.to_json()],
            text=True,
            env=_environment(job, cache),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
        )

    def imports(self) -> float:
        """Seconds from its start until everything was imported."""
        return self._answer().get("ready", time.time()) - self._started

    def ask(self, order: str, **arguments: int) -> dict:
        """The answer of the worker.

        Raises:
            ContenderError: if it answers with an error, or not at all.
        """
        with suppress(BrokenPipeError):  # the answer says why
            print(
                json.dumps({"do": order, **arguments}),
                file=self._child.stdin,
                flush=True,
            )
        return self._answer()

    def _answer(self) -> dict:
        line = self._child.stdout.readline()
        if not line:
            raise ContenderError(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise ContenderError(answer["error"])
        return answer

    def _last_words(self) -> str:
        code = self._child.wait()
        self._complaints.seek(0)
        said = self._complaints.read().strip().splitlines() or [""]
        return f"its process ended with code {code}. {said[-1]}".strip()

    def close(self) -> None:
        """End it: an idle process ends by itself, a busy one is killed."""
        with suppress(BrokenPipeError):
            self._child.stdin.close()
        self._child.stdout.close()
        try:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout=5)
        finally:  # a second Ctrl-C leaves none behind
            self._child.kill()
            self._child.wait()


def _environment(job: Job, cache: Path | None) -> dict[str, str]:
    """That of this process, with caches, precision and threads said."""
    flags = [
        os.environ.get("PYTENSOR_FLAGS", ""),
        f"base_compiledir={cache}" if cache else "",
        "floatX=float32",
    ]
    threads = dict.fromkeys(THREAD_VARIABLES, str(job.threads))
    return {
        **os.environ,
        **threads,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu"),
        "PYTENSOR_FLAGS": ",".join(filter(None, flags)),
    }


@contextmanager
def _process(job: Job, cache: Path | None) -> Iterator[Process]:
    with tempfile.TemporaryFile(mode="w+") as complaints:
        process = Process(job, cache, complaints)
        try:
            yield process
        finally:
            process.close()


class Session:
    """Measures contenders on networks. ``advance(words)`` is called after each step."""

    def __init__(
        self, settings: Settings, folder: Path, advance: Callable[[str], None]
    ):
        self.settings, self.folder, self.advance = settings, folder, advance

    def measure(
        self, network: str, sizes: Sizes, contenders: Sequence[Contender]
    ) -> list[Row]:
        """A row for each contender that can express ``network``."""
        contenders = [
            contender for contender in contenders if network in contender.networks
        ]
        rows = [
            Row(network, contender.name, contender.label, sizes=sizes.to_dict())
            for contender in contenders
        ]
        try:
            weights = self._weights(network, sizes)
        except ContenderError as failure:
            for row in rows:
                row.why = f"the network could not be declared: {failure}"
                self.advance(f"{network}: {row.contender} cannot start")
            return rows
        with ExitStack() as stack:
            running = []
            for contender, row in zip(contenders, rows, strict=True):
                self.advance(f"{network}: {contender.name} starts")
                job = Job(
                    contender.module,
                    network,
                    sizes,
                    contender.backend,
                    self.settings.threads,
                    weights,
                )
                process = self._started(stack, contender, job, row)
                if process:
                    running.append((row, process))
            self._take_turns(running)
        return rows

    def _weights(self, network: str, sizes: Sizes) -> str:
        path = (
            self.folder
            / f"{network}-{'-'.join(map(str, sizes.to_dict().values()))}.npz"
        )
        with _process(
            Job("networks", network, sizes, None, 1, str(path)), None
        ) as process:
            process.imports()
        return str(path)

    def _started(
        self, stack: ExitStack, contender: Contender, job: Job, row: Row
    ) -> Process | None:
        """The process of a contender after its first call; None if it fails, as ``row`` says."""
        if contender.missing:
            row.why = (
                f"{', '.join(contender.missing)} is not installed: {contender.install}"
            )
            return None
        cache = (
            self.folder / f"cache-{job.network}-{contender.name}"
            if self.settings.cold
            else None
        )
        try:
            if cache:
                with _process(job, cache) as once:
                    row.cold = once.imports() + once.ask("first")["train"]
            process = stack.enter_context(_process(job, cache))
            row.imports = process.imports()
            warm = row.imports + process.ask("first")["train"]
            row.warm = warm if cache else None
        except ContenderError as failure:
            row.why = str(failure)
            return None
        return process

    def _take_turns(self, running: list[tuple[Row, Process]]) -> None:
        """Time them round by round, in another order each time."""
        order, timed = random.Random(620), {id(row): [] for row, _ in running}
        for number in range(self.settings.rounds):
            order.shuffle(running)
            for row, process in running:
                if row.why:
                    continue
                time.sleep(REST)
                try:
                    timed[id(row)].append(
                        process.ask("round", calls=self.settings.calls)
                    )
                except ContenderError as failure:
                    row.why = str(failure)
            self.advance(f"round {number + 1} of {self.settings.rounds}")
        for row, process in running:
            if not row.why:
                rounds = timed[id(row)]
                row.times = {
                    kind: Spread.over([found[kind] for found in rounds])
                    for kind in rounds[0]
                }
                found = process.ask("memory")
                row.base, row.peak, row.pools = (
                    found["base"],
                    found["peak"],
                    found["pools"],
                )


def machine(settings: Settings) -> dict[str, object]:
    """Where a session took place, and with which versions."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": os.cpu_count(),
        "threads": settings.threads,
        "rounds": settings.rounds,
        "calls": settings.calls,
        "python": platform.python_version(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
        "versions": {
            name: version for name in LIBRARIES if (version := _version(name))
        },
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [
        line.partition(":")[2].strip()
        for line in lines
        if line.startswith("model name")
    ]
    return named[0] if named else platform.processor() or platform.machine()
