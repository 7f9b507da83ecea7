"""Layers that a user writes: defaults of the base class, and errors for mistakes."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.sharedvalue import SharedVariable

from recursive import (
    LSTM,
    AutoEncoder,
    BatchNormalization,
    Dense,
    Embedding,
    Graph,
    Identity,
    Lambda,
    Layer,
    Merge,
    Recurrent,
    Recursive,
    Sequential,
)
from recursive.backend import evaluate, shared
from recursive.errors import ConfigError, DtypeError, NodeError, ShapeError
from recursive.layers.cells import RecurrentGRU


class Scale(Layer):
    """The shortest layer with parameters."""

    def build(self, input_shape):
        self.a = shared(np.full(input_shape[-1], 2.0))
        self.params = [self.a]

    def call(self, x, train=False):
        return x * self.a


def test_a_layer_is_built_on_its_first_call_without_setting_built():
    assert Scale()(np.ones((3, 4))).eval().tolist() == np.full((3, 4), 2.0).tolist()


def test_a_layer_is_built_once_in_any_container():
    layer = Scale()
    model = Sequential([Dense(4, 4), layer])
    model.build()
    layer.a.set_value(np.full(4, 5.0))
    model.build()
    model(np.ones((3, 4)))
    assert layer.a.get_value().tolist() == [5.0] * 4


def test_a_layer_in_a_loop_is_built_from_the_declaration():
    rnn = Recurrent()
    rnn.add_input("x", dim=4)
    rnn.add_node(Scale(), "h", input="x", create_output=True)
    rnn.build()
    assert rnn.named_params["h.a"].get_value().shape == (4,)
    assert np.all(rnn.predict(np.ones((3, 5, 4))) == 2.0)


def test_built_may_be_assigned_as_in_later_versions_of_keras():
    class Counted(Scale):
        def build(self, input_shape):
            self.times = getattr(self, "times", 0) + 1
            self.built = True

        def call(self, x, train=False):
            return x

    layer = Counted()
    assert not layer.built
    layer(np.ones((3, 4)))
    layer(np.ones((3, 4)))
    assert layer.times == 1


class Unstarted(Layer):
    def __init__(self, rate):
        self.rate = rate

    def call(self, x, train=False):
        return x * self.rate


@pytest.mark.parametrize(
    "use",
    [
        lambda layer: layer(np.ones((3, 4))),
        lambda layer: Sequential([layer]),
        lambda layer: with_input(Graph()).add_node(layer, "h", input="x"),
        lambda layer: Merge([Dense(4, 6), layer]),
        lambda layer: AutoEncoder(layer, Dense(2, 6)),
    ],
    ids=["called", "in a Sequential", "as a node", "merged", "in an AutoEncoder"],
)
def test_a_layer_without_super_init_is_refused(use):
    with pytest.raises(
        ConfigError, match=r"layer 'Unstarted' takes super\(\).__init__\(\)"
    ):
        use(Unstarted(2.0))


@pytest.mark.parametrize(
    "use",
    [
        lambda container: container.add_input("x", dim=4),
        lambda container: container.add_node(Dense(4, 6), "h", input="x"),
        lambda container: container.add_state("h", dim=6),
    ],
    ids=["an input", "a node", "a state"],
)
def test_a_container_without_super_init_is_refused(use):
    class Mine(Recursive):
        def __init__(self):
            self.dim = 6

    with pytest.raises(ConfigError, match=r"layer 'Mine' takes super\(\).__init__\(\)"):
        use(Mine())


def test_a_sequential_without_super_init_is_refused():
    class Mine(Sequential):
        def __init__(self):
            self.add(Dense(4, 6))

    with pytest.raises(ConfigError, match=r"layer 'Mine' takes super\(\).__init__\(\)"):
        Mine()


def with_input(graph):
    graph.add_input("x", ndim=2, dim=4)
    return graph


class Unlisted(Layer):
    def build(self, input_shape):
        self.b = shared(np.zeros(input_shape[-1]))

    def call(self, x, train=False):
        return x + self.b


class InAList(Unlisted):
    def build(self, input_shape):
        self.both = [shared(np.zeros(input_shape[-1])), None]

    def call(self, x, train=False):
        return x + self.both[0]


class Inside(Unlisted):
    def build(self, input_shape):
        self.inner = Dense(input_shape[-1], input_shape[-1])

    def call(self, x, train=False):
        return self.inner(x)


class Elsewhere(Layer):
    """Its output has twice the declared dim."""

    def __init__(self, dim):
        super().__init__()
        self.inner = Dense(dim, 2 * dim)
        self.params = self.inner.params

    def call(self, x, train=False):
        return self.inner(x)


class OtherAxes(Layer):
    def call(self, x, train=False):
        return x.sum(axis=-1)


class Silent(Layer):
    def call(self, x, train=False):
        x * 2


@pytest.mark.parametrize(
    "layer, error, words",
    [
        (
            Unlisted(),
            ConfigError,
            "parameter 'b' takes a place in self.params of Unlisted",
        ),
        (
            InAList(),
            ConfigError,
            r"parameter 'both\[0\]' takes a place in self.params of InAList",
        ),
        (
            Elsewhere(4),
            ShapeError,
            r"layer 'Elsewhere' takes an output of shape \(3, 4\).*got \(3, 8\)",
        ),
        (
            OtherAxes(),
            ShapeError,
            r"layer 'OtherAxes' takes an output of shape \(3, 4\).*got \(3\)",
        ),
        (
            Silent(),
            ConfigError,
            "layer 'Silent' takes a call that returns one tensor.*got NoneType",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Layer) else "",
)
def test_a_layer_that_breaks_a_rule_is_refused(layer, error, words):
    with pytest.raises(error, match=words):
        layer(np.ones((3, 4)))


def test_a_layer_that_lists_parameters_may_hold_constant_variables():
    class Projected(Scale):
        def build(self, input_shape):
            super().build(input_shape)
            self.fixed = shared(np.ones(input_shape[-1]))

    assert len(Projected()(np.ones((3, 4))).eval()) == 3


@pytest.mark.parametrize(
    "use",
    [
        lambda layer: layer.complete(),
        lambda layer: Sequential([layer]).build(),
    ],
    ids=["alone", "in a Sequential"],
)
def test_a_build_that_needs_an_unknown_dim_is_refused(use):
    with pytest.raises(
        ShapeError,
        match=r"layer 'Scale' takes an input of known dim.*got \(any, any\).*input_dim",
    ):
        use(Scale())


def test_an_error_inside_build_is_not_translated_if_the_dims_are_known():
    class Wrong(Scale):
        def build(self, input_shape):
            self.a = shared(np.full(input_shape[-1], 2.0)) + len(5)

    with pytest.raises(TypeError, match="len"):
        Wrong()(np.ones((3, 4)))


@pytest.mark.parametrize(
    "use",
    [
        lambda layer: layer(pt.tensor("x", dtype="float32", shape=(3, 4))),
        lambda layer: in_a_step(layer)(
            pt.tensor("x", dtype="float32", shape=(3, 5, 4))
        ),
    ],
    ids=["called", "in a loop"],
)
@pytensor.config.change_flags(floatX="float32")
def test_a_formula_that_returns_float64_for_float32_is_refused(use):
    with pytest.raises(
        DtypeError,
        match=r"layer 'Lambda' takes a formula that returns float32.*got float64",
    ):
        use(Lambda(lambda x: x * np.ones(4)))


def in_a_step(layer):
    rnn = Recurrent()
    rnn.add_input("x", dim=4)
    rnn.add_node(layer, "h", input="x", create_output=True)
    return rnn


def test_a_lambda_in_a_loop_that_drops_rows_is_refused():
    with pytest.raises(
        NodeError, match=r"node 'h' takes a row for each row of the batch.*got 1 of 7"
    ):
        in_a_step(Lambda(lambda x: x[:1])).complete()


def test_a_function_in_a_loop_that_reads_another_variable_is_refused():
    W = shared(np.ones((4, 4)), "W")
    rnn = Recurrent()
    rnn.add_input("x", dim=4)
    rnn.add_node(Lambda(lambda x: pt.dot(x, W), output_dim=4), "h", input="x")
    with pytest.raises(
        NodeError,
        match=r"node 'h' takes a function of its inputs and parameters.* reads the variable W\.",
    ):
        rnn(np.ones((3, 5, 4)))
    rnn = Recurrent(n_steps=5, unroll=True)
    rnn.add_input("x", dim=4)
    rnn.add_node(Lambda(lambda x: pt.dot(x, W), output_dim=4), "h", input="x")
    assert evaluate([rnn(np.ones((3, 5, 4)))], {})[0].tolist() == [[4.0] * 4] * 3


class Doubled(Dense):
    def call(self, x, train=False):
        return 2 * super().call(x, train)


def test_a_layer_of_the_library_may_be_called_within_another_formula():
    layer = Doubled(4, 6)
    assert layer.get_output_shape_for((3, 4)) == (3, 6)
    x = np.random.RandomState(0).normal(size=(3, 4))
    np.testing.assert_allclose(layer(x).eval(), 2 * x @ layer.W.get_value(), rtol=1e-6)


class Centring:
    """A mixin that is no layer: subtracts the mean over the rows."""

    def call(self, x, train=False):
        return super().call(x - x.mean(axis=0), train)


class Centred(Centring, Dense):
    pass


class Transformed(Dense):
    def transform_input(self, x):
        return 2 * super().transform_input(x)


class Finished(Dense):
    def finish(self, total, others):
        return total - total.mean(axis=0)


class FinishedInTheEnd(Finished):
    """A subclass of a class with another formula."""


OWN_FORMULAS = [
    (Doubled, lambda z, W: 2 * z @ W),
    (Centred, lambda z, W: (z - z.mean(axis=0)) @ W),
    (Transformed, lambda z, W: 2 * z @ W),
    (Finished, lambda z, W: z @ W - (z @ W).mean(axis=0)),
    (FinishedInTheEnd, lambda z, W: z @ W - (z @ W).mean(axis=0)),
]


@pytest.mark.parametrize(("layer", "formula"), OWN_FORMULAS)
def test_a_formula_around_that_of_a_layer_is_not_split_in_a_loop(layer, formula):
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=6)
    rnn.add_node(
        layer(10, 6), "rec", inputs=["x", "h"], return_state="h", create_output=True
    )
    x, h = np.random.RandomState(0).normal(size=(3, 5, 4)), np.zeros((3, 6))
    rnn.complete()
    found, W = rnn.predict(x.astype("float32")), rnn.named_params["rec.W"].get_value()
    for t in range(5):
        h = formula(np.concatenate([x[:, t], h], axis=1), W)
        np.testing.assert_allclose(found[:, t], h, rtol=1e-4, atol=1e-5)


class RowlessCell(RecurrentGRU):
    """A step that subtracts the mean over the rows."""

    def step(self, *args):
        return [value - value.mean(axis=0) for value in super().step(*args)]


def test_a_custom_step_sees_the_rows_of_one_step():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=6)
    rnn.add_node(
        Dense(10, 6, activation="tanh"), "d", inputs=["x", "h"], return_state="h"
    )
    rnn.add_node(
        RowlessCell(4, 6),
        "c",
        input={"input": "x", "prev_hid": "d"},
        create_output=True,
    )
    found = rnn.predict(
        np.random.RandomState(0).normal(size=(3, 5, 4)).astype("float32")
    )
    assert np.abs(found).max() > 0.1
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-6)


def test_rowwise_of_a_mixin_that_is_no_layer_is_ignored():
    class Fast:
        rowwise = True

    class Mine(Fast, Layer):
        def call(self, x, train=False):
            return x - x.mean(axis=0)

    assert Mine.rowwise is False


@pytest.mark.parametrize(("layer", "formula"), OWN_FORMULAS)
def test_a_custom_formula_that_reads_only_inputs_sees_the_rows_of_one_step(
    layer, formula
):
    """A formula of the library would be run for all steps at once."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_node(layer(4, 6), "y", input="x", create_output=True)
    x = np.random.RandomState(0).normal(size=(3, 5, 4))
    found, W = rnn.predict(x.astype("float32")), rnn.named_params["y.W"].get_value()
    for t in range(5):
        np.testing.assert_allclose(
            found[:, t], formula(x[:, t], W), rtol=1e-4, atol=1e-5
        )


