"""The compiled functions of a model as Keras 0.1 had them: arrays by position.

In 2015 ``compile`` assigned them to the model, and scripts and callbacks called them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from recursive.errors import DataError


class PositionalFunctions:
    """The functions of 2015 of a model: ``_train``, ``_test``, ``_predict``.

    They take the inputs, then the targets, then the weights of each target, each group
    in the order of the declaration. Weights may be left out.

    Source: ``keras.models`` of Keras 0.1.
    """

    def _train(self, *arrays: np.ndarray) -> float:
        """Make one optimizer step and return the loss from before it."""
        return self._on_arrays(self.train_on_batch, arrays, accuracy=False)

    def _train_with_acc(self, *arrays: np.ndarray) -> tuple[float, float]:
        """Make one optimizer step and return loss and accuracy from before it."""
        return self._on_arrays(self.train_on_batch, arrays, accuracy=True)

    def _test(self, *arrays: np.ndarray) -> float:
        """Return the loss without learning."""
        return self._on_arrays(self.test_on_batch, arrays, accuracy=False)

    def _test_with_acc(self, *arrays: np.ndarray) -> tuple[float, float]:
        """Return loss and accuracy without learning."""
        return self._on_arrays(self.test_on_batch, arrays, accuracy=True)

    def _predict(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """Return the outputs in their order."""
        inputs = self._input_names()
        if len(arrays) != len(inputs):
            raise _wrong_number(arrays, f"{len(inputs)} arrays ({', '.join(inputs)})")
        found = self.predict_on_batch(dict(zip(inputs, arrays, strict=True)))
        return list(found.values())

    def _on_arrays(
        self, on_batch: Callable, arrays: Sequence[np.ndarray], accuracy: bool
    ) -> float | tuple[float, float]:
        inputs = self._input_names()
        outputs = self.output_names
        with_targets = len(inputs) + len(outputs)
        if len(arrays) not in (with_targets, with_targets + len(outputs)):
            raise _wrong_number(
                arrays,
                f"inputs ({', '.join(inputs)}), targets ({', '.join(outputs)}) "
                "and maybe a weight for each target",
            )
        X = dict(zip(inputs, arrays, strict=False))
        y = dict(zip(outputs, arrays[len(inputs) :], strict=False))
        weights = dict(zip(outputs, arrays[with_targets:], strict=False))
        return on_batch(X, y=y, accuracy=accuracy, sample_weight=weights or None)

    def _input_names(self) -> list[str]:
        return [argument.name for argument in self.arguments()]


def _wrong_number(arrays: Sequence[np.ndarray], takes: str) -> DataError:
    return DataError.about(
        "model",
        "arrays",
        takes=takes,
        got=f"{len(arrays)} arrays",
        do="Pass each as an argument of its own, in this order.",
    )
