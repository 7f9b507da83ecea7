"""The surface of 2015: what scripts of Keras 0.1.3 and of the first Recursive container called, by name and place.

``SURFACE`` is that surface, written down by hand. Arguments must be here under the same names, in the same order, with
the same defaults; what is new comes behind them and may be left out. ``DEVIATIONS`` is the one list of exceptions,
and docs/fidelity.md shows it.
"""

import ast
import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from recursive.backend import evaluate
from recursive.errors import ConfigError
from recursive.layers.config import layer_from_config
from recursive.layers.containers import Graph as Container
from recursive.layers.containers import Sequential
from recursive.layers.core import (
    Activation,
    AutoEncoder,
    Dense,
    Dropout,
    Flatten,
    Merge,
)
from recursive.layers.recurrent import SimpleRNN
from recursive.models import CLASSES, Recursive
from recursive.models import Sequential as Model

PAGE = Path(__file__).parents[1] / "docs" / "fidelity.md"

RULES = "W_regularizer=None, b_regularizer=None, activity_regularizer=None, W_constraint=None, b_constraint=None"
JZS = (
    "input_dim, output_dim=128, init='glorot_uniform', inner_init='orthogonal', activation='tanh', "
    "inner_activation='sigmoid', weights=None, truncate_gradient=-1, return_sequences=False"
)
LAYER = {
    "get_params": "",
    "set_previous": "layer, connection_map={}",
    "get_input": "train=False",
    "get_output": "train=False",
    "get_output_mask": "train=False",
    "supports_masked_input": "",
    "get_weights": "",
    "set_weights": "weights",
    "get_config": "",
    "count_params": "",
    "init_updates": "",
    "set_name": "name",
}
FILES = {
    "save_weights": "filepath, overwrite=False",
    "load_weights": "filepath",
    "to_json": "",
    "to_yaml": "",
    "get_config": "verbose=0",
}
CALLS = {
    "on_epoch_begin": "epoch, logs={}",
    "on_epoch_end": "epoch, logs={}",
    "on_batch_begin": "batch, logs={}",
    "on_batch_end": "batch, logs={}",
    "on_train_begin": "logs={}",
    "on_train_end": "logs={}",
}
RULE = {
    "": "l1=0., l2=0.",
    "set_param": "p",
    "set_layer": "layer",
    "get_config": "",
    "__call__": "loss",
}
LEARNS = {
    "get_updates": "params, constraints, loss",
    "get_gradients": "loss, params",
    "get_config": "",
}

