"""What a picture shows of a GraphSpec: its parts, with their words, and the links between them.

A part that lacks something says so in a line that ends in a question mark. Nothing here is about places.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from recursive.errors import CycleError
from recursive.spec.graph import (
    KINDS,
    GraphSpec,
    InputSpec,
    LayerSpec,
    NodeSpec,
    OutputSpec,
    PortSpec,
    StateSpec,
)
from recursive.spec.history import resolve
from recursive.spec.names import Ref
from recursive.spec.order import ordered
from recursive.spec.places import AFTER, BEFORE, INSIDE, places
from recursive.spec.plan import StepPlan
from recursive.spec.text import ACTIVATIONS, function_name

TITLE = "one step of scan"
ZONES = {BEFORE: 1, INSIDE: 2, AFTER: 3}
STEP, OUT, FIRST = ZONES[INSIDE], 4, -1
"""The zones of nodes, behind what is given (0); that of what comes out; that of the contexts that states start from."""
START_WORDS = {"learned": "from a learned row", "drawn": "from random draws"}
LONGEST = 36
"""How many characters of a line below a name are shown."""


@dataclass(frozen=True, slots=True)
class Part:
    """An input, a past value (``state``), a node or an output; ``lines`` are its words, its name first.

    ``zone`` numbers the stretch of time that it belongs to: all of a zone lies behind all of the zone before.
    """

    kind: str
    name: str
    lines: tuple[str, ...]
    missing: bool = False
    zone: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """``source`` is read by ``target`` at the same time (``now``), or remembered as it (``feedback``).

    Where several steps are drawn, what one remembers of another is ``carried``. A context that a state starts from is
    its ``start``.
    """

    source: Part
    target: Part
    kind: str = "now"
    label: str = ""


@dataclass(frozen=True, slots=True)
class Sketch:
    """The parts, each after what it reads at the same time, the links between them, and the framed zones' titles."""

    parts: tuple[Part, ...]
    links: tuple[Link, ...]
    frames: Mapping[int, str]


def sketch(spec: GraphSpec, plan: StepPlan | None = None) -> Sketch:
    """What to draw of ``spec``, whole or not; with a ``plan``, what runs before the loop and after it lies outside it.

    >>> read = (PortSpec("input", (Ref("x"), Ref("h"))),)
    >>> spec = GraphSpec(inputs=(InputSpec("x"),), states=(StateSpec("h", 6, "rec"),),
    ...                  nodes=(NodeSpec("rec", LayerSpec("Dense"), read),), outputs=(OutputSpec("y", (Ref("rec"),)),))
    >>> [f"{link.source.name} {link.kind} {link.target.name}" for link in sketch(spec).links]
    ['x now rec', 'h_tm1 now rec', 'rec now y', 'rec feedback h_tm1']
    """
    known, ran = (
        _given(spec),
        {} if plan is None else {node.name: places(node, plan) for node in spec.nodes},
    )
    given = (
        tuple(known.values()) if spec.inputs else (nothing("input", 0), *known.values())
    )
    readers: list[Part] = []
    links: list[Link] = []
    for item in (*in_order(spec), *spec.outputs):
        refs = dict.fromkeys(resolve(spec, ref) for ref in item.refs)
        reader = _reader(
            item,
            lost_words(refs, known),
            ran.get(item.name, ()) if isinstance(item, NodeSpec) else (),
        )
        readers.append(reader)
        links += dict.fromkeys(Link(known[ref], reader) for ref in refs if ref in known)
        if isinstance(item, NodeSpec):
            known |= {Ref(value): reader for value in item.values}
    outputs = () if spec.outputs else (nothing("output", OUT),)
    parts = tuple(sorted((*given, *readers, *outputs), key=lambda part: part.zone))
    links += [*_starts(spec, known), *_feedback(spec, known)]
    return Sketch(parts, tuple(links), {STEP: TITLE} if spec.loop else {})


def in_order(spec: GraphSpec) -> tuple[NodeSpec, ...]:
    """The nodes in the order in which they run; as declared, where there is no such order."""
    try:
        return ordered(spec)
    except CycleError:
        return spec.nodes


def _reader(
    item: NodeSpec | OutputSpec, lost: Sequence[str], ran: Sequence[str]
) -> Part:
    """A node that runs at the places ``ran``, or an output; ``lost`` tells what it reads and nothing gives."""
    zone = ZONES[ran[-1]] if ran else STEP
    told = (
        ["product with inputs", ran[0]]
        if len(ran) > 1
        else [place for place in ran if place != INSIDE]
    )
    kind = KINDS[type(item)]
    return Part(
        kind,
        item.name,
        (item.name, *words(item), *told, *lost),
        bool(lost),
        zone if kind == "node" else OUT,
    )


def nothing(kind: str, zone: int) -> Part:
    """What stands where a container has no input or output yet."""
    return Part(kind, "?", ("?", kind), missing=True, zone=zone)


# What a step is given


