"""Taps, starts, kept states, and the lengths of the loop and of the reverse pass."""

from tests.suite.areas.loops import COUNT, ONES, context, plain, scalar
from tests.suite.declare import (
    HIDDEN,
    IN,
    Net,
    activation,
    dense,
    identity,
    vanilla,
)
from tests.suite.drafts import ELANMART, PROPOSAL, Area

area = Area("taps")


def lags(net: Net, *taps: int) -> Net:
    """``h`` from ``x`` and the values of ``h`` of so many steps back."""
    read = ["x", *(f"h_tm{tap}" for tap in taps)]
    return net.node(
        "rec", dense(IN + HIDDEN * len(taps), HIDDEN, "tanh"), read, "h", True
    )


for taps in ((2,), (3,), (1, 2), (2, 5), (7,)):
    area.add(
        "h-" + "-".join(map(str, taps)),
        f"The state {' and '.join(map(str, taps))} steps back, of five.",
        lags(Net().input().state("h"), *taps),
        source=ELANMART,
    )

for tap in (1, 2, 7):
    area.add(
        f"input-{tap}",
        f"The input {tap} steps back: zeros before there were any.",
        Net()
        .input()
        .state("h")
        .node(
            "rec",
            dense(2 * IN + HIDDEN, HIDDEN, "tanh"),
            ["x", f"x_tm{tap}", "h"],
            "h",
            True,
        ),
    )


@area(
    "By hand: each value is that of two steps before and the input.",
    rows=1,
    given={"in/x": [[[1.0], [2.0], [3.0], [4.0], [5.0]]]},
    hand={"out/rec": [[[1.0], [2.0], [4.0], [6.0], [9.0]]]},
)
def _by_hand():
    return (
        Net()
        .input(dim=1)
        .state("h", 1)
        .node("rec", identity(), ("sum", ["x", "h_tm2"]), "h", True)
    )


@area(
    "By hand: a delay line.",
    rows=1,
    gradients=False,
    given={"in/x": [[[1.0], [2.0], [3.0], [4.0], [5.0]]]},
    hand={
        "out/two": [[[0.0], [0.0], [1.0], [2.0], [3.0]]],
        "out/one": [[[0.0], [1.0], [2.0], [3.0], [4.0]]],
    },
)
def delay():
    net = Net().input(dim=1).node("same", identity(), "x", out=True)
    return net.output("one", "x_tm1").output("two", "same_tm2")


@area("A node that no state remembers, one and two steps back.", source=ELANMART)
def of_a_node():
    net = Net().input().state("h").node("low", dense(IN, 3, "tanh"), "x")
    return net.node(
        "rec", dense(6 + HIDDEN, HIDDEN, "tanh"), ["low_tm1", "h", "low_tm2"], "h", True
    )


@area("The past of a node that feeds a state is the past of the state, its start too.")
def by_the_node_of_a_state():
    net = Net().input().state("h", initial=0.5)
    return net.node(
        "rec", dense(IN + 2 * HIDDEN, HIDDEN, "tanh"), ["x", "rec_tm2", "h"], "h", True
    )


@area("Taps at outputs only.")
def at_outputs():
    return plain().output("past", ["rec_tm2", "x_tm1"])


@area("Taps of every sort at once.", source=PROPOSAL)
def of_every_sort():
    net = (
        Net()
        .input()
        .state("h")
        .node("now", dense(IN, HIDDEN), "x")
        .node("before", dense(IN, HIDDEN), "x_tm2")
    )
    net.node("far", dense(HIDDEN, HIDDEN), "h_tm3").node(
        "own", dense(HIDDEN, HIDDEN), "own_tm1"
    )
    net.node(
        "rec", activation(), ("sum", ["now", "before", "far", "own", "h"]), "h", True
    )
    return net.output("past", ["rec_tm2", "own"])


@area("A state read at two taps of which one is bare.")
def bare_and_two():
    net = Net().input().state("h")
    return net.node(
        "rec", dense(IN + 2 * HIDDEN, HIDDEN, "tanh"), ["h_tm2", "x", "h"], "h", True
    )


area = Area("initial-states")
ROW = tuple(float(number) / 4 for number in range(1, HIDDEN + 1))


def starting(initial: object) -> Net:
    """The plain loop from another start."""
    return lags(Net().input().state("h", initial=initial), 1)