SURFACE = {
    "models.Recursive": LAYER
    | {
        "": "truncate_gradient=-1, return_sequences=False",
        "add_input": "name, ndim=3, dtype='float'",
        "add_state": "name, dim",
        "add_node": "layer, name, input=None, inputs=[], merge_mode='concat', return_state=None, create_output=False",
        "add_output": "name, input=None, inputs=[], merge_mode='concat'",
        "_get_output": "train=False",
        "get_states": "",
        "get_constants": "",
        "_step": "*args",
    },
    "layers.containers.Graph": LAYER
    | {
        "": "",
        "add_input": "name, ndim=2, dtype='float'",
        "add_node": "layer, name, input=None, inputs=[], merge_mode='concat', create_output=False",
        "add_output": "name, input=None, inputs=[], merge_mode='concat'",
    },
    "layers.containers.Sequential": LAYER | {"": "layers=[]", "add": "layer"},
    "models.Sequential": FILES
    | {
        "compile": "optimizer, loss, class_mode='categorical', theano_mode=None",
        "train_on_batch": "X, y, accuracy=False, class_weight=None, sample_weight=None",
        "test_on_batch": "X, y, accuracy=False, sample_weight=None",
        "predict_on_batch": "X",
        "fit": "X, y, batch_size=128, nb_epoch=100, verbose=1, callbacks=[], validation_split=0., "
        "validation_data=None, shuffle=True, show_accuracy=False, class_weight=None, sample_weight=None",
        "predict": "X, batch_size=128, verbose=0",
        "predict_proba": "X, batch_size=128, verbose=1",
        "predict_classes": "X, batch_size=128, verbose=1",
        "evaluate": "X, y, batch_size=128, show_accuracy=False, verbose=1, sample_weight=None",
    },
    "models.Graph": FILES
    | {
        "compile": "optimizer, loss, theano_mode=None",
        "train_on_batch": "data, class_weight={}, sample_weight={}",
        "test_on_batch": "data, sample_weight={}",
        "predict_on_batch": "data",
        "fit": "data, batch_size=128, nb_epoch=100, verbose=1, callbacks=[], validation_split=0., "
        "validation_data=None, shuffle=True, class_weight={}, sample_weight={}",
        "evaluate": "data, batch_size=128, verbose=0, sample_weight={}",
        "predict": "data, batch_size=128, verbose=0",
    },
    "models": {
        "model_from_json": "json_string",
        "model_from_yaml": "yaml_string",
        "model_from_config": "config",
        "weighted_objective": "fn",
        "standardize_X": "X",
        "standardize_y": "y",
        "standardize_weights": "y, sample_weight=None, class_weight=None",
        "slice_X": "X, start=None, stop=None",
        "make_batches": "size, batch_size",
        "batch_shuffle": "index_array, batch_size",
    },
    "layers.core.Layer": LAYER,
    "layers.core.MaskedLayer": LAYER | {"get_input_mask": "train=False"},
    "layers.core.Masking": LAYER | {"": "mask_value=0."},
    "layers.core.Merge": LAYER | {"": "layers, mode='sum'"},
    "layers.core.Dropout": LAYER | {"": "p"},
    "layers.core.Activation": LAYER | {"": "activation, target=0, beta=0.1"},
    "layers.core.Reshape": LAYER | {"": "*dims"},
    "layers.core.Permute": LAYER | {"": "dims"},
    "layers.core.Flatten": LAYER | {"": ""},
    "layers.core.RepeatVector": LAYER | {"": "n"},
    "layers.core.Dense": LAYER
    | {
        "": f"input_dim, output_dim, init='glorot_uniform', activation='linear', weights=None, name=None, {RULES}"
    },
    "layers.core.TimeDistributedDense": LAYER
    | {
        "": f"input_dim, output_dim, init='glorot_uniform', activation='linear', weights=None, {RULES}"
    },
    "layers.core.ActivityRegularization": LAYER | {"": "l1=0., l2=0."},
    "layers.core.AutoEncoder": LAYER
    | {"": "encoder, decoder, output_reconstruction=True, weights=None"},
    "layers.core.MaxoutDense": LAYER
    | {
        "": f"input_dim, output_dim, nb_feature=4, init='glorot_uniform', weights=None, {RULES}"
    },
    "layers.core.Lambda": LAYER | {"": "function"},
    "layers.recurrent.SimpleRNN": LAYER
    | {
        "": "input_dim, output_dim, init='glorot_uniform', inner_init='orthogonal', activation='sigmoid', "
        "weights=None, truncate_gradient=-1, return_sequences=False"
    },
    "layers.recurrent.SimpleDeepRNN": LAYER
    | {
        "": "input_dim, output_dim, depth=3, init='glorot_uniform', inner_init='orthogonal', activation='sigmoid', "
        "inner_activation='hard_sigmoid', weights=None, truncate_gradient=-1, return_sequences=False"
    },
    "layers.recurrent.GRU": LAYER
    | {
        "": "input_dim, output_dim=128, init='glorot_uniform', inner_init='orthogonal', activation='sigmoid', "
        "inner_activation='hard_sigmoid', weights=None, truncate_gradient=-1, return_sequences=False"
    },
    "layers.recurrent.LSTM": LAYER
    | {
        "": "input_dim, output_dim=128, init='glorot_uniform', inner_init='orthogonal', forget_bias_init='one', "
        "activation='tanh', inner_activation='hard_sigmoid', weights=None, truncate_gradient=-1, "
        "return_sequences=False"
    },
    "layers.recurrent.JZS1": LAYER | {"": JZS},
    "layers.recurrent.JZS2": LAYER | {"": JZS},
    "layers.recurrent.JZS3": LAYER | {"": JZS},
    "layers.embeddings.Embedding": LAYER
    | {
        "": "input_dim, output_dim, init='uniform', W_regularizer=None, activity_regularizer=None, "
        "W_constraint=None, mask_zero=False, weights=None"
    },
    "layers.normalization.BatchNormalization": LAYER
    | {"": "input_shape, epsilon=1e-6, mode=0, momentum=0.9, weights=None"},
    "layers.noise.GaussianNoise": LAYER | {"": "sigma"},
    "layers.noise.GaussianDropout": LAYER | {"": "p"},
    "layers.advanced_activations.LeakyReLU": LAYER | {"": "alpha=0.3"},
    "layers.advanced_activations.PReLU": LAYER | {"": "input_shape"},
    "layers.advanced_activations.ParametricSoftplus": LAYER
    | {"": "input_shape, alpha_init=0.2, beta_init=5.0"},
    "layers.advanced_activations.ThresholdedLinear": LAYER | {"": "theta=1.0"},
    "layers.advanced_activations.ThresholdedReLu": LAYER | {"": "theta=1.0"},
    "callbacks.Callback": CALLS,
    "callbacks.CallbackList": CALLS | {"": "callbacks=[]", "append": "callback"},
    "callbacks.BaseLogger": CALLS,
    "callbacks.History": CALLS,
    "callbacks.ModelCheckpoint": CALLS
    | {"": "filepath, monitor='val_loss', verbose=0, save_best_only=False"},
    "callbacks.EarlyStopping": CALLS
    | {"": "monitor='val_loss', patience=0, verbose=0"},
    "callbacks.LearningRateScheduler": CALLS | {"": "schedule"},
    "optimizers.SGD": LEARNS | {"": "lr=0.01, momentum=0., decay=0., nesterov=False"},
    "optimizers.RMSprop": LEARNS | {"": "lr=0.001, rho=0.9, epsilon=1e-6"},
    "optimizers.Adagrad": LEARNS | {"": "lr=0.01, epsilon=1e-6"},
    "optimizers.Adadelta": LEARNS | {"": "lr=1.0, rho=0.95, epsilon=1e-6"},
    "optimizers.Adam": LEARNS
    | {"": "lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8"},
    "optimizers": {
        "get": "identifier, kwargs=None",
        "clip_norm": "g, c, n",
        "kl_divergence": "p, p_hat",
    },
    "regularizers.WeightRegularizer": RULE,
    "regularizers.ActivityRegularizer": RULE,
    "regularizers": {
        "identity": "",
        "l1": "l=0.01",
        "l2": "l=0.01",
        "l1l2": "l1=0.01, l2=0.01",
        "activity_l1": "l=0.01",
        "activity_l2": "l=0.01",
        "activity_l1l2": "l1=0.01, l2=0.01",
        "get": "identifier, kwargs=None",
    },
    "constraints.MaxNorm": {"": "m=2", "__call__": "p", "get_config": ""},
    "constraints.NonNeg": {"": "", "__call__": "p", "get_config": ""},
    "constraints.UnitNorm": {"": "", "__call__": "p", "get_config": ""},
    "constraints": {
        "identity": "",
        "maxnorm": "m=2",
        "nonneg": "",
        "unitnorm": "",
        "get": "identifier, kwargs=None",
    },
    "initializations": {
        "get_fans": "shape",
        "uniform": "shape, scale=0.05",
        "normal": "shape, scale=0.05",
        "lecun_uniform": "shape",
        "glorot_normal": "shape",
        "glorot_uniform": "shape",
        "he_normal": "shape",
        "he_uniform": "shape",
        "orthogonal": "shape, scale=1.1",
        "identity": "shape, scale=1",
        "zero": "shape",
        "one": "shape",
        "get": "identifier",
    },
    "activations": dict.fromkeys(
        (
            "softmax",
            "time_distributed_softmax",
            "softplus",
            "relu",
            "tanh",
            "sigmoid",
            "hard_sigmoid",
            "linear",
        ),
        "x",
    )
    | {"get": "identifier"},
    "objectives": dict.fromkeys(
        (
            "mean_squared_error",
            "mean_absolute_error",
            "mean_absolute_percentage_error",
            "mean_squared_logarithmic_error",
            "squared_hinge",
            "hinge",
            "categorical_crossentropy",
            "binary_crossentropy",
            "poisson_loss",
        ),
        "y_true, y_pred",
    )
    | {"get": "identifier"},
    "utils.np_utils": {
        "to_categorical": "y, nb_classes=None",
        "normalize": "a, axis=-1, order=2",
        "binary_logloss": "p, y",
        "accuracy": "p, y",
        "probas_to_classes": "y_pred",
        "categorical_probas_to_classes": "p",
    },
    "utils.generic_utils": {
        "get_from_module": "identifier, module_params, module_name, instantiate=False, kwargs=None",
        "make_tuple": "*args",
        "printv": "v, prefix=''",
    },
    "utils.layer_utils": {
        "container_from_config": "original_layer_dict",
        "get_layer": "identifier, kwargs=None",
        "print_layer_shapes": "model, input_shapes",
    },
    "utils.test_utils": {
        "get_test_data": "nb_train=1000, nb_test=500, input_shape=(10,), output_shape=(2,), classification=True, "
        "nb_class=2"
    },
}
"""By module or class: the arguments of each function or method; those of the class itself under ''."""

