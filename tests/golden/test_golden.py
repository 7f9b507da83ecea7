"""Every golden case through the library, in plain Python and float64: a group a test, one compilation a case."""

import numpy as np
import pytensor
import pytest

from recursive import (
    GRU,
    LSTM,
    SGD,
    Dense,
    Embedding,
    Graph,
    Lambda,
    Masking,
    RMSprop,
    Sequential,
    SimpleRNN,
    TimeDistributedDense,
    activations,
    constraints,
    initializations,
    objectives,
    optimizers,
    regularizers,
)
from recursive.backend import Argument, Program, evaluate, shared, tensor
from recursive.layers import recurrent
from tests.golden.judging import cases, judge
from tests.golden.networks import called, graph_of, layers_of, recursive_of, vanilla_rnn

VARIANTS = {
    (kind, suffix): (kind == "seq", steps)
    for kind in ("seq", "last")
    for suffix, steps in (("", -1), ("_trunc3", 3))
}
"""The arrays' names, and the flags of the layer: sequences or the last step, the whole gradient or its last 3 steps."""

UNTRUSTED = {"legacy2015/recursive/vanilla_rnn_3out": "out_"}
"""Arrays that carry another node's name, because the original paired values and names through an unordered dict."""


def single(group, name):
    [found] = [golden for golden in cases(group) if golden.name.endswith(f"/{name}")]
    return found


# Recurrent networks


@pytest.mark.parametrize("golden", cases("recursive"), ids=str)
def test_the_recurrent_container(golden):
    layers = layers_of(golden.about)
    rnn, every = (recursive_of(golden.about, layers, every) for every in (False, True))
    rnn.set_weights(list(golden.part("w__").values()))
    inputs = {
        name: tensor(name, "float64", x.shape) for name, x in golden.part("x__").items()
    }
    found = {f"node__{name}": node for name, node in outputs_of(every, inputs).items()}
    for (kind, suffix), (
        rnn.return_sequences,
        rnn.truncate_gradient,
    ) in VARIANTS.items():
        outputs = outputs_of(rnn, inputs)
        found |= {f"out_{kind}__{name}": output for name, output in outputs.items()}
        found[f"loss_{kind}"] = loss = sum(
            (output**2).sum() for output in outputs.values()
        )
        found |= with_gradients(f"grad_{kind}{suffix}__", loss, rnn.named_params)
    found = {
        name: value
        for name, value in found.items()
        if not name.startswith(UNTRUSTED.get(golden.name, "nothing"))
    }
    check(
        golden,
        found,
        dict(zip(inputs.values(), golden.part("x__").values(), strict=True)),
    )


@pytest.mark.parametrize(
    "golden", [golden for golden in cases("layers") if "layer" in golden.about], ids=str
)
def test_the_recurrent_layers(golden):
    layer = getattr(recurrent, golden.about["layer"])(**golden.about["kwargs"])
    assert list(layer.named_params) == golden.about["param_order"]
    layer.set_weights(list(golden.part("w__").values()))
    if "Pmat" in golden.arrays:
        layer.Pmat.set_value(golden.arrays["Pmat"])
    x, xm = (tensor(name, "float64", golden.arrays[name].shape) for name in ("x", "xm"))
    ids = tensor("ids", "int32", golden.arrays["emb_ids"].shape)
    found = {}
    for (kind, suffix), (
        layer.return_sequences,
        layer.truncate_gradient,
    ) in VARIANTS.items():
        found[f"out_{kind}"] = output = layer(x)
        found |= with_gradients(
            f"grad_{kind}{suffix}__", (output**2).sum(), layer.named_params
        )
    layer.truncate_gradient = -1
    for kind, layer.return_sequences in (("last", False), ("seq", True)):
        masked, found["mask"] = Masking().with_mask(xm)
        found[f"out_mask_{kind}"], carried = layer.with_mask(masked, mask=found["mask"])
        assert carried is (found["mask"] if layer.return_sequences else None)
        found |= with_gradients(
            f"grad_mask_{kind}__",
            (found[f"out_mask_{kind}"] ** 2).sum(),
            layer.named_params,
        )
    embedding = Embedding(
        7, layer.input_dim, mask_zero=True, weights=[golden.arrays["emb_W"]]
    )
    chain = Sequential([embedding, layer])
    found |= {"out_emb_seq": chain(ids), "emb_mask": embedding.get_output_mask_for(ids)}
    found |= with_gradients(
        "grad_emb_seq__",
        (found["out_emb_seq"] ** 2).sum(),
        {"emb_W": embedding.W} | layer.named_params,
    )
    check(
        golden,
        found,
        {x: golden.arrays["x"], xm: golden.arrays["xm"], ids: golden.arrays["emb_ids"]},
    )