area.add("number", "One number for all.", starting(0.5))
area.add("row", "A number for each value.", starting(ROW))
area.add(
    "learned",
    "A row of parameters, which has a gradient.",
    starting("learned"),
    source="recurrentshop issue 18",
)
area.add(
    "drawn-at-rest",
    "A start that is drawn while training is zeros else.",
    starting("drawn"),
)
area.add(
    "rows-oldest-first",
    "Two rows for two steps back: the older is read first.",
    lags(Net().input().state("h", initial=(ROW, (0.0,) * HIDDEN)), 1, 2),
)
area.add(
    "one-row-for-several-taps",
    "One row stands for each step that is looked back to.",
    lags(Net().input().state("h", initial=ROW), 3, 1),
)
area.add(
    "learned-two-back",
    "One row of parameters for two steps back: its gradient is a sum.",
    lags(Net().input().state("h", initial="learned"), 2, 1),
)


@area(
    "A start from a context: a row for each row of the batch.", source="flax issue 3151"
)
def context_as_start():
    net = Net().input().input("c", HIDDEN, sequence=False).state("h", initial="c")
    return lags(net, 1)


@area("A start from a context that every step reads too.")
def context_twice():
    net = Net().input().input("c", HIDDEN, sequence=False).state("h", initial="c")
    return net.node(
        "rec", dense(IN + 2 * HIDDEN, HIDDEN, "tanh"), ["x", "c", "h"], "h", True
    )


@area(
    "By hand: from 10, the loop adds up.",
    rows=1,
    given=COUNT,
    hand={"out/rec": [[[11.0], [12.0], [13.0], [14.0], [15.0]]]},
)
def _by_hand():
    net = Net().input(dim=1).state("h", 1, 10.0)
    return net.node("rec", dense(2, 1), ["x", "h"], "h", True)


area = Area("final-states")


@area(
    "The states after the last step, beside the outputs.",
    source="recurrentshop issue 18",
)
def beside_outputs():
    return plain(return_final_states=True)


@area("Of a state that is looked back to two steps: both, oldest first.")
def two_back():
    return lags(Net(return_final_states=True).input().state("h"), 1, 2)


@area("Of two states and of a node that none remembers, the last step only.")
def several():
    net = (
        Net(return_sequences=False, return_final_states=True)
        .input()
        .state("h")
        .state("e", 2)
    )
    net.node("low", dense(IN, 3), "x")
    net.node(
        "rec",
        dense(6 + HIDDEN + 2, HIDDEN, "tanh"),
        ["low", "h", "e", "low_tm1"],
        "h",
        True,
    )
    return net.node("err", dense(HIDDEN, 2), "rec", "e")


area = Area("stateful")
area.add(
    "two-batches",
    "The second batch goes on where the first ended.",
    plain(stateful=True),
    batches=2,
    source="keras issue 1820",
)
area.add(
    "three-batches-last-step",
    "Three batches, the last step of each.",
    vanilla(Net(return_sequences=False, stateful=True).input().state("h")),
    batches=3,
    source="keras issue 2322",
)
area.add(
    "two-back",
    "Two steps back, over the border of batches.",
    lags(Net(stateful=True).input().state("h"), 1, 2),
    batches=2,
)
area.add(
    "no-longer-than-its-taps",
    "Batches of one step, two of which are looked back to.",
    lags(Net(stateful=True).input(steps=1).state("h"), 2),
    batches=3,
)
area.add(
    "started",
    "From a start that is not zero, once.",
    lags(Net(stateful=True).input().state("h", initial=ROW), 1),
    batches=2,
)
area.add(
    "node-past",
    "The past of a node that no state remembers goes on too.",
    plain(stateful=True).node(
        "own", dense(HIDDEN + 2, 2, "tanh"), ["rec", "own_tm1"], out=True
    ),
    batches=2,
)
area.add(
    "states-given",
    "From states that are given, as a run that is taken up again.",
    plain(stateful=True),
    given={"state0/h": "random"},
)
area.add(
    "states-given-two-back",
    "The same of two steps back, oldest first.",
    lags(Net(stateful=True).input().state("h"), 2, 1),
    given={"state0/h": "random 2"},
)


@area("One state goes on, the other starts anew.", batches=2)
def one_of_two():
    net = Net().input().state("h", stateful=True).state("e", 2, stateful=False)
    net.node("rec", dense(IN + HIDDEN + 2, HIDDEN, "tanh"), ["x", "h", "e"], "h", True)
    return net.node("err", dense(HIDDEN, 2), "rec", "e", True)