ATTRIBUTES = {
    "models.Recursive": ("input", "state", "nb_input", "nb_output"),
    "layers.core.Dense": (
        "input",
        "nb_input",
        "nb_output",
        "params",
        "regularizers",
        "constraints",
        "updates",
    ),
    "models.Sequential": (
        "input",
        "nb_input",
        "nb_output",
        "params",
        "regularizers",
        "constraints",
        "updates",
    ),
}

TARGETS = ("y was required", "a dict of inputs may hold the targets too")
DIMS = "a single dim is the output's; the input's follows when layers are joined"

DEVIATIONS = {
    "models.Recursive.add_input": (
        "ndim was 3",
        "it still is for a sequence; a context (new) has 2",
    ),
    "models.Recursive.add_state": (
        "dim was required",
        "it is found from the node that feeds the state",
    ),
    "models.Sequential.compile": (
        "optimizer was required, loss was required",
        "without both, a model can only predict",
    ),
    "models.Sequential.train_on_batch": TARGETS,
    "models.Sequential.test_on_batch": TARGETS,
    "models.Sequential.fit": TARGETS,
    "models.Sequential.evaluate": TARGETS,
    "models.Sequential.predict": (
        "X was required",
        "a loop over `n_steps` has no input",
    ),
    "models.Graph.compile": (
        "optimizer was required, loss was required",
        "without both, a model can only predict",
    ),
    "models.Graph.predict": (
        "data was required",
        "a loop over `n_steps` has no input",
    ),
    "layers.core.Activation": (
        "argument 2 was target",
        "target and beta did nothing; files that hold them are read",
    ),
    "layers.core.Dense": ("input_dim was required, output_dim was required", DIMS),
    "layers.core.TimeDistributedDense": (
        "input_dim was required, output_dim was required, argument 6 was W_regularizer",
        f"the arguments are those of Dense, including name; {DIMS}",
    ),
}
"""By place: what differs, and why."""


