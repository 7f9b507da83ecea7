"""Generated dates: each day in one of several forms, and as ``1997-03-03``.

The third of March 1997 is ``Monday, 3 March 1997`` or ``3/3/97``, and in words ``the
third of March nineteen ninety-seven``. The days are those from 1950 to 2049, so the
last two digits of a year tell the year.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pytensor

FIRST, LAST = date(1950, 1, 1), date(2049, 12, 31)

WEEKDAYS = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
UNITS = (
    *("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
    *("seventeen", "eighteen", "nineteen"),
)
TENS = (
    *("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty"),
    "ninety",
)
IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
    "twenty": "twentieth",
    "thirty": "thirtieth",
}

TEXT_LETTERS = " ,-/" + string.digits + string.ascii_letters
"""The characters of a text. Their numbers start at 1, and 0 is padding."""
ISO_LETTERS = string.digits + "-"
TEXT_LENGTH, ISO_LENGTH = 54, 10
"""The length of the longest text, and that of every ISO date."""


# Words


def number_in_words(number: int) -> str:
    """A number below 100.

    >>> number_in_words(19), number_in_words(40), number_in_words(97)
    ('nineteen', 'forty', 'ninety-seven')
    """
    if number < len(UNITS):
        return UNITS[number]
    tens, units = divmod(number, 10)
    return f"{TENS[tens]}-{UNITS[units]}" if units else TENS[tens]


def ordinal_in_words(number: int) -> str:
    """The ordinal of a number below 100.

    >>> ordinal_in_words(4), ordinal_in_words(20), ordinal_in_words(31)
    ('fourth', 'twentieth', 'thirty-first')
    """
    # Only the last part changes: thirty-one, thirty-first.
    start, hyphen, last = number_in_words(number).rpartition("-")
    return start + hyphen + IRREGULAR_ORDINALS.get(last, f"{last}th")


def ordinal(number: int) -> str:
    """The ordinal of a number below 100, in digits.

    >>> ordinal(3), ordinal(12), ordinal(22)
    ('3rd', '12th', '22nd')
    """
    endings = {1: "st", 2: "nd", 3: "rd"}
    is_teen = 10 < number < 20
    return f"{number}th" if is_teen else f"{number}{endings.get(number % 10, 'th')}"


def year_in_words(year: int) -> str:
    """A year from 1910 to 2099.

    >>> year_in_words(1997), year_in_words(2004), year_in_words(2024)
    ('nineteen ninety-seven', 'two thousand and four', 'twenty twenty-four')
    """
    century, rest = divmod(year, 100)
    if year == 2000:
        return "two thousand"
    if year in range(2001, 2010):
        return f"two thousand and {number_in_words(rest)}"
    return f"{number_in_words(century)} {number_in_words(rest)}"


# Forms of a date


def with_weekday(day: date) -> str:
    """``Monday, 3 March 1997``."""
    return f"{WEEKDAYS[day.weekday()]}, {day.day} {_month(day)} {day.year}"


def with_ordinal(day: date) -> str:
    """``the 3rd of March 1997``."""
    return f"the {ordinal(day.day)} of {_month(day)} {day.year}"


def month_first(day: date) -> str:
    """``March 3, 1997``."""
    return f"{_month(day)} {day.day}, {day.year}"


def short(day: date) -> str:
    """``3 Mar 97``."""
    return f"{day.day} {_month(day)[:3]} {day.year % 100:02d}"


def with_slashes(day: date) -> str:
    """``3/3/97``, the day before the month."""
    return f"{day.day}/{day.month}/{day.year % 100:02d}"


def day_in_words(day: date) -> str:
    """``March the third, 1997``."""
    return f"{_month(day)} the {ordinal_in_words(day.day)}, {day.year}"


def in_words(day: date) -> str:
    """``the third of March nineteen ninety-seven``."""
    year = year_in_words(day.year)
    return f"the {ordinal_in_words(day.day)} of {_month(day)} {year}"


def _month(day: date) -> str:
    return MONTHS[day.month - 1]


FORMS: tuple[Callable[[date], str], ...] = (
    with_weekday,
    with_ordinal,
    month_first,
    short,
    with_slashes,
    day_in_words,
    in_words,
)


# Arrays


@dataclass(frozen=True)
class Dates:
    """Dates as texts and as arrays.

    Args:
        texts: a date each, in any form.
        isos: the same dates as ``1997-03-03``.
    """

    texts: tuple[str, ...]
    isos: tuple[str, ...]

    @property
    def text(self) -> np.ndarray:
        """The numbers of the characters, 0 for padding, ``(batch, 54)``."""
        return text_array(self.texts)

    @property
    def iso(self) -> np.ndarray:
        """The characters of the ISO dates, one-hot, ``(batch, 10, 11)``."""
        numbers = [[ISO_LETTERS.index(letter) for letter in iso] for iso in self.isos]
        return np.eye(len(ISO_LETTERS), dtype=pytensor.config.floatX)[numbers]


def text_array(texts: Sequence[str]) -> np.ndarray:
    """The numbers of the characters of some texts, 0 for padding, ``(batch, 54)``.

    >>> text_array(["3/3/97"])[0, :8].tolist()
    [8, 4, 8, 4, 14, 12, 0, 0]
    """
    numbers = np.zeros((len(texts), TEXT_LENGTH), dtype="int32")
    for row, text in enumerate(texts):
        numbers[row, : len(text)] = [TEXT_LETTERS.index(letter) + 1 for letter in text]
    return numbers


def load(rows: int, held_rows: int) -> tuple[Dates, Dates]:
    """Some dates to learn and others that are held out, the same at every call.

    No day is in both parts, in whatever form.

    Args:
        rows: the number of dates to learn.
        held_rows: the number of dates that are held out.

    >>> learned, held = load(8000, 1000)
    >>> held.texts[0], held.isos[0]
    ('May the tenth, 2026', '2026-05-10')
    """
    rng = np.random.RandomState(0)
    days = rng.permutation(np.arange(FIRST.toordinal(), LAST.toordinal() + 1))
    held = written(days[:held_rows], rng)
    learned = written(days[held_rows : held_rows + rows], rng)
    return learned, held


def written(days: Sequence[int], rng: np.random.RandomState) -> Dates:
    """Days, counted as ``date.toordinal`` does, each in a form that is drawn."""
    texts, isos = [], []
    for number in days:
        day = date.fromordinal(int(number))
        form = FORMS[rng.randint(len(FORMS))]
        texts.append(form(day))
        isos.append(day.isoformat())
    return Dates(tuple(texts), tuple(isos))