area.add(
    "by-hand",
    "By hand: a counter goes on counting.",
    scalar(stateful=True),
    rows=1,
    batches=2,
    given={**ONES, "b0/in/x": [[[1.0], [1.0]]], "b1/in/x": [[[1.0], [1.0]]]},
    hand={"b0/out/rec": [[[1.0], [2.0]]], "b1/out/rec": [[[3.0], [4.0]]]},
)

area = Area("masks")
HOLES = [
    [True, False, True, True, False],
    [False, True, True, False, False],
    [True, True, True, True, True],
]
LEFT = [
    [False, True, True, True, True],
    [False, False, False, True, True],
    [True, True, True, True, True],
]
RIGHT = [
    [True, True, False, False, False],
    [True, True, True, True, False],
    [True, True, True, True, True],
]
NONE = [
    [True, False, True, True, False],
    [False, False, False, False, False],
    [True, True, True, True, True],
]


def masked(**settings: object) -> Net:
    """The plain loop with a mask."""
    return lags(Net(**settings).input().mask().state("h"), 1)


for name, mask in (
    ("holes", HOLES),
    ("left", LEFT),
    ("right", RIGHT),
    ("a-row-without-data", NONE),
):
    area.add(
        name,
        f"A mask of {name.replace('-', ' ')}: states stay, outputs repeat the last step that was data.",
        masked(),
        given={"in/mask": mask},
        source="keras issue 1300",
    )
area.add(
    "last-step",
    "The last step that was data, row by row.",
    masked(return_sequences=False),
    given={"in/mask": HOLES},
    source="keras issue 11499",
)
area.add(
    "final-states",
    "States after the last step that was data.",
    masked(return_final_states=True),
    given={"in/mask": NONE},
)
area.add(
    "backwards",
    "A mask runs backwards with its sequence.",
    masked(go_backwards=True),
    given={"in/mask": HOLES},
)
area.add(
    "beside",
    "A mask from the layer before, which is no input.",
    plain(),
    given={"mask": HOLES},
)
area.add(
    "taps",
    "Two steps back means two steps that were data.",
    lags(Net().input().mask().state("h", initial=(ROW, (0.0,) * HIDDEN)), 1, 2),
    given={"in/mask": HOLES},
)
area.add(
    "input-taps",
    "The input of the step before that was data.",
    Net()
    .input()
    .mask()
    .state("h")
    .node(
        "rec", dense(2 * IN + HIDDEN, HIDDEN, "tanh"), ["x", "x_tm1", "h"], "h", True
    ),
    given={"in/mask": HOLES},
)
area.add(
    "behind-the-loop",
    "A node behind the loop repeats its value too.",
    masked().node("y", dense(HIDDEN, 2, "sigmoid"), "rec", out=True),
    given={"in/mask": NONE},
)
area.add(
    "stateful",
    "A masked last step, and the batch that goes on from it.",
    masked(stateful=True),
    batches=2,
    given={"b0/in/mask": HOLES, "b1/in/mask": LEFT},
)


@area(
    "By hand: a masked step is not counted, and shows the count so far.",
    rows=1,
    given={
        **ONES,
        "in/x": [[[1.0]] * 5],
        "in/mask": [[True, False, True, False, False]],
    },
    hand={
        "out/rec": [[[1.0], [1.0], [2.0], [2.0], [2.0]]],
        "grad/in/x": [[[5.0], [0.0], [3.0], [0.0], [0.0]]],
    },
)
def _by_hand():
    return (
        Net()
        .input(dim=1)
        .mask()
        .state("h", 1)
        .node("rec", dense(2, 1), ["x", "h"], "h", True)
    )


area = Area("truncation")
for steps in (1, 2, 3, 5, 9):
    area.add(
        f"of-{steps}",
        f"The backward loop runs over the last {steps} of five steps.",
        plain(truncate_gradient=steps),
        source="Theano's scan",
    )
area.add(
    "last-step",
    "Of an output that is the last step.",
    plain(return_sequences=False, truncate_gradient=2),
)
area.add(
    "two-back",
    "With taps that reach behind the border.",
    lags(Net(truncate_gradient=2).input().state("h"), 1, 3),
)
area.add(
    "two-outputs",
    "A node outside the loop is cut where the loop is.",
    plain(truncate_gradient=2).node("low", dense(IN, 2, "tanh"), "x", out=True),
)
area.add(
    "learned-start",
    "A start before the border has no gradient.",
    lags(Net(truncate_gradient=2).input().state("h", initial="learned"), 1),
)
area.add(
    "by-hand",
    "By hand: each x counts for the steps after it, those before the border for none.",
    scalar(truncate_gradient=2),
    rows=1,
    given={**COUNT, "cot/rec": [[[1.0]] * 5]},
    hand={
        "grad/in/x": [[[0.0], [0.0], [0.0], [2.0], [1.0]]],
        "grad/param/rec.b": [3.0],
    },
)

