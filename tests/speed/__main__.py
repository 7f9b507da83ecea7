"""Medians of start-up, warm calls and training steps, for one checkout or for two in turn.

    python -m tests.speed --json tests/speed/baseline.json
    python -m tests.speed --against ../old --rounds 7

Each turn runs in a process of its own. Two checkouts take turns, because machines drift:
what counts is the ratio, not the seconds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TURNS = (
    ("start",),
    ("tiny", "--backend", "python"),
    ("tiny", "--backend", "jax"),
    ("lstm", "--backend", "jax"),
    ("gru", "--backend", "jax"),
)


def turn(checkout: Path, what: tuple[str, ...]) -> dict[str, float]:
    """The seconds that one process reports, its figures named after the backend."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    environment.pop("RECURSIVE_BACKEND", None)
    command = [sys.executable, str(HERE / "worker.py"), *what]
    done = subprocess.run(
        command,
        env=environment,
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    suffix = f" ({what[-1]})" if len(what) > 1 else ""
    return {name + suffix: seconds for name, seconds in json.loads(done.stdout).items()}


def measure(checkouts: list[Path], rounds: int) -> list[dict[str, list[float]]]:
    """Every figure of every round, for each checkout; the checkouts take turns."""
    found: list[dict[str, list[float]]] = [{} for _ in checkouts]
    for _ in range(rounds):
        for what in TURNS:
            for figures, checkout in zip(found, checkouts, strict=True):
                for name, seconds in turn(checkout, what).items():
                    figures.setdefault(name, []).append(seconds)
    return found


def main() -> None:
    """Print a table in milliseconds; with two checkouts, the ratio of the medians too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--against", type=Path, help="another checkout, such as an older one"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the medians of this checkout")
    chosen = parser.parse_args()
    here = HERE.parent.parent
    checkouts = [here] if chosen.against is None else [here, chosen.against.resolve()]
    found = measure(checkouts, chosen.rounds)
    medians = [
        {name: statistics.median(seconds) for name, seconds in figures.items()}
        for figures in found
    ]
    for name, seconds in found[0].items():
        row = [f"{1e3 * value:9.2f}" for value in (min(seconds), medians[0][name])]
        if len(checkouts) > 1:
            other = medians[1][name]
            row += [f"{1e3 * other:9.2f}", f"{medians[0][name] / other:6.2f}"]
        print(f"{name:24}", *row)
    if chosen.json:
        chosen.json.write_text(json.dumps(medians[0], indent=2) + "\n")


if __name__ == "__main__":
    main()
