"""Merges of several values, and gates, which multiply."""

from tests.suite.areas.loops import plain
from tests.suite.declare import (
    HIDDEN,
    IN,
    Net,
    Part,
    activation,
    cell,
    dense,
    identity,
)
from tests.suite.drafts import Area

area = Area("merges")


def merged(mode: str) -> Net:
    """Three projections of 6, merged at a node by ``mode``."""
    net = Net().input().input("u", 2).state("h")
    net.node("a", dense(IN, HIDDEN), "x").node("b", dense(2, HIDDEN), "u").node(
        "c", dense(HIDDEN, HIDDEN), "h"
    )
    if mode == "concat":
        return net.node(
            "rec", dense(3 * HIDDEN, HIDDEN, "tanh"), (mode, ["a", "b", "c"]), "h", True
        )
    return net.node("rec", activation(), (mode, ["a", "b", "c"]), "h", True)


for mode in ("concat", "sum", "mul", "ave", "max"):
    area.add(mode, f"Three values by {mode} at a node.", merged(mode))
    area.add(
        f"{mode}-output",
        f"Three values by {mode} at an output.",
        merged("sum").output("y", (mode, ["a", "rec", "c"])),
    )


@area("The inner product of two, row by row.")
def dot():
    net = Net().input().input("u", IN).state("h")
    net.node("like", identity(), ("dot", ["x", "u"]))
    return net.node("rec", dense(1 + HIDDEN, HIDDEN, "tanh"), ["like", "h"], "h", True)


@area("The inner product of a value and its past, at an output.")
def dot_output():
    return plain().output("y", ("dot", ["rec", "h"]))


@area("One value a row multiplies a whole row.")
def one_value_times_a_row():
    net = (
        Net()
        .input()
        .state("h")
        .node("one", dense(IN + HIDDEN, 1, "sigmoid"), ["x", "h"])
    )
    net.node("new", dense(IN, HIDDEN, "tanh"), "x")
    return net.node("rec", identity(), ("mul", ["one", "new"]), "h", True)


@area("The order of what is put side by side is that in which it is read.")
def order_of_concat():
    net = (
        Net()
        .input()
        .state("h")
        .node("a", dense(IN, 3), "x")
        .node("b", dense(IN, 3, "tanh"), "x")
    )
    return net.node(
        "rec", dense(6 + HIDDEN, HIDDEN, "tanh"), ["b", "h", "a"], "h", True
    )


@area("Two of the same value.")
def twice_the_same():
    return (
        plain()
        .output("doubled", ("sum", ["rec", "rec"]))
        .output("squared", ("mul", ["rec", "rec"]))
    )


ROWS = {"in/x": [[[1.0, -2.0], [3.0, 4.0]]], "in/u": [[[2.0, 5.0], [-1.0, 4.0]]]}


@area(
    "By hand: each mode of two rows.",
    rows=1,
    gradients=False,
    given=ROWS,
    hand={
        "out/sum": [[[3.0, 3.0], [2.0, 8.0]]],
        "out/mul": [[[2.0, -10.0], [-3.0, 16.0]]],
        "out/ave": [[[1.5, 1.5], [1.0, 4.0]]],
        "out/max": [[[2.0, 5.0], [3.0, 4.0]]],
        "out/dot": [[[-8.0], [13.0]]],
        "out/concat": [[[2.0, 5.0, 1.0, -2.0], [-1.0, 4.0, 3.0, 4.0]]],
    },
)
def _by_hand():
    net = Net().input(dim=2, steps=2).input("u", 2, steps=2)
    for mode in ("sum", "mul", "ave", "max", "dot", "concat"):
        net.node(f"by_{mode}", identity(), (mode, ["u", "x"])).output(
            mode, f"by_{mode}"
        )
    return net


area = Area("gating")


def blend() -> Part:
    """``gate old + (1 - gate) new``."""
    return Part("Blend")


for kind, why in (
    ("Gate", "a gate of x and h"),
    ("RecurrentDense", "the step of a SimpleRNN"),
    ("RecurrentGRU", "the step of a GRU"),
    ("RecurrentLSTM", "the step of an LSTM"),
):
    area.add(
        f"cell-{kind.lower().removeprefix('recurrent')}",
        f"{kind}, {why}, which reads its own past.",
        Net(free=True).input().node("h", cell(kind, IN, HIDDEN), "x", out=True),
    )


