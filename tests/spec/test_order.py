"""The order in which the nodes of one step run, compared with brute force."""

import itertools
import random
import re

import pytest

from recursive.errors import CycleError
from recursive.spec.graph import GraphSpec, InputSpec, StateSpec
from recursive.spec.order import ordered
from tests.spec.building import SENTENCE, node


def spec_of(reads, states=None):
    """A spec of ``{"node": ["its", "reads"]}``, an input ``x`` and states by node."""
    nodes = tuple(node(name, *read, mode="sum") for name, read in reads.items())
    return GraphSpec(
        inputs=(InputSpec("x", dim=4),),
        nodes=nodes,
        states=tuple(StateSpec(name, 4, fed) for name, fed in (states or {}).items()),
    )


def run_order(reads, states=None):
    return [node.name for node in ordered(spec_of(reads, states))]


def is_valid(order, reads):
    """True if each node comes once, after the nodes that it reads without a tap."""
    ready = []
    for name in order:
        if any(read in reads and read not in ready for read in reads[name]):
            return False
        ready.append(name)
    return sorted(ready) == sorted(reads)


def random_reads(source, count, acyclic=True):
    """Shuffled nodes that have a valid order, with references to any past value."""
    hidden = [f"n{index}" for index in range(count)]
    source.shuffle(hidden)
    reads = {}
    for index, name in enumerate(hidden):
        near = hidden[:index] if acyclic else hidden
        now = source.sample(near, min(len(near), source.randrange(4 if acyclic else 2)))
        past = [
            f"{source.choice(hidden)}_tm{source.randrange(1, 4)}"
            for _ in range(source.randrange(3))
        ]
        reads[name] = [*now, *past, source.choice(["x", "x_tm1", "h", "h_tm2"])]
        source.shuffle(reads[name])
    declared = list(hidden)
    source.shuffle(declared)
    return {name: reads[name] for name in declared}, {"h": source.choice(hidden)}


@pytest.mark.parametrize("seed", range(60))
def test_each_node_runs_once_and_after_what_it_reads_at_the_same_time(seed):
    source = random.Random(seed)
    reads, states = random_reads(source, source.randrange(1, 40))
    assert is_valid(run_order(reads, states), reads)


@pytest.mark.parametrize("seed", range(40))
def test_an_order_that_was_declared_validly_is_kept(seed):
    source = random.Random(1000 + seed)
    reads, states = random_reads(source, source.randrange(1, 30))
    valid = {name: reads[name] for name in run_order(reads, states)}
    assert is_valid(list(valid), reads)
    assert run_order(valid, states) == list(valid)


def test_the_earliest_declared_order_is_found_unless_nodes_need_one_another():
    source = random.Random(2000)
    found = {"order": 0, "cycle": 0}
    for _ in range(120):
        reads, states = random_reads(source, source.randrange(2, 6), acyclic=False)
        place = list(reads).index
        valid = [
            order for order in itertools.permutations(reads) if is_valid(order, reads)
        ]
        if valid:
            found["order"] += 1
            assert run_order(reads, states) == list(
                min(valid, key=lambda order: list(map(place, order)))
            )
        else:
            found["cycle"] += 1
            with pytest.raises(CycleError):
                run_order(reads, states)
    assert min(found.values()) > 20, found


def named_cycle(error):
    found = re.search(r"got (\w+(?: <- \w+)+)\. ", str(error))
    return found[1].split(" <- ")


@pytest.mark.parametrize("seed", range(60))
def test_a_cycle_is_named_along_its_reads_and_the_mend_that_is_offered_breaks_it(seed):
    source = random.Random(3000 + seed)
    reads, states = random_reads(source, source.randrange(2, 12))
    order = run_order(reads, states)
    early = source.randrange(len(order))
    late = source.randrange(early, len(order))
    for reader, read in itertools.pairwise(order[early : late + 1]):
        reads[read] = [*reads[read], reader]
    reads[order[early]] = [*reads[order[early]], order[late]]

    for _ in range(sum(map(len, reads.values()))):
        try:
            assert is_valid(run_order(reads, states), reads)
            break
        except CycleError as error:
            message = str(error)
        assert SENTENCE.fullmatch(message)
        cycle = named_cycle(message)
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(read in reads[reader] for reader, read in itertools.pairwise(cycle))
        offer = re.search(r"Let '(\w+)' read '(\w+)_tm1' in place of '(\w+)'", message)
        assert offer.groups() == (cycle[0], cycle[1], cycle[1])
        reader, read, _ = offer.groups()
        reads[reader] = [
            f"{read}_tm1" if text == read else text for text in reads[reader]
        ]
    else:
        raise AssertionError("the cycle is still there")


def test_a_cycle_of_two_names_both_and_offers_the_step_before():
    with pytest.raises(CycleError) as raised:
        run_order({"front": ["x"], "a": ["front", "b"], "b": ["a"], "behind": ["b"]})
    assert str(raised.value) == (
        "node 'a' takes values that are computed before it runs, because nodes of one step "
        "run one after another; got a <- b <- a. Let 'a' read 'b_tm1' in place of 'b', "
        "for example."
    )


def test_a_node_that_reads_itself_now_is_a_cycle_of_one():
    with pytest.raises(
        CycleError, match=r"got a <- a\. Let 'a' read 'a_tm1' in place of 'a'"
    ):
        run_order({"a": ["x", "a"]})


def test_what_only_reads_from_a_cycle_is_not_part_of_it():
    with pytest.raises(CycleError) as raised:
        run_order(
            {
                "first": ["a"],
                "second": ["first"],
                "a": ["c"],
                "b": ["a"],
                "c": ["b"],
                "x2": ["x"],
            }
        )
    assert set(named_cycle(raised.value)) == {"a", "b", "c"}


@pytest.mark.parametrize("read", ["b_tm1", "b_tm5", "h", "h_tm1", "h_tm3"])
def test_a_value_of_an_earlier_time_breaks_a_cycle(read):
    assert run_order({"a": ["x", read], "b": ["a"]}, {"h": "b"}) == ["a", "b"]


def test_a_node_may_read_its_own_past_by_any_name():
    assert run_order({"rec": ["x", "h", "rec_tm1", "h_tm2"]}, {"h": "rec"}) == ["rec"]


def test_a_value_of_an_earlier_time_does_not_order_nodes():
    assert run_order({"a": ["b_tm1"], "b": ["c_tm1"], "c": ["x"]}) == ["a", "b", "c"]


def test_a_node_declared_too_early_waits_and_the_others_keep_their_places():
    assert run_order(
        {"late": ["c"], "a": ["x"], "b": ["x"], "c": ["a"], "d": ["x"]}
    ) == ["a", "b", "c", "late", "d"]


def test_a_name_read_twice_counts_once():
    assert run_order({"b": ["a", "a", "a"], "a": ["x", "x"]}) == ["a", "b"]


def test_there_may_be_no_nodes():
    assert ordered(GraphSpec(inputs=(InputSpec("x"),))) == ()


def test_the_nodes_themselves_come_back_unchanged():
    spec = spec_of({"b": ["a"], "a": ["x"]})
    assert ordered(spec) == (spec.nodes[1], spec.nodes[0])
