"""One contender of one turn, in a process of its own: prints a JSON dict of seconds.

python tests/speed/worker.py start
python tests/speed/worker.py lstm --backend jax
"""

import argparse
import json
import statistics
import sys
import time

BATCH, STEPS, INPUT, HIDDEN = 32, 100, 64, 128


def start() -> dict[str, float]:
    """Seconds to import, to the end of the first ``predict`` and of the first training step."""
    began = time.perf_counter()
    import numpy as np

    from recursive import LSTM, Dense, Sequential

    imported = time.perf_counter()
    model = Sequential([LSTM(4, 6), Dense(6, 1)])
    model.compile("adam", "mse", backend="python")
    x = np.ones((3, 5, 4), dtype="float64")
    model.predict(x)
    predicted = time.perf_counter()
    model.train_on_batch(x, np.ones((3, 1)))
    trained = time.perf_counter()
    return {
        "import": imported - began,
        "first predict": predicted - imported,
        "first train": trained - predicted,
    }


def tiny(backend: str, calls: int = 300) -> dict[str, float]:
    """Seconds of a warm ``train_on_batch`` and ``predict`` where overheads show."""
    import numpy as np

    from recursive import LSTM, Dense, Sequential

    model = Sequential([LSTM(4, 6), Dense(6, 1)])
    model.compile("adam", "mse", backend=backend)
    x, y = np.ones((3, 5, 4)), np.ones((3, 1))
    return {
        "warm train": _median(lambda: model.train_on_batch(x, y), calls),
        "warm predict": _median(lambda: model.predict(x), calls),
    }


def network(name: str, backend: str, calls: int = 15) -> dict[str, float]:
    """Seconds of a warm training step of a network of the bench, in float32."""
    import numpy as np
    import pytensor

    pytensor.config.floatX = "float32"
    # Recipes, and not the networks of the bench: older checkouts have those elsewhere.
    from recursive import recipes

    build = {"lstm": recipes.lstm, "gru": recipes.gru}[name]
    rnn = build(INPUT, HIDDEN, "tanh", "sigmoid")
    rnn.compile("sgd", "mse", backend=backend)
    x = np.random.default_rng(0).normal(size=(BATCH, STEPS, INPUT)).astype("float32")
    y = np.zeros((BATCH, HIDDEN), dtype="float32")
    return {f"{name} train": _median(lambda: rnn.train_on_batch(x, y), calls)}


def _median(call: object, times: int) -> float:
    call()
    call()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["start", "tiny", "lstm", "gru"])
    parser.add_argument("--backend", default="python")
    chosen = parser.parse_args()
    if chosen.what == "start":
        found = start()
    elif chosen.what == "tiny":
        found = tiny(chosen.backend)
    else:
        found = network(chosen.what, chosen.backend)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