@area("The cell of an LSTM as an output beside it.", source="keras issue 7816")
def cell_shown():
    net = (
        Net(free=True)
        .input()
        .node("lstm", cell("RecurrentLSTM", IN, HIDDEN), "x", out=True)
    )
    return net.output("cell", "lstm.cell")


@area("The ports of a cell joined to something else than its own past.")
def ports_joined():
    net = Net(free=True).input().node("a", dense(IN, HIDDEN, "tanh"), "x")
    return net.node(
        "g", cell("RecurrentGRU", IN, HIDDEN), {"input": "x", "prev_hid": "a"}, out=True
    )


@area(
    "By hand: a gate of one half lets half of the old value through.",
    rows=1,
    gradients=False,
    given={"in/x": [[[8.0], [8.0], [8.0]]], "param/z.W": [[0.0]], "param/z.b": [0.0]},
    hand={"out/rec": [[[4.0], [6.0], [7.0]]]},
)
def _by_hand():
    net = (
        Net().input(dim=1, steps=3).state("h", 1).node("z", dense(1, 1, "sigmoid"), "x")
    )
    return net.node("rec", blend(), {"gate": "z", "old": "h", "new": "x"}, "h", True)


def gru_of_nodes() -> Net:
    """Every gate of a GRU a node."""
    net = Net(free=True).input()
    for gate in "zr":
        net.node(gate, cell("Gate", IN, HIDDEN), {"input": "x", "prev_hid": "h_tm1"})
    net.node("reset", identity(), ("mul", ["r", "h_tm1"]))
    net.node(
        "new",
        cell("RecurrentDense", IN, HIDDEN, activation="tanh"),
        {"input": "x", "prev_hid": "reset"},
    )
    return net.node("h", blend(), {"gate": "z", "old": "h_tm1", "new": "new"}, out=True)


area.add(
    "gru-of-nodes",
    "A GRU whose gates are nodes: old and new, z and r must not be swapped.",
    gru_of_nodes(),
)


@area("An LSTM whose gates are nodes, from sums and products alone.")
def lstm_of_nodes():
    net = Net(free=True).input()
    for gate in "ifo":
        net.node(gate, dense(IN + HIDDEN, HIDDEN, "hard_sigmoid"), ["x", "h_tm1"])
    net.node("new", dense(IN + HIDDEN, HIDDEN, "tanh"), ["x", "h_tm1"])
    net.node("kept", identity(), ("mul", ["f", "c_tm1"])).node(
        "written", identity(), ("mul", ["i", "new"])
    )
    net.node("c", identity(), ("sum", ["kept", "written"]))
    return net.node("shown", activation(), "c").node(
        "h", identity(), ("mul", ["o", "shown"]), out=True
    )


@area(
    "Gated feedback: every layer reads every layer of the step before through a gate.",
    source="Chung et al., 2015",
)
def feedback():
    net, below, dim = Net(free=True).input(), "x", IN
    for here in (1, 2):
        for there in (1, 2):
            net.node(
                f"gate{there}{here}",
                dense(dim + 12, 1, "sigmoid"),
                [below, "h1_tm1", "h2_tm1"],
            )
            net.node(
                f"back{there}{here}", dense(HIDDEN, HIDDEN, bias=False), f"h{there}_tm1"
            )
            net.node(
                f"through{there}{here}",
                identity(),
                ("mul", [f"gate{there}{here}", f"back{there}{here}"]),
            )
        net.node(f"up{here}", dense(dim, HIDDEN), below)
        net.node(
            f"h{here}",
            activation(),
            ("sum", [f"up{here}", f"through1{here}", f"through2{here}"]),
            out=here == 2,
        )
        below, dim = f"h{here}", HIDDEN
    return net


@area("Value by value, one side or the other.")
def switch():
    net = Net().input().input("which", IN, dtype="bool").state("h", IN)
    net.node("other", dense(IN, IN, "tanh"), "h")
    return net.node(
        "rec",
        Part("Switch"),
        {"condition": "which", "then": "x", "otherwise": "other"},
        "h",
        True,
    )