def outputs_of(rnn, inputs):
    """Every output by name, where a container with one of each takes and gives a tensor."""
    outputs = rnn(inputs if len(inputs) > 1 else next(iter(inputs.values())))
    return outputs if isinstance(outputs, dict) else {rnn.output_names[0]: outputs}


def with_gradients(prefix, loss, params):
    """The gradients of ``loss``, by the golden arrays' names."""
    gradients = pytensor.grad(loss, list(params.values()))
    return {
        prefix + name.replace(".", "_"): gradient
        for name, gradient in zip(params, gradients, strict=True)
    }


def check(golden, symbols, values):
    """Judge the values of ``symbols``, which must be every computed array of the case that can be trusted."""
    computed = {
        name
        for name in golden.arrays
        if name.startswith(("out_", "grad_", "node__", "loss_"))
    }
    assert computed - symbols.keys() == {
        name
        for name in computed
        if golden.name in UNTRUSTED and name.startswith(UNTRUSTED[golden.name])
    }
    found = dict(zip(symbols, evaluate(list(symbols.values()), values), strict=True))
    for kind, wanted in (("forward", False), ("gradient", True)):
        judge(
            golden,
            {
                name: value
                for name, value in found.items()
                if name.startswith("grad_") == wanted
            },
            kind,
        )


# States that go on from batch to batch


@pytest.mark.parametrize("golden", cases("stateful"), ids=str)
def test_recurrent_layers_whose_states_go_on(golden):
    """Those after the test step are those of the weights that one training step towards zeros has made."""
    kind = {"gru": GRU, "lstm": LSTM, "simple": SimpleRNN}[
        golden.name.rpartition("/")[2].partition("_")[0]
    ]
    layer = kind(
        3,
        4,
        activation=golden.about["activation"],
        return_sequences=golden.name.endswith("_seq"),
        weights=list(golden.part("w__").values()),
        stateful=True,
    )
    model = Sequential([layer])
    model.compile(SGD(lr=0.01), "mse")
    batches, found = golden.arrays["x"], {}
    found["out"], after = (
        np.stack(arrays)
        for arrays in zip(
            *[
                (model.predict(x), np.stack(list(layer.get_states().values())))
                for x in batches
            ],
            strict=True,
        )
    )
    found |= {
        f"state{k}_after_each_batch": states
        for k, states in enumerate(after.swapaxes(0, 1))
    }
    layer.reset_states()
    found["out_batch0_after_reset"] = model.predict(batches[0])
    for kind, run in (("train", model.train_on_batch), ("test", model.test_on_batch)):
        layer.reset_states()
        run(batches[0], np.zeros_like(found["out"][0]))
        found |= {
            f"state{k}_after_{kind}_batch0": state
            for k, state in enumerate(layer.get_states().values())
        }
    layer.set_weights(list(golden.part("w__").values()))
    found["out_long_stateless_seq"] = one_long_run(
        layer, np.concatenate(batches, axis=1)
    )
    assert found.keys() == {
        name for name in golden.arrays if name.startswith(("out", "state"))
    }
    judge(golden, found)


def one_long_run(layer, x):
    """Every step, by such a layer whose states start anew."""
    config = layer.get_config() | {"stateful": False, "return_sequences": True}
    del config["name"]
    return Sequential([type(layer)(**config, weights=layer.get_weights())]).predict(x)


# Training

TRAINED = {
    "train_simplernn": lambda: (
        [SimpleRNN(3, 4, activation="tanh"), Dense(4, 2)],
        SGD(lr=0.1, momentum=0.9, nesterov=True),
        "mse",
    ),
    "train_lstm": lambda: (
        [LSTM(3, 4), Dense(4, 2, activation="softmax")],
        RMSprop(lr=0.01),
        "categorical_crossentropy",
    ),
    "train_recursive": lambda: ([vanilla_rnn(False), Dense(4, 2)], SGD(lr=0.1), "mse"),
    "train_recursive_seq": lambda: ([vanilla_rnn(True)], SGD(lr=0.1), "mse"),
}
"""Chains, with their optimizer and loss."""


