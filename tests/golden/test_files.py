"""The golden files: whole, complete, right where the original was wrong, and readable without a tensor library."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from recursive.conformance import case
from recursive.errors import UnknownNameError
from tests.golden import fixed, page, report
from tests.golden.judging import WAITING, cases, judge, waits

ROOT = Path(__file__).parents[2]


def test_every_file_is_the_one_that_the_manifest_tells():
    assert json.loads((case.CASES / "MANIFEST.json").read_text()) == fixed.manifest()


@pytest.mark.parametrize("name", case.names())
def test_a_case_says_what_it_is_why_and_where_its_numbers_come_from(name):
    golden = case.read(name)
    about = golden.about
    assert name == f"{about['tier']}/{about['id']}"
    assert all(len(about[key]) > 10 for key in ("description", "why"))
    assert {"how", "code"} <= about["produced_by"].keys()
    assert not golden.arrays or {"tolerance", "arrays"} <= about.keys()
    assert all(np.isfinite(array).all() for array in golden.arrays.values())


def test_where_the_original_was_wrong_its_numbers_are_on_record_and_judge_nothing():
    unjudged = [name for name in case.names() if not case.read(name).about["judged"]]
    assert [name.rpartition("/")[2] for name in unjudged] == [
        "bug_state_order",
        "bug_two_inputs_dict_order",
        "probes",
    ]
    assert not {golden.name for golden in cases("recursive")} & set(unjudged)


def test_what_waits_is_there_and_says_why():
    for start, reason in WAITING.items():
        assert any(name.startswith(f"legacy2015/{start}") for name in case.names()), (
            start
        )
        assert len(reason) > 10
    assert waits("legacy2015/recursive/probes")


@pytest.mark.parametrize("name", fixed.FIXED)
def test_the_fixed_cases_are_what_the_loop_gives_here_and_now(name):
    golden = case.read(f"legacy2015/recursive/fixed_{name}")
    found = fixed.arrays_of(name)
    assert found.keys() == golden.arrays.keys()
    assert dict(golden.about) == json.loads(json.dumps(fixed.about(name)))
    for key, array in found.items():
        np.testing.assert_allclose(
            array, golden.arrays[key], rtol=1e-13, atol=1e-13, err_msg=key
        )
    faulty = case.read(f"legacy2015/recursive/bug_{name}").arrays
    assert (
        max(
            np.abs(faulty[key] - found[key]).max()
            for key in found
            if key.startswith("out_seq__")
        )
        > 0.1
    )


def two_states_swapped(w, x, past):
    """The fault of 2015: ``ra`` is handed the past of ``rb``, and the other way round."""
    return fixed.two_states(w, x, {"ra": past["rb"], "rb": past["ra"]})


def two_inputs_swapped(w, x, past):
    """The fault of 2015: ``p1`` is handed ``x``, and ``p2`` ``u``."""
    return fixed.two_inputs(w, {"u": x["x"], "x": x["u"]}, past)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("state_order", two_states_swapped),
        ("two_inputs_dict_order", two_inputs_swapped),
    ],
)
def test_the_same_loop_with_the_fault_of_2015_gives_the_numbers_of_2015(name, step):
    """So the fixed numbers differ from the original's by the fault and by nothing else, gradients included."""
    golden = case.read(f"legacy2015/recursive/bug_{name}")
    weights, inputs, output = (
        golden.part("w__"),
        golden.part("x__"),
        fixed.FIXED[name][1],
    )
    nodes = fixed.unrolled(step, weights, inputs)
    judge(golden, {f"node__{node}": nodes[node].real for node in golden.part("node__")})
    for suffix, start in (("", 0), ("_trunc3", 3)):
        for kind, found in fixed.gradients(
            step, output, weights, inputs, start
        ).items():
            judge(
                golden,
                {f"grad_{kind}{suffix}__{key}": array for key, array in found.items()},
                "gradient",
            )


def test_a_difference_is_told_with_what_it_means_and_what_never_to_do():
    golden = case.read("legacy2015/layers/gru")
    off = golden.arrays["out_seq"].copy()
    off[1, 2, 3] += 1e-11
    with pytest.raises(
        AssertionError,
        match=r"(?s)layers/gru, out_seq: differs by 1e-11.*Never write new numbers",
    ):
        judge(golden, {"out_seq": off})
    with pytest.raises(AssertionError, match=r"\(3, 4\), not \(3, 6, 4\)"):
        judge(golden, {"out_seq": golden.arrays["out_last"]})


def test_the_page_has_every_case_in_its_order_and_in_its_words():
    _, lines, _ = page.table_in(page.PAGE.read_text(encoding="utf-8"))
    furthest = {name: bound / 20 for name, bound in page.bounds().items()}
    assert lines == report.rows(furthest)
    judged = {
        golden.name
        for group in (
            "graph",
            "layers",
            "objectives",
            "optimizers",
            "recursive",
            "stateful",
        )
        for golden in cases(group)
    }
    assert page.bounds().keys() == judged


def test_the_page_never_allows_more_than_the_case_does():
    for name, bound in page.bounds().items():
        assert 0 < bound <= max(case.read(name).about["tolerance"].values()), name


@pytest.mark.parametrize(
    ("found", "written"),
    [(0.0, "1e-14"), (9e-16, "1e-14"), (2e-15, "1e-13"), (0.3, "1e+01")],
)
def test_a_difference_is_written_as_a_power_of_ten_with_room_for_another_machine(
    found, written
):
    assert page.worded(page.bound_of(found)) == written


def test_a_difference_beyond_the_page_is_told_though_the_case_would_let_it_pass(
    monkeypatch,
):
    golden = case.read("legacy2015/layers/gru")
    off = golden.arrays["out_seq"] + 5e-13
    monkeypatch.setattr(page, "bounds", dict)
    judge(golden, {"out_seq": off})
    monkeypatch.setattr(page, "bounds", lambda: {golden.name: 1e-13})
    with pytest.raises(
        AssertionError,
        match=r"layers/gru, out_seq: differs by 5e-13, and docs/fidelity.md says 1e-13",
    ):
        judge(golden, {"out_seq": off})


def test_an_unknown_case_is_refused_and_the_nearest_offered():
    with pytest.raises(UnknownNameError, match="Did you mean 'legacy2015/layers/lstm'"):
        case.read("legacy2015/layers/lsm")


def test_the_files_are_installed_with_the_package():
    call = next(
        node
        for node in ast.walk(ast.parse((ROOT / "setup.py").read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"
    )
    package_data = next(
        ast.literal_eval(item.value)
        for item in call.keywords
        if item.arg == "package_data"
    )
    found = {
        path
        for pattern in package_data["recursive"]
        for path in (ROOT / "recursive").glob(pattern)
    }
    assert {path for path in case.CASES.rglob("*") if path.is_file()} <= found
    assert (case.CASES.parent / "__init__.py").exists()