def found(where, name):
    """The thing at ``where``, and in it ``name`` where there is one."""
    parts = where.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(["recursive", *parts[:cut]]))
        except ModuleNotFoundError:
            continue
        break
    for part in [*parts[cut:], *([name] if name else [])]:
        thing = getattr(thing, part)
    return thing


def arguments_of(text):
    """``(name, default)`` of each argument, ``...`` for none; ``*`` is any number of them."""
    said = ast.parse(f"def f({text}): pass").body[0].args
    defaults = [...] * (len(said.args) - len(said.defaults)) + [
        ast.literal_eval(item) for item in said.defaults
    ]
    return [
        *zip((item.arg for item in said.args), defaults, strict=True),
        *([("*", ...)] if said.vararg else []),
    ]


def signature_of(thing):
    """The same of something that is there."""
    every = [
        item
        for item in inspect.signature(thing).parameters.values()
        if item.name != "self"
    ]
    return [
        (
            "*" if item.kind is item.VAR_POSITIONAL else item.name,
            ... if item.default is item.empty else item.default,
        )
        for item in every
    ]


def same(default, of_2015):
    """Whether two defaults say the same; what was an empty list or dict is one that cannot be changed by accident."""
    if of_2015 in ([], {}):
        return default is None or (isinstance(default, tuple | Mapping) and not default)
    return (
        default is of_2015
        if of_2015 is ...
        else repr(default) == repr(of_2015)
        or (
            isinstance(of_2015, float | int)
            and not isinstance(of_2015, bool)
            and default == of_2015
        )
    )