def _given(spec: GraphSpec) -> dict[Ref, Part]:
    """The inputs and past values that are read; a declared one that is not read is shown at its usual time."""
    refs = {
        resolve(spec, ref) for item in (*spec.nodes, *spec.outputs) for ref in item.refs
    }
    read: dict[str, list[Ref]] = {}
    for ref in sorted(refs, reverse=True):
        read.setdefault(ref.name, []).append(ref)
    started = {state.initial for state in spec.states}
    inputs = {
        ref: Part(
            "input",
            str(ref),
            (str(ref), *words(item)),
            zone=FIRST if item.name in started else 0,
        )
        for item in spec.inputs
        for ref in read.get(item.name, [Ref(item.name)])
    }
    states = {
        ref: _state(spec, ref, state)
        for name, state in histories(spec).items()
        for ref in read.get(name, [] if state.input == name else [Ref(name, -1)])
        if ref.tap
    }
    return inputs | states


def histories(spec: GraphSpec) -> dict[str, StateSpec]:
    """Every past that could be read, as a state: those declared, and of each value of a node its own."""
    declared = {state.name: state for state in spec.states}
    values = (
        value for node in spec.nodes for value in node.values if value not in declared
    )
    return {**declared, **{value: StateSpec(value, None, value) for value in values}}


def _state(spec: GraphSpec, ref: Ref, state: StateSpec) -> Part:
    fed = spec.names.get(str(state.input)) == "node"
    lines = (str(ref), *words(state))
    return Part(
        "state", str(ref), lines if fed else (*lines, "fed by ?"), missing=not fed
    )


def _starts(spec: GraphSpec, known: Mapping[Ref, Part]) -> Iterator[Link]:
    """A link from each context to the past values of the states that start from it."""
    pasts = histories(spec)
    for ref, part in known.items():
        context = (
            known.get(Ref(str(pasts[ref.name].initial)))
            if part.kind == "state"
            else None
        )
        if context is not None and context.kind == "input":
            yield Link(context, part, "start")


def _feedback(spec: GraphSpec, known: Mapping[Ref, Part]) -> Iterator[Link]:
    """A link from each node to the past values that it was."""
    pasts = histories(spec)
    for ref, part in known.items():
        if part.kind == "state" and not part.missing:
            yield Link(
                known[Ref(pasts[ref.name].input)], part, "feedback", f"t{ref.tap}"
            )


# Words


def words(item: InputSpec | StateSpec | NodeSpec | OutputSpec) -> tuple[str, ...]:
    """The lines below the name."""
    if isinstance(item, NodeSpec):
        return (_short(layer_text(item.layer)), *map(_short, _merges(item.ports)))
    if isinstance(item, OutputSpec):
        return (", ".join(["output", *_merges([item])]),)
    dtype = getattr(item, "dtype", "float")
    known = [
        KINDS[type(item)],
        "" if dtype == "float" else dtype,
        "" if item.dim is None else f"dim {item.dim}",
    ]
    return (", ".join(filter(None, known)), *_start(item))


def _start(item: InputSpec | StateSpec) -> Iterator[str]:
    """What a state starts from, where that is a value or is learned or drawn."""
    initial = getattr(item, "initial", None)
    if isinstance(initial, str):
        yield f"starts {START_WORDS.get(initial, f'from {initial}')}"


def lost_words(refs: Collection[Ref], known: Container[Ref]) -> list[str]:
    """The words for what is read and nothing gives."""
    return (
        [f"reads {ref} ?" for ref in refs if ref not in known] if refs else ["reads ?"]
    )


def _merges(reads: Sequence[PortSpec | OutputSpec]) -> list[str]:
    """How several values become one, port by port; a port is named where there is more than one."""
    texts = [
        (read.name, f"{read.merge_mode} of {len(read.refs)}")
        for read in reads
        if len(read.refs) > 1
    ]
    return [f"{name}: {text}" if len(reads) > 1 else text for name, text in texts]


def layer_text(layer: LayerSpec) -> str:
    """A layer in a few words: its class, its sizes and its activation.

    >>> layer_text(LayerSpec("Dense", {"input_dim": 4, "output_dim": 6, "activation": "tanh"}))
    'Dense 4 -> 6, tanh'
    >>> layer_text(LayerSpec("Activation", {"activation": "tanh"})), layer_text(LayerSpec("Dropout", {"p": 0.5}))
    ('Activation tanh', 'Dropout 0.5')
    """
    sizes = _sizes(layer.config)
    function = layer.config.get("activation")
    words = [_words_for(function)] if function not in (None, "linear") else []
    words += [str(layer.config["p"])] if "p" in layer.config else []
    words += (
        [f"{len(layer.config['layers'])} layers"]
        if isinstance(layer.config.get("layers"), list)
        else []
    )
    return ", ".join(
        [" ".join([layer.class_name, *sizes, *words[: not sizes]]), *words[not sizes :]]
    )


def _words_for(function: object) -> str:
    """The name of an activation; a function of the user's own with a library's name is called by its module too."""
    name = str(getattr(function, "__name__", function))
    return function_name(function) if name in ACTIVATIONS else name


def _sizes(config: Mapping[str, object]) -> list[str]:
    """``["4 -> 6"]``, or less where less is known."""
    before, after = config.get("input_dim"), config.get("output_dim")
    return (
        []
        if after is None
        else [f"-> {after}" if before is None else f"{before} -> {after}"]
    )


def _short(text: str) -> str:
    text = " ".join(text.split())
    return (
        text
        if len(text) <= LONGEST
        else text[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )
