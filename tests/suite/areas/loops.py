"""The plain loop: the proposal's network, several states, inputs, outputs, contexts."""

from tests.suite.declare import (
    HIDDEN,
    IN,
    Net,
    activation,
    dense,
    embedding,
    identity,
    vanilla,
)
from tests.suite.drafts import ELANMART, PROPOSAL, Area

area = Area("vanilla")


def plain(**settings: object) -> Net:
    """``h = tanh([x, h_tm1] @ W + b)``."""
    return (
        Net(**settings)
        .input()
        .state("h")
        .node("rec", dense(IN + HIDDEN, HIDDEN, "tanh"), ["x", "h"], "h", True)
    )


def scalar(function: str = "linear", **settings: object) -> Net:
    """The same of one number a row, to be followed on paper."""
    net = Net(**settings).input(dim=1).state("h", 1)
    return net.node("rec", dense(2, 1, function), ["x", "h"], "h", True)


ONES = {"param/rec.W": [[1.0], [1.0]], "param/rec.b": [0.0]}
COUNT = {**ONES, "in/x": [[[1.0]] * 5]}


@area(
    "The first network of the thread; nothing works before this does.", source=PROPOSAL
)
def one_step_back():
    return vanilla(Net().input().state("h"))


@area("The same, of which only the last step is returned.", source=PROPOSAL)
def last_step():
    return vanilla(Net(return_sequences=False).input().state("h"))


@area(
    "By hand: with weights of 1 and no function, the loop adds up its input.",
    rows=1,
    given=COUNT,
    hand={"out/rec": [[[1.0], [2.0], [3.0], [4.0], [5.0]]], "grad/param/rec.b": [15.0]},
)
def _by_hand():
    return scalar()


@area(
    "Two inputs side by side, in the order in which they are read: swapped, the weights meet the wrong rows."
)
def side_by_side():
    return plain()


@area("The state is read before the input: the other order of rows in W.")
def state_first():
    net = Net().input().state("h")
    return net.node("rec", dense(HIDDEN + IN, HIDDEN, "tanh"), ["h", "x"], "h", True)


@area("Three nodes are outputs, those that feed no state too.", source=PROPOSAL)
def every_node_shown():
    net = Net().input().state("h").node("i2h", dense(IN, HIDDEN), "x", out=True)
    net.node("h2h", dense(HIDDEN, HIDDEN), "h", out=True)
    return net.node("rec", activation(), ("sum", ["i2h", "h2h"]), "h", True)


@area("Without biases: a port that invents one is wrong.")
def no_bias():
    net = Net().input().state("h").node("i2h", dense(IN, HIDDEN, bias=False), "x")
    net.node("h2h", dense(HIDDEN, HIDDEN, bias=False), "h")
    return net.node("rec", activation(), ("sum", ["i2h", "h2h"]), "h", True)


@area(
    "A batch of one row, whose axis must not be dropped.",
    source="Lasagne issue 545",
    rows=1,
)
def one_row():
    return plain()


@area(
    "Input and state of one value a row, which some loops take for a broadcast.",
    source="Lasagne issue 792",
)
def one_value():
    return scalar("tanh")


@area("A sequence of one step.")
def one_step():
    net = Net().input(steps=1).state("h")
    return net.node("rec", dense(IN + HIDDEN, HIDDEN, "tanh"), ["x", "h"], "h", True)


@area("A node behind the loop, which feeds no state.")
def readout():
    return plain().node("y", dense(HIDDEN, 2), "rec", out=True)


@area("Two loops, one on top of the other.")
def stacked():
    net = Net().input().state("low").state("high", 2)
    net.node("first", dense(IN + HIDDEN, HIDDEN, "tanh"), ["x", "low"], "low")
    return net.node(
        "second", dense(HIDDEN + 2, 2, "sigmoid"), ["first", "high"], "high", True
    )


for function in ("sigmoid", "hard_sigmoid", "relu", "softplus", "softmax", "linear"):
    area.add(
        function.replace("_", "-"),
        f"The activation {function} in the loop, as Keras 0.1 defines it.",
        Net()
        .input()
        .state("h")
        .node("rec", dense(IN + HIDDEN, HIDDEN, function), ["x", "h"], "h", True),
    )

area = Area("states")


def crossed(first: int, second: int) -> Net:
    """States declared in the other order than the nodes that feed them."""
    net = Net().input().state("hb", second).state("ha", first)
    net.node("ra", dense(IN + first, first, "tanh"), ["x", "ha"], "ha", True)
    return net.node(
        "rb", dense(first + second, second, "sigmoid"), ["ra", "hb"], "hb", True
    )


