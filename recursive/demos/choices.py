"""The options of every demo: the folder to write to, the seed and the backend."""

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
    """Check the options before the training, rather than fail after it.

    Raises:
        ConfigError: if ``out`` cannot be a folder, or for a seed that NumPy refuses.
    """
    for path in (out, *out.parents):
        if path.exists() and not path.is_dir():
            raise ConfigError.about(
                "folder",
                str(out),
                takes="a place for a folder",
                got=f"the file {path}",
                do="Say --out with another name.",
            )
    if not 0 <= seed < 2**32:
        raise ConfigError.about(
            "argument",
            "seed",
            takes="an integer from 0 to 4294967295",
            got=seed,
            do="Say --seed 1.",
        )


def chosen_backend(name: str | None) -> str:
    """The backend called ``name``. None is the one of ``auto`` that starts fast.

    That is C, else JAX, else plain Python: Numba compiles for a while.

    >>> chosen_backend("python")
    'python'
    """
    if name:
        return name
    chosen = resolve_backend("auto")
    return "python" if chosen == "numba" else chosen


def write(model: Model, loops: Mapping[str, Recursive], out: Path) -> None:
    """Write the weights and the configuration of ``model``, and diagrams of its loops.

    Args:
        model: the trained model.
        loops: the loops to draw, by the name of the file.
        out: the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    model.save_weights(out / "weights.h5", overwrite=True)
    config = json.dumps(model.get_config(), indent=2)
    write_text(out / "config.json", config + "\n")
    for name, rnn in loops.items():
        for suffix in ("png", "svg"):
            drawing.draw(rnn.spec, out / f"{name}.{suffix}")


def files_written(out: Path) -> str:
    """A sentence with the files in ``out``."""
    names = sorted(path.name for path in out.iterdir())
    return f"Written to {out}/: {', '.join(names)}"