def test_a_layer_that_breaks_a_rule_is_refused_in_a_loop_too():
    rnn = Recurrent()
    rnn.add_input("x", dim=4)
    rnn.add_node(Elsewhere(4), "h", input="x", create_output=True)
    with pytest.raises(ShapeError, match="layer 'Elsewhere'"):
        rnn(np.ones((3, 5, 4)))


def test_parameters_may_be_created_in_init_and_in_build():
    class Both(Layer):
        def __init__(self):
            super().__init__()
            self.g = shared(np.ones(()))
            self.params = [self.g]

        def build(self, input_shape):
            self.W = shared(np.ones((input_shape[-1], input_shape[-1])))
            self.params = [self.g, self.W]

        def call(self, x, train=False):
            return self.g * x.dot(self.W)

    assert Both()(np.ones((3, 4))).eval().tolist() == np.full((3, 4), 4.0).tolist()


@pytest.mark.parametrize(
    "make", [lambda: LSTM(4, 6), lambda: Dense(4, 6), lambda: Embedding(4, 6), Scale]
)
def test_a_frozen_layer_keeps_its_weights(make):
    layer = make()
    layer.ensure_built((None, 4))
    held = [
        value for value in vars(layer).values() if isinstance(value, SharedVariable)
    ]
    layer.params = []
    layer.ensure_built((None, 4))
    assert held
    assert held == [
        value for value in vars(layer).values() if isinstance(value, SharedVariable)
    ]


