"""A report as JSON, as text, in a page, and as targets."""

import json

import pytest

from recursive.errors import ConfigError
from tests.bench import page, plots, results, scaling, table, targets
from tests.bench.contestants import QUICK, Sizes
from tests.bench.results import Report, Row, Spread

MACHINE = {
    "date": "2026-01-02T03:04+00:00",
    "processor": "abacus",
    "system": "none",
    "cores": 2,
    "threads": 1,
    "rounds": 3,
    "calls": 2,
    "python": "3.11",
    "load": [],
    "versions": {"jax": "0.10"},
}


def row(name, label, train, network="lstm", **fields):
    times = {
        "forward": Spread(train / 4, train / 5, train / 3, 3),
        "train": Spread(train, train / 2, 2 * train, 3),
    }
    return Row(
        network,
        name,
        label,
        imports=1.0,
        cold=3.5,
        warm=1.5,
        times=times,
        base=100.0,
        peak=150.4,
        sizes=Sizes().to_dict(),
        **fields,
    )


def report(*more, **fields):
    rows = [
        row("lax", "lax.scan", 0.02),
        row("recursive-jax", "recursive, jax", 0.012),
        Row(
            "lstm",
            "torch-nn",
            "nn.LSTM",
            why="torch is not installed: pip install torch",
        ),
        *more,
    ]
    return Report(MACHINE, Sizes().to_dict(), rows, **fields)


def grown(*pairs, label="recursive, jax"):
    return [row("recursive-jax", label, seconds) for steps, seconds in pairs]


def test_a_spread_is_over_the_medians_of_rounds():
    spread = Spread.over([[5.0, 1.0, 2.0], [4.0, 4.0, 90.0], [30.0, 30.0, 30.0]])
    assert (spread.median, spread.fastest, spread.slowest, spread.rounds) == (
        4.0,
        2.0,
        30.0,
        3,
    )


def test_json_brings_back_the_whole_report():
    whole = report(scaling={"steps": grown((100, 0.1))})
    assert Report.from_json(whole.to_json()) == whole
    assert json.loads(whole.to_json())["version"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 2}',
        '{"version": 1}',
        '{"version": 1, "rows": [{"times": {}}], "scaling": {}}',
    ],
)
def test_other_text_is_refused(text):
    with pytest.raises(
        ConfigError, match=r"takes what python -m tests\.bench --json wrote"
    ):
        Report.from_json(text)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="takes a file that can be read"):
        results.read(tmp_path / "none.json")


def test_the_table_is_sorted_by_train_step_and_tells_what_is_missing():
    shown = table.as_text(report())
    lines = shown.splitlines()
    place = {
        start: next(
            number for number, line in enumerate(lines) if line.startswith(start)
        )
        for start in ("LSTM", "recursive, jax", "lax.scan", "nn.LSTM", "Aims")
    }
    assert list(place.values()) == sorted(place.values())
    assert "12 (6 to 24)" in lines[place["recursive, jax"]]
    assert "3.5 / 1.5" in lines[place["recursive, jax"]]
    assert lines[place["recursive, jax"]].endswith("150")
    assert (
        lines[place["nn.LSTM"]] == "nn.LSTM: torch is not installed: pip install torch"
    )
    assert len({len(line) for line in lines[place["LSTM"] + 1 : place["nn.LSTM"]]}) == 1
    assert "batch 32, 100 steps, 64 -> 128" in lines[0]


def test_markdown_has_a_table_for_each_network():
    text = table.as_markdown(report(row("lax", "lax.scan", 0.03, network="random")))
    assert "### LSTM\n\n|  | forward, ms |" in text
    assert "### random graph, 20 nodes\n" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {7, 5}
    assert "| lax.scan | 5 (4 to 6.67) | 20 (10 to 40) | - | 3.5 / 1.5 | 150 |" in rows


def test_an_aim_is_a_ratio_in_one_sitting():
    found = {words: numbers for words, *numbers in targets.lines_of(report())}
    assert found["LSTM, train step: recursive-jax against lax"] == ["0.60", "0.5", "no"]
    assert found[
        "LSTM, seconds to the first train step, empty caches: recursive-jax"
    ] == ["3.50", "4", "yes"]
    assert not any("torch-nn" in words or "recursive-c" in words for words in found)


