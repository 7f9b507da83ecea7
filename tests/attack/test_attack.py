"""A short attack with a fixed seed, in this process where nothing can hang it."""

import json
import random
import subprocess
import sys

import pytest
import yaml

from recursive.models import model_from_json, model_from_yaml
from tests.attack.damage import damaged_bytes
from tests.attack.faults import FAULTS
from tests.attack.judge import READ, REFUSED, judge, listen
from tests.attack.targets import TARGETS, batch_for, configs, use

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


def test_inputs_stay_within_memory_and_time():
    arguments = ["--inputs", "40", "--target", "hdf5", "--target", "header"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.attack", *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_damage_follows_from_the_seed():
    content = bytes(range(256))
    one, two = (damaged_bytes(random.Random(7), content) for _ in range(2))
    assert one == two != content


@pytest.fixture(scope="module")
def ends():
    """How each fault ended, in a process that has loaded nothing that forbids a fork."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.attack.faults"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("end", FAULTS)
def test_a_fault_is_seen(end, ends):
    if ends[end] is None:
        pytest.skip("this file system does not note when a file is read")
    assert ends[end] == end


@pytest.mark.parametrize("config", configs(), ids=lambda config: config["name"])
def test_what_is_damaged_is_whole_before(config):
    use(model_from_json(json.dumps(config)), batch_for(config))
    use(model_from_yaml(yaml.safe_dump(config)), None)
