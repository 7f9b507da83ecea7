"""Random damage to bytes, texts and plain data. Everything follows from a generator."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable

NUMBERS = (
    0,
    1,
    -1,
    255,
    2**15,
    2**31 - 1,
    2**31,
    2**32,
    2**40,
    2**63 - 1,
    2**63,
    2**64,
)
"""Integers at which something overflows, or is far too large."""

VALUES = (
    None,
    True,
    0,
    -1,
    2,
    2**24 + 1,
    10**12,
    2**63,
    2**64,
    10**400,
    0.5,
    -0.0,
    1e308,
    1e999,
    "",
    "x",
    "Dense",
    "Lambda",
    "relu",
    "l2",
    "learned",
    "os.system",
    "__class__",
    "a" * 5000,
    "\0",
    "\ud800",
    "../../../etc/passwd",
    [],
    [1],
    [[]],
    ["x", "x"],
    {},
    {"a": 1},
    {"name": "Dense"},
    {"name": "l2", "l": [1]},
    {"name": {"name": "Dense"}},
)
"""Values to put in the place of others."""

MILD = (None, True, 0, -1, 2, 0.5, -0.5, "x", "relu", "sum", [], {}, [1], {"a": 1})
"""Those that get past the first checks most often."""

YAML_TOKENS = (
    '!!int ""',
    '!!bool ""',
    '!!float "x"',
    '!!timestamp "x"',
    '!!binary "x"',
    "!!set {a}",
    "!!python/object/apply:os.system ['touch code_ran']",
    "!!python/name:os.system",
    "0x" + "f" * 5000,
    "&a [*a]",
    "*a",
    "<<: 1",
    "? [1]\n: 2",
    ".inf",
    "2001-01-01",
    "[" * 3000,
    "{a: " * 300,
    "- " * 300,
    "\t",
    "---",
    "...",
    "%YAML 9.9",
    "|",
    "'",
    '"\\x',
)

TEXT_TOKENS = (
    "[" * 100_000,
    '{"a":' * 100_000,
    "NaN",
    "1e999",
    "9" * 5000,
    '"\\ud800"',
    "\0",
    ",",
    "}",
    "]",
    ":",
    '"',
    "\\",
    "null",
    "\ufeff",
)


def damaged_bytes(rng: random.Random, content: bytes) -> bytes:
    """``content`` with one to four kinds of damage."""
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(BYTE_DAMAGES)(rng, found)
    return bytes(found)


def flip_bit(rng: random.Random, content: bytearray) -> None:
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def replace_byte(rng: random.Random, content: bytearray) -> None:
    if content:
        content[rng.randrange(len(content))] = rng.choice((0, 1, 127, 128, 255))


def replace_number(rng: random.Random, content: bytearray) -> None:
    width = rng.choice((1, 2, 4, 8))
    if len(content) >= width:
        place = rng.randrange(len(content) - width + 1)
        number = rng.choice(NUMBERS) % 2 ** (8 * width)
        content[place : place + width] = number.to_bytes(width, "little")


def remove(rng: random.Random, content: bytearray) -> None:
    place = rng.randrange(len(content) + 1)
    del content[place : place + rng.choice((1, 2, 8, 100))]


def insert(rng: random.Random, content: bytearray) -> None:
    place = rng.randrange(len(content) + 1)
    content[place:place] = rng.randbytes(rng.choice((1, 2, 8, 100)))


def repeat(rng: random.Random, content: bytearray) -> None:
    place = rng.randrange(len(content) + 1)
    piece = content[place : place + rng.choice((8, 64, 500))]
    target = rng.randrange(len(content) + 1)
    content[target : target + len(piece)] = piece


def truncate(rng: random.Random, content: bytearray) -> None:
    del content[rng.randrange(len(content) + 1) :]


BYTE_DAMAGES = (
    flip_bit,
    replace_byte,
    replace_number,
    remove,
    insert,
    repeat,
    truncate,
)


def damaged_text(rng: random.Random, text: str, tokens: tuple[str, ...]) -> str:
    """``text`` with a token put in, or with damaged bytes."""
    if rng.random() < 0.5:
        content = damaged_bytes(rng, text.encode("utf-8", "surrogatepass"))
        return content.decode("utf-8", rng.choice(("replace", "surrogateescape")))
    place = rng.randrange(len(text) + 1)
    end = place + rng.choice((0, 0, 1, 5, 50))
    return text[:place] + rng.choice(tokens) + text[end:]


def damaged_data(rng: random.Random, data: object) -> object:
    """Plain data with one to three values replaced, removed or wrapped."""
    data = copy.deepcopy(data)
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        places = list(_places(data))
        if not places:
            return rng.choice(VALUES)
        container, key = rng.choice(places)
        _damage_place(rng, container, key, places)
    return data


def replaced(rng: random.Random, data: object, values: tuple) -> object:
    """Plain data with one value replaced by one of ``values``."""
    data = copy.deepcopy(data)
    container, key = rng.choice(list(_places(data)))
    container[key] = copy.deepcopy(rng.choice(values))
    return data


def _places(data: object):
    """Every container in ``data`` with each of its keys."""
    keys: Iterable = ()
    if isinstance(data, dict):
        keys = list(data)
    elif isinstance(data, list):
        keys = range(len(data))
    for key in keys:
        yield data, key
        yield from _places(data[key])


def _damage_place(rng: random.Random, container, key, places) -> None:
    kind = rng.randrange(8)
    if kind <= 3:
        container[key] = copy.deepcopy(rng.choice(rng.choice((MILD, VALUES))))
    elif kind == 4:
        other, other_key = rng.choice(places)
        if other_key in other or isinstance(other, list):
            container[key] = copy.deepcopy(other[other_key])
    elif kind == 5:
        del container[key]
    elif kind == 6 and isinstance(container, dict):
        container[str(rng.choice(VALUES))] = container.pop(key)
    else:
        value = container[key]
        for _ in range(rng.choice((1, 2, 60, 600))):
            value = rng.choice(([value], {"name": "Sequential", "layers": [value]}))
        container[key] = value
