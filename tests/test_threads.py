"""Calls from several threads, on one model or on models that share layers: each gets its own right result."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytensor
import pytest

from recursive import Dense, Recursive, Sequential, SimpleRNN
from recursive.locked import LOCK

THREADS, CALLS = 4, 12


def together(work, threads=THREADS):
    """What ``work`` returned for each number of a thread; they start at the same moment."""
    start = threading.Barrier(threads)
    found, errors = [None] * threads, []

    def run(place):
        try:
            start.wait()
            found[place] = work(place)
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=run, args=(place,)) for place in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]
    return found


def looped(x, W, U, b):
    """The last step of ``h[t] = x[t] @ W + b + h[t-1] @ U``."""
    h = np.zeros((len(x), len(b)))
    for step in x.swapaxes(0, 1):
        h = step @ W + b + h @ U
    return h


def data(place, steps=5):
    return np.random.default_rng(place).normal(size=(3, steps, 2))


def linear_rnn(**settings):
    return SimpleRNN(2, 4, activation="linear", seed=1, **settings)


@pytest.fixture(
    params=["python"]
    + [pytest.param(name, marks=pytest.mark.compiled) for name in ("c", "numba", "jax")]
)
def backend(request):
    return request.param


def test_each_thread_gets_the_outputs_for_its_own_data(backend):
    model = Sequential([linear_rnn()])
    model.compile(backend=backend)
    model.complete()
    weights = model.get_weights()

    def work(place):
        return [model.predict(data(place)) for _ in range(CALLS)]

    for place, outputs in enumerate(together(work)):
        for output in outputs:
            np.testing.assert_allclose(
                output, looped(data(place), *weights), atol=1e-10
            )


def test_models_that_share_a_layer_do_not_disturb_each_other():
    shared = linear_rnn()
    models = [Sequential([shared]) for _ in range(THREADS)]
    for model in models:
        model.compile(backend="python")
    expected = [looped(data(place), *shared.get_weights()) for place in range(THREADS)]

    def work(place):
        return [models[place].predict(data(place)) for _ in range(CALLS)]

    for place, outputs in enumerate(together(work)):
        for output in outputs:
            np.testing.assert_allclose(output, expected[place], atol=1e-10)


def test_training_steps_of_several_threads_are_made_one_after_another():
    model = Sequential([Dense(2, 1, init="zero")])
    model.compile("sgd", "mse", backend="python")
    # The gradient of mse with respect to b is 2 * (b - 1): every step brings b the same share of the way to 1.
    x, y = np.zeros((3, 2)), np.ones((3, 1))

    together(lambda _: [model.train_on_batch(x, y) for _ in range(CALLS)])

    steps = THREADS * CALLS
    np.testing.assert_allclose(model.get_weights()[1], [1 - 0.98**steps])


def test_a_layer_that_is_first_called_by_several_threads_is_built_once():
    for _ in range(5):
        layer = Dense(3)
        outputs = together(lambda _, layer=layer: layer(np.ones((2, 4))))
        assert len(layer.params) == 2
        for output in outputs:
            np.testing.assert_allclose(
                output.eval(), np.ones((2, 4)) @ layer.get_weights()[0]
            )


def test_symbolic_graphs_are_built_while_others_compile():
    layer = linear_rnn()
    weights = layer.get_weights()

    def work(place):
        if place % 2:
            model = Sequential([layer])
            model.compile(backend="python")
            return model.predict(data(place))
        return layer(data(place))

    for place, output in enumerate(together(work)):
        if not place % 2:
            output = output.eval()
        np.testing.assert_allclose(output, looped(data(place), *weights), atol=1e-10)


def test_configuration_and_warning_filters_are_as_before():
    flags = ("cxx", "mode", "linker")
    before = {name: getattr(pytensor.config, name) for name in flags}
    filters = list(warnings.filters)

    def work(place):
        model = Sequential([linear_rnn()])
        model.compile(backend="python")
        return model.predict(data(place))

    together(work)

    assert {name: getattr(pytensor.config, name) for name in flags} == before
    assert warnings.filters == filters


def counter():
    """A model whose state counts the steps that it has seen, in each row."""
    model = Recursive(stateful=True)
    model.add_input("x", dim=1)
    model.add_state("n", dim=1)
    model.add_node(
        Dense(2, 1, init="one"),
        "count",
        inputs=["x", "n"],
        return_state="n",
        create_output=True,
    )
    model.compile(backend="python")
    return model


def test_states_go_on_through_whole_calls():
    model = counter()
    x = np.ones((4, 3, 1))
    # Every call is two batches of two rows, so it counts six steps, whatever other threads do.
    outputs = together(lambda _: [model.predict(x, batch_size=2) for _ in range(CALLS)])
    seen = sorted(
        tuple(output[[0, 2], 0]) for of_thread in outputs for output in of_thread
    )
    calls = range(THREADS * CALLS)
    assert seen == [(6.0 * call + 3, 6.0 * call + 6) for call in calls]
    np.testing.assert_allclose(
        model.get_states()["n"], np.full((2, 1), 6.0 * THREADS * CALLS)
    )


def test_first_calls_at_the_same_moment_use_one_set_of_states():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            model = counter()
            found = together(lambda _, model=model: model.states)
            assert len(set(map(id, found))) == 1
    finally:
        sys.setswitchinterval(interval)


def test_states_are_read_and_reset_while_others_predict():
    model = counter()
    x = np.ones((2, 3, 1))

    def work(place):
        for _ in range(CALLS):
            if place:
                assert model.predict(x)[0, 0] % 3 == 0
            else:
                model.reset_states()
                assert all(
                    (value % 3 == 0).all() for value in model.get_states().values()
                )

    together(work)


def test_a_ctrl_c_while_waiting_leaves_the_lock_free():
    held, done = threading.Event(), threading.Event()

    def hold():
        with LOCK:
            held.set()
            done.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    model = Sequential([Dense(2, 1)])
    model.compile(backend="python")
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            # PyTensor is not reached: another thread holds the lock.
            model.predict(np.ones((3, 2)))
            time.sleep(10)
    finally:
        done.set()
        holder.join()
        timer.join()

    # Another thread can take it: this one has given up.
    taken = together(lambda _: LOCK.acquire(timeout=5) and (LOCK.release() or True), 1)
    assert taken == [True]


def test_an_error_leaves_the_lock_free():
    model = Sequential([Dense(2, 1)])
    model.compile(backend="python")
    with pytest.raises(Exception, match="takes"):
        model.predict(np.ones((3, 5)))
    taken = together(lambda _: LOCK.acquire(timeout=5) and (LOCK.release() or True), 1)
    assert taken == [True]


def test_copies_and_pickles_are_made_while_others_train():
    model = Sequential([linear_rnn()])
    model.compile("adam", "mse", backend="python")
    y = np.zeros((3, 4))

    def work(place):
        if place % 2:
            for _ in range(CALLS):
                model.train_on_batch(data(place), y)
            return None
        copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
        for copied in copies:
            found = copied.predict(data(place))
            np.testing.assert_allclose(
                found, looped(data(place), *copied.get_weights())
            )
        return copies

    together(work)


FORKING = """
import os, signal, threading
import numpy as np
from recursive import Dense, Sequential

model = Sequential([Dense(2, 1, init="one")])
model.compile(backend="python")
model.predict(np.ones((3, 2)))
stop = threading.Event()

def work():
    while not stop.is_set():
        model.predict(np.ones((2, 2)))

busy = threading.Thread(target=work)
busy.start()
codes = []
for _ in range(5):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if (model.predict(np.ones((3, 2))) == 2).all() else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
busy.join()
print(codes)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_that_forks_while_a_thread_predicts_can_predict():
    # A process of its own: JAX, which other tests start, forbids to fork.
    done = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "[0, 0, 0, 0, 0]", done.stderr