def test_a_shape_rule_that_needs_unknown_sizes_is_not_compared():
    class Cut(Layer):
        def call(self, x, train=False):
            return x[:, 2:]

        def get_output_shape_for(self, input_shape):
            return (input_shape[0], input_shape[1] - 2, input_shape[2])

    assert Cut()(pt.tensor3()).ndim == 3
    assert Cut()(np.ones((3, 5, 4))).type.shape == (3, 3, 4)


def test_a_layer_with_several_ports_needs_no_shape_rule():
    class Added(Layer):
        ports = ("a", "b")

        def call(self, x, train=False):
            return x["a"] + x["b"]

    assert Added()({"a": np.ones((3, 4)), "b": np.ones((3, 4))}).eval().shape == (3, 4)


def test_shapes_of_targets_are_computed_again_after_compile():
    x = np.ones((3, 5, 4))
    model = Sequential([LSTM(4, 2, return_sequences=True)])
    model.compile("sgd", "mse", backend="python")
    model.train_on_batch(x, np.ones((3, 5, 2)))
    model.train_on_batch(x, np.ones((3, 5, 2)))
    model.layers[0].return_sequences = False
    model.compile("sgd", "mse", backend="python")
    model.train_on_batch(x, np.ones((3, 2)))


def test_a_state_gets_its_dim_from_an_input_of_open_dim():
    rnn = Recurrent()
    rnn.add_input("x")
    rnn.add_node(
        Identity(), "h", inputs=["x", "h_tm1"], merge_mode="sum", create_output=True
    )
    assert "h" in rnn.summary()
    assert rnn.predict(np.ones((3, 5, 4))).shape == (3, 4)


