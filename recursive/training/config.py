"""A model's configuration as JSON or YAML, and back: the layers, and how it was compiled. Weights are no part of it.

A Graph or Recursive is written as its versioned GraphSpec, a Sequential as a list of layers. What Keras 0.1.3 wrote
can be read too. Nothing in a file is ever run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from recursive import objectives, optimizers
from recursive.errors import ConfigError, suggest
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

COMPILED = ("optimizer", "loss", "class_mode", "theano_mode")
"""The arguments of ``compile`` in a file; ``theano_mode`` in those of Keras 0.1 only."""


def to_config(
    container: Layer, optimizer: Optimizer | None, loss: object, class_mode: str
) -> dict[str, object]:
    """The configuration of a model as plain data.

    Raises:
        ConfigError: where a layer, the loss or the optimizer is code of the user's own, which no file can hold.
    """
    check_plain(container)
    again = shared_layers(container)
    config = {
        "version": VERSION,
        **config_of(container),
        **({"shared": again} if again else {}),
    }
    if optimizer is not None:
        config |= {
            "optimizer": _optimizer_config(optimizer),
            "loss": _loss_config(loss),
            "class_mode": class_mode,
        }
    return json.loads(json.dumps(config, allow_nan=False))


def from_config(config: object, classes: Classes) -> Layer:
    """The model that ``config`` describes, compiled where it was, with new weights.

    Raises:
        ConfigError: for another version, or anything that :func:`to_config` does not write.
        RecursiveError: a child of it, from the checks of layers and ``compile``.
    """
    check_keys("model", config, config)
    if config.get("version", VERSION) != VERSION:
        raise ConfigError.about(
            "config",
            "model",
            takes=f"version {VERSION!r}, or none, as of Keras 0.1",
            because="other versions may mean other things",
            got=repr(config["version"]),
            do="Write it again with this version of the library.",
        )
    if not isinstance(config.get("name"), str) or not hasattr(
        classes.get(config["name"]), "compile"
    ):
        name = str(config.get("name"))
        models = [known for known, cls in classes.items() if hasattr(cls, "compile")]
        raise ConfigError.about(
            "model",
            name,
            takes="the name of a model's class",
            because="it is made from its class",
            got=repr(config.get("name")),
            do=f"{suggest(name, models)} {advice_for_own(name)}",
        )
    layers = {
        key: value
        for key, value in config.items()
        if key not in ("version", "shared", *COMPILED)
    }
    model = layer_from_config(layers, classes, config.get("shared"))
    if config.get("optimizer") is not None:
        options = {
            key: config[key] for key in COMPILED[1:] if config.get(key) is not None
        }
        model.compile(optimizer=_optimizer(config["optimizer"]), **options)
    return model


def _optimizer_config(optimizer: Optimizer) -> dict[str, object]:
    if optimizers.OPTIMIZERS.get(type(optimizer).__name__.lower()) is not type(
        optimizer
    ):
        raise _own("optimizer", type(optimizer).__name__, optimizers.OPTIMIZERS)
    return optimizer.get_config()


def _optimizer(config: object) -> Optimizer:
    check_keys("optimizer", config, config)
    settings = {key: value for key, value in config.items() if key != "name"}
    return optimizers.get(config.get("name"), settings)


def _loss_config(loss: object) -> object:
    if isinstance(loss, Mapping):
        return {name: _loss_config(each) for name, each in loss.items()}
    names = [
        name for name, each in objectives.OBJECTIVES.items() if loss in (name, each)
    ]
    if not names:
        raise _own("loss", getattr(loss, "__name__", repr(loss)), objectives.OBJECTIVES)
    return names[0]


def _own(kind: str, name: str, known: Mapping[str, object]) -> ConfigError:
    return ConfigError.about(
        kind,
        name,
        takes="one of the library's, to be written",
        because="a file must never hold code",
        got="one of your own",
        do=f"{suggest('', known)} Or write the model before it is compiled, and compile it anew.",
    )


# Text


def to_json(config: Mapping[str, object], indent: int | None = None) -> str:
    """``config`` as JSON."""
    return json.dumps(config, indent=indent, allow_nan=False)


def to_yaml(config: Mapping[str, object]) -> str:
    """``config`` as YAML.

    Raises:
        MissingPackageError: without the extra ``yaml``.
    """
    return _yaml().safe_dump(dict(config), sort_keys=False)


def parse_json(text: str) -> object:
    """The data in a text of JSON.

    Raises:
        ConfigError: for text that is no JSON.
    """
    return _parsed("JSON", text, lambda: json.loads(text, parse_constant=_no_number))


def parse_yaml(text: str) -> object:
    """The data in a text of YAML: plain data only, and none by reference, which could grow without bound.

    Raises:
        ConfigError: for text that is no YAML, or names objects to be made.
        MissingPackageError: without the extra ``yaml``.
    """
    yaml = _yaml()

    def load() -> object:
        if any(
            isinstance(event, yaml.AliasEvent)
            for event in yaml.parse(text, Loader=yaml.SafeLoader)
        ):
            raise ValueError("it refers to another place by *")
        return yaml.safe_load(text)

    return _parsed("YAML", text, load, yaml.YAMLError)


def _parsed(
    kind: str, text: object, load: Callable[[], object], *errors: type[Exception]
) -> object:
    if not isinstance(text, str):
        raise ConfigError.about(
            "config",
            kind,
            takes="a text",
            because="it is parsed",
            got=type(text).__name__,
            do="Pass what to_json() or to_yaml() gave, not the file's name.",
        )
    try:
        return load()
    except (ValueError, RecursionError, *errors) as error:
        raise ConfigError.about(
            "config",
            kind,
            takes=f"plain {kind}",
            because="a model is made from it",
            got=f"{text[:40]!r} ({error})",
            do="Pass the text itself, not the file's name.",
        ) from error


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _yaml() -> object:
    return extras.load("yaml", "yaml", "it reads and writes YAML")
