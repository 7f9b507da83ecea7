"""Names, and names at a time: ``"h_tm2"`` is ``Ref("h", -2)``, read "h at t minus 2".

The suffix is elanmart's (keras issue 620, 2015): any value is read at an earlier time as ``name_tm1``, ``name_tm2``...
A name is a Python identifier, because the generated step uses it as a variable and the weight files as a key.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from dataclasses import dataclass

from recursive.errors import InvalidNameError, ReservedNameError, TapError

_TAP = re.compile(r"(?P<name>.+)_tm(?P<lag>[0-9]+)")
_DIGITS = 6


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """A value at a time: ``tap`` 0 is now, -1 is the step before.

    >>> str(Ref("h", -2)), str(Ref("i2h"))
    ('h_tm2', 'i2h')
    """

    name: str
    tap: int = 0

    def __str__(self) -> str:
        return f"{self.name}_tm{-self.tap}" if self.tap else self.name


def parse(text: str) -> Ref:
    """Read ``text`` as a reference.

    Raises:
        TapError: for ``_tm0`` and for leading zeros.
        InvalidNameError: where ``text`` is not a string.

    >>> parse("h_tm2"), parse("h")
    (Ref(name='h', tap=-2), Ref(name='h', tap=0))
    """
    if not isinstance(text, str):
        raise InvalidNameError.about(
            "input",
            str(text),
            takes="a name",
            because="nodes are joined by name",
            got=f"a {type(text).__name__}",
            do="Say input='name', or inputs=['name', ...] for several.",
        )
    found = _TAP.fullmatch(text)
    if not found:
        return Ref(text)
    if found["lag"].startswith("0") or len(found["lag"]) > _DIGITS:
        raise TapError.about(
            "input",
            text,
            takes=f"a tap of _tm1 or more, of at most {_DIGITS} digits, without zeros in front",
            because="_tm<k> reads the value of k steps before",
            got=f"_tm{found['lag'][: 2 * _DIGITS]}",
            do=f"Say {found['name']!r} for the value of now, or {found['name'] + '_tm1'!r} for the one before.",
        )
    return Ref(found["name"], -int(found["lag"]))


def split(name: str) -> tuple[str, str]:
    """The part before the first dot, and the name inside it.

    >>> split("rec.W"), split("chain.layer_0.W")
    (('rec', 'W'), ('chain', 'layer_0.W'))
    """
    outer, _, inner = name.partition(".")
    return outer, inner


def check_name(kind: str, name: object) -> None:
    """Raise an InvalidNameError or a ReservedNameError unless ``name`` may name a ``kind``."""
    plain = (
        isinstance(name, str)
        and name.isidentifier()
        and unicodedata.normalize("NFKC", name) == name
    )
    if not plain or keyword.iskeyword(name):
        raise InvalidNameError.about(
            kind,
            str(name),
            takes="a name made of letters, digits and underscores, not a Python keyword",
            because="the generated step uses it as a variable",
            got=repr(name),
            do="Choose another name.",
        )
    found = _TAP.fullmatch(name)
    if found:
        raise ReservedNameError.about(
            kind,
            name,
            takes="a name that does not end in _tm<k>",
            because="that ending reads an earlier time",
            got=f"the ending _tm{found['lag']}",
            do=f"Call it {found['name'] + '_' + found['lag']!r}, for example.",
        )
