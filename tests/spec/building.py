"""Helpers to declare nodes and outputs, and the pattern of every error."""

import re

from recursive.spec.graph import LayerSpec, NodeSpec, OutputSpec, PortSpec
from recursive.spec.names import parse

SENTENCE = re.compile(
    r"""(?P<kind>\w+) (?P<quote>['"])(?P<name>.*)(?P=quote) takes (?P<takes>.+?)"""
    r"""(, because (?P<because>.+?))?; got (?P<got>.+)\. (?P<do>[A-Z].+[.?])""",
    re.DOTALL,
)
"""The sentence ``<kind> '<name>' takes <expected>; got <actual>. <what to do>``."""


def refs(*texts):
    return tuple(map(parse, texts))


def node(name, *reads, mode="concat", layer="Identity", **config):
    return NodeSpec(
        name, LayerSpec(layer, config), (PortSpec("input", refs(*reads), mode),)
    )


def output(name, *reads, mode="concat"):
    return OutputSpec(name, refs(*reads), mode)
