"""The process of one contender: orders on stdin, answers on stdout.

Orders and answers are lines of JSON. An order is ``{"do": "first"}``, the first train step and the first forward pass;
``{"do": "round", "calls": 5}``, the seconds of each of so many calls; or ``{"do": "memory"}``. The first answer comes
by itself once everything is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from tests.bench import memory
from tests.bench.contestants import Sizes

Answer = dict[str, object]


@dataclass(frozen=True, slots=True)
class Job:
    """The job of a worker.

    Attributes:
        module: the one under ``contenders``; ``networks`` for the worker that writes the weights for all others.
        network: its name.
        sizes: of the data and the states.
        backend: of PyTensor; None for the peers that have none.
        threads: how many cores it may use.
        weights: the ``.npz`` file of first weights.
    """

    module: str
    network: str
    sizes: Sizes
    backend: str | None
    threads: int
    weights: str

    def to_json(self) -> str:
        """As the argument of a process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read a job from the text that :meth:`to_json` wrote."""
        fields = json.loads(text)
        return cls(**fields | {"sizes": Sizes(**fields["sizes"])})


def data(sizes: Sizes) -> tuple[np.ndarray, np.ndarray]:
    """Inputs ``(batch, steps, input_dim)`` and targets ``(batch, dim)``: the same for every contender."""
    rng = np.random.default_rng(620)
    x = rng.standard_normal(
        (sizes.batch, sizes.steps, sizes.input_dim), dtype=np.float32
    )
    return x, rng.uniform(-0.5, 0.5, (sizes.batch, sizes.dim)).astype(np.float32)


class Worker:
    """A contender, and what it is measured on."""

    def __init__(self, job: Job):
        self.job = job
        self.x, self.y = data(job.sizes)
        contender = importlib.import_module(f"tests.bench.contenders.{job.module}")
        self.make: Callable = contender.Runner
        self.base = memory.peak()

    def first(self) -> Answer:
        """The seconds of the first train step, compiling included, and of a forward pass."""
        with np.load(self.job.weights) as weights:
            start = time.perf_counter()
            self.runner = self.make(
                self.job.network, self.job.sizes, dict(weights), self.job.backend
            )
        self.runner.train(self.x, self.y)
        trained = time.perf_counter()
        self.runner.forward(self.x)
        forward = time.perf_counter()
        memory.forget()
        return {"train": trained - start, "forward": forward - trained}

    def round(self, calls: int) -> Answer:
        """The seconds of each call, after one that does not count."""
        timed = {
            "forward": lambda: self.runner.forward(self.x),
            "train": lambda: self.runner.train(self.x, self.y),
        }
        if hasattr(self.runner, "bare"):
            timed["bare"] = lambda: self.runner.bare(self.x, self.y)
        return {kind: _seconds(call, calls) for kind, call in timed.items()}

    def memory(self) -> Answer:
        """Megabytes after the imports, the peak after the first call, and threads."""
        return {"base": self.base, "peak": memory.peak(), "pools": pools()}


def pools() -> dict[str, int]:
    """The threads of each BLAS or OpenMP library; empty without threadpoolctl."""
    if importlib.util.find_spec("threadpoolctl") is None:
        return {}
    from threadpoolctl import threadpool_info

    return {
        Path(pool["filepath"]).name: pool["num_threads"] for pool in threadpool_info()
    }


def _seconds(call: Callable, calls: int) -> list[float]:
    call()
    found = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return found


def write_weights(job: Job) -> None:
    """Draw the initial weights of a network and write them to the file of the job."""
    from tests.bench import networks

    np.random.seed(620)
    model = networks.build(job.network, job.sizes)
    np.savez(
        job.weights,
        **{name: param.get_value() for name, param in model.named_params.items()},
    )


def main(text: str) -> None:
    """Serve the parent until it closes stdin. What libraries print goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = Job.from_json(text)
    if job.module == "networks":
        _answer(answers, lambda: write_weights(job) or {})
        return
    _limit_threads(job.threads)
    made: list[Worker] = []
    if not _answer(answers, lambda: made.append(Worker(job)) or {"ready": time.time()}):
        return
    orders = {"first": made[0].first, "round": made[0].round, "memory": made[0].memory}
    for line in sys.stdin:
        order = json.loads(line)
        if not _answer(answers, lambda order=order: orders[order.pop("do")](**order)):
            return


def _limit_threads(threads: int) -> None:
    """Keep this process on so many cores, if the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _answer(answers: TextIO, work: Callable[[], Answer]) -> bool:
    """Answer with the result of ``work``; return False if it failed.

    Whatever goes wrong in one contender is a line in the table, and must not end the session: hence ``Exception``.
    """
    try:
        answer = work()
    except Exception as error:
        first = str(error).strip().splitlines() or [""]
        print(
            json.dumps({"error": f"{type(error).__name__}: {first[0]}"}), file=answers
        )
        return False
    print(json.dumps(answer), file=answers)
    return True


if __name__ == "__main__":
    main(sys.argv[1])
