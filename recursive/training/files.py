"""A model in files: its weights, what its optimizer remembers, and its configuration."""

from __future__ import annotations

import pprint
from pathlib import Path

import numpy as np

from recursive.locked import locked
from recursive.training.config import to_config, to_json, to_yaml
from recursive.utils import weight_files


class Stored:
    """``save_weights``, ``save_optimizer``, ``to_json`` and their like, for whatever learns.

    Source: ``keras.models`` of Keras 0.1; the optimizer's memory was not kept then.
    """

    # Weights in files

    def save_weights(self, filepath: str | Path, overwrite: bool = False) -> None:
        """Write all weights to a file: ``.h5`` (the layout of Keras 0.1.3) or ``.safetensors``, by the suffix.

        A process that is killed meanwhile leaves the old file or the new one.

        Raises:
            ConfigError: for another suffix, or a file that exists unless ``overwrite``.
            ShapeError: where some weights are not drawn yet, because the dim of an input is not known.
        """
        self.complete()
        weight_files.save_weights(filepath, self._weight_groups(), overwrite)

    @locked
    def load_weights(self, filepath: str | Path) -> None:
        """Read all weights from a file that ``save_weights`` wrote; nothing is changed unless all of them fit.

        Raises:
            WeightsError: for a file that cannot be read, or holds other names, numbers or shapes.
        """
        self.complete()
        found = weight_files.load_weights(filepath, self._weight_groups())
        self.set_weights([array for arrays in found.values() for array in arrays])

    def save_optimizer(self, filepath: str | Path, overwrite: bool = False) -> None:
        """Write what the optimizer remembers beside the weights (momenta, means, its count of steps) to a file.

        A run that loads it, and the weights, goes on as if it had not stopped. Settings are in ``to_json``; the
        generators of a Dropout and of numpy, which shuffles, are yours to seed.

        Raises:
            NotCompiledError: before ``compile`` with an optimizer.
            ConfigError: for another suffix, or a file that exists unless ``overwrite``.
        """
        weight_files.save_weights(filepath, self._optimizer_groups(), overwrite)

    @locked
    def load_optimizer(self, filepath: str | Path) -> None:
        """Read what ``save_optimizer`` wrote; nothing is changed unless all of it fits.

        Raises:
            NotCompiledError: before ``compile`` with an optimizer.
            WeightsError: for a file that cannot be read, or of another optimizer or model.
        """
        groups = self._optimizer_groups()
        [found] = weight_files.load_weights(filepath, groups).values()
        for variable, value in zip(
            self.optimizer.named_state(self.named_params).values(), found, strict=True
        ):
            variable.set_value(value.astype(variable.dtype))

    @locked
    def _optimizer_groups(self) -> dict[str, dict[str, np.ndarray]]:
        self._check_compiled("optimizer")
        self.complete()
        state = self.optimizer.named_state(self.named_params)
        return {
            type(self.optimizer).__name__: {
                name: np.array(value.get_value()) for name, value in state.items()
            }
        }

    @locked
    def _weight_groups(self) -> dict[str, dict[str, np.ndarray]]:
        return {
            "graph": {
                name: np.array(param.get_value())
                for name, param in self.named_weights.items()
            }
        }

    # The model in a file

    def get_config(self, verbose: int = 0) -> dict[str, object]:
        """The class name, as ``name``, and the arguments that make the layers again; ``verbose=1`` prints them too.

        How the model was compiled is in ``to_json``.
        """
        config = super().get_config()
        if verbose:
            pprint.pprint(config)
        return config

    def to_json(self, indent: int | None = None) -> str:
        """The layers and the arguments of ``compile`` as JSON, which ``model_from_json`` reads; no weights.

        Raises:
            ConfigError: where a layer, the loss or the optimizer is code of your own.
        """
        return to_json(self._model_config(), indent)

    def to_yaml(self) -> str:
        """As ``to_json``, in YAML.

        Raises:
            ConfigError: where a layer, the loss or the optimizer is code of your own.
            MissingPackageError: without the extra ``yaml``.
        """
        return to_yaml(self._model_config())

    def _model_config(self) -> dict[str, object]:
        return to_config(self, self.optimizer, self.loss, self.class_mode)
