"""The containers as models that can be trained, and models from configurations."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from recursive import optimizers
from recursive.callbacks import Callback, History
from recursive.errors import ConfigError
from recursive.layers import containers
from recursive.layers import recursive as loops
from recursive.layers.config import CLASSES as LAYERS
from recursive.layers.layer import Layer
from recursive.objectives import weighted_objective  # noqa: F401 (as in Keras 0.1)
from recursive.training.config import from_config, parse_json, parse_yaml
from recursive.training.data import Arrays
from recursive.training.legacy import (  # noqa: F401 (as in Keras 0.1)
    batch_shuffle,
    make_batches,
    slice_X,
    standardize_weights,
    standardize_X,
    standardize_y,
)
from recursive.training.model import Metrics, Model


class Sequential(Model, containers.Sequential):
    """A chain of layers that can be trained.

    >>> from recursive.layers.core import Dense
    >>> model = Sequential([Dense(4, 6, activation="tanh"), Dense(2)])
    >>> model.compile("sgd", "mse", backend="python")
    >>> model.predict(np.ones((3, 4))).shape
    (3, 2)
    """

    def predict_proba(
        self, X: object, batch_size: int = 128, verbose: int = 1
    ) -> np.ndarray:
        """The same as ``predict``; warns if values are not probabilities."""
        found = self.predict(X, batch_size, verbose)
        if np.min(found) < 0 or np.max(found) > 1:
            warnings.warn(
                "Some predictions are below 0 or above 1, so they are not "
                "probabilities. End the network with softmax or sigmoid.",
                stacklevel=2,
            )
        return found

    def predict_classes(
        self, X: object, batch_size: int = 128, verbose: int = 1
    ) -> np.ndarray:
        """The class of each row.

        It is the index of the largest value, or for class mode ``binary``, 1 above 0.5.
        """
        found = self.predict(X, batch_size, verbose)
        if self.class_mode == "categorical":
            return found.argmax(axis=-1)
        return (found > 0.5).astype("int32")

    def _predict(self, *arrays: np.ndarray) -> np.ndarray | list[np.ndarray]:
        """The output; several in a list. As compiled by Keras 0.1."""
        found = super()._predict(*arrays)
        return found[0] if len(found) == 1 else found

    def _in_groups(self, named: Mapping[str, object]) -> dict[str, dict[str, object]]:
        # A layer without weights has a group too: files of Keras 0.1 have one per
        # layer.
        groups: dict[str, dict[str, object]] = {name: {} for name in self.children}
        for name, value in named.items():
            layer, _, inner = name.partition(".")
            groups[layer][inner] = value
        return groups


class Graph(Model, containers.Graph):
    """A graph of named layers that can be trained.

    ``data`` is a dict of all inputs and targets by name. The arguments are in the order
    of Keras 0.1, followed by those that it did not have.

    >>> from recursive.layers.core import Dense
    >>> model = Graph()
    >>> model.add_input("x", dim=4)
    >>> model.add_node(Dense(2), "y", input="x", create_output=True)
    >>> model.compile("sgd", {"y": "mse"}, backend="python")
    >>> model.predict({"x": np.ones((3, 4))})["y"].shape
    (3, 2)
    """

    def compile(
        self,
        optimizer: str | optimizers.Optimizer | None = None,
        loss: str | Callable | Mapping[str, str | Callable] | None = None,
        theano_mode: None = None,
        class_mode: str = "categorical",
        backend: str | None = None,
        metrics: Metrics = None,
        loss_weights: Mapping[str, float] | Sequence[float] | None = None,
    ) -> None:
        super().compile(
            optimizer, loss, class_mode, theano_mode, backend, metrics, loss_weights
        )

    def train_on_batch(
        self,
        data: object,
        class_weight: object = None,
        sample_weight: object = None,
        accuracy: bool = False,
        y: object = None,
    ) -> float | tuple[float, ...]:
        return super().train_on_batch(data, y, accuracy, class_weight, sample_weight)

    def test_on_batch(
        self,
        data: object,
        sample_weight: object = None,
        accuracy: bool = False,
        y: object = None,
    ) -> float | tuple[float, ...]:
        return super().test_on_batch(data, y, accuracy, sample_weight)

    def fit(
        self,
        data: object,
        batch_size: int = 128,
        nb_epoch: int = 100,
        verbose: int = 1,
        callbacks: Sequence[Callback] = (),
        validation_split: float = 0.0,
        validation_data: object = None,
        shuffle: bool | str = True,
        class_weight: object = None,
        sample_weight: object = None,
        show_accuracy: bool = False,
        y: object = None,
        reset_states: str | None = None,
        tbptt_steps: int | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        recompute: bool = False,
    ) -> History:
        return super().fit(
            data,
            y,
            batch_size,
            nb_epoch,
            verbose,
            callbacks,
            validation_split,
            validation_data,
            shuffle,
            show_accuracy,
            class_weight,
            sample_weight,
            reset_states,
            tbptt_steps,
            initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            recompute=recompute,
        )

    def predict_on_batch(self, data: object, n_steps: int | None = None) -> Arrays:
        return super().predict_on_batch(data, n_steps)

    def predict(
        self,
        data: object = None,
        batch_size: int | None = 128,
        verbose: int = 0,
        steps: int | None = None,
        n_steps: int | None = None,
    ) -> np.ndarray | Arrays:
        return super().predict(data, batch_size, verbose, steps, n_steps)

    def evaluate(
        self,
        data: object,
        batch_size: int = 128,
        verbose: int = 0,
        sample_weight: object = None,
        show_accuracy: bool = False,
        y: object = None,
        steps: int | None = None,
    ) -> float | tuple[float, ...]:
        return super().evaluate(
            data, y, batch_size, show_accuracy, verbose, sample_weight, steps
        )


class Recursive(Model, loops.Recursive):
    """A recurrent network declared as a graph, that can be trained.

    >>> from recursive.layers.core import Dense
    >>> rnn = Recursive(return_sequences=True)
    >>> rnn.add_input("x", ndim=3)
    >>> rnn.add_state("h", dim=6)
    >>> rnn.add_node(Dense(6, activation="tanh"), "rec", inputs=["x", "h"],
    ...              return_state="h", create_output=True)
    >>> rnn.compile("sgd", "mse", backend="python")
    >>> rnn.predict(np.ones((3, 5, 4))).shape
    (3, 5, 6)
    """


class Recurrent(Model, loops.Recurrent):
    """A recurrent network with undeclared states, that can be trained.

    >>> from recursive.layers.cells import RecurrentDense
    >>> rnn = Recurrent(return_sequences=True)
    >>> rnn.add_input("x", dim=4)
    >>> rnn.add_node(RecurrentDense(6), "h", input="x")
    >>> rnn.compile(backend="python")
    >>> rnn.predict(np.ones((3, 5, 4))).shape
    (3, 5, 6)
    """


CLASSES = LAYERS | {
    cls.__name__: cls for cls in (Sequential, Graph, Recursive, Recurrent)
}
"""The classes that a configuration may name."""


def model_from_config(
    config: Mapping[str, object], custom_layers: Mapping[str, type[Layer]] | None = None
) -> Model:
    """The model that a configuration describes, with new weights.

    It is compiled if the configuration holds the arguments of ``compile``, as that of
    ``to_json`` does and that of ``get_config`` does not.

    Args:
        config: plain data; it is not changed.
        custom_layers: user-defined layer classes by name.

    Raises:
        ConfigError: as ``model_from_json``.
        RecursiveError: a subclass of it, from the checks of layers and ``compile``.

    >>> from recursive.layers.core import Dense
    >>> config = Sequential([Dense(4, 6), Dense(2)]).get_config()
    >>> model_from_config(config).predict(np.ones((3, 4))).shape
    (3, 2)
    """
    return from_config(config, CLASSES | _checked_classes(custom_layers))


def model_from_json(
    json_string: str, custom_layers: Mapping[str, type[Layer]] | None = None
) -> Model:
    """The model that ``to_json`` wrote, here or in Keras 0.1.3, with new weights.

    It is compiled if the written model was.

    Args:
        json_string: the text, not the name of a file.
        custom_layers: user-defined layer classes by name.

    Raises:
        ConfigError: for text that is not JSON, another version, unknown keys or
            classes, or fields of a wrong type.
        RecursiveError: a subclass of it, from the checks of layers and ``compile``.

    >>> from recursive.layers.core import Dense
    >>> text = Sequential([Dense(4, 6), Dense(2)]).to_json()
    >>> model_from_json(text).predict(np.ones((3, 4))).shape
    (3, 2)
    """
    return model_from_config(parse_json(json_string), custom_layers)


def model_from_yaml(
    yaml_string: str, custom_layers: Mapping[str, type[Layer]] | None = None
) -> Model:
    """The model that ``to_yaml`` wrote; see :func:`model_from_json`.

    Raises:
        MissingPackageError: without the extra ``yaml``.
        RecursiveError: as ``model_from_json``.
    """
    return model_from_config(parse_yaml(yaml_string), custom_layers)


def _checked_classes(given: object) -> dict[str, type[Layer]]:
    if given is None:
        return {}
    is_dict = isinstance(given, Mapping)
    if is_dict and all(map(_is_layer_class, given.values())):
        return dict(given)
    raise ConfigError.about(
        "argument",
        "custom_layers",
        takes="a dict from names to layer classes",
        got=repr(given),
        do="Say custom_layers={'Mine': Mine}.",
    )


def _is_layer_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Layer)
