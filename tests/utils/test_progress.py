"""The bar that shows how far a model is."""

import pytest

from recursive.utils.progress import Bar


def run(verbose, logs=None):
    with Bar("Epoch 1/2", rows=5, verbose=verbose) as bar:
        bar.advance(3, {"loss": 2.0})
        bar.advance(2, {"loss": 1.5})
        bar.end({"loss": 1.23456, "val_loss": 0.5} if logs is None else logs)


def test_verbose_zero_prints_nothing(capsys):
    run(verbose=0)
    assert capsys.readouterr() == ("", "")


def test_verbose_two_prints_one_line(capsys):
    run(verbose=2)
    assert capsys.readouterr() == ("Epoch 1/2 loss=1.2346 val_loss=0.5000\n", "")


def test_verbose_two_prints_the_title_alone_where_there_are_no_numbers(capsys):
    run(verbose=2, logs={})
    assert capsys.readouterr().out == "Epoch 1/2\n"


def test_verbose_two_prints_nothing_of_an_epoch_that_was_broken_off(capsys):
    with pytest.raises(KeyboardInterrupt), Bar("Epoch 1/2", rows=5, verbose=2) as bar:
        bar.advance(3, {"loss": 2.0})
        raise KeyboardInterrupt
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", [1, True])
def test_verbose_one_shows_a_bar_with_the_title_the_rows_and_the_last_numbers(
    capsys, verbose
):
    run(verbose)
    out, err = capsys.readouterr()
    last = err.rstrip().split("\r")[-1]
    assert out == ""
    assert last.startswith("Epoch 1/2: 100%")
    assert "5/5" in last and "loss=1.2346, val_loss=0.5000" in last


def test_bar_is_closed_when_an_epoch_is_broken_off(capsys):
    with pytest.raises(KeyboardInterrupt), Bar("Epoch 1/2", rows=5, verbose=1) as bar:
        bar.advance(3, {"loss": 2.0})
        raise KeyboardInterrupt
    err = capsys.readouterr().err
    assert "3/5" in err and err.endswith("\n")
