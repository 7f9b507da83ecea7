"""The contenders that can be measured, missing packages, and unknown names."""

import importlib.util
from pathlib import Path

import pytest

from recursive.errors import ConfigError, UnknownNameError
from tests.bench import contenders, contestants, random_graph


@pytest.mark.parametrize(
    ("choose", "words"),
    [
        (
            lambda: contestants.chosen_networks(["lstmm"]),
            "network 'lstmm' .* Did you mean 'lstm'?",
        ),
        (
            lambda: contestants.chosen_contenders(["jaxx"], None),
            "backend 'jaxx' .* Did you mean 'jax'?",
        ),
        (
            lambda: contestants.chosen_contenders(None, ["torch-lop"]),
            "peer 'torch-lop' .* Did you mean 'torch-loop'?",
        ),
        (
            lambda: contestants.chosen_contenders(None, ["none", "recursive-jax"]),
            "peer 'recursive-jax' takes one of",
        ),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_one(choose, words):
    with pytest.raises(UnknownNameError, match=words):
        choose()


def test_numbers_below_one_are_refused():
    with pytest.raises(
        ConfigError, match="argument 'rounds' takes a whole number of 1 or more"
    ):
        contestants.positive("rounds", 0)


def test_a_backend_chooses_the_container_and_the_scan_on_it_and_leaves_other_peers():
    names = [contender.name for contender in contestants.chosen_contenders(["c"], None)]
    assert names == [
        "recursive-c",
        "scan-c",
        "lax",
        "lax-hoisted",
        "keras",
        "torch-loop",
        "torch-nn",
    ]


def test_the_container_can_be_measured_alone():
    assert [
        contender.name
        for contender in contestants.chosen_contenders(["numba", "jax"], ["none"])
    ] == ["recursive-jax", "recursive-numba"]


def test_what_is_not_installed_is_missing(monkeypatch):
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else object()
    )
    assert {
        contender.name: contender.missing
        for contender in contestants.CONTENDERS
        if contender.missing
    } == {"torch-loop": ("torch",), "torch-nn": ("torch",)}


def test_every_contender_is_a_module_and_every_module_a_contender():
    files = {path.stem for path in Path(contenders.__file__).parent.glob("*.py")} - {
        "__init__"
    }
    assert {contender.module for contender in contestants.CONTENDERS} == files


@pytest.mark.parametrize("count", [1, 2, 5, 20, 81])
@pytest.mark.parametrize("seed", range(5))
def test_a_random_graph_computes_nothing_in_vain_and_reads_only_what_is_there(
    count, seed
):
    nodes = random_graph.draw(count, seed)
    assert nodes == random_graph.draw(count, seed)
    assert [node.name for node in nodes] == [
        f"n{number}" for number in range(1, count + 1)
    ]
    read = {name.removesuffix("_tm1") for node in nodes for name in node.reads}
    assert read == {"x", *(node.name for node in nodes)}
    for place, node in enumerate(nodes):
        now = {name for name in node.reads if not name.endswith("_tm1")}
        assert now <= {"x", *(earlier.name for earlier in nodes[:place])}
        assert node.has_weights or len(node.reads) == 2


@pytest.mark.parametrize("seed", range(5))
def test_only_values_that_cannot_grow_are_multiplied_or_added(seed):
    nodes = random_graph.draw(20, seed)
    weighted = {node.name for node in nodes if node.has_weights}
    joined = {
        name.removesuffix("_tm1")
        for node in nodes
        if not node.has_weights
        for name in node.reads
    }
    assert joined <= weighted
