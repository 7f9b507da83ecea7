"""A sketch as text that other programs draw: dot for Graphviz, and Mermaid, which many pages draw by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
    names = _names(drawn)
    lines = [
        f"p{index} [label={_quoted(*part.lines)}{', style=dashed, color=red' if part.missing else ''}];"
        for part, index in names.items()
    ]
    framed = [
        line
        for zone, title in drawn.frames.items()
        for line in (
            f"subgraph cluster_{zone} {{",
            f"    label={_quoted(title)};",
            *(f"    p{names[part]};" for part in names if part.zone == zone),
            "}",
        )
    ]
    arrows = [
        f"p{names[link.source]} -> p{names[link.target]}{_dot_style(link.kind, link.label)};"
        for link in drawn.links
    ]
    body = ["rankdir=LR;", "node [shape=box];", *lines, *framed, *arrows]
    return "\n".join(["digraph step {", *(f"    {line}" for line in body), "}"])


def _dot_style(kind: str, label: str) -> str:
    style = DOT_STYLES[kind]
    return style.replace("[", f"[label={_quoted(label)}, ") if label else style


def _quoted(*lines: str) -> str:
    return (
        '"'
        + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
        + '"'
    )


def as_mermaid(drawn: Sketch) -> str:
    """The sketch as a Mermaid flowchart.

    >>> print(as_mermaid(Sketch((Part("input", "x", ("x", "input, dim 4")),), (), {})))
    flowchart LR
        p0["x<br/>input, dim 4"]
    """
    names = _names(drawn)
    arrows = [
        f"p{names[link.source]} {MERMAID_ARROWS[link.kind]}{_mermaid_label(link.label)} p{names[link.target]}"
        for link in drawn.links
    ]
    lost = [
        f"style p{index} stroke:red,stroke-dasharray:4"
        for part, index in names.items()
        if part.missing
    ]
    return "\n".join(
        [
            "flowchart LR",
            *(
                f"    {line}"
                for line in (*_mermaid_boxes(drawn, names), *arrows, *lost)
            ),
        ]
    )


def _mermaid_boxes(drawn: Sketch, names: Mapping[Part, int]) -> Iterator[str]:
    boxes = {
        part: f'p{index}["{"<br/>".join(map(_coded, part.lines))}"]'
        for part, index in names.items()
    }
    yield from (box for part, box in boxes.items() if part.zone not in drawn.frames)
    for zone, title in drawn.frames.items():
        yield f'subgraph z{zone}["{_coded(title)}"]'
        yield from (f"    {box}" for part, box in boxes.items() if part.zone == zone)
        yield "end"


def _mermaid_label(label: str) -> str:
    return f'|"{_coded(label)}"|' if label else ""


def _coded(text: str) -> str:
    return text.translate(MERMAID_CODES)


def _names(drawn: Sketch) -> dict[Part, int]:
    """A number for each part: names may hold anything."""
    return {part: index for index, part in enumerate(drawn.parts)}
