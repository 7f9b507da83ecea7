"""Containers that learn: Sequential, Graph, Recursive and Recurrent, and models made from their configurations."""

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
from recursive.locked import locked
from recursive.objectives import weighted_objective  # noqa: F401 (where Keras 0.1 had it)
from recursive.training.config import from_config, parse_json, parse_yaml
from recursive.training.data import Arrays
from recursive.training.model import Model


class Sequential(Model, containers.Sequential):
    """A chain of layers that learns.

    >>> from recursive.layers.core import Dense
    >>> model = Sequential([Dense(4, 6, activation="tanh"), Dense(2)])
    >>> model.compile("sgd", "mse", backend="python")
    >>> model.predict(np.ones((3, 4))).shape
    (3, 2)
    """

    def predict_proba(
        self, X: object, batch_size: int = 128, verbose: int = 1
    ) -> np.ndarray:
        """As ``predict``; warns of values that are no probabilities."""
        found = self.predict(X, batch_size, verbose)
        if np.min(found) < 0 or np.max(found) > 1:
            warnings.warn(
                "Some of what the network predicts is below 0 or above 1: no probabilities. "
                "End it with softmax or sigmoid.",
                stacklevel=2,
            )
        return found

    def predict_classes(
        self, X: object, batch_size: int = 128, verbose: int = 1
    ) -> np.ndarray:
        """The class of each row: the place of the largest value, or, for class mode ``binary``, 1 above 0.5."""
        found = self.predict(X, batch_size, verbose)
        return (
            found.argmax(axis=-1)
            if self.class_mode == "categorical"
            else (found > 0.5).astype("int32")
        )

    @locked
    def _weight_groups(self) -> dict[str, dict[str, np.ndarray]]:
        groups: dict[str, dict[str, np.ndarray]] = {
            f"layer_{index}": {} for index in range(len(self.layers))
        }
        for name, param in self.named_weights.items():
            layer, _, inner = name.partition(".")
            groups[layer][inner] = np.array(param.get_value())
        return groups


class Graph(Model, containers.Graph):
    """A graph of named layers that learns. ``data`` is a dict with all inputs and targets by name.

    The order of arguments is that of Keras 0.1; what it had not comes last.

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
    ) -> None:
        super().compile(optimizer, loss, class_mode, theano_mode, backend)

    def train_on_batch(
        self,
        data: object,
        class_weight: object = None,
        sample_weight: object = None,
        accuracy: bool = False,
        y: object = None,
    ) -> float | tuple[float, float]:
        return super().train_on_batch(data, y, accuracy, class_weight, sample_weight)

    def test_on_batch(
        self,
        data: object,
        sample_weight: object = None,
        accuracy: bool = False,
        y: object = None,
    ) -> float | tuple[float, float]:
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
        )

    def predict_on_batch(self, data: object) -> Arrays:
        return super().predict_on_batch(data)

    def predict(
        self, data: object = None, batch_size: int | None = 128, verbose: int = 0
    ) -> np.ndarray | Arrays:
        return super().predict(data, batch_size, verbose)

    def evaluate(
        self,
        data: object,
        batch_size: int = 128,
        verbose: int = 0,
        sample_weight: object = None,
        show_accuracy: bool = False,
        y: object = None,
    ) -> float | tuple[float, float]:
        return super().evaluate(
            data, y, batch_size, show_accuracy, verbose, sample_weight
        )


class Recursive(Model, loops.Recursive):
    """A recurrent network as a graph, that learns.

    >>> from recursive.layers.core import Dense
    >>> rnn = Recursive(return_sequences=True)
    >>> rnn.add_input("x", ndim=3)
    >>> rnn.add_state("h", dim=6)
    >>> rnn.add_node(Dense(6, activation="tanh"), "rec", inputs=["x", "h"], return_state="h", create_output=True)
    >>> rnn.compile("sgd", "mse", backend="python")
    >>> rnn.predict(np.ones((3, 5, 4))).shape
    (3, 5, 6)
    """


class Recurrent(Model, loops.Recurrent):
    """A recurrent network as a graph without states to declare, that learns.

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
"""Every class that a configuration may name."""


def model_from_json(
    json_string: str, custom_layers: Mapping[str, type[Layer]] | None = None
) -> Model:
    """The model that ``to_json`` wrote, here or in Keras 0.1.3, compiled where it was, with new weights.

    Args:
        json_string: the text, not the name of a file.
        custom_layers: layer classes of your own by name.

    Raises:
        ConfigError: for text that is no JSON, another version, unknown keys or classes, or fields of a wrong type.
        RecursiveError: a child of it, from the checks of layers and ``compile``.

    >>> from recursive.layers.core import Dense
    >>> model_from_json(Sequential([Dense(4, 6), Dense(2)]).to_json()).predict(np.ones((3, 4))).shape
    (3, 2)
    """
    return from_config(
        parse_json(json_string), CLASSES | _checked_classes(custom_layers)
    )


def model_from_yaml(
    yaml_string: str, custom_layers: Mapping[str, type[Layer]] | None = None
) -> Model:
    """As ``model_from_json``, from YAML.

    Raises:
        MissingPackageError: without the extra ``yaml``.
        RecursiveError: as ``model_from_json``.
    """
    return from_config(
        parse_yaml(yaml_string), CLASSES | _checked_classes(custom_layers)
    )


def _checked_classes(given: object) -> dict[str, type[Layer]]:
    given = {} if given is None else given
    if not isinstance(given, Mapping) or not all(
        isinstance(cls, type) and issubclass(cls, Layer) for cls in given.values()
    ):
        raise ConfigError.about(
            "argument",
            "custom_layers",
            takes="a dict from names to layer classes",
            because="layers are made from them",
            got=repr(given),
            do="Say custom_layers={'Mine': Mine}.",
        )
    return dict(given)
