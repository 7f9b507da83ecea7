"""Several steps, one after the other: the same nodes again at each, and states that go from step to step."""

from __future__ import annotations

from recursive.drawing.sketch import (
    Link,
    Part,
    Sketch,
    histories,
    in_order,
    lost_words,
    nothing,
    words,
)
from recursive.errors import ConfigError
from recursive.spec.graph import KINDS, GraphSpec, InputSpec, NodeSpec, OutputSpec
from recursive.spec.history import resolve
from recursive.spec.names import Ref


def unrolled(spec: GraphSpec, steps: int) -> Sketch:
    """What to draw of the first ``steps`` steps of ``spec``, whole or not; what was before them has times up to 0.

    Raises:
        ConfigError: for fewer steps than one, or a graph without a loop.

    >>> from recursive.spec.graph import InputSpec, LayerSpec, PortSpec, StateSpec
    >>> read = (PortSpec("input", (Ref("x"), Ref("h"))),)
    >>> spec = GraphSpec(inputs=(InputSpec("x"),), states=(StateSpec("h", 6, "rec"),),
    ...                  nodes=(NodeSpec("rec", LayerSpec("Dense"), read),))
    >>> [f"{link.source.name} {link.target.name}" for link in unrolled(spec, 2).links]
    ['x[1] rec[1]', 'h[0] rec[1]', 'x[2] rec[2]', 'rec[1] rec[2]']
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ConfigError.about(
            "drawing",
            "unrolled",
            takes="a whole number of steps from 1",
            because="they are drawn one after the other",
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
    return _Unrolling(spec).drawn(steps)


class _Unrolling:
    """Collects the parts, by what they are the value of and when, and the links."""

    def __init__(self, spec: GraphSpec):
        self.spec = spec
        self.histories = histories(spec)
        self.parts: dict[tuple[str, str, int], Part] = {}
        self.links: list[Link] = []

    def drawn(self, steps: int) -> Sketch:
        for time in range(1, steps + 1):
            for item in (*in_order(self.spec), *self.spec.outputs):
                self._add(item, time)
        self._add_unread(steps)
        given = () if self.spec.inputs else (nothing("input", 0),)
        out = () if self.spec.outputs else (nothing("output", 2 * steps + 1),)
        parts = sorted(
            dict.fromkeys((*given, *self.parts.values(), *out)),
            key=lambda part: part.zone,
        )
        titles = {2 * time: f"step {time}" for time in range(1, steps + 1)}
        return Sketch(tuple(parts), tuple(dict.fromkeys(self.links)), titles)

    def _add_unread(self, steps: int) -> None:
        """The inputs and states that were declared and that nothing reads."""
        read = {(kind, name) for kind, name, _ in self.parts}
        for item in self.spec.inputs:
            if ("input", item.name) not in read:
                for time in range(1, steps + 1):
                    self._input(item, time)
        for state in self.spec.states:
            if ("state", state.name) not in read:
                self._past(state.name, 0)

    def _add(self, item: NodeSpec | OutputSpec, time: int) -> None:
        """A node or an output of one step, and the links from what it reads."""
        refs = dict.fromkeys(resolve(self.spec, ref) for ref in item.refs)
        read = {ref: self._source(ref, time) for ref in refs}
        lost = lost_words(refs, {ref for ref, part in read.items() if part})
        kind, name = KINDS[type(item)], f"{item.name}[{time}]"
        part = Part(
            kind,
            name,
            (name, *words(item), *lost),
            bool(lost),
            2 * time + (kind == "output"),
        )
        values = item.values if isinstance(item, NodeSpec) else (item.name,)
        self.parts |= {(kind, value, time): part for value in values}
        self.links += [
            Link(
                source,
                part,
                "carried" if ref.tap and ref.name in self.histories else "now",
            )
            for ref, source in read.items()
            if source
        ]

    def _source(self, ref: Ref, time: int) -> Part | None:
        """The part that is read as ``ref`` at ``time``; None where nothing gives it."""
        then = time + ref.tap
        if ref.tap and ref.name in self.histories:
            return self._past(ref.name, then)
        if ("node", ref.name, then) in self.parts:
            return self.parts["node", ref.name, then]
        return next(
            (
                self._input(item, then)
                for item in self.spec.inputs
                if item.name == ref.name
            ),
            None,
        )

    def _past(self, name: str, then: int) -> Part:
        """The node that fed a state at ``then``, or what the state started from."""
        fed = ("node", str(self.histories[name].input), then)
        if then > 0 and fed in self.parts:
            return self.parts[fed]
        if ("state", name, then) not in self.parts:
            self._add_past(name, then, known=self.spec.names.get(fed[1]) == "node")
        return self.parts["state", name, then]

    def _add_past(self, name: str, then: int, known: bool) -> None:
        """What a state was at ``then``, and the link from the context that it starts from."""
        title = f"{name}[{then}]"
        lines = (title, *words(self.histories[name]), *([] if known else ["fed by ?"]))
        part = Part("state", title, lines, not known, zone=max(0, 2 * then - 1))
        self.links += [
            Link(self._input(item, 0), part, "start")
            for item in self.spec.inputs
            if item.name == self.histories[name].initial
        ]
        self.parts["state", name, then] = part

    def _input(self, item: InputSpec, then: int) -> Part:
        at = then if item.is_sequence else 0
        title = f"{item.name}[{then}]" if item.is_sequence else item.name
        part = Part("input", title, (title, *words(item)), zone=max(0, 2 * at - 1))
        return self.parts.setdefault(("input", item.name, at), part)
