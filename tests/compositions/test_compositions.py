"""Random compositions of containers, loops, shared layers and masks, held to relations.

``RECURSIVE_COMPOSITIONS=2000`` draws so many examples, other ones each time, and makes
what fails smaller. Without it the examples are the same each time, and shown as found.
"""

import os

import pytensor
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.compositions import relations
from tests.compositions.describe import networks

DEEP = int(os.environ.get("RECURSIVE_COMPOSITIONS", 0))
USUAL = 100
"""Two to four minutes on one core, in plain Python mode."""
LIGHT = {"first": ("x", "w"), "cells": ("rnn", "gru"), "depth": 1}
"""For training steps: the gradient of a loop in a loop takes ten times as long."""
PHASES = [Phase.explicit, Phase.generate, *([Phase.shrink] if DEEP else [])]


@pytest.fixture(autouse=True, scope="module")
def _fast():
    """PyTensor keeps no traceback of each variable, which takes a third of the time."""
    with pytensor.config.change_flags(traceback__limit=0):
        yield


def examples(share):
    return settings(
        max_examples=max(1, round((DEEP or USUAL) * share)),
        deadline=None,
        database=None,
        derandomize=not DEEP,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )


@examples(0.25)
@given(networks())
def test_what_is_nested_computes_what_is_flat(network):
    relations.nested_is_flat(network)


@examples(0.1)
@given(networks(**LIGHT))
def test_what_is_nested_learns_as_what_is_flat(network):
    relations.nested_learns_as_flat(network)


@examples(0.1)
@given(networks(share=True, **LIGHT).filter(lambda network: network.shares))
def test_a_shared_layer_is_two_layers_that_are_kept_equal(network):
    relations.shared_is_kept_equal(network)


@examples(0.15)
@given(networks(padded=True))
def test_a_padded_batch_is_each_row_alone(network):
    relations.rows_are_alone(network)


@examples(0.05)
@given(networks(share=True))
def test_nodes_may_be_declared_in_any_order(network):
    relations.order_does_not_count(network)


@examples(0.1)
@given(networks())
def test_loops_that_are_written_out_compute_the_same(network):
    relations.written_out_is_a_loop(network)


@examples(0.075)
@given(networks(share=True, code=False))
def test_a_configuration_makes_the_model_again(network):
    relations.json_round_trip(network)


@examples(0.05)
@given(networks(share=True))
def test_copies_compute_the_same(network):
    relations.copies_are_the_same(network)


@examples(0.05)
@given(networks())
def test_batches_of_other_sizes_compute_the_same(network):
    relations.batches_are_rows(network)


@examples(0.075)
@given(networks(custom=False, code=False, old=False, share=True))
def test_the_reference_computes_the_same(network):
    relations.numpy_agrees(network)
