"""Names, and references to a value at a time.

``"h_tm2"`` is ``Ref("h", -2)``, which reads "h at t minus 2". The suffix is elanmart's
(keras issue 620, 2015): ``name_tm1``, ``name_tm2``, ... are any value at earlier steps.
A name is a Python identifier, because it is a variable in the generated step and a key
in weight files.
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
    """A value at a time: ``tap`` 0 is this step, -1 is the step before.

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
        TapError: for ``_tm0``, leading zeros or too many digits.
        InvalidNameError: if ``text`` is not a string.

    >>> parse("h_tm2"), parse("h")
    (Ref(name='h', tap=-2), Ref(name='h', tap=0))
    """
    if not isinstance(text, str):
        raise InvalidNameError.about(
            "input",
            str(text),
            takes="a name",
            got=f"a {type(text).__name__}",
            do="Say input='name', or inputs=['name', ...] for several.",
        )
    found = _TAP.fullmatch(text)
    if not found:
        return Ref(text)
    name, lag = found["name"], found["lag"]
    if lag.startswith("0") or len(lag) > _DIGITS:
        raise TapError.about(
            "input",
            text,
            takes=f"a tap of _tm1 or more, of at most {_DIGITS} digits, without "
            "leading zeros",
            because="_tm<k> reads the value k steps back",
            got=f"_tm{lag[: 2 * _DIGITS]}",
            do=f"Say {name!r} for the value at this step, or '{name}_tm1' for the one "
            "before.",
        )
    return Ref(name, -int(lag))


def split(name: str) -> tuple[str, str]:
    """The part of a name before the first dot, and the part after it.

    >>> split("rec.W"), split("chain.layer_0.W")
    (('rec', 'W'), ('chain', 'layer_0.W'))
    """
    outer, _, inner = name.partition(".")
    return outer, inner


def check_name(kind: str, name: object) -> None:
    """Check that ``name`` may be the name of a ``kind`` such as "node".

    Raises:
        InvalidNameError: if it is not an identifier.
        ReservedNameError: if it ends like a reference to an earlier step.
    """
    is_identifier = isinstance(name, str) and name.isidentifier()
    # Python normalizes identifiers, so two different names could be one variable.
    is_plain = is_identifier and unicodedata.normalize("NFKC", name) == name
    if not is_plain or keyword.iskeyword(name):
        raise InvalidNameError.about(
            kind,
            str(name),
            takes="a name of letters, digits and underscores, not a Python keyword",
            because="it is a variable in the generated step",
            got=repr(name),
            do="Choose another name.",
        )
    found = _TAP.fullmatch(name)
    if found:
        raise ReservedNameError.about(
            kind,
            name,
            takes="a name that does not end in _tm<k>",
            because="that ending reads an earlier step",
            got=f"the ending _tm{found['lag']}",
            do=f"Call it '{found['name']}_{found['lag']}', for example.",
        )
