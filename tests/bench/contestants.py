"""The contenders, networks and sizes as plain data, which loads no tensor library."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass, replace

from recursive.errors import ConfigError, UnknownNameError, suggest

NETWORKS = {
    "vanilla": "vanilla RNN",
    "lstm": "LSTM",
    "gru": "GRU (Cho et al., 2014)",
    "gru-after": "GRU, reset after the product (cuDNN's)",
    "feedback": "Gated Feedback RNN, 3 layers",
    "random": "random graph",
}
"""Every network by name, and what it is called in a table."""

CELLS = ("vanilla", "lstm", "gru", "gru-after")
"""The networks that every library has a cell for."""

BACKENDS = ("jax", "numba", "c", "python")
RATE = 0.01
"""The learning rate of every train step. The optimizer is SGD, the loss is mse."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes: inputs ``(batch, steps, input_dim)``, states ``(batch, dim)``, random nodes.

    >>> Sizes(batch=8).but(dim=16)
    Sizes(batch=8, steps=100, input_dim=64, dim=16, nodes=20)
    """

    batch: int = 32
    steps: int = 100
    input_dim: int = 64
    dim: int = 128
    nodes: int = 20

    def but(self, **changes: int) -> Sizes:
        """The same, but for ``changes``."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, int]:
        """The sizes by name."""
        return asdict(self)


QUICK = Sizes(batch=4, steps=10, input_dim=8, dim=16, nodes=6)
"""Sizes that show that all of it runs, and nothing about speed."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to run a network: a module under ``contenders``, and a backend of PyTensor."""

    name: str
    module: str
    label: str
    networks: tuple[str, ...] = tuple(NETWORKS)
    backend: str | None = None
    packages: tuple[str, ...] = ()
    install: str = "pip install 'recursive-rnn[bench]'"

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that it needs and that are not installed."""
        return tuple(
            package
            for package in self.packages
            if importlib.util.find_spec(package) is None
        )


def _on_pytensor(kind: str, module: str, label: str) -> tuple[Contender, ...]:
    """One for each backend."""
    packages = {"jax": ("jax",), "c": ("scipy_openblas32",)}
    return tuple(
        Contender(
            f"{kind}-{backend}",
            module,
            f"{label}, {backend}",
            backend=backend,
            packages=packages.get(backend, ()),
            install=f"pip install 'recursive-rnn[{backend}]'",
        )
        for backend in BACKENDS
    )


TORCH = "pip install torch==2.13.0 (from PyPI: the one for CPUs)"

CONTENDERS = (
    *_on_pytensor("recursive", "container", "recursive"),
    *_on_pytensor("scan", "pytensor_scan", "PyTensor scan by hand"),
    Contender(
        "lax",
        "lax_scan",
        "jax.lax.scan by hand",
        packages=("jax",),
        install="pip install 'recursive-rnn[jax]'",
    ),
    Contender(
        "lax-hoisted",
        "lax_scan_hoisted",
        "jax.lax.scan by hand, x @ W before it",
        packages=("jax",),
        install="pip install 'recursive-rnn[jax]'",
    ),
    Contender(
        "keras", "keras_rnn", "Keras 3 RNN(cell) on JAX", packages=("keras", "jax")
    ),
    Contender(
        "torch-loop",
        "torch_loop",
        "PyTorch, a loop in Python",
        packages=("torch",),
        install=TORCH,
    ),
    Contender(
        "torch-nn",
        "torch_nn",
        "PyTorch nn.RNN, nn.LSTM, nn.GRU",
        networks=("vanilla", "lstm", "gru-after"),
        packages=("torch",),
        install=TORCH,
    ),
)


def chosen_networks(names: list[str] | None) -> list[str]:
    """The networks called ``names``, or all of them.

    Raises:
        UnknownNameError: for an unknown one.
    """
    return _known("network", names or list(NETWORKS), list(NETWORKS))


def chosen_contenders(
    backends: list[str] | None, peers: list[str] | None
) -> list[Contender]:
    """The contenders on ``backends``, restricted to ``peers``.

    Args:
        backends: of PyTensor; None for all.
        peers: names of contenders; None for all, ``["none"]`` for the container alone.

    Raises:
        UnknownNameError: for an unknown name.

    >>> [contender.name for contender in chosen_contenders(["c"], ["scan-c", "lax"])]
    ['recursive-c', 'scan-c', 'lax']
    """
    backends = _known("backend", backends or list(BACKENDS), BACKENDS)
    names = [
        contender.name for contender in CONTENDERS if contender.module != "container"
    ]
    peers = (
        [] if peers == ["none"] else _known("peer", peers or names, [*names, "none"])
    )
    return [
        contender
        for contender in CONTENDERS
        if contender.backend in (None, *backends)
        and (contender.module == "container" or contender.name in peers)
    ]


def _known(
    kind: str, names: list[str], known: tuple[str, ...] | list[str]
) -> list[str]:
    for name in names:
        if name not in known:
            raise UnknownNameError.about(
                kind,
                name,
                takes=f"one of {', '.join(known)}",
                because="these can be measured",
                got=repr(name),
                do=suggest(name, known),
            )
    return [name for name in known if name in names]


def positive(name: str, value: int) -> int:
    """``value``; a ConfigError below 1."""
    if value < 1:
        raise ConfigError.about(
            "argument",
            name,
            takes="a whole number of 1 or more",
            because="it counts",
            got=value,
            do=f"Say --{name} 2, for example.",
        )
    return value