@pytest.mark.parametrize("name", TRAINED)
def test_five_steps_of_training_a_chain(name):
    golden = single("graph", name)
    layers, optimizer, loss = TRAINED[name]()
    model = Sequential(layers)
    model.set_weights(
        [array for name, array in golden.part("w_").items() if name.isdigit()]
    )
    model.compile(optimizer, loss)
    x, y = golden.arrays["x"], golden.arrays["y"]
    judge(golden, {"pred_before": model.predict(x)})
    found = {
        "losses": np.array([model.train_on_batch(x, y) for _ in range(5)]),
        "pred_after": model.predict(x),
    }
    found |= {
        f"w_after_{index:02}": array for index, array in enumerate(model.get_weights())
    }
    judge(golden, found, "training")


@pytest.mark.parametrize("mode", ["concat", "sum", "mul"])
def test_five_steps_of_training_a_graph_with_two_inputs_and_two_outputs(mode):
    golden = single("graph", f"graph_{mode}")
    inputs = {name: golden.arrays[name] for name in ("input1", "input2")}
    model = graph_of(mode, [array.shape[-1] for array in inputs.values()])
    model.build()
    model.set_weights(list(golden.part("w__").values()))
    model.compile(SGD(lr=0.1), {"out1": "mse", "out2": "mse"})
    judge(
        golden, {f"pred_{name}": array for name, array in model.predict(inputs).items()}
    )
    batch = inputs | golden.part("y_")
    found = {
        "losses": np.array([model.train_on_batch(batch) for _ in range(5)]),
        "test_loss_after": np.array(model.test_on_batch(batch)),
    }
    found |= {
        f"w_after__{name.replace('.', '_')}": param.get_value()
        for name, param in model.named_params.items()
    }
    judge(golden, found, "training")


def test_a_layer_that_is_handed_its_inputs_by_name():
    golden = single("graph", "graph_join")
    model = Graph()
    for name in ("input1", "input2"):
        model.add_input(name, dim=3)
    model.add_node(
        Lambda(lambda x: 2 * x["input1"] + x["input2"]),
        "out",
        inputs=["input1", "input2"],
        merge_mode="join",
        create_output=True,
    )
    judge(
        golden,
        {
            "out": model.predict(
                {name: golden.arrays[name] for name in ("input1", "input2")}
            )["out"]
        },
    )


# Functions


def test_the_activations_and_their_gradients():
    golden = single("layers", "activations")
    x, x3 = (
        tensor(name, "float64", (None,) * golden.arrays[name].ndim)
        for name in ("x", "x3")
    )
    found = {name: function(x) for name, function in activations.ACTIVATIONS.items()}
    found |= {
        f"grad_{name}": pytensor.grad(value.sum(), x)
        for name, value in found.items()
        if name != "softmax"
    }
    check(
        golden,
        found | {"softmax_x3": activations.softmax(x3)},
        {x: golden.arrays["x"], x3: golden.arrays["x3"]},
    )


def test_dense_over_rows_and_over_time():
    golden = single("layers", "dense")
    weights = list(golden.part("w__").values())
    found = {
        "out_dense_tanh": Dense(4, 2, activation="tanh", weights=weights)(
            golden.arrays["x2"]
        ),
        "out_tdd_softmax": TimeDistributedDense(
            4, 2, activation="softmax", weights=weights
        )(golden.arrays["x3"]),
    }
    check(golden, found, {})


def test_first_values_after_a_seed_are_exactly_those_of_2015():
    golden = single("layers", "initializations")
    for name, expected in golden.arrays.items():
        np.random.seed(1234)
        function = next(
            name.removesuffix(f"_{shape}")
            for shape in ("2x3x4x5", "4x6", "")
            if name.endswith(shape)
        )
        drawn = initializations.get(function.rstrip("_"))(expected.shape).get_value()
        if function.startswith("orthogonal"):
            judge(golden, {name: signed_as(drawn, expected)}, "orthogonal")
        else:
            judge(golden, {name: drawn})


def signed_as(drawn, expected):
    """``drawn`` with the signs of ``expected``: LAPACK chooses those of rows, or of columns."""
    axis = 0 if drawn.shape[0] >= drawn.shape[1] else 1
    return drawn * np.sign((drawn * expected).sum(axis=axis, keepdims=True))


def test_the_objectives_and_their_gradients():
    golden = single("objectives", "objectives")
    found, values = {}, {}
    for name in (
        name.removesuffix("__out") for name in golden.arrays if name.endswith("__out")
    ):
        data = "3d" if name.endswith("_3d") else name
        given = [golden.arrays[f"{data}__{which}"] for which in ("y_true", "y_pred")]
        y_true, y_pred = (
            tensor(name, "float64", (None,) * array.ndim) for array in given
        )
        values |= {y_true: given[0], y_pred: given[1]}
        objective = objectives.get(
            next(
                key
                for key in objectives.OBJECTIVES
                if name in (key, f"{key}_3d")
                or name.startswith((f"{key}_zero", f"{key}_negative"))
            )
        )
        found[f"{name}__out"] = value = objective(y_true, y_pred)
        if data == name:
            found[f"{name}__grad_y_pred"] = pytensor.grad(value.sum(), y_pred)
    found = dict(zip(found, evaluate(list(found.values()), values), strict=True))
    judge(
        golden, {name: value for name, value in found.items() if name.endswith("out")}
    )
    judge(
        golden,
        {name: value for name, value in found.items() if not name.endswith("out")},
        "gradient",
    )