def differences(where, name, text):
    """What differs, in words."""
    ours, theirs = signature_of(found(where, name)), arguments_of(text)
    said = []
    for place, (argument, default) in enumerate(theirs):
        if place >= len(ours) or ours[place][0] != argument:
            return [*said, f"argument {place + 1} was {argument}"]
        if not same(ours[place][1], default):
            said.append(
                f"{argument} was {'required' if default is ... else repr(default)}"
            )
    return said + [
        f"{argument} is new, and required"
        for argument, default in ours[len(theirs) :]
        if default is ... and argument != "*"
    ]


EVERY = [
    (where, name, text)
    for where, methods in SURFACE.items()
    for name, text in methods.items()
]


@pytest.mark.parametrize(
    ("where", "name", "text"),
    EVERY,
    ids=lambda part: part if isinstance(part, str) else None,
)
def test_arguments_are_called_ordered_and_filled_in_as_in_2015(where, name, text):
    path = f"{where}.{name}".rstrip(".")
    difference, _ = DEVIATIONS.get(path, ("", ""))
    assert ", ".join(differences(where, name, text)) == difference, path


def test_what_a_layer_and_a_container_hold_is_there():
    rnn = Recursive()
    rnn.add_input("x", ndim=3, dim=4)
    rnn.add_state("h", dim=6)
    rnn.add_node(
        Dense(10, 6), "rec", inputs=["x", "h"], return_state="h", create_output=True
    )
    things = {
        "models.Recursive": rnn,
        "layers.core.Dense": Dense(4, 6),
        "models.Sequential": Model([Dense(4, 6)]),
    }
    assert things.keys() == ATTRIBUTES.keys()
    for where, names in ATTRIBUTES.items():
        assert [name for name in names if not hasattr(things[where], name)] == [], where


def test_every_deviation_is_one_has_a_reason_and_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    paths = {f"{where}.{name}".rstrip(".") for where, name, _ in EVERY}
    for path, (difference, reason) in DEVIATIONS.items():
        assert path in paths
        assert f"| `{path}` | {difference} | {reason} |" in text


# What scripts relied on


def test_the_input_of_a_layer_can_be_assigned_and_is_no_attribute_where_there_is_none():
    for layer in (
        Activation("tanh"),
        Dropout(0.5),
        Flatten(),
        Sequential(),
        Sequential([Activation("tanh")]),
    ):
        assert not hasattr(layer, "input")
    assert all(
        hasattr(layer, "input")
        for layer in (Dense(4, 6), SimpleRNN(4, 6), Sequential([Dense(4, 6)]))
    )
    layer = Activation("tanh")
    layer.input = Dense(4, 6).input
    np.testing.assert_allclose(
        evaluate([layer.get_output()], {layer.input: np.ones((3, 4))})[0], np.tanh(1.0)
    )
    with pytest.raises(
        AttributeError, match=r"Activation has no input, .*assign layer\.input"
    ):
        Activation("tanh").get_output()


def test_the_input_of_a_chain_has_the_axes_of_the_first_layer_that_tells():
    chain = Sequential([Activation("tanh"), SimpleRNN(4, 6)])
    assert chain.input.ndim == 3
    assert evaluate([chain.get_output()], {chain.input: np.ones((3, 5, 4))})[
        0
    ].shape == (3, 6)


def two_outputs():
    graph = Container()
    graph.add_input("x", dim=4)
    for name, dim in (("left", 2), ("right", 3)):
        graph.add_node(Dense(4, dim, init="one"), name, input="x", create_output=True)
    return graph


def two_inputs():
    graph = Container()
    graph.add_input("a", dim=3)
    graph.add_input("b", dim=2)
    graph.add_node(
        Dense(5, 1, init="one"), "sum", inputs=["a", "b"], create_output=True
    )
    return graph