def test_parameters_of_an_inner_layer_are_learned_and_saved():
    inside = Inside()
    model = Sequential([Dense(4, 3), inside])
    model.compile("sgd", "mse", backend="python")
    model.predict(np.ones((2, 4)))
    before = model.get_weights()
    assert list(model.named_params) == [
        "layer_0.W",
        "layer_0.b",
        "layer_1.inner.W",
        "layer_1.inner.b",
    ]
    model.train_on_batch(np.ones((2, 4)), np.zeros((2, 3)))
    changed = [
        not np.array_equal(old, new)
        for old, new in zip(before, model.get_weights(), strict=True)
    ]
    assert all(changed)


def test_an_inner_layer_with_side_outputs_is_refused_inside_a_formula():
    class Around(Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def call(self, x, train=False):
            return self.inner(x, train=train)

    for inner in (
        Dense(4, 4, activity_regularizer="activity_l2"),
        BatchNormalization((4,)),
    ):
        with pytest.raises(
            ConfigError, match=r"layer 'Around'.*'inner'.*Override apply"
        ):
            Sequential([Around(inner)]).predict(np.ones((2, 4)))


def test_a_layer_may_apply_its_inner_layers_itself():
    class Around(Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def apply(self, inputs, call):
            return self.inner.apply(inputs, call.inside("inner"))

    x = np.random.RandomState(1).normal(size=(5, 4))
    inner = BatchNormalization((4,))
    model = Sequential([Around(inner)])
    model.compile("sgd", "mse", backend="python")
    model.train_on_batch(x, np.zeros((5, 4)))
    assert np.allclose(inner.running_mean.get_value(), 0.1 * x.mean(axis=0))
