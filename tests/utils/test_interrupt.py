"""Ctrl-C while batches run. Signals are raised for real, in this process."""

import signal
import threading
from contextlib import contextmanager

import pytest

from recursive.utils.interrupt import between_batches


@pytest.fixture(autouse=True)
def usual_handler():
    """Installs Python's handler of Ctrl-C and restores the previous one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def press():
    signal.raise_signal(signal.SIGINT)


@contextmanager
def uninterrupted():
    """Turns a KeyboardInterrupt, which would end the test run, into a failure."""
    try:
        yield
    except KeyboardInterrupt:
        pytest.fail("a KeyboardInterrupt was raised")


def press_and_go_on():
    with uninterrupted():
        press()


def test_check_does_nothing_while_nothing_was_pressed():
    with between_batches() as check:
        check()
        check()


def test_first_press_is_kept_until_the_check():
    done = []
    with pytest.raises(KeyboardInterrupt), between_batches() as check:
        press_and_go_on()
        done.append("the batch under way")
        check()
        done.append("the next batch")
    assert done == ["the batch under way"]


def test_second_press_is_raised_at_once():
    done = []
    with pytest.raises(KeyboardInterrupt), between_batches():
        press_and_go_on()
        done.append("first")
        press()
        done.append("second")
    assert done == ["first"]


def test_handler_is_another_inside_and_restored_after(usual_handler):
    with between_batches():
        assert signal.getsignal(signal.SIGINT) is not usual_handler
    assert signal.getsignal(signal.SIGINT) is usual_handler


def own_handler(number, frame):
    """A user-defined handler."""


@pytest.mark.parametrize("usual", [own_handler, signal.SIG_DFL, signal.SIG_IGN])
def test_any_usual_handler_is_restored(usual):
    signal.signal(signal.SIGINT, usual)
    with between_batches():
        pass
    assert signal.getsignal(signal.SIGINT) is usual


def test_handler_is_restored_after_a_press_and_after_an_error(usual_handler):
    with pytest.raises(KeyboardInterrupt), between_batches() as check:
        press_and_go_on()
        check()
    assert signal.getsignal(signal.SIGINT) is usual_handler
    with pytest.raises(ZeroDivisionError), between_batches():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is usual_handler


def test_press_of_one_run_is_not_kept_for_the_next():
    with pytest.raises(KeyboardInterrupt), between_batches() as check:
        press_and_go_on()
        check()
    with uninterrupted(), between_batches() as check:
        check()


def test_one_run_inside_another_gives_the_outer_its_handler_back():
    with between_batches():
        outer = signal.getsignal(signal.SIGINT)
        with between_batches():
            assert signal.getsignal(signal.SIGINT) is not outer
        assert signal.getsignal(signal.SIGINT) is outer


def test_press_in_a_run_inside_another_is_raised_by_one_of_the_checks():
    with pytest.raises(KeyboardInterrupt), between_batches() as check_outer:
        with between_batches() as check_inner:
            press_and_go_on()
            check_inner()
        check_outer()


def test_in_another_thread_nothing_is_changed(usual_handler):
    seen = []

    def work():
        with between_batches() as check:
            seen.append(signal.getsignal(signal.SIGINT))
            check()
            seen.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [usual_handler, "done"]


def test_press_after_the_last_check_is_raised_at_the_end():
    with pytest.raises(KeyboardInterrupt), between_batches() as check:
        check()
        press_and_go_on()


def test_ctrl_c_stays_ignored_where_it_is_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with uninterrupted(), between_batches() as check:
        press()
        check()


def test_own_handler_of_the_user_is_called_at_the_check():
    seen = []
    signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    with uninterrupted(), between_batches() as check:
        press()
        assert seen == []
        check()
    assert seen == [signal.SIGINT]