def test_a_connection_map_says_which_output_each_input_is():
    first, second = two_outputs(), two_inputs()
    second.set_previous(first, connection_map={"a": "right", "b": "left"})
    assert (
        first.nb_output,
        second.nb_input,
        Dense(4, 6).nb_input,
        Dense(4, 6).nb_output,
    ) == (2, 2, 1, 1)
    assert (
        evaluate([second.get_output()], {first.input: np.ones((3, 4))})[0].tolist()
        == [[20.0]] * 3
    )
    one = Dense(3, 1, init="one")
    one.set_previous(two_outputs(), {"input": "right"})
    assert evaluate([one.get_output()], {one.input: np.ones((1, 4))})[0].tolist() == [
        [12.0]
    ]


@pytest.mark.parametrize(
    "connection_map", [{}, {"a": "left"}, {"a": "left", "b": "rigth"}]
)
def test_inputs_and_outputs_that_do_not_pair_are_told(connection_map):
    with pytest.raises(
        ConfigError, match="takes an output for each of the inputs a, b"
    ):
        two_inputs().set_previous(two_outputs(), connection_map)


def test_a_model_prints_its_configuration_where_it_is_asked_to(capsys):
    model = Model([Dense(4, 6)])
    assert (
        model.get_config()
        == model.get_config(verbose=0)
        == Sequential([*model.layers]).get_config()
    )
    assert capsys.readouterr().out == ""
    model.get_config(verbose=1)
    assert "'output_dim': 6" in capsys.readouterr().out


def test_the_container_shows_its_states_its_constants_and_every_node():
    rnn = Recursive()
    rnn.add_input("x", ndim=3, dim=4)
    rnn.add_input("context", ndim=2, dim=6, is_sequence=False)
    rnn.add_state("h", dim=6, initial=0.5)
    rnn.add_node(Dense(4, 6), "i2h", input="x")
    rnn.add_node(
        Activation("linear"),
        "rec",
        inputs=["i2h", "h", "context"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    assert rnn.state.keys() == {"h"}
    assert rnn.get_constants() == [rnn.input["context"]]
    given = {rnn.input["x"]: np.ones((3, 5, 4)), rnn.input["context"]: np.ones((3, 6))}
    start, i2h, rec = evaluate([rnn.state["h"], *rnn._get_output()], given)
    np.testing.assert_allclose(start, np.full((3, 6), 0.5))
    np.testing.assert_allclose(i2h, np.ones((3, 4)) @ rnn.get_weights()[0])
    np.testing.assert_allclose(rec, 5 * (i2h + 1) + 0.5)
    rnn.return_sequences = True
    assert [value.ndim for value in rnn._get_output()] == [3, 3]


def test_rows_may_be_shuffled_batch_by_batch():
    model = Model([Dense(1, 1)])
    model.compile("sgd", "mse")
    seen = []
    model._run = lambda kind, arrays: (
        seen.append(arrays["input"].ravel().tolist()) or {}
    )
    model.fit(
        np.arange(7.0)[:, np.newaxis],
        np.zeros((7, 1)),
        batch_size=2,
        nb_epoch=8,
        shuffle="batch",
        verbose=0,
    )
    epochs = [seen[start : start + 4] for start in range(0, 32, 4)]
    assert all(
        sorted(epoch) == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0]] for epoch in epochs
    )
    assert len({str(epoch) for epoch in epochs}) > 1 and all(
        epoch[-1] == [6.0] for epoch in epochs
    )
    with pytest.raises(
        ConfigError, match="argument 'shuffle' takes True, False or 'batch'"
    ):
        model.fit(np.ones((2, 1)), np.ones((2, 1)), shuffle="rows")


def test_files_of_2015_are_read_though_they_call_things_otherwise():
    dense = {"name": "Dense", "input_dim": 4, "output_dim": 6}
    layers = [
        {"name": "Activation", "activation": "tanh", "target": 0, "beta": 0.1},
        {
            "name": "AutoEncoder",
            "encoder_config": dense,
            "output_reconstruction": True,
            "decoder_config": {"name": "Dense", "input_dim": 6, "output_dim": 4},
        },
        {"name": "Merge", "layers": [dense, dense], "mode": "sum", "concat_axis": -1},
    ]
    found = [layer_from_config(layer, CLASSES) for layer in layers]
    assert [type(layer) for layer in found] == [Activation, AutoEncoder, Merge]
    with pytest.raises(ConfigError, match="got 'concat_axis'"):
        layer_from_config(layers[2] | {"concat_axis": 1}, CLASSES)


# Scripts of 2015, with other import lines: keras became recursive