area = Area("direction")
area.add(
    "backwards",
    "From the last step to the first; outputs in the order of the run.",
    plain(go_backwards=True),
)
area.add(
    "backwards-last-step",
    "Backwards, the last step of the run, which is the first of the data.",
    plain(return_sequences=False, go_backwards=True),
)
area.add(
    "backwards-taps",
    "Backwards, the input of the step before is that which comes later in the data.",
    Net(go_backwards=True)
    .input()
    .state("h")
    .node(
        "rec", dense(2 * IN + HIDDEN, HIDDEN, "tanh"), ["x", "x_tm1", "h"], "h", True
    ),
)
area.add(
    "by-hand",
    "By hand: sums from the end.",
    scalar(go_backwards=True),
    rows=1,
    gradients=False,
    given={**ONES, "in/x": [[[1.0], [2.0], [3.0]]]},
    hand={"out/rec": [[[3.0], [5.0], [6.0]]]},
)

area = Area("length")
area.add("unrolled", "The steps written out.", plain(unroll=True, n_steps=5))
area.add(
    "unrolled-two-back",
    "The same, two steps back.",
    lags(Net(unroll=True, n_steps=5).input().state("h"), 2),
)


@area("A loop without sequences runs n_steps.")
def counted():
    net = Net(n_steps=4).input("c", 2, sequence=False).state("h")
    return net.node("rec", dense(2 + HIDDEN, HIDDEN, "tanh"), ["c", "h"], "h", True)


@area(
    "The same from a context, which it unrolls: a decoder.",
    source="recurrentshop issue 113",
)
def decoded():
    net = Net(n_steps=4).input("c", HIDDEN, sequence=False).state("h", initial="c")
    net.node("rec", dense(HIDDEN, HIDDEN, "tanh"), "h", "h")
    return net.node("y", dense(HIDDEN, 2, "softmax"), "rec", out=True)


@area(
    "The output of a step is read by the next: what was written goes on.",
    source="recurrentshop issue 8",
)
def fed_back():
    net = Net(n_steps=4, free=True).input("c", 2, sequence=False)
    net.node("h", dense(2 + 3, HIDDEN, "tanh"), ["c", "y_tm1"])
    return net.node("y", dense(HIDDEN, 3, "softmax"), "h", out=True)


@area("Two loops over the same context, the last step only.")
def last_of_counted():
    net = context(return_sequences=False)
    return net.node("y", dense(HIDDEN, 2), "rec", out=True)


area = Area("until")
STOPS = {
    "third": [
        [False, True, True, False, True],
        [False, False, True, True, False],
        [True, False, True, False, False],
    ],
    "first": [[True, False, False, False, False]] * 3,
    "never": [[False, True, False, False, True], [False] * 5, [True] * 5],
}


def stopped(**settings: object) -> Net:
    """The plain loop, until an input is true in every row."""
    net = (
        Net(until="done", **settings)
        .input()
        .input("stop", None, dtype="bool")
        .state("h")
    )
    return lags(net.node("done", identity(), "stop"), 1)


for name, stop in STOPS.items():
    area.add(
        name,
        f"Stops after the first step at which all rows are true: {name}.",
        stopped(),
        given={"in/stop": stop},
        gradients=False,
    )
area.add(
    "last-step",
    "What is returned is the step at which it stopped.",
    stopped(return_sequences=False),
    given={"in/stop": STOPS["third"]},
    gradients=False,
)
area.add(
    "readout",
    "A node behind the loop runs as many steps.",
    stopped().node("y", dense(HIDDEN, 2), "rec", out=True),
    given={"in/stop": STOPS["third"]},
    gradients=False,
)
area.add(
    "final-states",
    "States are those after the step at which it stopped.",
    stopped(return_final_states=True),
    given={"in/stop": STOPS["third"]},
    gradients=False,
)


@area(
    "By hand: it counts to three.",
    rows=1,
    gradients=False,
    given={
        **ONES,
        "in/x": [[[1.0]] * 5],
        "in/stop": [[False, False, True, False, True]],
    },
    hand={"out/rec": [[[1.0], [2.0], [3.0]]]},
)
def _by_hand():
    net = Net(until="done").input(dim=1).input("stop", None, dtype="bool").state("h", 1)
    return net.node("done", identity(), "stop").node(
        "rec", dense(2, 1), ["x", "h"], "h", True
    )
