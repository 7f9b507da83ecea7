"""The files of a model: its weights, the state of its optimizer, its configuration."""

from __future__ import annotations

import pprint
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from recursive.locked import locked
from recursive.training.config import to_config, to_json, to_yaml
from recursive.utils import weight_files


class ModelFiles:
    """The methods of a model that read and write files.

    Source: ``keras.models`` of Keras 0.1, which did not save optimizers.
    """

    # Weights in files

    def save_weights(self, filepath: str | Path, overwrite: bool = False) -> None:
        """Write all weights to a file.

        The suffix decides the format: ``.h5`` (the layout of Keras 0.1.3) or
        ``.safetensors``. A process killed while writing leaves the old file or the new
        one.

        Raises:
            ConfigError: for another suffix, or a file that exists unless ``overwrite``.
            ShapeError: if some weights do not exist yet because the dim of an input is
                not known.
        """
        self.complete()
        weight_files.save_weights(filepath, self._weight_groups(), overwrite)

    @locked
    def load_weights(self, filepath: str | Path) -> None:
        """Read all weights from a file that ``save_weights`` wrote.

        Nothing is changed unless all of them fit. HDF5 files of Keras 0.1.3 hold the
        parameters alone; running means then keep their values.

        Raises:
            WeightsError: for a file that cannot be read, or with other names, numbers
                or shapes.
        """
        self.complete()
        in_2015 = self._in_groups(self.named_params)
        found = weight_files.load_weights(filepath, self._weight_groups(), in_2015)
        weights = []
        for arrays in found.values():
            weights += arrays.values()
        self.set_weights(weights)

    def save_optimizer(self, filepath: str | Path, overwrite: bool = False) -> None:
        """Write the state of the optimizer (momenta, means, step count) to a file.

        Training that loads it and the weights continues as if it had not stopped.
        Settings are in ``to_json``. The random generators of Dropout and of numpy,
        which shuffles, are not saved: seed them yourself.

        Raises:
            NotCompiledError: before ``compile`` with an optimizer.
            ConfigError: for another suffix, or a file that exists unless ``overwrite``.
        """
        weight_files.save_weights(filepath, self._optimizer_groups(), overwrite)

    @locked
    def load_optimizer(self, filepath: str | Path) -> None:
        """Read a file that ``save_optimizer`` wrote.

        Nothing is changed unless all of it fits.

        Raises:
            NotCompiledError: before ``compile`` with an optimizer.
            WeightsError: for a file that cannot be read, or of another optimizer or
                model.
        """
        # This creates missing slots, so a model that never trained can load too.
        groups = self._optimizer_groups()
        [found] = weight_files.load_weights(filepath, groups).values()
        variables = self.optimizer.named_state(self.named_params)
        for name, variable in variables.items():
            variable.set_value(found[name].astype(variable.dtype))

    @locked
    def _optimizer_groups(self) -> dict[str, dict[str, np.ndarray]]:
        self._check_compiled("optimizer")
        self.complete()
        state = self.optimizer.named_state(self.named_params)
        return {type(self.optimizer).__name__: _copies(state)}

    @locked
    def _weight_groups(self) -> dict[str, dict[str, np.ndarray]]:
        return self._in_groups(_copies(self.named_weights))

    def _in_groups(self, named: Mapping[str, object]) -> dict[str, dict[str, object]]:
        """Values by name, in the groups of a file."""
        return {"graph": dict(named)}

    # The configuration

    def get_config(self, verbose: int = 0) -> dict[str, object]:
        """Return the class, as ``name``, and the arguments that recreate the layers.

        ``verbose=1`` prints them too. The arguments of ``compile`` are in ``to_json``.
        """
        config = super().get_config()
        if verbose:
            pprint.pprint(config)
        return config

    def to_json(self, indent: int | None = None) -> str:
        """Return the layers and the arguments of ``compile`` as JSON, without weights.

        ``model_from_json`` reads it.

        Raises:
            ConfigError: if a layer, the loss or the optimizer is user-defined code.
        """
        return to_json(self._model_config(), indent)

    def to_yaml(self) -> str:
        """Return what ``to_json`` returns, as YAML.

        Raises:
            ConfigError: if a layer, the loss or the optimizer is user-defined code.
            MissingPackageError: without the extra ``yaml``.
        """
        return to_yaml(self._model_config())

    def _model_config(self) -> dict[str, object]:
        return to_config(self)


def _copies(variables: Mapping[str, SharedVariable]) -> dict[str, np.ndarray]:
    return {
        name: np.array(variable.get_value()) for name, variable in variables.items()
    }