def test_a_script_that_reads_sequences_of_words_runs():
    from recursive.layers.core import Activation, Dense, Dropout
    from recursive.layers.embeddings import Embedding
    from recursive.layers.recurrent import LSTM
    from recursive.models import Sequential, model_from_json

    np.random.seed(1337)
    max_features, maxlen, batch_size = 11, 7, 4
    X = np.random.randint(0, max_features, size=(20, maxlen))
    y = (X[:, 0] > 5).astype(int)
    X_train, X_test, y_train, y_test = X[:12], X[12:], y[:12], y[12:]

    model = Sequential()
    model.add(Embedding(max_features, 5))
    model.add(LSTM(5, 6))
    model.add(Dropout(0.5))
    model.add(Dense(6, 1))
    model.add(Activation("sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer="adam", class_mode="binary")

    history = model.fit(
        X_train,
        y_train,
        batch_size=batch_size,
        nb_epoch=2,
        validation_data=(X_test, y_test),
        show_accuracy=True,
        verbose=0,
    )
    score, acc = model.evaluate(
        X_test, y_test, batch_size=batch_size, show_accuracy=True, verbose=0
    )
    classes = model.predict_classes(X_test, batch_size=batch_size, verbose=0)

    assert history.epoch == [0, 1] and history.history.keys() == {
        "loss",
        "acc",
        "val_loss",
        "val_acc",
    }
    assert (
        score == pytest.approx(history.history["val_loss"][-1])
        and acc == history.history["val_acc"][-1]
    )
    assert classes.shape == (8, 1) and np.mean(classes.ravel() == y_test) == acc
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(
        again.predict_proba(X_test, verbose=0), model.predict_proba(X_test, verbose=0)
    )
    assert model.count_params() == 11 * 5 + 4 * (5 * 6 + 6 * 6 + 6) + 7


def test_a_script_that_trains_a_graph_of_two_inputs_and_two_outputs_runs(tmp_path):
    from recursive.layers.core import Dense
    from recursive.models import Graph
    from recursive.utils.test_utils import get_test_data

    np.random.seed(1337)
    (X, _), (X_test, _) = get_test_data(nb_train=12, nb_test=8, input_shape=(4,))
    (X2, y), (X2_test, y_test) = get_test_data(
        nb_train=12,
        nb_test=8,
        input_shape=(3,),
        output_shape=(2,),
        classification=False,
    )

    graph = Graph()
    graph.add_input(name="input1", ndim=2)
    graph.add_input(name="input2", ndim=2)
    graph.add_node(Dense(4, 6), name="dense1", input="input1")
    graph.add_node(Dense(3, 6), name="dense2", input="input2")
    graph.add_node(
        Dense(6, 5, activation="relu"),
        name="dense3",
        inputs=["dense1", "dense2"],
        merge_mode="sum",
    )
    graph.add_node(Dense(5, 2), name="dense4", input="dense3", create_output=True)
    graph.add_output(name="output2", inputs=["dense1", "dense2"], merge_mode="concat")
    graph.compile("rmsprop", {"dense4": "mse", "output2": "mse"})

    data = {"input1": X, "input2": X2, "dense4": y, "output2": np.zeros((12, 12))}
    held_out = {
        "input1": X_test,
        "input2": X2_test,
        "dense4": y_test,
        "output2": np.zeros((8, 12)),
    }
    history = graph.fit(
        data, batch_size=4, nb_epoch=3, validation_data=held_out, verbose=0
    )
    out = graph.predict({"input1": X_test, "input2": X2_test})
    loss = graph.test_on_batch(held_out)

    assert history.history["loss"][-1] < history.history["loss"][0]
    assert {name: value.shape for name, value in out.items()} == {
        "dense4": (8, 2),
        "output2": (8, 12),
    }
    assert (
        loss
        == pytest.approx(graph.evaluate(held_out))
        == pytest.approx(
            np.mean((out["dense4"] - y_test) ** 2) + np.mean(out["output2"] ** 2)
        )
    )
    graph.save_weights(str(tmp_path / "weights.h5"), overwrite=True)
    graph.train_on_batch(data)
    graph.load_weights(str(tmp_path / "weights.h5"))
    assert graph.test_on_batch(held_out) == loss
