"""What is attacked: for each target, a hostile input and the call that reads it.

A target is a function of a generator and a folder. It writes files into the folder and
returns the call, so that the writing itself is not judged.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import yaml

from recursive.callbacks import CSVLogger, ModelCheckpoint
from recursive.conformance.suite import FOLDER, Suite, unpacked
from recursive.layers.advanced_activations import LeakyReLU
from recursive.layers.core import Dense, Dropout
from recursive.layers.embeddings import Embedding
from recursive.layers.normalization import BatchNormalization
from recursive.layers.recurrent import GRU
from recursive.models import (
    Graph,
    Recursive,
    Sequential,
    model_from_json,
    model_from_yaml,
)
from recursive.spec.graph import GraphSpec
from recursive.utils.files import write_text
from recursive.utils.io_utils import HDF5Matrix
from tests.attack.damage import (
    MILD,
    TEXT_TOKENS,
    VALUES,
    YAML_TOKENS,
    damaged_bytes,
    damaged_data,
    damaged_text,
    replaced,
)

Call = Callable[[], object]

SECRET = "secret"
"""The name of a file next to the input that nothing may read."""
PIPE = "pipe"
"""The name of a pipe, at which a reader waits for ever."""
SECRET_VALUE = 1234567.0
"""The number that the secret file holds."""


USED = 0.25
"""The share of models that were read that are trained too, which takes longest."""

# The models


@cache
def chain() -> Sequential:
    model = Sequential(
        [
            Embedding(5, 4),
            GRU(4, 6, return_sequences=True),
            Dropout(0.5),
            GRU(6, 3),
            BatchNormalization((3,)),
            LeakyReLU(0.1),
            Dense(
                3, 2, activation="softmax", W_regularizer="l2", W_constraint="maxnorm"
            ),
        ]
    )
    model.compile("rmsprop", "categorical_crossentropy")
    return model


@cache
def graph() -> Graph:
    model = Graph()
    model.add_input("x", dim=4)
    model.add_node(Dense(4, 6), "a", input="x")
    model.add_node(Sequential([Dense(6, 3), Dense(3, 2)]), "b", input="a")
    model.add_output("y", inputs=["a", "b"])
    model.compile("sgd", {"y": "mse"})
    return model


@cache
def loop() -> Recursive:
    model = Recursive(return_sequences=True)
    model.add_input("x", dim=4)
    model.add_mask()
    model.add_state("h", dim=6, initial=[0.5] * 6)
    model.add_node(
        Dense(6, activation="tanh"),
        "rec",
        inputs=["x", "h_tm2"],
        return_state="h",
        create_output=True,
    )
    model.compile("adam", "mse")
    return model


GRAPH_OF_2015 = {
    "name": "Graph",
    "input_config": [{"name": "x", "ndim": 2}],
    "input_order": ["x"],
    "node_config": [{"name": "a", "input": "x", "inputs": [], "merge_mode": "concat"}],
    "nodes": {"a": {"name": "Dense", "input_dim": 4, "output_dim": 6}},
    "output_config": [{"name": "y", "input": "a", "inputs": [], "merge_mode": "ave"}],
    "output_order": ["y"],
    "optimizer": {"name": "SGD", "lr": 0.1},
    "loss": {"y": "mse"},
}


@cache
def configs() -> tuple[dict, ...]:
    written = [json.loads(make().to_json()) for make in (chain, graph, loop)]
    return (*written, GRAPH_OF_2015)


# Configurations


def json_text(rng: random.Random, folder: Path) -> Call:
    config = rng.choice(configs())
    batch = batch_for(config) if rng.random() < USED else None
    if rng.random() < 0.7:
        text = json.dumps(damaged_data(rng, config))
    else:
        text = damaged_text(rng, json.dumps(config), TEXT_TOKENS)
    return lambda: use(model_from_json(text), batch)


def settings(rng: random.Random, folder: Path) -> Call:
    """One setting with another plausible value; the model is always trained."""
    config = rng.choice(configs())
    text = json.dumps(replaced(rng, config, MILD))
    return lambda: use(model_from_json(text), batch_for(config))


def yaml_text(rng: random.Random, folder: Path) -> Call:
    config = rng.choice(configs())
    batch = batch_for(config) if rng.random() < USED else None
    if rng.random() < 0.5:
        config = damaged_data(rng, config)
        try:
            text = yaml.safe_dump(config)
        except RecursionError:  # deep data; JSON is YAML
            text = json.dumps(config)
    else:
        text = damaged_text(rng, yaml.safe_dump(config), YAML_TOKENS)
    return lambda: use(model_from_yaml(text), batch)


def spec(rng: random.Random, folder: Path) -> Call:
    data = damaged_data(rng, rng.choice(configs()[1:3])["spec"])
    return lambda: GraphSpec.from_dict(data)


def batch_for(config: dict) -> tuple:
    """Inputs and targets for the model of a config."""
    x, y = np.ones((3, 4)), np.ones((3, 8))
    if config["name"] == "Sequential":
        return np.ones((3, 5), "int32"), np.ones((3, 2))
    if config["name"] == "Recursive":
        x = {"x": np.ones((3, 5, 4)), "mask": np.ones((3, 5), bool)}
        return x, {"rec": np.ones((3, 5, 6))}
    if config is GRAPH_OF_2015:
        y = np.ones((3, 6))
    return {"x": x}, {"y": y}


def use(model, batch: tuple | None) -> None:
    """What a user does with a model that was read."""
    model.get_weights()
    model.to_json()
    if batch is None:
        return
    X, y = batch
    model.predict_on_batch(X)
    # The targets belong to the outputs of the model as it was before the damage.
    if isinstance(y, dict):
        targets = dict(zip(model.output_names, y.values(), strict=False))
        model.train_on_batch({**X, **targets})
    else:
        model.train_on_batch(X, y)


# Weights


def weights(rng: random.Random, folder: Path) -> Call:
    """A file with damaged bytes."""
    model = rng.choice((chain, graph, loop))()
    suffix = rng.choice((".h5", ".safetensors"))
    path = folder / f"w{suffix}"
    if rng.random() < 0.2:
        model.save_optimizer(path, overwrite=True)
        read = model.load_optimizer
    else:
        model.save_weights(path, overwrite=True)
        read = model.load_weights
    path.write_bytes(damaged_bytes(rng, path.read_bytes()))

    def load() -> list[np.ndarray]:
        read(path)
        return model.get_weights()

    return load


def header(rng: random.Random, folder: Path) -> Call:
    """A safetensors file with a damaged header, or one of the wrong size."""
    model = rng.choice((chain, graph, loop))()
    path = folder / "w.safetensors"
    model.save_weights(path, overwrite=True)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    data = json.loads(content[8 : 8 + size])
    text = json.dumps(damaged_data(rng, data)).encode("utf-8", "surrogatepass")
    if rng.random() < 0.2:
        text = damaged_text(rng, text.decode(), TEXT_TOKENS).encode("utf-8", "replace")
    claimed = len(text)
    if rng.random() < 0.2:
        claimed = rng.choice((0, 1, 7, 2**20, 2**33, 2**40, 2**63, 2**64 - 1))
    path.write_bytes(claimed.to_bytes(8, "little") + text + content[8 + size :])
    if rng.random() < 0.2:
        os.truncate(path, rng.choice((0, 7, 8, 100, 2**30, 6 * 2**30)))

    def load() -> list[np.ndarray]:
        model.load_weights(path)
        return model.get_weights()

    return load


def hdf5_objects(rng: random.Random, folder: Path) -> Call:
    """An HDF5 file in which one object is something else."""
    model = graph()
    path = folder / "w.h5"
    model.save_weights(path, overwrite=True)
    with h5py.File(path, "a") as file:
        for _ in range(rng.choice((1, 1, 2))):
            rng.choice(OBJECTS)(rng, file)

    def load() -> list[np.ndarray]:
        model.load_weights(path)
        return model.get_weights()

    def matrix() -> np.ndarray:
        return HDF5Matrix(path, rng.choice(("graph/param_0", "graph", "data")))[0:1]

    return load if rng.random() < 0.8 else matrix


def _target(rng: random.Random, file: h5py.File) -> tuple[h5py.Group, str, tuple]:
    group = (
        file["graph"]
        if isinstance(file.get("graph", getlink=True), h5py.HardLink)
        else file
    )
    name = f"param_{rng.randrange(4)}"
    shapes = ((4, 6), (6,), (6, 3), (3,))
    shape = shapes[int(name[-1])]
    if name in group:
        del group[name]
    return group, name, shape


def external_storage(rng: random.Random, file: h5py.File) -> None:
    group, name, shape = _target(rng, file)
    other = rng.choice((SECRET, PIPE, "/etc/passwd", "gone"))
    group.create_dataset(
        name, shape, "float64", external=[(other, 0, h5py.h5f.UNLIMITED)]
    )


def virtual(rng: random.Random, file: h5py.File) -> None:
    group, name, shape = _target(rng, file)
    layout = h5py.VirtualLayout(shape, "float64")
    other = rng.choice(("secret.h5", PIPE, "gone", "."))
    layout[...] = h5py.VirtualSource(other, "W", shape)
    group.create_virtual_dataset(name, layout)


def link(rng: random.Random, file: h5py.File) -> None:
    group, name, _ = _target(rng, file)
    other = rng.choice(("secret.h5", PIPE, "w.h5", "gone"))
    group[name] = rng.choice(
        (
            h5py.ExternalLink(other, "/W"),
            h5py.SoftLink("/graph/param_1"),
            h5py.SoftLink(f"/graph/{name}"),
        )
    )


def group_link(rng: random.Random, file: h5py.File) -> None:
    if "graph" in file:
        del file["graph"]
    file["graph"] = h5py.ExternalLink(rng.choice(("secret.h5", PIPE)), "/")


def chunks(rng: random.Random, file: h5py.File) -> None:
    group, name, shape = _target(rng, file)
    side = rng.choice((1, 10, 1000, 20_000))
    dataset = group.create_dataset(
        name,
        shape,
        "float64",
        chunks=(side,) * len(shape),
        maxshape=(None,) * len(shape),
        compression=rng.choice((None, "gzip", "lzf")),
        fillvalue=0.5,
    )
    if side <= 1000:
        dataset[...] = 1.0


def other_dtype(rng: random.Random, file: h5py.File) -> None:
    group, name, shape = _target(rng, file)
    dtype = rng.choice(
        (
            "S5",
            "c16",
            "V8",
            "?",
            "f2",
            "u1",
            "i8",
            h5py.string_dtype(),
            h5py.ref_dtype,
            h5py.vlen_dtype(float),
            [("a", "f8"), ("b", "S3")],
        )
    )
    group.create_dataset(name, shape, dtype)


def other_shape(rng: random.Random, file: h5py.File) -> None:
    group, name, _ = _target(rng, file)
    shape = rng.choice(((), (0,), (2**40,), (2**20, 2**20), (1,) * 30, (4, 6, 1)))
    layout = (1,) * len(shape) if np.prod(shape, dtype=float) > 0 and shape else None
    group.create_dataset(name, shape, "float64", chunks=layout)


def other_kind(rng: random.Random, file: h5py.File) -> None:
    group, name, _ = _target(rng, file)
    if rng.random() < 0.5:
        group.create_group(name)
    else:
        group[name] = np.dtype("f8")


def attributes(rng: random.Random, file: h5py.File) -> None:
    holder = rng.choice((file, file.get("graph", file)))
    name = rng.choice(("nb_params", "nb_layers", "sha256", "name"))
    holder.attrs[name] = rng.choice(
        (-1, 0, 4.0, 2**62, "text", b"x", [1, 2], np.zeros(1000), np.bytes_(b"\xff"))
    )


def not_finite(rng: random.Random, file: h5py.File) -> None:
    group, name, shape = _target(rng, file)
    group[name] = np.full(shape, rng.choice((np.nan, np.inf, 1e300)))


OBJECTS = (
    external_storage,
    virtual,
    link,
    group_link,
    chunks,
    other_dtype,
    other_shape,
    other_kind,
    attributes,
    not_finite,
)


# The suite


def manifest(rng: random.Random, folder: Path) -> Call:
    data = _manifest()
    if rng.random() < 0.7:
        text = json.dumps(damaged_data(rng, data)).encode("utf-8", "surrogatepass")
    else:
        text = damaged_bytes(rng, json.dumps(data).encode())
    (folder / "MANIFEST.json").write_bytes(text)

    def read() -> None:
        suite = Suite(folder)
        for name in suite.ids():
            suite.read(name)

    return read


@cache
def _manifest() -> dict:
    data = json.loads((FOLDER / "MANIFEST.json").read_text())
    return data | {"cases": data["cases"][:2], "invalid": data["invalid"][:2]}


def arrays(rng: random.Random, folder: Path) -> Call:
    source = FOLDER / "cases" / _manifest()["cases"][0]["id"] / "arrays.safetensors"
    path = folder / "arrays.safetensors"
    path.write_bytes(damaged_bytes(rng, source.read_bytes()))
    return lambda: unpacked(path)


# Paths


PARTS = (
    "w.h5",
    "w.safetensors",
    "log.csv",
    "\0",
    "\ud800",
    "\udcff",
    "x" * 300,
    "x" * 255,
    "é" * 127,
    "..",
    ".",
    "~",
    " ",
    "\n",
    "loop",
    "gone",
    "a_folder",
    "a_file",
    PIPE,
    "{epoch}",
    "{epoch.foo}",
    "{epoch[0]}",
    "{loss:{loss}}",
    "{epoch:99999999999}",
    "{",
    "}",
    "{0}",
)


def paths(rng: random.Random, folder: Path) -> Call:
    (folder / "a_folder").mkdir(exist_ok=True)
    (folder / "a_file").touch()
    if not (folder / "loop").is_symlink():
        (folder / "loop").symlink_to("loop")
    parts = [rng.choice(PARTS) for _ in range(rng.choice((1, 1, 2, 3)))]
    # The folder is always in front, so that nothing is written anywhere else.
    name = rng.choice(("/", "")).join(parts).replace("..", ".")
    path = f"{folder}/{name}{rng.choice(('', '', '.h5', '.safetensors'))}"
    model = graph()
    overwrite = rng.random() < 0.5
    calls = (
        lambda: model.save_weights(path, overwrite=overwrite),
        lambda: model.load_weights(path),
        lambda: model.save_optimizer(path, overwrite=overwrite),
        lambda: write_text(path, "text"),
        lambda: HDF5Matrix(path, rng.choice(("x", "", "/", "a/b", "\0", "."))),
        lambda: unpacked(path),
        lambda: Suite(path),
        lambda: _begin(ModelCheckpoint(path), model),
        lambda: _begin(CSVLogger(path, append=overwrite), model),
    )
    return rng.choice(calls)


def _begin(callback, model) -> None:
    callback._set_model(model)
    callback._set_params({"metrics": ["loss"]})
    callback.on_train_begin({})
    if isinstance(callback, CSVLogger):
        callback.on_epoch_end(0, {"loss": 1.0})


def values(rng: random.Random, folder: Path) -> Call:
    """Odd arrays for ``set_weights``."""
    layer = Dense(4, 6)
    given = [
        rng.choice((*VALUES, np.full((4, 6), np.inf), np.zeros((4, 6)), "x"))
        for _ in range(rng.choice((1, 2, 2, 2)))
    ]
    return lambda: layer.set_weights(given)


TARGETS = {
    "json": json_text,
    "settings": settings,
    "yaml": yaml_text,
    "spec": spec,
    "weights": weights,
    "header": header,
    "hdf5": hdf5_objects,
    "manifest": manifest,
    "arrays": arrays,
    "paths": paths,
    "values": values,
}
"""The targets by name."""


def prepare(folder: Path) -> None:
    """Put the secret files and the pipe next to where an input will be."""
    (folder / SECRET).write_bytes(np.full(100, SECRET_VALUE).tobytes())
    with h5py.File(folder / "secret.h5", "w") as file:
        for name, shape in (("W", (4, 6)), ("param_0", (4, 6)), ("param_1", (6,))):
            file[name] = np.full(shape, SECRET_VALUE)
    os.mkfifo(folder / PIPE)


def clear(folder: Path) -> None:
    """Remove everything in the folder."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