@area(
    "States declared in the other order than their nodes: 2015 swapped them in silence.",
    source="original code",
)
def crossed_of_equal_dims():
    return crossed(HIDDEN, HIDDEN)


@area("The same where a swap would show in a shape.")
def crossed_of_unequal_dims():
    return crossed(2, HIDDEN)


@area(
    "By hand: Fibonacci, of two states that pass on one another.",
    rows=1,
    gradients=False,
    given={"in/x": [[[1.0], [0.0], [0.0], [0.0], [0.0]]]},
    hand={"out/both": [[[1.0], [1.0], [2.0], [3.0], [5.0]]]},
)
def _by_hand():
    net = Net().input(dim=1).state("a", 1).state("b", 1)
    net.node("was", identity(), "a", "b")
    return net.node("both", identity(), ("sum", ["a", "b", "x"]), "a", True)


@area("A state that is remembered and read by another node than the one that feeds it.")
def fed_by_another():
    net = Net().input().state("h").state("e", 2)
    net.node("rec", dense(IN + HIDDEN + 2, HIDDEN, "tanh"), ["x", "h", "e"], "h", True)
    return net.node("error", dense(HIDDEN, 2), "rec", "e")


@area("One node feeds two states, each with a start of its own.")
def one_node_feeds_two():
    net = Net().input().state("h", node="rec").state("g", initial=0.5, node="rec")
    return net.node(
        "rec", dense(IN + 2 * HIDDEN, HIDDEN, "tanh"), ["x", "h", "g"], out=True
    )


@area("A state whose dim is found from the node that feeds it.")
def dim_found():
    net = Net().input().state("h", None)
    return net.node("rec", dense(IN + HIDDEN, HIDDEN, "tanh"), ["x", "h"], "h", True)


@area(
    "A state fed by a node that no past value reaches, and which can be computed before the loop."
)
def fed_from_outside_the_loop():
    net = Net().input().state("before", 2).state("h")
    net.node("low", dense(IN, 2, "tanh"), "x", "before")
    return net.node(
        "rec", dense(2 + HIDDEN, HIDDEN, "tanh"), ["before", "h"], "h", True
    )


@area("Three states in a ring.")
def ring():
    net = Net().input().state("a", 2).state("b", 3).state("c", 5)
    net.node("na", dense(IN + 5, 2, "tanh"), ["x", "c"], "a", True)
    net.node("nb", dense(2, 3, "tanh"), "a", "b", True)
    return net.node("nc", dense(3, 5, "tanh"), "b", "c", True)


area = Area("multi-input")


@area(
    "Two sequences of unequal dims, added after a projection of each.",
    source="recurrentshop issue 55",
)
def two_sequences():
    net = Net().input().input("u", 2).state("h")
    net.node("a", dense(IN, HIDDEN), "x").node("b", dense(2, HIDDEN), "u").node(
        "c", dense(HIDDEN, HIDDEN), "h"
    )
    return net.node("rec", activation(), ("sum", ["a", "b", "c"]), "h", True)


@area(
    "Inputs whose names sort otherwise than they were declared: 2015 handed them over in the order of a dict.",
    source="original code",
)
def names_out_of_order():
    net = Net().input("z", 3).input("a", 3).state("h")
    return net.node(
        "rec", dense(6 + HIDDEN, HIDDEN, "tanh"), ["z", "a", "h"], "h", True
    )


@area(
    "By hand: two inputs, one added, one multiplied.",
    rows=1,
    gradients=False,
    given={"in/x": [[[1.0], [2.0], [3.0]]], "in/u": [[[2.0], [3.0], [4.0]]]},
    hand={"out/rec": [[[1.0], [5.0], [23.0]]]},
)
def _by_hand():
    net = Net().input(dim=1, steps=3).input("u", 1, steps=3).state("h", 1)
    net.node("grown", identity(), ("mul", ["u", "h"]))
    return net.node("rec", identity(), ("sum", ["x", "grown"]), "h", True)


@area("An input that only an output reads.")
def passed_through():
    return plain().input("u", 2).output("both", ["rec", "u"])


@area("Three sequences side by side at one node.")
def three_side_by_side():
    net = Net().input().input("u", 2).input("v", 5).state("h")
    return net.node(
        "rec", dense(IN + 7 + HIDDEN, HIDDEN, "tanh"), ["v", "x", "h", "u"], "h", True
    )


@area("Words and vectors together.")
def words_and_vectors():
    net = Net().input("word", None, dtype="int").input("u", 2).state("h")
    net.node("vector", embedding(9, IN), "word")
    return net.node(
        "rec", dense(IN + 2 + HIDDEN, HIDDEN, "tanh"), ["vector", "u", "h"], "h", True
    )


area = Area("multi-output")