def test_the_gru_is_compared_with_the_gru_that_pytorch_has():
    after = row("torch-nn", "nn.GRU", 0.01, network="gru-after")
    own = row("recursive-jax", "recursive, jax", 0.012, network="gru")
    found = {words: numbers for words, *numbers in targets.lines_of(report(after, own))}
    assert (
        found["GRU (Cho et al., 2014), train step: recursive-jax against torch-nn"][0]
        == "1.20"
    )


def by_steps(*pairs):
    rows = [row("recursive-jax", "recursive, jax", seconds) for _, seconds in pairs]
    for found, (steps, _) in zip(rows, pairs, strict=True):
        found.sizes = Sizes(steps=steps).to_dict()
    return rows


def test_growth_shows_each_size_and_the_power_at_the_end():
    rows = by_steps((100, 0.01), (1000, 0.1), (10_000, 1.0))
    head, line = table.growth(rows, "steps")
    assert head == ("", "100", "1,000", "10,000", "power")
    assert line == ("recursive, jax", "10 / 150", "100 / 150", "1000 / 150", "1.00")
    assert scaling.exponent(
        by_steps((100, 0.01), (1000, 0.1), (10_000, 10.0)), "steps"
    ) == pytest.approx(2.0)


def test_a_size_that_could_not_be_measured_leaves_a_gap():
    rows = by_steps((100, 0.01), (1000, 0.1), (10_000, 1.0))
    rows[-1].why, rows[-1].times = "its process ended with code -9", {}
    assert table.growth(rows, "steps")[1][-2:] == ("-", "-")
    assert "recursive, jax: its process ended with code -9" in table.as_text(
        report(scaling={"steps": rows})
    )


def test_growth_goes_up_to_ten_thousand_steps():
    assert scaling.points(Sizes())["steps"][-1] == Sizes(steps=10_000)
    assert [len(several) for several in scaling.points(QUICK).values()] == [2, 2, 2, 2]


def test_a_report_goes_between_the_marks_of_a_page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    for text in ("first\n", "new\n"):
        page.fill(path, text)
    assert path.read_text() == f"before\n{page.BEGIN}\n\nnew\n\n{page.END}\nafter\n"


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        page.BEGIN,
        f"{page.END}{page.BEGIN}",
        f"{page.BEGIN}{page.BEGIN}{page.END}",
        f"{page.BEGIN}{page.END}{page.END}",
    ],
)
def test_a_page_without_its_marks_is_refused(tmp_path, text):
    path = tmp_path / "page.md"
    path.write_text(text)
    with pytest.raises(ConfigError, match="once each"):
        page.check(path)


def test_a_picture_turns_dark_where_dark_is_preferred(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures come with the extra 'bench'")
    whole = report(scaling={"steps": by_steps((100, 0.01), (1000, 0.1))})
    files = list(plots.draw(whole, tmp_path / "bench.svg").values())
    assert [path.name for path in files] == ["bench.svg", "bench-scaling.svg"]
    drawn, _ = (path.read_text() for path in files)
    assert ">recursive, jax<" in drawn and ">nn.LSTM<" not in drawn
    style, _, shapes = drawn.partition("</style>")
    for colours in (plots.LIGHT, plots.DARK):
        assert all(f"--{name}: {colour};" in style for name, colour in colours.items())
    assert not any(colour in shapes for colour in plots.LIGHT.values())
    assert all(
        f"var(--{name})" in shapes for name in ("paper", "ink", "recursive", "peer")
    )
    assert (
        next(iter(plots.draw(whole, tmp_path / "bench.svg").values())).read_text()
        == drawn
    )


def test_a_picture_can_be_a_png(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures come with the extra 'bench'")
    [path] = plots.draw(report(), tmp_path / "bench.png").values()
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.png or \.svg"):
        plots.check(tmp_path / "bench.jpg")
