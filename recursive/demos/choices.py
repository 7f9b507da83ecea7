"""What every demo is asked: where to write, from which seed, on which backend."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from recursive import drawing
from recursive.backend.choose import resolve_backend
from recursive.errors import ConfigError
from recursive.layers.recursive import Recursive
from recursive.training.model import Model
from recursive.utils.files import write_text


def check(out: Path, seed: int) -> None:
    """Tell before the training what would end it after.

    Raises:
        ConfigError: where ``out`` cannot be a folder, or for a seed that numpy does not take.
    """
    in_the_way = [
        path for path in (out, *out.parents) if path.exists() and not path.is_dir()
    ]
    if in_the_way:
        raise ConfigError.about(
            "folder",
            str(out),
            takes="a place for a folder",
            because="files are written there",
            got=f"the file {in_the_way[0]}",
            do="Say --out with another name.",
        )
    if not 0 <= seed < 2**32:
        raise ConfigError.about(
            "argument",
            "seed",
            takes="a whole number from 0 to 4294967295",
            because="numpy's generator begins with it",
            got=seed,
            do="Say --seed 1.",
        )


def chosen_backend(name: str | None) -> str:
    """The backend called ``name``; None is JAX where it is installed, else plain Python, which both start at once.

    >>> chosen_backend("python")
    'python'
    """
    return name or ("jax" if resolve_backend("auto") == "jax" else "python")


def write(model: Model, steps: Mapping[str, Recursive], out: Path) -> None:
    """The configuration of ``model`` and its weights, and the pictures of the loops in it, by the names of files."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_weights(out / "weights.h5", overwrite=True)
    config = json.dumps(model.get_config(), indent=2)
    write_text(out / "config.json", config + "\n")
    for name, rnn in steps.items():
        for suffix in ("png", "svg"):
            drawing.draw(rnn.spec, out / f"{name}.{suffix}")


def told(out: Path) -> str:
    """The files in ``out``, in a sentence."""
    return (
        f"Written to {out}/: {', '.join(sorted(path.name for path in out.iterdir()))}"
    )
