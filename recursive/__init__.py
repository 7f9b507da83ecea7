"""Recurrent networks declared as graphs of named inputs, states and nodes.

The container writes the step of the scan, as Eder Santana proposed in 2015 (keras issue
620). Public names are loaded at first use, so that ``import recursive.spec`` loads no
tensor library.
"""

from __future__ import annotations

import importlib

_HOMES = {
    "Activation": "layers.core",
    "ActivityRegularization": "layers.maxout",
    "Adadelta": "optimizers",
    "Adagrad": "optimizers",
    "Adam": "optimizers",
    "Attention": "layers.attention",
    "AutoEncoder": "layers.autoencoder",
    "BackendError": "errors",
    "BatchNormalization": "layers.normalization",
    "Bidirectional": "layers.wrappers",
    "Blend": "layers.cells",
    "CSVLogger": "callbacks",
    "Callback": "callbacks",
    "Cell": "layers.cells",
    "Dense": "layers.core",
    "DropMask": "layers.masking",
    "Dropout": "layers.core",
    "EarlyStopping": "callbacks",
    "Embedding": "layers.embeddings",
    "Flatten": "layers.shaping",
    "GRU": "layers.recurrent",
    "Gate": "layers.cells",
    "GaussianDropout": "layers.noise",
    "GaussianNoise": "layers.noise",
    "Graph": "models",
    "GraphSpec": "spec.graph",
    "Greedy": "layers.decoding",
    "History": "callbacks",
    "Identity": "layers.core",
    "IfElse": "layers.choice",
    "JZS1": "layers.recurrent",
    "JZS2": "layers.recurrent",
    "JZS3": "layers.recurrent",
    "LSTM": "layers.recurrent",
    "Lambda": "layers.core",
    "Layer": "layers.layer",
    "LayerNormalization": "layers.normalization",
    "LeakyReLU": "layers.advanced_activations",
    "LearningRateScheduler": "callbacks",
    "MaskedLayer": "layers.layer",
    "Masking": "layers.masking",
    "MaxoutDense": "layers.maxout",
    "Merge": "layers.merge",
    "ModelCheckpoint": "callbacks",
    "PReLU": "layers.advanced_activations",
    "ParametricSoftplus": "layers.advanced_activations",
    "Permute": "layers.shaping",
    "RMSprop": "optimizers",
    "RNN": "layers.rnn",
    "ReadMask": "layers.masking",
    "ReduceLROnPlateau": "callbacks",
    "Recurrent": "models",
    "RecurrentDeep": "layers.cells",
    "RecurrentDense": "layers.cells",
    "RecurrentGRU": "layers.cells",
    "RecurrentJZS1": "layers.jzs",
    "RecurrentJZS2": "layers.jzs",
    "RecurrentJZS3": "layers.jzs",
    "RecurrentLSTM": "layers.cells",
    "Recursive": "models",
    "RecursiveError": "errors",
    "RepeatVector": "layers.shaping",
    "Reshape": "layers.shaping",
    "RunningAverage": "layers.running",
    "SGD": "optimizers",
    "Sample": "layers.decoding",
    "Sequential": "models",
    "ShareScheduler": "callbacks",
    "SimpleDeepRNN": "layers.recurrent",
    "SimpleRNN": "layers.recurrent",
    "Switch": "layers.choice",
    "ThresholdedLinear": "layers.advanced_activations",
    "ThresholdedReLU": "layers.advanced_activations",
    "Teacher": "layers.teacher",
    "TensorBoard": "callbacks",
    "TimeDistributedDense": "layers.core",
    "Zoneout": "layers.noise",
    "generate": "generation",
    "merge_ave": "spec.reads",
    "merge_concat": "spec.reads",
    "merge_dot": "spec.reads",
    "merge_max": "spec.reads",
    "merge_mul": "spec.reads",
    "merge_sum": "spec.reads",
    "model_from_json": "models",
    "model_from_yaml": "models",
    "set_backend": "backend.choose",
    "set_threads": "backend.c_loop.threads",
}

__version__ = "0.1.0"
__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> object:
    """Load a public name from its home (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
