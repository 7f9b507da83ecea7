"""A sketch as text that other programs draw: dot for Graphviz, and Mermaid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from recursive.drawing.sketch import Part, Sketch

MERMAID_CODES = {ord(sign): f"#{ord(sign)};" for sign in '#"<>&`'}
MERMAID_ARROWS = {"now": "-->", "feedback": "-.->", "carried": "-.->", "start": "-.->"}
DOT_STYLES = {
    "now": "",
    "feedback": " [style=dashed, constraint=false]",
    "carried": " [style=dashed]",
    "start": " [style=dashed]",
}


def as_dot(drawn: Sketch) -> str:
    """The sketch in Graphviz's language.

    >>> print(as_dot(Sketch((Part("input", "x", ("x", "input, dim 4")),), (), {})))
    digraph step {
        rankdir=LR;
        node [shape=box];
        p0 [label="x\\ninput, dim 4"];
    }
    """
    ids = _ids(drawn)
    lines = ["rankdir=LR;", "node [shape=box];"]
    for part, name in ids.items():
        style = ", style=dashed, color=red" if part.missing else ""
        lines.append(f"{name} [label={_quoted(part.lines)}{style}];")
    for zone, title in drawn.frames.items():
        lines.append(f"subgraph cluster_{zone} {{")
        lines.append(f"    label={_quoted([title])};")
        for part, name in ids.items():
            if part.zone == zone:
                lines.append(f"    {name};")
        lines.append("}")
    for link in drawn.links:
        style = DOT_STYLES[link.kind]
        if link.label:
            style = style.replace("[", f"[label={_quoted([link.label])}, ")
        lines.append(f"{ids[link.source]} -> {ids[link.target]}{style};")
    return "\n".join(["digraph step {", *_indented(lines), "}"])


def _quoted(lines: Iterable[str]) -> str:
    """Lines of a label as a string of Graphviz."""
    escaped = []
    for line in lines:
        escaped.append(line.replace("\\", "\\\\").replace('"', '\\"'))
    label = "\\n".join(escaped)
    return f'"{label}"'


def as_mermaid(drawn: Sketch) -> str:
    """The sketch as a Mermaid flowchart.

    >>> print(as_mermaid(Sketch((Part("input", "x", ("x", "input, dim 4")),), (), {})))
    flowchart LR
        p0["x<br/>input, dim 4"]
    """
    ids = _ids(drawn)
    lines = []
    for part, name in ids.items():
        if part.zone not in drawn.frames:
            lines.append(_mermaid_box(part, name))
    for zone, title in drawn.frames.items():
        lines.append(f'subgraph z{zone}["{_coded(title)}"]')
        for part, name in ids.items():
            if part.zone == zone:
                lines.append("    " + _mermaid_box(part, name))
        lines.append("end")
    for link in drawn.links:
        arrow = MERMAID_ARROWS[link.kind]
        label = f'|"{_coded(link.label)}"|' if link.label else ""
        lines.append(f"{ids[link.source]} {arrow}{label} {ids[link.target]}")
    for part, name in ids.items():
        if part.missing:
            lines.append(f"style {name} stroke:red,stroke-dasharray:4")
    return "\n".join(["flowchart LR", *_indented(lines)])


def _mermaid_box(part: Part, name: str) -> str:
    label = "<br/>".join(map(_coded, part.lines))
    return f'{name}["{label}"]'


def _coded(text: str) -> str:
    """Text with codes in place of the characters that mean something in Mermaid."""
    return text.translate(MERMAID_CODES)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _ids(drawn: Sketch) -> Mapping[Part, str]:
    """A short id for each part, since a name may hold any character."""
    return {part: f"p{index}" for index, part in enumerate(drawn.parts)}
