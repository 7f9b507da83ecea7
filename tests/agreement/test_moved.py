"""What is moved out of the loop gives the numbers that it gave inside, gradients and truncated gradients included."""

import numpy as np
import pytensor
import pytest
from pytensor.graph.traversal import ancestors
from pytensor.scan.op import Scan

from recursive import (
    Activation,
    Dense,
    Dropout,
    Embedding,
    Lambda,
    Recurrent,
    Recursive,
    Sequential,
    backend,
    errors,
)
from recursive.backend.compiling import compile_function
from recursive.layers.loop_run import LoopRun
from recursive.spec.plan import declared
from tests.agreement.test_cases import CASES, JAX, prepared
from tests.cases import HIDDEN, IN, TIME, vanilla, with_random_weights

BY_NAME = {case.name: case for case in CASES}


def stay_in_the_loop(monkeypatch):
    """Run every loop as it was declared."""
    monkeypatch.setattr(
        LoopRun,
        "plan",
        lambda self, *_, **__: declared(self.spec, self.param_names),
    )


def losses_and_gradients(rnn, inputs, target="python"):
    """A loss that looks at every output at every step, and its gradients for weights and inputs."""
    rng = np.random.RandomState(5)
    weights = {}

    def build(given):
        by_name = dict(zip(inputs, given, strict=True))
        outputs = rnn(by_name)
        outputs = outputs if isinstance(outputs, dict) else {"out": outputs}
        for name, output in outputs.items():
            weights.setdefault(name, rng.normal(size=(TIME, output.type.shape[-1])))
        loss = sum((output * weights[name]).sum() for name, output in outputs.items())
        wrt = [*rnn.params, *(value for value in given if value.dtype == "float64")]
        return [loss, *pytensor.grad(loss, wrt, disconnected_inputs="ignore")], []

    arguments = [
        backend.Argument(
            name,
            str(array.dtype),
            (None,) * (array.ndim - 1)
            + (array.shape[-1] if array.dtype == "float64" else None,),
        )
        for name, array in inputs.items()
    ]
    return backend.Program(arguments, build, target)(*inputs.values())


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("vanilla", 2),
        ("taps", -1),
        ("contexts", 2),
        ("moved", -1),
        ("moved", 2),
        ("moved", TIME + 1),
        ("proposal 6", -1),
        ("proposal 7", 2),
    ],
)
def test_what_is_moved_equals_what_stays(name, steps, monkeypatch):
    rnn, inputs = prepared(BY_NAME[name])
    rnn.truncate_gradient = steps
    found = losses_and_gradients(rnn, inputs)
    stay_in_the_loop(monkeypatch)
    expected = losses_and_gradients(rnn, inputs)
    for value, right in zip(found, expected, strict=True):
        assert np.abs(value - right).max() <= 1e-12 * max(1, np.abs(right).max())


@JAX
def test_a_truncated_loop_stays_as_it_is_on_jax():
    """PyTensor cannot truncate there what a sequence was computed from; weights inside the loop are no matter."""
    rnn, inputs = prepared(BY_NAME["moved"])
    rnn.truncate_gradient = 2
    with pytest.raises(errors.BackendError, match="truncated gradient"):
        losses_and_gradients(rnn, inputs, "jax")
    rnn.compile("sgd", dict.fromkeys(rnn.output_names, "mse"), backend="jax")
    targets = {
        name: np.zeros_like(value) for name, value in rnn.predict(inputs).items()
    }
    before = rnn.get_weights()
    rnn.train_on_batch(inputs, targets)
    on_jax = rnn.get_weights()
    rnn.set_weights(before)
    rnn.compile("sgd", dict.fromkeys(rnn.output_names, "mse"), backend="python")
    rnn.train_on_batch(inputs, targets)
    for value, right in zip(on_jax, rnn.get_weights(), strict=True):
        assert np.abs(value - right).max() <= 1e-9


def names(nodes):
    return [node.name for node in nodes]


def test_a_plan_says_what_runs_where():
    plan = BY_NAME["moved"].build().plan
    assert names(plan.hoisted) == ["early", "low", "rec.before"]
    assert names(plan.nodes) == ["rec"]
    assert names(plan.deferred) == ["deferred", "last"]
    assert [str(ref) for ref in plan.per_step] == [
        "low",
        "rec.before",
        "h_tm1",
        "before_tm1",
    ]
    assert plan.param_names == ("rec.W",)


def scans_in(outputs):
    return [
        node.owner.op
        for node in ancestors(outputs)
        if node.owner is not None and isinstance(node.owner.op, Scan)
    ]


def compiled(rnn):
    """What a program of the container's outputs runs."""
    outputs = list(backend_outputs(rnn).values())
    return compile_function([rnn.get_input()], outputs, [], "python").maker.fgraph


def backend_outputs(rnn):
    found = rnn.get_output()
    return found if isinstance(found, dict) else {"out": found}


def dots_in(graph):
    return [
        node
        for node in graph.toposort()
        if type(node.op).__name__ in ("Dot", "Dot22", "Gemm", "BatchedDot")
    ]


