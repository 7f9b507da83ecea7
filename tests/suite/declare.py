"""Networks for the cases, declared in a few lines without the library's layers.

Parameters and draws of a layer are known by their names and shapes alone, as ``named_weights`` of a container names
them, so that a case holds what a port needs and nothing that only this library could make.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from recursive.spec.graph import (
    GraphSpec,
    InputSpec,
    LayerSpec,
    NodeSpec,
    OutputSpec,
    PortSpec,
    StateSpec,
)
from recursive.spec.names import parse

BATCH, TIME, IN, HIDDEN = 3, 5, 4, 6
"""Unequal, so that no axis can stand in for another."""

Shape = tuple[int, ...]
Reads = str | list[str] | tuple[str, list[str]]
"""A name, several to concatenate, or a merge of several: ``("sum", ["a", "b"])``."""


@dataclass(frozen=True)
class Part:
    """A layer: class, configuration, and the shapes of its parameters and draws.

    Args:
        past: the ports that read an output of the node itself, of the step before, by port.
        held: the draws that are the same at every step.
        port: what its one input is called.
    """

    class_name: str
    config: Mapping[str, object] = field(default_factory=dict)
    params: Mapping[str, Shape] = field(default_factory=dict)
    draws: Mapping[str, Shape] = field(default_factory=dict)
    past: Mapping[str, str] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    port: str = "input"

    @property
    def as_part(self) -> dict[str, object]:
        """The configuration that stands for it inside another layer."""
        return {"name": self.class_name, **self.config}


def dense(read: int, dim: int, activation: str = "linear", bias: bool = True) -> Part:
    """``activation(x @ W + b)``."""
    config = {
        "input_dim": read,
        "output_dim": dim,
        "activation": activation,
        "bias": bias,
    }
    return Part("Dense", config, {"W": (read, dim), **({"b": (dim,)} if bias else {})})


def activation(name: str = "tanh") -> Part:
    """A function of every value, or of every row."""
    return Part("Activation", {"activation": name})


def identity() -> Part:
    """A layer that returns its input."""
    return Part("Identity")


def embedding(words: int, dim: int, mask_zero: bool = False) -> Part:
    """A row of ``W`` for each number."""
    return Part(
        "Embedding",
        {"input_dim": words, "output_dim": dim, "mask_zero": mask_zero},
        {"W": (words, dim)},
    )


def gated(kind: str, read: int, dim: int, gates: str, **config: object) -> Part:
    """A layer with ``W``, ``U`` and ``b`` for each gate; ``" "`` is one without a name."""
    names = ["" if gate == " " else f"_{gate}" for gate in gates]
    shapes = {"W": (read, dim), "U": (dim, dim), "b": (dim,)}
    params = {
        letter + name: shape for name in names for letter, shape in shapes.items()
    }
    return Part(kind, {"input_dim": read, "output_dim": dim, **config}, params)


def cell(kind: str, read: int, dim: int, **config: object) -> Part:
    """A cell: Gate, RecurrentDense, RecurrentGRU or RecurrentLSTM."""
    gates = {"RecurrentGRU": "zrh", "RecurrentLSTM": "icfo"}.get(kind, " ")
    past = {
        "prev_hid": "output",
        **({"prev_cell": "cell"} if kind == "RecurrentLSTM" else {}),
    }
    outputs = ("output", "cell") if kind == "RecurrentLSTM" else ()
    return dataclasses.replace(
        gated(kind, read, dim, gates, **config), past=past, outputs=outputs
    )


def recurrent(kind: str, read: int, dim: int, **config: object) -> Part:
    """A whole recurrent layer of Keras 0.1: SimpleRNN, GRU or LSTM."""
    return gated(
        kind,
        read,
        dim,
        {"SimpleRNN": " ", "GRU": "zrh", "LSTM": "icfo"}[kind],
        **config,
    )


def dropout(dim: int, p: float = 0.5, per: str = "step") -> Part:
    """Dropout: a value is kept if its draw ``keep`` is ``p`` or more."""
    return Part(
        "Dropout",
        {"p": p, "per": per},
        draws={"keep": (dim,)},
        held=("keep",) if per == "sequence" else (),
    )


def zoneout(dim: int, p: float = 0.3) -> Part:
    """Zoneout: the value of the step before, if the draw ``keep`` is below ``p``."""
    return Part("Zoneout", {"p": p}, draws={"keep": (dim,)}, past={"prev": "output"})


def chain(*parts: Part) -> Part:
    """Layers one after another."""
    return Part(
        "Sequential",
        {"layers": [part.as_part for part in parts]},
        _inside(parts, "params"),
        _inside(parts, "draws"),
        held=tuple(
            f"layer_{place}.{name}"
            for place, part in enumerate(parts)
            for name in part.held
        ),
    )


def _inside(parts: tuple[Part, ...], what: str) -> dict[str, Shape]:
    return {
        f"layer_{place}.{name}": shape
        for place, part in enumerate(parts)
        for name, shape in getattr(part, what).items()
    }


def masking(value: float = 0.0) -> Part:
    """Masks the steps at which every value is ``value``."""
    return Part("Masking", {"mask_value": value})


def attention(score: str, memory: int, query: int, units: int = 3) -> Part:
    """The mean of a memory, weighted by the scores of a query."""
    shapes: Mapping[str, Shape] = {}
    if score == "general":
        shapes = {"W": (query, memory)}
    elif score == "additive":
        shapes = {
            "W": (memory, units),
            "U": (query, units),
            "b": (units,),
            "v": (units, 1),
        }
    config = {"score": score, "dim": units}
    return Part("Attention", config, shapes, outputs=("output", "weights"))


def teacher(share: float | str = 1.0) -> Part:
    """The truth in training, and the prediction otherwise.

    A share of 1 or 0 draws nothing. A number is a parameter, ``rate``.
    """
    is_port = isinstance(share, str)
    is_random = is_port or 0 < share < 1
    return Part(
        "Teacher",
        {"share": share, "trainable": False},
        {} if is_port else {"rate": (1,)},
        {"chance": (1,)} if is_random else {},
    )


def layer_normalization(dim: int, epsilon: float = 1e-5) -> Part:
    """Each row with mean 0 and variance 1, scaled and moved."""
    config = {"input_dim": dim, "epsilon": epsilon}
    return Part("LayerNormalization", config, {"gamma": (dim,), "beta": (dim,)})


def unbiased(part: Part) -> Part:
    """A cell without its biases."""
    params = {
        name: shape for name, shape in part.params.items() if not name.startswith("b")
    }
    config = {**part.config, "bias": False}
    return dataclasses.replace(part, config=config, params=params)


def ruled(part: Part, **rules: object) -> Part:
    """A layer with penalties or constraints."""
    return dataclasses.replace(part, config={**part.config, **rules})


class Net:
    """A declaration that grows line by line, with the shapes of all that it takes.

    >>> net = Net().input().state("h", 2)
    >>> net = net.node("h2h", dense(6, 2, "tanh"), ["x", "h"], feeds="h", out=True)
    >>> net.params, net.spec.states[0].input
    ({'h2h.W': (6, 2), 'h2h.b': (2,)}, 'h2h')
    """

    def __init__(
        self,
        free: bool = False,
        loop: bool = True,
        return_sequences: bool = True,
        **settings: object,
    ):
        self.spec = GraphSpec(
            loop=loop, free=free, return_sequences=loop and return_sequences, **settings
        )
        self.params: dict[str, Shape] = {}
        self.draws: dict[str, Shape] = {}
        self.held: set[str] = set()
        self.shapes: dict[str, Shape] = {}
        self.limits: dict[str, int] = {}

    def _with(self, **changes: object) -> Net:
        self.spec = self.spec.replace(**changes)
        return self

    def input(
        self,
        name: str = "x",
        dim: int | None = IN,
        ndim: int | None = None,
        dtype: str = "float",
        sequence: bool = True,
        below: int = 9,
        steps: int = TIME,
        inner: int = 2,
        training_only: bool = False,
    ) -> Net:
        """Add a sequence or a context. Integers are ``below`` a limit.

        Axes between those of the step and of the values have the size ``inner``.
        """
        over_time = sequence and self.spec.loop
        ndim = ndim or 1 + over_time + (dim is not None)
        item = InputSpec(name, ndim, dtype, dim, sequence, training_only)
        between = (inner,) * (ndim - 1 - over_time - (dim is not None))
        self.shapes[name] = (
            ((steps,) if over_time else ()) + between + ((dim,) if dim else ())
        )
        self.limits[name] = below
        return self._with(inputs=(*self.spec.inputs, item))

    def mask(self, name: str = "mask") -> Net:
        """Add an input that is the mask."""
        return self.input(name, None, dtype="bool")._with(mask=name)

    def state(
        self,
        name: str,
        dim: int | None = HIDDEN,
        initial: object = 0.0,
        node: str | None = None,
        stateful: bool | None = None,
    ) -> Net:
        """Add a state. A learned one has a parameter."""
        if initial == "learned":
            self.params[f"{name}.initial"] = (dim,)
        return self._with(
            states=(*self.spec.states, StateSpec(name, dim, node, initial, stateful))
        )

    def node(
        self,
        name: str,
        part: Part,
        reads: Reads | Mapping[str, Reads],
        feeds: str | None = None,
        out: bool = False,
    ) -> Net:
        """Add a node with its reads, the state that it feeds, and an output if asked."""
        ports = dict(reads) if isinstance(reads, Mapping) else {part.port: reads}
        for port, output in part.past.items():
            ports.setdefault(
                port, f"{name if output == 'output' else f'{name}.{output}'}_tm1"
            )
        specs = tuple(PortSpec(port, *_refs(read)) for port, read in ports.items())
        self._take(name, part)
        item = NodeSpec(
            name, LayerSpec(part.class_name, part.config), specs, part.outputs
        )
        self._with(nodes=(*self.spec.nodes, item))
        if feeds:
            self._with(
                states=tuple(
                    dataclasses.replace(item, input=name)
                    if item.name == feeds
                    else item
                    for item in self.spec.states
                )
            )
        return self.output(name, name) if out else self

    def _take(self, name: str, part: Part) -> None:
        self.params |= {
            f"{name}.{inner}": shape for inner, shape in part.params.items()
        }
        self.draws |= {f"{name}.{inner}": shape for inner, shape in part.draws.items()}
        self.held |= {f"{name}.{inner}" for inner in part.held}

    def output(self, name: str, reads: Reads) -> Net:
        """Add an output."""
        return self._with(outputs=(*self.spec.outputs, OutputSpec(name, *_refs(reads))))

    def as_part(self) -> Part:
        """The network as a layer, for a node of another network."""
        kind = (
            "Graph"
            if not self.spec.loop
            else "Recurrent"
            if self.spec.free
            else "Recursive"
        )
        outputs = tuple(item.name for item in self.spec.outputs)
        return Part(
            kind,
            {"spec": self.spec.to_dict()},
            self.params,
            outputs=outputs if len(outputs) > 1 else (),
            port=self.spec.inputs[0].name,
        )


def _refs(read: Reads) -> tuple[tuple, str]:
    mode, names = read if isinstance(read, tuple) else ("concat", read)
    names = [names] if isinstance(names, str) else names
    return tuple(map(parse, names)), mode


def vanilla(
    net: Net, read: str = "x", dim: int = IN, hidden: int = HIDDEN, out: bool = True
) -> Net:
    """The proposal's network, ``rec = tanh(x @ W + b + h_tm1 @ U + c)``."""
    net.node("i2h", dense(dim, hidden), read)
    net.node("h2h", dense(hidden, hidden), "h")
    return net.node("rec", activation(), ("sum", ["i2h", "h2h"]), feeds="h", out=out)
