"""The configuration of a model as JSON or YAML: its layers and how it was compiled.

A Graph or Recursive is written as its versioned GraphSpec, a Sequential as a list of
layers. Files of Keras 0.1.3 can be read too. Weights are not part of a configuration,
and nothing in a file is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from recursive import limits, metrics, objectives, optimizers
from recursive.errors import ConfigError, RecursiveError, suggest
from recursive.layers.config import (
    Classes,
    advice_for_own,
    check_keys,
    check_plain,
    layer_from_config,
    shared_layers,
)
from recursive.layers.identity import config_of
from recursive.layers.layer import Layer
from recursive.optimizers import Optimizer
from recursive.spec.graph import VERSION
from recursive.utils import extras

COMPILED = (
    "optimizer",
    "loss",
    "class_mode",
    "theano_mode",
    "metrics",
    "loss_weights",
)
"""The arguments of ``compile`` in a file; only Keras 0.1 wrote ``theano_mode``."""


def to_config(model: Layer) -> dict[str, object]:
    """Return the configuration of a model as plain data.

    Raises:
        ConfigError: if a layer, the loss, a metric or the optimizer is user-defined
            code, which a file cannot hold.
    """
    # Before anything is written: a file that cannot be read again is of no use.
    check_plain(model)
    config = {"version": VERSION, **config_of(model)}
    shared = shared_layers(model)
    if shared:
        config["shared"] = shared
    if model.optimizer is not None:
        config["optimizer"] = _optimizer_config(model.optimizer)
        config["loss"] = _loss_config(model.loss)
        config["class_mode"] = model.class_mode
        if model.metrics is not None:
            config["metrics"] = _metrics_config(model.metrics)
        if model.loss_weights is not None:
            config["loss_weights"] = model.loss_weights
    # Through JSON and back: tuples become lists, and NaN is refused before it is saved.
    return json.loads(json.dumps(config, allow_nan=False))


def from_config(config: object, classes: Classes) -> Layer:
    """Create the model that ``config`` describes, with new weights.

    It is compiled if the model that was written was.

    Raises:
        ConfigError: for another version, anything that :func:`to_config` does not
            write, or more than :mod:`recursive.limits` allows.
        RecursiveError: a subclass of it, from the checks of layers and ``compile``.
    """
    check_keys("model", config, config)
    limits.check_data("model", config)
    _check_version(config)
    _check_class(config.get("name"), classes)
    with _config_errors(), limits.counting_parameters():
        return _created(config, classes)


def _created(config: Mapping[str, object], classes: Classes) -> Layer:
    layers = {}
    for key, value in config.items():
        if key not in ("version", "shared", *COMPILED):
            layers[key] = value
    model = layer_from_config(layers, classes, config.get("shared"))

    if config.get("optimizer") is not None:
        arguments = {"optimizer": _optimizer(config["optimizer"])}
        for key in COMPILED[1:]:
            if config.get(key) is not None:
                arguments[key] = config[key]
        model.compile(**arguments)
    return model


@contextmanager
def _config_errors() -> Iterator[None]:
    """Raise a ConfigError for any error that a wrong value causes in its class."""
    try:
        yield
    except RecursiveError:
        raise
    except (
        TypeError,
        ValueError,
        AttributeError,
        LookupError,
        ArithmeticError,
        RuntimeError,
        MemoryError,
    ) as error:
        raise ConfigError.about(
            "config",
            "model",
            takes="values that its classes can use",
            got=f"{type(error).__name__}: {error}",
            do="Compare with what to_json() returns.",
        ) from error


def _check_version(config: Mapping[str, object]) -> None:
    if config.get("version", VERSION) != VERSION:
        raise ConfigError.about(
            "config",
            "model",
            takes=f"version {VERSION!r}, or none as in Keras 0.1",
            got=repr(config["version"]),
            do="Write it again with this version of the library.",
        )


def _check_class(name: object, classes: Classes) -> None:
    """Raise a ConfigError unless ``name`` is a class that can be compiled."""
    if not isinstance(name, str) or not hasattr(classes.get(name), "compile"):
        models = [known for known, cls in classes.items() if hasattr(cls, "compile")]
        raise ConfigError.about(
            "model",
            str(name),
            takes="the name of a model class",
            got=repr(name),
            do=f"{suggest(str(name), models)} {advice_for_own(str(name))}",
        )


def _optimizer_config(optimizer: Optimizer) -> dict[str, object]:
    cls = type(optimizer)
    if optimizers.OPTIMIZERS.get(cls.__name__.lower()) is not cls:
        raise _user_code("optimizer", cls.__name__, optimizers.OPTIMIZERS)
    return optimizer.get_config()


def _optimizer(config: object) -> Optimizer:
    check_keys("optimizer", config, config)
    settings = dict(config)
    name = settings.pop("name", None)
    return optimizers.get(name, settings)


def _loss_config(loss: object) -> object:
    """The name of a loss, or a dict of names by output."""
    if isinstance(loss, Mapping):
        return {name: _loss_config(each) for name, each in loss.items()}
    if loss is None:
        return None
    # A function may have two names, such as mse; the first, its own, is written.
    for name, objective in objectives.OBJECTIVES.items():
        if loss in (name, objective):
            return name
    name = getattr(loss, "__name__", repr(loss))
    raise _user_code("loss", name, objectives.OBJECTIVES)


def _metrics_config(given: object) -> object:
    """The names of metrics, or a dict of names by output."""
    if isinstance(given, Mapping):
        return {name: _metrics_config(each) for name, each in given.items()}
    if isinstance(given, list | tuple):
        return [_metrics_config(each) for each in given]
    if isinstance(given, str):
        return given
    for name, metric in metrics.METRICS.items():
        if given in (metric, metric.function):
            return name
    raise _user_code("metric", metrics.get(given).name, metrics.METRICS)


def _user_code(kind: str, name: str, known: Mapping[str, object]) -> ConfigError:
    return ConfigError.about(
        kind,
        name,
        takes="one that the library provides",
        because="a file must never hold code",
        got="a user-defined one",
        do=f"{suggest('', known)} Or write the model before it is compiled, "
        "and compile it again after reading.",
    )


# Text


def to_json(config: Mapping[str, object], indent: int | None = None) -> str:
    """Return ``config`` as JSON."""
    return json.dumps(config, indent=indent, allow_nan=False)


def to_yaml(config: Mapping[str, object]) -> str:
    """Return ``config`` as YAML.

    Raises:
        MissingPackageError: without the extra ``yaml``.
    """
    return _yaml().safe_dump(dict(config), sort_keys=False)


def parse_json(text: str) -> object:
    """Parse JSON text.

    Raises:
        ConfigError: for text that is not JSON, or longer than ``limits.JSON_TEXT``.
    """
    return _parsed("JSON", text, _load_json)


def parse_yaml(text: str) -> object:
    """Parse YAML text, which must be plain data without references.

    Raises:
        ConfigError: for text that is not YAML, that names objects to create, or that
            is longer than ``limits.YAML_TEXT`` or deeper than ``limits.DEPTH``.
        MissingPackageError: without the extra ``yaml``.
    """
    yaml_error = _yaml().YAMLError
    # The constructors of YAML's own types raise whatever their code comes to.
    others = (LookupError, TypeError, AttributeError, ArithmeticError)
    return _parsed("YAML", text, _load_yaml, yaml_error, *others)


def _load_json(text: str) -> object:
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(text: str) -> None:
    """Refuse NaN and infinities, which JSON does not have but Python reads."""
    raise ValueError(f"{text} is not a number")


def _load_yaml(text: str) -> object:
    yaml = _yaml()
    # The loader in C is ten times as fast, where there is one.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        # References to references can make a small text grow without bound.
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it refers to another place by *")
        # Depth is looked at on the way: a deep text takes the parser minutes.
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            limits.check("config", "YAML", "levels", depth, "DEPTH")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return yaml.load(text, Loader=loader)


def _parsed(
    kind: str, text: object, load: Callable[[str], object], *errors: type[Exception]
) -> object:
    if not isinstance(text, str):
        raise ConfigError.about(
            "config",
            kind,
            takes="a string",
            got=type(text).__name__,
            do="Pass what to_json() or to_yaml() returned, not the name of a file.",
        )
    limits.check("config", kind, "characters", len(text), f"{kind}_TEXT")
    try:
        return load(text)
    except RecursiveError:
        raise
    # Deeply nested text ends in a RecursionError.
    except (ValueError, RecursionError, *errors) as error:
        raise ConfigError.about(
            "config",
            kind,
            takes=f"plain {kind}",
            got=f"{text[:40]!r} ({error})",
            do="Pass the text itself, not the name of a file.",
        ) from error


def _yaml() -> object:
    return extras.load("yaml", "yaml", "it reads and writes YAML")