@area("Two nodes as outputs.", source="keras issue 5354")
def two_nodes():
    return plain().node("y", dense(HIDDEN, 2, "sigmoid"), "rec", out=True)


@area("One node under two names.")
def one_node_twice():
    return plain().output("again", "rec")


@area("An input, and a state as it was, as outputs.")
def inputs_and_states():
    return plain().output("was", "h").output("seen", "x")


@area("An output made of several values, those of earlier steps too.")
def merged():
    return plain().output("all", ["rec", "x", "h"])


@area(
    "By hand: a value and that of the step before.",
    rows=1,
    given=COUNT,
    gradients=False,
    hand={
        "out/rec": [[[1.0], [2.0], [3.0], [4.0], [5.0]]],
        "out/was": [[[0.0], [1.0], [2.0], [3.0], [4.0]]],
    },
)
def _by_hand():
    return scalar().output("was", "h")


@area("Only the last step of each.")
def last_steps():
    net = plain(return_sequences=False).node("y", dense(HIDDEN, 2), ["rec"], out=True)
    return net.output("was", "h")


area = Area("contexts")


def context(**settings: object) -> Net:
    """A loop in which every step sees a context."""
    net = Net(**settings).input().input("c", 2, sequence=False).state("h")
    return net.node(
        "rec", dense(IN + 2 + HIDDEN, HIDDEN, "tanh"), ["x", "c", "h"], "h", True
    )


@area("A vector that every step sees whole.", source="keras issue 11421")
def every_step_sees_it():
    return context()


@area("A projection of a context, which is the same at every step.")
def projected_once():
    net = (
        Net()
        .input()
        .input("c", 2, sequence=False)
        .state("h")
        .node("once", dense(2, HIDDEN), "c")
    )
    net.node("now", dense(IN + HIDDEN, HIDDEN), ["x", "h"])
    return net.node("rec", activation(), ("sum", ["once", "now"]), "h", True)


@area("A context as an output is repeated for every step.")
def shown():
    return context().output("same", ["c"]).output("beside", ["c", "rec"])


@area(
    "By hand: a context of 2 is added at every step.",
    rows=1,
    gradients=False,
    given={"in/x": [[[1.0], [1.0], [1.0]]], "in/c": [[2.0]]},
    hand={"out/rec": [[[3.0], [6.0], [9.0]]]},
)
def _by_hand():
    net = Net().input(dim=1, steps=3).input("c", 1, sequence=False).state("h", 1)
    return net.node("rec", identity(), ("sum", ["x", "c", "h"]), "h", True)


@area(
    "A gate over a context, of what the state was: the start of attention.",
    source="keras issue 8296",
)
def attended():
    net = Net().input().input("c", HIDDEN, sequence=False).state("h")
    net.node("where", dense(IN + HIDDEN, HIDDEN, "softmax"), ["x", "h"], out=True)
    net.node("read", identity(), ("mul", ["where", "c"]))
    return net.node("rec", dense(HIDDEN + IN, HIDDEN, "tanh"), ["read", "x"], "h", True)


@area("Two contexts beside a sequence, the last step only.")
def two_of_them():
    net = (
        Net(return_sequences=False)
        .input()
        .input("c", 2, sequence=False)
        .input("d", 3, sequence=False)
        .state("h")
    )
    return net.node(
        "rec", dense(IN + 5 + HIDDEN, HIDDEN, "tanh"), ["d", "x", "c", "h"], "h", True
    )


area = Area("free")


@area("No states declared: a name at an earlier time is one.", source=ELANMART)
def own_past():
    return (
        Net(free=True)
        .input()
        .node("h", dense(IN + HIDDEN, HIDDEN, "tanh"), ["x", "h_tm1"], out=True)
    )


@area("A node that is read before it is declared.", source=ELANMART)
def declared_later():
    net = Net(free=True).input()
    net.node("y", dense(HIDDEN, 2, "tanh"), "h", out=True)
    return net.node("h", dense(IN + 2, HIDDEN, "tanh"), ["x", "y_tm1"], out=True)


@area("A state and its node share a name; bare, it reads the present.", source=ELANMART)
def one_name():
    net = Net(free=True).input().state("h", HIDDEN, 0.25, node="h")
    net.node("h", dense(IN + HIDDEN, HIDDEN, "tanh"), ["x", "h_tm1"], out=True)
    return net.output("past", "h_tm1")


@area("Where no output is declared, the last node is it.", source=ELANMART)
def last_node():
    net = (
        Net(free=True)
        .input()
        .node("h", dense(IN + HIDDEN, HIDDEN, "tanh"), ["x", "h_tm1"])
    )
    return net.node("y", dense(HIDDEN, 2), "h")