def test_the_mean_by_weights_and_with_a_mask():
    golden = single("objectives", "weighted_objective")
    values = {
        name: tensor(name, str(array.dtype), array.shape)
        for name, array in golden.arrays.items()
        if not name.startswith("weighted_")
    }
    mean = objectives.weighted_objective(objectives.mean_squared_error)
    found = {
        "weighted_mse": mean(values["y_true"], values["y_pred"], values["weights"])
    }
    steps = values["y_true3"], values["y_pred3"], values["weights3"]
    found |= {
        "weighted_mse3": mean(*steps),
        "weighted_mse3_mask": mean(*steps, values["mask3"]),
    }
    check(
        golden, found, {symbol: golden.arrays[name] for name, symbol in values.items()}
    )


# Optimizers


@pytest.fixture(scope="module")
def descents():
    """For every optimizer: parameters and slots after each of ten steps on given gradients, in one function."""
    goldens = [
        golden for golden in cases("optimizers") if "constructor" in golden.about
    ]
    with pytensor.config.change_flags(floatX="float64"):
        made = {
            golden.name: called(golden.about["constructor"], vars(optimizers))
            for golden in goldens
        }
        params = {
            golden.name: [shared(golden.arrays[f"p{index}_init"]) for index in (1, 2)]
            for golden in goldens
        }
        given = [
            Argument(
                f"{golden.name}{index}",
                "float64",
                golden.arrays[f"p{index}_init"].shape,
            )
            for golden in goldens
            for index in (1, 2)
        ]

        def build(gradients):
            pairs = dict(
                zip(
                    made, zip(gradients[::2], gradients[1::2], strict=True), strict=True
                )
            )
            return [], [
                update
                for name, optimizer in made.items()
                for update in optimizer.get_updates(
                    params[name],
                    [activations.linear] * 2,
                    sum(
                        (param * gradient).sum()
                        for param, gradient in zip(
                            params[name], pairs[name], strict=True
                        )
                    ),
                )
            ]

        program = Program(given, build, "python")
        paths = {name: [[param.get_value() for param in params[name]]] for name in made}
        for step in range(10):
            program(
                *(
                    golden.arrays[f"grads{index}"][step]
                    for golden in goldens
                    for index in (1, 2)
                )
            )
            for name, path in paths.items():
                path.append([param.get_value() for param in params[name]])
    slots = {
        name: [
            [
                slot.get_value()
                for (of, _), slot in optimizer.slots.items()
                if of is param
            ]
            for param in params[name]
        ]
        for name, optimizer in made.items()
    }
    return paths, slots


@pytest.mark.parametrize(
    "golden",
    [golden for golden in cases("optimizers") if "constructor" in golden.about],
    ids=str,
)
def test_ten_steps_of_an_optimizer(golden, descents):
    paths, slots = (found[golden.name] for found in descents)
    judge(
        golden,
        {
            f"p{index}_traj": np.stack([point[index - 1] for point in paths])
            for index in (1, 2)
        },
    )
    state = [
        value
        for values, last in zip(slots, paths[-1], strict=True)
        for value in (*values, last)
    ]
    remembered = list(golden.part("state_"))
    judge(
        golden,
        {
            f"state_{name}": value
            for name, value in zip(
                remembered[len(remembered) - len(state) :], state, strict=True
            )
        },
    )


def test_the_constraints_and_the_penalties():
    golden = single("optimizers", "constraints_regularizers")
    w = tensor("w", "float64", golden.arrays["w"].shape)
    found = {
        "maxnorm_2": constraints.maxnorm(2)(w),
        "nonneg": constraints.nonneg()(w),
        "unitnorm": constraints.unitnorm()(w),
    }
    rules = {
        "l1": regularizers.l1(0.01),
        "l2": regularizers.l2(0.01),
        "l1l2": regularizers.l1l2(0.01, 0.02),
    }
    found |= {
        f"reg_{name}": rule.on(w)(pytensor.tensor.constant(1.0))
        for name, rule in rules.items()
    }
    check(golden, found, {w: golden.arrays["w"]})
