"""What the tests of the pure layer declare with, and the shape that every error has."""

import re

from recursive.spec.graph import LayerSpec, NodeSpec, OutputSpec, PortSpec
from recursive.spec.names import parse

SENTENCE = re.compile(
    r"""(?P<kind>\w+) (?P<quote>['"])(?P<name>.*)(?P=quote) takes (?P<takes>.+?)"""
    r"""(, because (?P<because>.+?))?; got (?P<got>.+)\. (?P<do>[A-Z].+[.?])""",
    re.DOTALL,
)
"""``<kind> '<name>' takes <expected>; got <actual>. <what to do>``; the reason may stay out."""


def refs(*texts):
    return tuple(map(parse, texts))


def node(name, *reads, mode="concat", layer="Identity", **config):
    return NodeSpec(
        name, LayerSpec(layer, config), (PortSpec("input", refs(*reads), mode),)
    )


def output(name, *reads, mode="concat"):
    return OutputSpec(name, refs(*reads), mode)
