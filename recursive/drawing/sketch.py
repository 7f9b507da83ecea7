"""The content of a diagram: parts with their lines of text, and links between them.

A part that lacks something says so in a line that ends in a question mark. Places come
later, in :mod:`recursive.drawing.layout`.
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
"""The zones of nodes, by the place where they run."""
GIVEN = 0
"""The zone of inputs and past values."""
STEP = ZONES[INSIDE]
"""The zone of nodes in the loop."""
OUT = 4
"""The zone of outputs."""
FIRST = -1
"""The zone of the contexts that states start from."""
START_WORDS = {"learned": "from a learned row", "drawn": "from random draws"}
LONGEST = 36
"""The number of characters that are shown of a line below a name."""


@dataclass(frozen=True, slots=True)
class Part:
    """An input, a past value ("state"), a node or an output.

    ``lines`` are its text, its name first. ``zone`` numbers the stretch of time that it
    belongs to: all parts of a zone lie behind those of the zone before.
    """

    kind: str
    name: str
    lines: tuple[str, ...]
    missing: bool = False
    zone: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """A link from ``source`` to ``target``.

    ``kind`` is one of:

    - "now": the target reads the source at the same step.
    - "feedback": the source is the new value of a state, the target its past value.
    - "carried": the target reads the source at an earlier step of the diagram.
    - "start": the source is a context that the state ``target`` starts from.
    """

    source: Part
    target: Part
    kind: str = "now"
    label: str = ""


@dataclass(frozen=True, slots=True)
class Sketch:
    """The content of a diagram.

    Args:
        parts: the parts by zone, each after the parts that it reads at the same step.
        links: the links between the parts.
        frames: the title of each zone with a frame.
    """

    parts: tuple[Part, ...]
    links: tuple[Link, ...]
    frames: Mapping[int, str]


def sketch(spec: GraphSpec, plan: StepPlan | None = None) -> Sketch:
    """The parts and links of one step of ``spec``, which may be incomplete.

    With a ``plan``, nodes that run before or after the loop lie outside of its frame.

    >>> read = (PortSpec("input", (Ref("x"), Ref("h"))),)
    >>> spec = GraphSpec(
    ...     inputs=(InputSpec("x"),),
    ...     states=(StateSpec("h", 6, "rec"),),
    ...     nodes=(NodeSpec("rec", LayerSpec("Dense"), read),),
    ...     outputs=(OutputSpec("y", (Ref("rec"),)),),
    ... )
    >>> for link in sketch(spec).links:
    ...     print(link.source.name, link.kind, link.target.name)
    x now rec
    h_tm1 now rec
    rec now y
    rec feedback h_tm1
    """
    known = _given(spec)
    parts = list(known.values())
    if not spec.inputs:
        parts.insert(0, placeholder("input", GIVEN))
    links: list[Link] = []
    for item in (*in_order(spec), *spec.outputs):
        refs = dict.fromkeys(resolve(spec, ref) for ref in item.refs)
        lost = lost_words(refs, known)
        if isinstance(item, NodeSpec):
            reader = _node(item, places(item, plan) if plan else (), lost)
        else:
            reader = _output(item, lost)
        parts.append(reader)
        reads = [Link(known[ref], reader) for ref in refs if ref in known]
        links += dict.fromkeys(reads)
        # An output has no value that others read.
        if isinstance(item, NodeSpec):
            for value in item.values:
                known[Ref(value)] = reader
    if not spec.outputs:
        parts.append(placeholder("output", OUT))

    parts.sort(key=lambda part: part.zone)
    links += _start_links(spec, known)
    links += _feedback_links(spec, known)
    frames = {STEP: TITLE} if spec.loop else {}
    return Sketch(tuple(parts), tuple(links), frames)


def in_order(spec: GraphSpec) -> tuple[NodeSpec, ...]:
    """The nodes in the order in which they run, or as declared if they form a cycle."""
    try:
        return ordered(spec)
    except CycleError:
        return spec.nodes


def _node(node: NodeSpec, ran: Sequence[str], lost: Sequence[str]) -> Part:
    """The part of a node that runs at the places ``ran``; none means in the loop.

    ``lost`` are the lines about values that it reads and that are not declared.
    """
    zone = ZONES[ran[-1]] if ran else STEP
    where = [place for place in ran if place != INSIDE]
    if len(ran) > 1:
        where = ["product with inputs", ran[0]]
    lines = (node.name, *words(node), *where, *lost)
    return Part("node", node.name, lines, bool(lost), zone)


def _output(output: OutputSpec, lost: Sequence[str]) -> Part:
    lines = (output.name, *words(output), *lost)
    return Part("output", output.name, lines, bool(lost), OUT)


def placeholder(kind: str, zone: int) -> Part:
    """The part in place of an input or output that is not declared yet."""
    return Part(kind, "?", ("?", kind), missing=True, zone=zone)


# Inputs and past values


def _given(spec: GraphSpec) -> dict[Ref, Part]:
    """The inputs and past values of a step, by their references.

    One that is declared and not read is shown at its usual time.
    """
    refs = set()
    for _, ref in spec.reads():
        refs.add(resolve(spec, ref))
    read: dict[str, list[Ref]] = {}
    for ref in sorted(refs, reverse=True):
        read.setdefault(ref.name, []).append(ref)

    given = {}
    initials = {name for state in spec.states for name in (state.initial, state.given)}
    for item in spec.inputs:
        zone = FIRST if item.name in initials else GIVEN
        for ref in read.get(item.name, [Ref(item.name)]):
            lines = (str(ref), *words(item))
            given[ref] = Part("input", str(ref), lines, zone=zone)
    for name, state in histories(spec).items():
        # A node's own past, which no state was declared for, is shown only if read.
        usual = [] if state.input == name else [Ref(name, -1)]
        for ref in read.get(name, usual):
            if ref.tap:
                given[ref] = _past_value(spec, ref, state)
    return given


def histories(spec: GraphSpec) -> dict[str, StateSpec]:
    """Every past that could be read, as a state: declared ones, and those of nodes."""
    states = {state.name: state for state in spec.states}
    for node in spec.nodes:
        for value in node.values:
            states.setdefault(value, StateSpec(value, None, value))
    return states


def _past_value(spec: GraphSpec, ref: Ref, state: StateSpec) -> Part:
    is_fed = spec.names.get(str(state.input)) == "node"
    lines = [str(ref), *words(state)]
    if not is_fed:
        lines.append("fed by ?")
    return Part("state", str(ref), tuple(lines), missing=not is_fed)


def _start_links(spec: GraphSpec, known: Mapping[Ref, Part]) -> Iterator[Link]:
    """A link from each context to the past values of the states that start from it."""
    pasts = histories(spec)
    for ref, part in known.items():
        if part.kind == "state":
            state = pasts[ref.name]
            for name in (state.initial, state.given):
                context = known.get(Ref(str(name)))
                if context is not None and context.kind == "input":
                    yield Link(context, part, "start")


def _feedback_links(spec: GraphSpec, known: Mapping[Ref, Part]) -> Iterator[Link]:
    """A link from each node to the past values of the state that it feeds."""
    pasts = histories(spec)
    for ref, part in known.items():
        if part.kind == "state" and not part.missing:
            node = known[Ref(pasts[ref.name].input)]
            yield Link(node, part, "feedback", f"t{ref.tap}")


# Words


def words(item: InputSpec | StateSpec | NodeSpec | OutputSpec) -> tuple[str, ...]:
    """The lines below the name of a part."""
    if isinstance(item, NodeSpec):
        lines = [layer_text(item.layer), *_merges(item.ports)]
        return tuple(map(_shortened, lines))
    if isinstance(item, OutputSpec):
        return (", ".join(["output", *_merges([item])]),)
    facts = [KINDS[type(item)]]
    if isinstance(item, InputSpec) and item.dtype != "float":
        facts.append(item.dtype)
    if item.dim is not None:
        facts.append(f"dim {item.dim}")
    line = ", ".join(facts)
    # Initial values that are numbers are not shown.
    if not isinstance(item, StateSpec):
        return (line,)
    lines = [line]
    if isinstance(item.initial, str):
        start = START_WORDS.get(item.initial, f"from {item.initial}")
        lines.append(f"starts {start}")
    if item.given is not None:
        lines.append(f"or from {item.given}, if given")
    return tuple(lines)


def lost_words(refs: Collection[Ref], known: Container[Ref]) -> list[str]:
    """The lines about references that are not known, or about reading nothing."""
    if not refs:
        return ["reads ?"]
    return [f"reads {ref} ?" for ref in refs if ref not in known]


def _merges(reads: Sequence[PortSpec | OutputSpec]) -> list[str]:
    """The merge at each port that reads several values."""
    texts = []
    for read in reads:
        if len(read.refs) > 1:
            text = f"{read.merge_mode} of {len(read.refs)}"
            texts.append(f"{read.name}: {text}" if len(reads) > 1 else text)
    return texts


def layer_text(layer: LayerSpec) -> str:
    """A layer in a few words: its class, its sizes and its activation.

    >>> config = {"input_dim": 4, "output_dim": 6, "activation": "tanh"}
    >>> layer_text(LayerSpec("Dense", config))
    'Dense 4 -> 6, tanh'
    >>> layer_text(LayerSpec("Activation", {"activation": "tanh"}))
    'Activation tanh'
    >>> layer_text(LayerSpec("Dropout", {"p": 0.5}))
    'Dropout 0.5'
    """
    config = layer.config
    facts = []
    if config.get("activation") not in (None, "linear"):
        facts.append(_activation_name(config["activation"]))
    if "p" in config:
        facts.append(str(config["p"]))
    if isinstance(config.get("layers"), list):
        facts.append(f"{len(config['layers'])} layers")

    # The first fact follows the class without a comma: the sizes if they are known.
    sizes = _sizes(config)
    if sizes:
        facts.insert(0, sizes)
    head = " ".join([layer.class_name, *facts[:1]])
    return ", ".join([head, *facts[1:]])


def _activation_name(function: object) -> str:
    """The name of an activation, with its module if the library has the same name."""
    name = str(getattr(function, "__name__", function))
    return function_name(function) if name in ACTIVATIONS else name


def _sizes(config: Mapping[str, object]) -> str:
    """``4 -> 6``, or less if less is known."""
    before, after = config.get("input_dim"), config.get("output_dim")
    if after is None:
        return ""
    return f"-> {after}" if before is None else f"{before} -> {after}"


def _shortened(text: str) -> str:
    """The text on one line of at most ``LONGEST`` characters."""
    text = " ".join(text.split())
    if len(text) <= LONGEST:
        return text
    return text[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