def test_a_hoisted_projection_of_all_steps_is_one_product():
    rnn = vanilla()
    graph = compiled(rnn)
    [loop] = [node.op for node in graph.toposort() if isinstance(node.op, Scan)]
    assert len(dots_in(loop.fgraph)) == 1, "h @ U, and nothing else, at each step"
    assert len(dots_in(graph)) == 1, "x @ W for all steps"


def test_nothing_runs_in_a_loop_that_carries_nothing():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(Dense(IN, HIDDEN, activation="tanh"), "a", input="x")
    rnn.add_node(Dense(HIDDEN, 2), "y", input="a", create_output=True)
    assert scans_in([rnn.get_output()]) == []
    x = np.random.RandomState(0).normal(size=(3, TIME, IN))
    w = {name: param.get_value() for name, param in rnn.named_params.items()}
    assert (
        np.abs(
            rnn.predict(x) - (np.tanh(x @ w["a.W"] + w["a.b"]) @ w["y.W"] + w["y.b"])
        ).max()
        < 1e-14
    )
    assert rnn.explain().count("def step") == 0


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (
            Lambda(lambda x: x - x.mean(axis=0)),
            "a function of one's own may mix the rows of a batch",
        ),
        (Activation(lambda x: x - x.mean(axis=0)), "and so may an activation"),
        (Dense(IN, IN, activation=lambda x: x - x.mean(axis=0)), "or that of a Dense"),
        (
            Sequential([Dense(IN, IN), Lambda(lambda x: x - x.mean(axis=0))]),
            "or a layer inside a chain",
        ),
    ],
    ids=["Lambda", "Activation", "Dense", "Sequential"],
)
def test_a_layer_that_may_mix_rows_stays_in_the_loop(layer, reason):
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(layer, "mixed", input="x", create_output=True)
    assert names(rnn.plan.nodes) == ["mixed"], reason
    x = np.random.RandomState(0).normal(size=(3, TIME, IN))
    assert np.abs(rnn.predict(x).mean(axis=0)).max() < 1e-12, (
        "rows of one step, not of all"
    )


def test_a_loop_that_reads_nothing_of_the_past_is_hoisted_as_a_whole():
    outer = Recursive(return_sequences=True)
    inner = Recursive()
    inner.add_input("word", dim=IN)
    inner.add_node(
        Dense(IN + 3, 3, activation="tanh"),
        "w",
        inputs=["word", "w_tm1"],
        create_output=True,
    )
    outer.add_input("text", ndim=4, dim=IN)
    outer.add_node(inner, "read", input="text")
    outer.add_node(
        Dense(3 + HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["read", "rec_tm1"],
        create_output=True,
    )
    assert names(outer.plan.hoisted) == ["read", "rec.before"]
    with_random_weights(outer)
    x = np.random.RandomState(0).normal(size=(3, TIME, 2, IN))
    w = {name: param.get_value() for name, param in outer.named_params.items()}
    h, found = np.zeros((3, HIDDEN)), outer.predict(x)
    for t in range(TIME):
        inside = np.zeros((3, 3))
        for s in range(2):
            inside = np.tanh(
                np.concatenate([x[:, t, s], inside], 1) @ w["read.w.W"] + w["read.w.b"]
            )
        h = np.tanh(np.concatenate([inside, h], 1) @ w["rec.W"] + w["rec.b"])
        assert np.abs(found[:, t] - h).max() < 1e-12


def test_dropout_is_drawn_for_each_step_wherever_it_runs():
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_input("c", is_sequence=False, dim=IN)
    rnn.add_node(Dropout(0.5, seed=1), "early", input="x", create_output=True)
    rnn.add_node(Dropout(0.5, seed=2), "steady", input="c", create_output=True)
    rnn.add_node(
        Dropout(0.5, seed=3), "inside", input=["x", "rec_tm1"], create_output=True
    )
    rnn.add_node(Dense(IN + HIDDEN, HIDDEN), "rec", input="inside")
    rnn.add_node(Dropout(0.5, seed=4), "late", input="rec", create_output=True)
    x, c = np.ones((3, TIME, IN)), np.ones((3, IN))
    given = rnn.get_input()
    plan = rnn.loop_run().plan(train=True)
    assert (names(plan.hoisted), names(plan.nodes), names(plan.deferred)) == (
        ["early", "steady"],
        ["inside", "rec"],
        ["late"],
    )
    found = backend.evaluate(
        list(rnn.get_output(train=True).values()), {given["x"]: x, given["c"]: c}
    )
    for name, value in zip(rnn.output_names, found, strict=True):
        kept = value != 0 if name != "inside" else value[..., :IN] != 0
        assert 0.1 < kept.mean() < 0.9, name
        assert any((kept[:, t] != kept[:, 0]).any() for t in range(1, TIME)), (
            f"{name}: other draws at other steps"
        )


def test_words_are_looked_up_for_all_steps_at_once():
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("word", ndim=2, dtype="int")
    rnn.add_node(Embedding(9, IN), "vector", input="word")
    rnn.add_node(Dense(IN + 3, 3), "h", input=["vector", "h_tm1"])
    assert names(rnn.plan.hoisted) == ["vector", "h.before"]
