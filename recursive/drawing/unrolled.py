"""A sketch of several steps: the nodes of each step, and states that link the steps."""

from __future__ import annotations

from recursive.drawing.sketch import (
    Link,
    Part,
    Sketch,
    histories,
    in_order,
    lost_words,
    placeholder,
    words,
)
from recursive.errors import ConfigError
from recursive.spec.graph import KINDS, GraphSpec, InputSpec, NodeSpec, OutputSpec
from recursive.spec.history import resolve
from recursive.spec.names import Ref


def unrolled(spec: GraphSpec, steps: int) -> Sketch:
    """The parts and links of the first ``steps`` steps of ``spec``.

    ``spec`` may be incomplete. Steps are numbered from 1, and the values that states
    start from have times up to 0.

    Raises:
        ConfigError: for fewer steps than one, or a graph without a loop.

    >>> from recursive.spec.graph import InputSpec, LayerSpec, PortSpec, StateSpec
    >>> read = (PortSpec("input", (Ref("x"), Ref("h"))),)
    >>> spec = GraphSpec(
    ...     inputs=(InputSpec("x"),),
    ...     states=(StateSpec("h", 6, "rec"),),
    ...     nodes=(NodeSpec("rec", LayerSpec("Dense"), read),),
    ... )
    >>> for link in unrolled(spec, 2).links:
    ...     print(link.source.name, link.target.name)
    x[1] rec[1]
    h[0] rec[1]
    x[2] rec[2]
    rec[1] rec[2]
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ConfigError.about(
            "drawing",
            "unrolled",
            takes="an integer of 1 or more",
            got=repr(steps),
            do="Say unrolled=3.",
        )
    if not spec.loop:
        raise ConfigError.about(
            "drawing",
            "unrolled",
            takes="a container with a loop",
            because="only a loop has steps",
            got="a graph that runs once",
            do="Leave unrolled out.",
        )
    return _Unrolling(spec).sketch(steps)


def _step_zone(time: int) -> int:
    """The zone of the nodes of a step, which has a frame."""
    return 2 * time


def _zone_before(time: int) -> int:
    """The zone of inputs and past values of a step, before its nodes.

    The outputs of the step before lie there too. Values before the first step have
    zone 0.
    """
    return max(0, 2 * time - 1)


class _Unrolling:
    """Collects the parts by kind, name and time, and the links."""

    def __init__(self, spec: GraphSpec):
        self.spec = spec
        self.histories = histories(spec)
        self.parts: dict[tuple[str, str, int], Part] = {}
        self.links: list[Link] = []

    def sketch(self, steps: int) -> Sketch:
        """The sketch of the first steps."""
        times = range(1, steps + 1)
        for time in times:
            for item in (*in_order(self.spec), *self.spec.outputs):
                self._add(item, time)
        self._add_unread(steps)

        # A node with several outputs is in the dict once for each of them.
        parts = list(dict.fromkeys(self.parts.values()))
        if not self.spec.inputs:
            parts.insert(0, placeholder("input", 0))
        if not self.spec.outputs:
            parts.append(placeholder("output", _step_zone(steps) + 1))
        parts.sort(key=lambda part: part.zone)
        frames = {_step_zone(time): f"step {time}" for time in times}
        return Sketch(tuple(parts), tuple(dict.fromkeys(self.links)), frames)

    def _add_unread(self, steps: int) -> None:
        """Add the inputs and states that were declared and that nothing reads."""
        read = {(kind, name) for kind, name, _ in self.parts}
        for item in self.spec.inputs:
            if ("input", item.name) not in read:
                for time in range(1, steps + 1):
                    self._input(item, time)
        for state in self.spec.states:
            if ("state", state.name) not in read:
                self._past(state.name, 0)

    def _add(self, item: NodeSpec | OutputSpec, time: int) -> None:
        """Add a node or an output of one step, and the links from what it reads."""
        refs = dict.fromkeys(resolve(self.spec, ref) for ref in item.refs)
        sources = {}
        for ref in refs:
            source = self._source(ref, time)
            if source:
                sources[ref] = source
        lost = lost_words(refs, sources)

        kind = KINDS[type(item)]
        name = f"{item.name}[{time}]"
        zone = _step_zone(time) if kind == "node" else _step_zone(time) + 1
        part = Part(kind, name, (name, *words(item), *lost), bool(lost), zone)
        for value in item.values if kind == "node" else (item.name,):
            self.parts[kind, value, time] = part
        for ref, source in sources.items():
            is_past = ref.tap and ref.name in self.histories
            self.links.append(Link(source, part, "carried" if is_past else "now"))

    def _source(self, ref: Ref, time: int) -> Part | None:
        """The part that is read as ``ref`` at ``time``; None if it is not declared."""
        then = time + ref.tap
        if ref.tap and ref.name in self.histories:
            return self._past(ref.name, then)
        if ("node", ref.name, then) in self.parts:
            return self.parts["node", ref.name, then]
        for item in self.spec.inputs:
            if item.name == ref.name:
                return self._input(item, then)
        return None

    def _past(self, name: str, then: int) -> Part:
        """The node that fed a state at ``then``, or the value that the state had."""
        fed_by = str(self.histories[name].input)
        node = self.parts.get(("node", fed_by, then))
        if then > 0 and node:
            return node
        if ("state", name, then) not in self.parts:
            is_fed = self.spec.names.get(fed_by) == "node"
            self._add_past(name, then, is_fed)
        return self.parts["state", name, then]

    def _add_past(self, name: str, then: int, is_fed: bool) -> None:
        """Add a state at ``then``, and the link from the context it starts from."""
        state = self.histories[name]
        title = f"{name}[{then}]"
        lines = [title, *words(state)]
        if not is_fed:
            lines.append("fed by ?")
        part = Part("state", title, tuple(lines), not is_fed, _zone_before(then))
        for item in self.spec.inputs:
            if item.name in (state.initial, state.given):
                self.links.append(Link(self._input(item, 0), part, "start"))
        self.parts["state", name, then] = part

    def _input(self, item: InputSpec, then: int) -> Part:
        """The slice of a sequence at ``then``, or a context, which has no time."""
        at = then if item.is_sequence else 0
        title = f"{item.name}[{then}]" if item.is_sequence else item.name
        part = Part("input", title, (title, *words(item)), zone=_zone_before(at))
        return self.parts.setdefault(("input", item.name, at), part)
