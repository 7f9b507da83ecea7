"""A short attack with a fixed seed, in this process where nothing can hang it."""

import os
import random

import pytest

from tests.attack.__main__ import in_child, warm_up
from tests.attack.damage import damaged_bytes
from tests.attack.judge import (
    CODE,
    FOREIGN,
    MEMORY,
    REACHED,
    READ,
    REFUSED,
    TIME,
    judge,
    listen,
    notices_reading,
)
from tests.attack.targets import TARGETS

INPUTS = 30
"""The number of inputs of each target."""


@pytest.mark.parametrize("target", TARGETS)
def test_every_input_is_read_or_refused(target, tmp_path):
    listen()
    wrong = []
    for seed in range(INPUTS):
        end, line = judge(target, seed, tmp_path)
        if end not in (READ, REFUSED):
            wrong.append((seed, end, line))
    assert wrong == []


def test_inputs_stay_within_memory_and_time(tmp_path):
    listen()
    warm_up(["hdf5", "header"], tmp_path)
    for target in ("hdf5", "header"):
        for seed in range(20):
            end, line, _, _ = in_child(target, seed, tmp_path)
            assert end in (READ, REFUSED), (target, seed, line)


def test_damage_follows_from_the_seed():
    content = bytes(range(256))
    one, two = (damaged_bytes(random.Random(7), content) for _ in range(2))
    assert one == two != content


# The judge itself: each fault is seen


def open_secret(rng, folder):
    return lambda: (folder / "secret").read_bytes()


def wait(rng, folder):
    return lambda: (folder / "pipe").read_bytes()


def allocate(rng, folder):
    return lambda: bytearray(2**32)


def run(rng, folder):
    return lambda: os.system("true")


def raise_foreign(rng, folder):
    return lambda: {}["key"]


FAULTS = {
    REACHED: open_secret,
    TIME: wait,
    MEMORY: allocate,
    CODE: run,
    FOREIGN: raise_foreign,
}


@pytest.mark.parametrize("end", FAULTS)
def test_a_fault_is_seen(end, tmp_path, monkeypatch):
    if end == REACHED and not notices_reading(tmp_path):
        pytest.skip("this file system does not note when a file is read")
    listen()
    if end == TIME:
        monkeypatch.setattr("tests.attack.__main__.SECONDS", 0.1)
    monkeypatch.setitem(TARGETS, "fault", FAULTS[end])
    assert in_child("fault", 0, tmp_path)[0] == end
