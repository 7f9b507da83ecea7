"""The architectures of the tests of RecurrentShop and of seq2seq, each next to a NumPy loop.

A case has the names of the tests, as ``file::test``. The sizes are small, and the cells are those of this library:
docs/recurrentshop.md says where they differ.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytensor
import pytest

from recursive import (
    RNN,
    Activation,
    Attention,
    Bidirectional,
    Dense,
    Graph,
    Identity,
    RecurrentDense,
    RecurrentGRU,
    RecurrentLSTM,
    Recursive,
    RepeatVector,
    Sequential,
    Teacher,
    backend,
    merge_sum,
    model_from_json,
    recipes,
)
from tests.agreement.test_cases import COMPILER, JAX
from tests.cases import with_random_weights

BATCH, TIME, STEPS, IN, HIDDEN, OUT = 3, 5, 4, 4, 6, 2
MODEL = "test_recurrent_model.py"
STACK = "test_recurrent_sequential.py"


def normal(*shape, seed=3):
    return np.random.RandomState(seed).normal(size=shape)


# Cells in NumPy. `w` has the parameters of one cell


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def hard_sigmoid(z):
    return np.clip(0.2 * z + 0.5, 0, 1)


def part(w, name):
    """The parameters called ``name.<param>``."""
    return {
        key.removeprefix(name + "."): value
        for key, value in w.items()
        if key.startswith(name + ".")
    }


def simple_step(w, x, h):
    h = np.tanh(x @ w["W"] + w["b"] + h @ w["U"])
    return (h,)


def lstm_step(w, x, h, c, inner=hard_sigmoid):
    def gate(name):
        return x @ w["W_" + name] + w["b_" + name] + h @ w["U_" + name]

    c = inner(gate("f")) * c + inner(gate("i")) * np.tanh(gate("c"))
    return inner(gate("o")) * np.tanh(c), c


def gru_step(w, x, h):
    def gate(name, past):
        return x @ w["W_" + name] + w["b_" + name] + past @ w["U_" + name]

    z, r = hard_sigmoid(gate("z", h)), hard_sigmoid(gate("r", h))
    return (z * h + (1 - z) * np.tanh(gate("h", r * h)),)


def dense(w, x):
    return x @ w["W"] + w["b"]


@dataclass(frozen=True)
class Kind:
    """A cell of this library, its step in NumPy and the number of its states."""

    make: Callable
    step: Callable
    states: int = 1


SIMPLE = Kind(lambda *dims: RecurrentDense(*dims, activation="tanh"), simple_step)
GRU = Kind(lambda *dims: RecurrentGRU(*dims, activation="tanh"), gru_step)
LSTM = Kind(RecurrentLSTM, lstm_step, 2)
OUTPUTS = ("output", "cell")
PORTS = ("prev_hid", "prev_cell")
MIXED = ((LSTM, 7), (SIMPLE, 3), (GRU, HIDDEN))
FED_BACK = ((LSTM, 7), (SIMPLE, 3), (GRU, IN))
LSTMS = ((LSTM, HIDDEN),) * 3
LSTMS_FED_BACK = ((LSTM, IN),) * 3


# RecurrentSequential


@dataclass(frozen=True)
class Stack:
    """A RecurrentSequential: cells one above the other.

    Args:
        cells: the kind and the dim of each.
        decode: one vector is read at each of STEPS steps.
        readout: the last output is added to what is read.
        sync: all cells share the states.
        teacher: while training, the truth is added in place of the last output.
        drawn: how many states start from draws while training.
    """

    cells: tuple
    decode: bool = False
    readout: bool = False
    sync: bool = False
    teacher: bool = False
    unroll: bool = False
    drawn: int = 0

    @property
    def dims(self):
        """The dim that each cell reads, and that it returns."""
        dims = [dim for _, dim in self.cells]
        return list(zip([IN, *dims[:-1]], dims, strict=True))

    def build(self):
        steps = STEPS if self.decode else TIME if self.unroll else None
        rnn = Recursive(return_sequences=self.decode, unroll=self.unroll, n_steps=steps)
        if self.decode:
            rnn.add_input("x", dim=IN, is_sequence=False)
        else:
            rnn.add_input("x", dim=IN)
        read = ["x"]
        if self.readout:
            rnn.add_state("last", dim=self.dims[-1][1], input="y")
            read.append("last")
        if self.teacher:
            rnn.add_input("truth", dim=IN, training_only=True)
            rnn.add_node(
                Teacher(), "told", input={"truth": "truth_tm1", "prediction": "last"}
            )
            read[1] = "told"
        rnn.add_node(Identity(), "read", input=merge_sum(read))
        if self.sync:
            self._add_synchronized(rnn)
        else:
            self._add_chain(rnn)
        rnn.add_output("y", input="y")
        return rnn

    def _add_chain(self, rnn):
        made = [
            kind.make(*dims)
            for (kind, _), dims in zip(self.cells, self.dims, strict=True)
        ]
        ports = {"input": "read"}
        names = [
            (index, state)
            for index, (kind, _) in enumerate(self.cells)
            for state in range(kind.states)
        ]
        for index, state in names[: self.drawn]:
            output = f"y.layer_{index}_{OUTPUTS[state]}"
            name = f"s{index}{state}"
            rnn.add_state(
                name,
                dim=self.dims[index][1],
                input=output if index < len(made) - 1 or state else "y",
                initial="drawn",
                init="normal",
                scale=0.5,
            )
            ports[f"layer_{index}_{PORTS[state]}"] = name
        rnn.add_node(Sequential(made), "y", input=ports)

    def _add_synchronized(self, rnn):
        below, last = "read", len(self.cells) - 1
        rnn.add_state("h", dim=self.dims[0][1], input="y")
        rnn.add_state("c", dim=self.dims[0][1], input="y.cell")
        past = ("h", "c")
        for index, ((kind, _), dims) in enumerate(
            zip(self.cells, self.dims, strict=True)
        ):
            name = "y" if index == last else f"cell{index}"
            ports = dict(zip(("input", *PORTS), (below, *past), strict=True))
            rnn.add_node(kind.make(*dims), name, input=ports)
            below, past = name, (name, f"{name}.cell")

    def inputs(self):
        x = normal(BATCH, IN) if self.decode else normal(BATCH, TIME, IN)
        if self.teacher:
            return {"x": x, "truth": normal(BATCH, TIME, IN, seed=4)}
        return {"x": x}

    def draws(self):
        found = {}
        for index, (kind, dim) in enumerate(self.cells):
            for state in range(kind.states):
                seed = 10 * index + state
                found[f"s{index}{state}.initial"] = normal(BATCH, dim, seed=seed)
        return dict(list(found.items())[: self.drawn])

    def weights_of_cell(self, w, index):
        if not self.sync:
            return part(w, f"y.layer_{index}")
        return part(w, "y" if index == len(self.cells) - 1 else f"cell{index}")

    def oracle(self, w, given, train=False, draws=None):
        states = [[np.zeros((BATCH, dim))] * kind.states for kind, dim in self.cells]
        for name, draw in (draws or {}).items() if train else ():
            index, state = int(name[1]), int(name[2])
            states[index] = list(states[index])
            states[index][state] = 0.5 * draw
        y, found = np.zeros((BATCH, self.dims[-1][1])), []
        for t in range(STEPS if self.decode else TIME):
            below = given["x"] if self.decode else given["x"][:, t]
            if self.teacher and train:
                below = below + (given["truth"][:, t - 1] if t else 0)
            elif self.readout:
                below = below + y
            for index, (kind, _) in enumerate(self.cells):
                place = 0 if self.sync else index
                own = self.weights_of_cell(w, index)
                states[place] = list(kind.step(own, below, *states[place]))
                below = states[place][0]
            y = below
            found.append(y)
        return np.stack(found, 1) if self.decode else y


# RecurrentModel, and cells made of a model


def functional(decode=False, readout=False, drawn=False, unroll=False):
    """``h = tanh(W x + b + U h)``, of nodes."""
    dim = IN if readout else HIDDEN
    rnn = Recursive(
        return_sequences=decode,
        unroll=unroll,
        n_steps=STEPS if decode else TIME if unroll else None,
    )
    rnn.add_input("x", dim=IN, is_sequence=not decode)
    rnn.add_state(
        "h",
        dim=dim,
        input="new",
        **({"initial": "drawn", "init": "normal", "scale": 0.05} if drawn else {}),
    )
    read = merge_sum(["x", "h"]) if readout else "x"
    rnn.add_node(Dense(IN, dim), "of_x", input=read)
    rnn.add_node(Dense(dim, dim, bias=False), "of_h", input="h")
    rnn.add_node(
        Activation("tanh"),
        "new",
        input=merge_sum(["of_x", "of_h"]),
        create_output=True,
    )
    return rnn


def functional_loop(decode=False, readout=False):
    def oracle(w, given, train=False, draws=None):
        h, found = np.zeros((BATCH, IN if readout else HIDDEN)), []
        if train and draws:
            h = 0.05 * draws["h.initial"]
        for t in range(STEPS if decode else TIME):
            x = given["x"] if decode else given["x"][:, t]
            x = x + h if readout else x
            h = np.tanh(x @ w["of_x.W"] + w["of_x.b"] + h @ w["of_h.W"])
            found.append(h)
        return np.stack(found, 1) if decode else h

    return oracle


def functional_cell():
    """A container of one step as a node of another: the states of the outer loop go through it."""
    step = Graph()
    step.add_input("x", dim=IN)
    step.add_input("h", dim=HIDDEN)
    step.add_node(Dense(IN, HIDDEN), "of_x", input="x")
    step.add_node(Dense(HIDDEN, HIDDEN, bias=False), "of_h", input="h")
    step.add_node(
        Activation("tanh"), "new", input=merge_sum(["of_x", "of_h"]), create_output=True
    )
    rnn = Recursive()
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN, input="cell")
    rnn.add_node(step, "cell", input={"x": "x", "h": "h"}, create_output=True)
    return rnn


def functional_cell_loop(w, given, **_):
    return functional_loop()(part(w, "cell"), given)


def highway_loop(w, given, **_):
    y = np.zeros((BATCH, HIDDEN))
    for t in range(TIME):
        for level in (1, 2):
            new, gate = dense_or_cell(w, level, given["x"][:, t], y)
            y = gate * new + (1 - gate) * y
    return y


def dense_or_cell(w, level, x, s):
    found = []
    for name, function in ((f"new{level}", np.tanh), (f"gate{level}", sigmoid)):
        own = part(w, name)
        z = dense(own, x) + s @ own["U"] if level == 1 else dense(own, s)
        found.append(function(z))
    return found


# seq2seq


def simple_seq2seq(depth):
    # The original adds an LSTM of the output's dim last, to one of depth 1 too.
    dims = [OUT, OUT] if depth == 1 else [HIDDEN] * (depth - 1) + [OUT]

    def build():
        encoder = [RecurrentLSTM(IN, HIDDEN)]
        encoder += [RecurrentLSTM(HIDDEN) for _ in range(depth - 1)]
        decoder = [RecurrentLSTM(dim) for dim in dims]
        return Sequential(
            [
                RNN(Sequential(encoder)),
                RepeatVector(STEPS),
                RNN(Sequential(decoder), return_sequences=True),
            ]
        )

    def oracle(w, given, **_):
        code = lstms(part(w, "layer_0"), depth, given["x"])[:, -1]
        repeated = np.stack([code] * STEPS, 1)
        return lstms(part(w, "layer_2"), len(dims), repeated)

    return build, oracle


def lstms(w, depth, x):
    """A stack of LSTMs over time; returns what the last one does at every step."""
    for index in range(depth):
        own = part(w, f"layer_{index}")
        h = c = np.zeros((BATCH, own["U_i"].shape[0]))
        found = []
        for t in range(x.shape[1]):
            h, c = lstm_step(own, x[:, t], h, c)
            found.append(h)
        x = np.stack(found, 1)
    return x


def seq2seq(depth=1, peek=False, sync=True, teacher=False):
    def build():
        return recipes.seq2seq(
            IN,
            HIDDEN,
            OUT,
            STEPS,
            depth=depth,
            peek=peek,
            state_sync=sync,
            teacher=teacher,
        )

    def oracle(w, given, train=False, **_):
        embedded = dense(part(w, "embedded"), given["x"])
        states = [[np.zeros((BATCH, HIDDEN))] * 2 for _ in range(1 if sync else depth)]
        top = np.zeros((BATCH, HIDDEN))
        for t in range(TIME):
            top = embedded[:, t] + top
            for index in range(depth):
                own = part(w, f"encoder.lstm{index + 1}")
                place = 0 if sync else index
                states[place] = lstm_step(own, top, *states[place])
                top = states[place][0]
        context = y = dense(part(w, "context"), top)
        found = []
        for t in range(STEPS):
            below = y
            if teacher and train and t:
                below = given["truth"][:, t - 1]
            below = below + context if peek else below
            for index in range(depth):
                own = part(w, f"decoder.lstm{index + 1}")
                place = 0 if sync else index
                states[place] = lstm_step(own, below, *states[place])
                below = np.tanh(
                    dense(part(w, f"decoder.out{index + 1}"), states[place][0])
                )
            y = below
            found.append(y)
        return np.stack(found, 1)

    return build, oracle


def attention_seq2seq(depth):
    """A bidirectional encoder, and a decoder whose first LSTM reads what it attends to."""

    def build():
        cells = [RecurrentLSTM(IN, HIDDEN)]
        cells += [RecurrentLSTM(HIDDEN) for _ in range(depth - 1)]
        encoder = Bidirectional(
            RNN(Sequential(cells), return_sequences=True), merge_mode="sum"
        )
        decoder = Recursive(return_sequences=True, n_steps=STEPS)
        decoder.add_input("memory", ndim=3, dim=HIDDEN, is_sequence=False)
        below = "att"
        for level in range(1, depth + 1):
            decoder.add_state(f"h{level}", dim=HIDDEN, input=f"lstm{level}")
            decoder.add_state(f"c{level}", dim=HIDDEN, input=f"lstm{level}.cell")
        query = {"memory": "memory", "query": "c1"}
        decoder.add_node(Attention("additive", dim=3), "att", input=query)
        for level in range(1, depth + 1):
            ports = (below, f"h{level}", f"c{level}")
            decoder.add_node(
                RecurrentLSTM(HIDDEN),
                f"lstm{level}",
                input=dict(zip(("input", *PORTS), ports, strict=True)),
            )
            out = Dense(OUT, activation="tanh")
            decoder.add_node(out, f"out{level}", input=f"lstm{level}")
            below = f"out{level}"
        decoder.add_output("y", input=below)
        model = Graph()
        model.add_input("x", ndim=3, dim=IN)
        model.add_node(encoder, "encoder", input="x")
        model.add_node(
            decoder, "decoder", input={"memory": "encoder"}, create_output=True
        )
        return model

    def oracle(w, given, **_):
        x = given["x"]
        memory = lstms(part(w, "encoder.layer"), depth, x)
        backwards = lstms(part(w, "encoder.backward_layer"), depth, x[:, ::-1])
        memory = memory + backwards[:, ::-1]
        states = [[np.zeros((BATCH, HIDDEN))] * 2 for _ in range(depth)]
        found, att = [], part(w, "decoder.att")
        for _ in range(STEPS):
            units = np.tanh(
                memory @ att["W"] + (states[0][1] @ att["U"] + att["b"])[:, None]
            )
            powers = np.exp(units @ att["v"])[..., 0]
            share = powers / powers.sum(1, keepdims=True)
            below = (share[..., None] * memory).sum(1)
            for index in range(depth):
                own = part(w, f"decoder.lstm{index + 1}")
                states[index] = lstm_step(own, below, *states[index])
                below = np.tanh(
                    dense(part(w, f"decoder.out{index + 1}"), states[index][0])
                )
            found.append(below)
        return np.stack(found, 1)

    return build, oracle


# The table


@dataclass(frozen=True)
class Case:
    """An architecture under the names of the tests that have it."""

    names: tuple[str, ...]
    build: Callable
    oracle: Callable
    inputs: Callable = lambda: {"x": normal(BATCH, TIME, IN)}
    draws: dict = field(default_factory=dict)

    def __str__(self):
        return self.names[0]


def one(file, name, build, oracle, **more):
    return Case((f"{file}::{name}",), build, oracle, **more)


def stacked(names, **settings):
    made = Stack(**settings)
    names = tuple(f"{STACK}::{name}" for name in names.split())
    return Case(names, made.build, made.oracle, made.inputs, made.draws())


def vector():
    return {"x": normal(BATCH, IN)}


CASES = (
    one(MODEL, "test_model", functional, functional_loop()),
    one(
        MODEL,
        "test_state_initializer",
        lambda: functional(drawn=True),
        functional_loop(),
        draws={"h.initial": normal(BATCH, HIDDEN, seed=8)},
    ),
    one(MODEL, "test_unroll", lambda: functional(unroll=True), functional_loop()),
    one(
        MODEL,
        "test_decode",
        lambda: functional(decode=True),
        functional_loop(decode=True),
        inputs=vector,
    ),
    one(
        MODEL,
        "test_readout",
        lambda: functional(readout=True),
        functional_loop(readout=True),
    ),
    stacked("test_sequential test_serialisation", cells=MIXED),
    stacked("test_state_initializer", cells=MIXED, drawn=4),
    stacked("test_state_initializer_as_list", cells=MIXED, drawn=2),
    stacked("test_unroll", cells=MIXED, unroll=True),
    stacked("test_state_sync", cells=LSTMS, sync=True),
    stacked("test_state_sync_unroll", cells=LSTMS, sync=True, unroll=True),
    stacked("test_decode", cells=LSTMS, decode=True),
    # There are two tests of this name; Python keeps the second alone, which is below.
    stacked("test_readout_state_sync#1", cells=LSTMS, sync=True, decode=True),
    stacked("test_decode_unroll", cells=LSTMS, decode=True, unroll=True),
    stacked(
        "test_decode_unroll_state_sync",
        cells=LSTMS,
        sync=True,
        decode=True,
        unroll=True,
    ),
    stacked("test_readout", cells=FED_BACK, readout=True),
    stacked("test_readout_unroll", cells=FED_BACK, readout=True, unroll=True),
    stacked("test_readout_state_sync#2", cells=LSTMS_FED_BACK, readout=True, sync=True),
    stacked(
        "test_readout_state_sync_unroll",
        cells=LSTMS_FED_BACK,
        readout=True,
        sync=True,
        unroll=True,
    ),
    stacked("test_decoder_readout", cells=LSTMS_FED_BACK, decode=True, readout=True),
    stacked("test_teacher_force", cells=FED_BACK, readout=True, teacher=True),
    one(
        STACK,
        "test_advanced_cells",
        lambda: recipes.highway(IN, HIDDEN, depth=2),
        highway_loop,
    ),
    one(
        "test_rnn_cell_from_model.py",
        "test_rnn_cell_from_model",
        functional_cell,
        functional_cell_loop,
    ),
)
"""The tests of RecurrentShop: 24 functions, of which 23 have a name of their own."""


def of_seq2seq(name, made, **more):
    return one("seq2seq test.py", name, *made, **more)


def x_and_truth():
    return {"x": normal(BATCH, TIME, IN), "truth": normal(BATCH, STEPS, OUT, seed=4)}


SEQ2SEQ = (
    *(
        of_seq2seq(f"test_SimpleSeq2Seq, depth {depth}", simple_seq2seq(depth))
        for depth in (1, 2)
    ),
    of_seq2seq("test_Seq2Seq", seq2seq()),
    of_seq2seq("test_Seq2Seq, peek", seq2seq(peek=True)),
    of_seq2seq("test_Seq2Seq, depth 2", seq2seq(depth=2)),
    of_seq2seq("test_Seq2Seq, peek, depth 2", seq2seq(depth=2, peek=True)),
    of_seq2seq(
        "test_Seq2Seq, peek, depth 2, teacher",
        seq2seq(depth=2, peek=True, teacher=True),
        inputs=x_and_truth,
    ),
    of_seq2seq("states of their own, depth 2", seq2seq(depth=2, sync=False)),
    *(
        of_seq2seq(f"test_AttentionSeq2Seq, depth {depth}", attention_seq2seq(depth))
        for depth in (1, 2, 3)
    ),
)
"""The models of the three tests of seq2seq, and one whose LSTMs do not share their states."""

ALL = (*CASES, *SEQ2SEQ)


def prepared(case):
    model = with_random_weights(case.build())
    for name, value in model.named_weights.items():
        if name.endswith(".rate"):  # a Teacher always tells the truth
            value.set_value(np.ones(1))
    weights = {name: value.get_value() for name, value in model.named_weights.items()}
    return model, weights, case.inputs()


def close(found, expected):
    assert found.shape == expected.shape
    return np.abs(found - expected).max() <= 1e-12 * max(1, np.abs(expected).max())


def data(given):
    """The one input by itself: a Sequential has no name for it."""
    return given if len(given) > 1 else next(iter(given.values()))


def only(found):
    """The first output; that of a model with several is a dict."""
    return next(iter(found.values())) if isinstance(found, dict) else found


def test_every_test_of_recurrentshop_has_a_case():
    names = [name for case in CASES for name in case.names]
    assert len(names) == 24
    assert len({name.split("#")[0] for name in names}) == 23


@pytest.mark.parametrize("case", ALL, ids=str)
def test_an_architecture_equals_a_numpy_loop_and_so_does_its_copy_from_a_file(case):
    model, weights, given = prepared(case)
    expected = case.oracle(weights, given)
    assert close(only(model.predict(data(given))), expected)
    again = model_from_json(model.to_json())
    again.build()
    again.set_weights(model.get_weights())
    assert close(only(again.predict(data(given))), expected)


def loss_of(case, weights, given, target):
    found = case.oracle(weights, given, train=True, draws=case.draws)
    return ((found - target) ** 2).mean()


@pytest.mark.parametrize("case", ALL, ids=str)
def test_the_gradient_of_an_architecture_is_that_of_central_differences(case):
    """Of the loss in training, with what a teacher tells and draws that are given, along one direction."""
    check_gradient(case, "python")


@pytest.mark.parametrize(
    "target", [pytest.param("c", marks=COMPILER), pytest.param("jax", marks=JAX)]
)
@pytest.mark.parametrize(
    "name",
    [
        "test_sequential",
        "test_decoder_readout",
        "test_teacher_force",
        "test_state_initializer_as_list",
        "test_Seq2Seq, peek, depth 2",
        "test_AttentionSeq2Seq, depth 2",
    ],
)
@pytest.mark.compiled
def test_architectures_on_backends(name, target):
    [case] = (case for case in ALL if str(case).endswith(f"::{name}"))
    check_gradient(case, target)


def check_gradient(case, target_backend):
    model, weights, given = prepared(case)
    expected = case.oracle(weights, given, train=True, draws=case.draws)
    target = normal(*expected.shape, seed=9)
    names, learned = list(given), model.get_params()[0]

    def build(tensors):
        by_name = dict(zip(names, tensors, strict=False))
        drawn = dict(zip(case.draws, tensors[len(names) :], strict=True))
        output = only(model(data(by_name), train=True, **drawn))
        loss = ((output - target) ** 2).mean()
        return [output, *pytensor.grad(loss, learned)], []

    arrays = {**given, **case.draws}
    arguments = [
        backend.Argument(name.replace(".", "__"), "float64", array.shape)
        for name, array in arrays.items()
    ]
    output, *gradients = backend.Program(arguments, build, target_backend)(
        *arrays.values()
    )
    assert np.abs(output - expected).max() <= 1e-10

    rng = np.random.RandomState(2)
    by_variable = {variable: name for name, variable in model.named_params.items()}
    along, slope = {}, 0
    for variable, gradient in zip(learned, gradients, strict=True):
        direction = rng.normal(size=gradient.shape)
        along[by_variable[variable]] = direction
        slope += (direction * gradient).sum()
    losses = []
    for nudge in (1e-6, -1e-6):
        moved = dict(weights)
        for name, direction in along.items():
            moved[name] = weights[name] + nudge * direction
        losses.append(loss_of(case, moved, given, target))
    assert abs((losses[0] - losses[1]) / 2e-6 - slope) <= 1e-6 * max(1, abs(slope))
    assert abs(slope) > 1e-4
