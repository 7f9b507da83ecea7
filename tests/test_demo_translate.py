"""``recursive demo translate``: the dates that it generates, and a quick run to its files."""

import contextlib
import datetime
import io
import json
import os
import re
import signal

import numpy as np
import pytensor
import pytest

from recursive import cli
from recursive.demos import dates, translate
from recursive.models import model_from_config

MARCH = datetime.date(1997, 3, 3)
pytest.importorskip("matplotlib", reason="the demo draws its pictures")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (dates.with_weekday, "Monday, 3 March 1997"),
        (dates.with_ordinal, "the 3rd of March 1997"),
        (dates.month_first, "March 3, 1997"),
        (dates.short, "3 Mar 97"),
        (dates.with_slashes, "3/3/97"),
        (dates.day_in_words, "March the third, 1997"),
        (dates.in_words, "the third of March nineteen ninety-seven"),
    ],
)
def test_a_date_is_written_in_each_form(form, text):
    assert form in dates.FORMS
    assert form(MARCH) == text


ORDINALS = """
1st first, 2nd second, 3rd third, 4th fourth, 5th fifth, 6th sixth, 7th seventh, 8th eighth, 9th ninth, 10th tenth,
11th eleventh, 12th twelfth, 13th thirteenth, 14th fourteenth, 15th fifteenth, 16th sixteenth, 17th seventeenth,
18th eighteenth, 19th nineteenth, 20th twentieth, 21st twenty-first, 22nd twenty-second, 23rd twenty-third,
24th twenty-fourth, 25th twenty-fifth, 26th twenty-sixth, 27th twenty-seventh, 28th twenty-eighth, 29th twenty-ninth,
30th thirtieth, 31st thirty-first
"""


def test_ordinals_are_those_of_a_calendar():
    days = range(1, 32)
    found = [f"{dates.ordinal(day)} {dates.ordinal_in_words(day)}" for day in days]
    assert found == re.split(r",\s", ORDINALS.strip())


@pytest.mark.parametrize(
    ("year", "words"),
    [
        (1950, "nineteen fifty"),
        (1963, "nineteen sixty-three"),
        (1999, "nineteen ninety-nine"),
        (2000, "two thousand"),
        (2001, "two thousand and one"),
        (2009, "two thousand and nine"),
        (2010, "twenty ten"),
        (2012, "twenty twelve"),
        (2049, "twenty forty-nine"),
    ],
)
def test_years_are_said_as_people_say_them(year, words):
    assert dates.year_in_words(year) == words


def test_every_form_tells_each_day_apart_and_fits_into_the_arrays():
    days = range(dates.FIRST.toordinal(), dates.LAST.toordinal() + 1)
    longest = 0
    for form in dates.FORMS:
        texts = {form(datetime.date.fromordinal(day)) for day in days}
        assert len(texts) == len(days)
        assert set().union(*texts) <= set(dates.TEXT_LETTERS)
        longest = max(longest, *map(len, texts))
    assert longest == dates.TEXT_LENGTH


def test_no_day_is_both_learned_and_held_out():
    learned, held = dates.load(3000, 500)
    assert (len(learned.isos), len(held.isos)) == (3000, 500)
    assert len({*learned.isos, *held.isos}) == 3500
    for form in dates.FORMS:
        expected = {form(datetime.date.fromisoformat(iso)) for iso in held.isos}
        assert expected & set(held.texts), form.__name__


def test_the_dates_are_the_same_at_every_call():
    assert dates.load(300, 50) == dates.load(300, 50)


def test_the_arrays_spell_the_texts_and_the_iso_dates():
    found = dates.Dates(("3/3/97", "March 3, 1997"), ("1997-03-03", "1997-03-03"))
    assert found.text.shape == (2, dates.TEXT_LENGTH)
    for row, text in zip(found.text, found.texts, strict=True):
        assert (
            "".join(dates.TEXT_LETTERS[number - 1] for number in row if number) == text
        )
        assert (row[len(text) :] == 0).all()
    assert found.iso.shape == (2, 10, 11)
    assert (found.iso.sum(axis=-1) == 1).all()
    letters = [dates.ISO_LETTERS[number] for number in found.iso[1].argmax(axis=-1)]
    assert "".join(letters) == "1997-03-03"


def quick(out):
    arguments = [
        "demo",
        "translate",
        "--quick",
        "--backend",
        "python",
        "--seed",
        "3",
        "--out",
        str(out),
    ]
    return cli.main(arguments)


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory):
    """The folder of a quick run, and what it printed."""
    out = tmp_path_factory.mktemp("translate")
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert quick(out) == 0
    return out, shown.getvalue()


def test_the_quick_run_translates_dates_that_it_has_not_learned(quick_run):
    out, shown = quick_run
    assert "Training on 200 dates" in shown
    found = re.search(
        r"Exactly right: (\S+) of (\d+) dates that were held out, on backend python",
        shown,
    )
    assert 0 <= float(found[1]) <= 1
    assert found[2] == "50"
    assert len(re.findall(r"^    \S.* = [\d-]{10}$", shown, re.M)) == 8
    assert {path.name for path in out.iterdir()} == {
        "attention.png",
        "attention.svg",
        "config.json",
        "loss.png",
        "right.png",
        "step.png",
        "step.svg",
        "weights.h5",
    }


def test_the_heat_map_has_each_character_and_colours_for_dark_readers(quick_run):
    picture = (quick_run[0] / "attention.svg").read_text()
    letters = "".join(re.findall(r">([^<>\s])</text>", picture))
    for form in translate.SHOWN_FORMS:
        assert form(translate.SHOWN_DAY).replace(" ", "\u2423") in letters
    assert "prefers-color-scheme: dark" in picture
    # An image would keep its colours on dark paper.
    assert "<image" not in picture


def test_ctrl_c_leaves_a_model_that_can_be_loaded(tmp_path, capsys, monkeypatch):
    models = []

    class Interrupted(translate.TranslateHeldOut):
        def on_batch_end(self, batch, logs=None):
            models.append(self.model)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(translate, "TranslateHeldOut", Interrupted)
    assert quick(tmp_path) == 130
    shown = capsys.readouterr().out
    assert "Stopped early" in shown
    assert "Exactly right" not in shown
    [model] = models
    with pytensor.config.change_flags(floatX="float32"):
        again = model_from_config(json.loads((tmp_path / "config.json").read_text()))
        again.load_weights(tmp_path / "weights.h5")
        texts = [form(MARCH) for form in dates.FORMS]
        expected = translate.translate(model, texts)
        found = translate.translate(again, texts)
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1], expected[1])
