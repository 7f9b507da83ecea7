"""Version 1.1: attention, teacher forcing, normalized rows, cells without biases, and rules of training."""

import numpy as np

from tests.suite.areas.training import OPTIMIZERS
from tests.suite.declare import (
    HIDDEN,
    IN,
    Net,
    activation,
    attention,
    cell,
    chain,
    dense,
    embedding,
    layer_normalization,
    masking,
    recurrent,
    ruled,
    teacher,
    unbiased,
)
from tests.suite.drafts import Area

LUONG = "Luong et al., 2015"
VASWANI = "Vaswani et al., 2017"
BAHDANAU = "Bahdanau et al., 2015"
SOURCE, MEMORY = 7, 5
"""The steps of a memory and their dim."""
LENGTHS = np.array([7, 1, 4])
"""Of the rows of a memory, without padding."""
VALID = (np.arange(SOURCE) < LENGTHS[:, None]).astype(float)


def padded(dim: int, seed: int = 4) -> np.ndarray:
    """A memory with zeros behind its data."""
    rng = np.random.RandomState(seed)
    return rng.normal(size=(3, SOURCE, dim)) * VALID[..., None]


# Attention

area = Area("attention", "1.1")


def decoder(score: str, query: int = HIDDEN, **settings: object) -> Net:
    """A loop that reads a memory with its state before each step."""
    net = Net(**settings).input().input("memory", MEMORY, 3, sequence=False, inner=7)
    net.state("h", query)
    ports = {"memory": "memory", "query": "h"}
    net.node("att", attention(score, MEMORY, query), ports)
    read = ["x", "att", "h"]
    net.node("new", dense(IN + MEMORY + query, query, "tanh"), read, "h", True)
    return net.output("weights", "att.weights")


for score, source in (
    ("dot", LUONG),
    ("scaled_dot", VASWANI),
    ("general", LUONG),
    ("additive", BAHDANAU),
):
    area.add(
        score.replace("_", "-"),
        f"The score {score} of a memory and the state, at every step.",
        decoder(score, MEMORY if "dot" in score else HIDDEN),
        source=source,
    )


@area("The query is the new state, and nothing reads the result.", source=LUONG)
def after_the_step():
    net = Net().input().input("memory", MEMORY, 3, sequence=False, inner=7).state("h")
    net.node("new", dense(IN + HIDDEN, HIDDEN, "tanh"), ["x", "h"], "h")
    ports = {"memory": "memory", "query": "new"}
    return net.node("att", attention("general", MEMORY, HIDDEN), ports, out=True)


def asked_once(score: str = "additive") -> Net:
    """An attention in a Graph."""
    net = Net(loop=False).input("memory", MEMORY, 3, inner=7).input("query", HIDDEN)
    net.shapes["memory"] = (SOURCE, MEMORY)
    ports = {"memory": "memory", "query": "query"}
    net.node("att", attention(score, MEMORY, HIDDEN), ports, out=True)
    return net.output("weights", "att.weights")


area.add("in-a-graph", "An attention that runs once.", asked_once())


def with_mask_port(dtype: str = "float") -> Net:
    """A decoder with a third port, the mask of the memory as a value."""
    net = Net().input().input("memory", MEMORY, 3, sequence=False, inner=7).state("h")
    if dtype == "float":
        net.input("valid", SOURCE, 2, sequence=False)
    else:
        net.input("valid", None, 2, dtype, sequence=False, inner=SOURCE)
    ports = {"memory": "memory", "query": "h", "mask": "valid"}
    net.node("att", attention("additive", MEMORY, HIDDEN), ports)
    read = ["x", "att", "h"]
    net.node("new", dense(IN + MEMORY + HIDDEN, HIDDEN, "tanh"), read, "h", True)
    return net.output("weights", "att.weights")


area.add(
    "mask-port",
    "A mask that is a value: padding has weight 0, exactly.",
    with_mask_port(),
    given={"in/valid": VALID},
)
area.add(
    "mask-port-of-truth-values",
    "The same, of truth values.",
    with_mask_port("bool"),
    given={"in/valid": VALID},
)


def translator(inner: Net, source: Net | None = None, encode: str = "masked") -> Net:
    """A Graph in which a decoder attends to what comes before it."""
    net = source or Net(loop=False).input("source", MEMORY, 3).node(
        "masked", masking(), "source"
    )
    net.input("x", IN, 3)
    net.shapes |= {"x": (5, IN)}
    net.node("decoder", inner.as_part(), {"x": "x", "memory": encode})
    net.output("new", "decoder.new")
    return net.output("weights", "decoder.weights")


@area(
    "The mask comes with the memory: each row is what it is alone.",
    given={"in/source": padded(MEMORY)},
)
def padded_memory():
    return translator(decoder("general"))


@area(
    "The memory is what an encoder makes of padded words.",
    given={
        "in/source": [
            [1, 2, 3, 4, 5, 6, 7],
            [8, 0, 0, 0, 0, 0, 0],
            [4, 3, 2, 1, 0, 0, 0],
        ]
    },
)
def encoder_and_decoder():
    net = Net(loop=False).input("source", None, 2, "int")
    net.shapes["source"] = (SOURCE,)
    net.node("vectors", embedding(9, 2, mask_zero=True), "source")
    layer = recurrent("GRU", 2, MEMORY, return_sequences=True)
    net.node("encoder", layer, "vectors")
    return translator(decoder("additive"), net, "encoder")


@area(
    "Two masks of one memory are combined with AND.",
    given={
        "in/source": padded(MEMORY),
        "in/valid": [
            [0, 1, 1, 1, 1, 1, 1],
            [1, 1, 1, 0, 0, 0, 0],
            [0, 1, 1, 1, 1, 0, 0],
        ],
    },
)
def padded_memory_and_mask_port():
    net = Net(loop=False).input("source", MEMORY, 3)
    net.node("masked", masking(), "source").input("x", IN, 3).input("valid", SOURCE)
    net.shapes["x"] = (5, IN)
    ports = {"x": "x", "memory": "masked", "valid": "valid"}
    net.node("decoder", with_mask_port().as_part(), ports)
    net.output("new", "decoder.new")
    return net.output("weights", "decoder.weights")


area.add(
    "of-one-step",
    "A memory of one step, whose weight is 1.",
    Net()
    .input()
    .input("memory", MEMORY, 3, sequence=False, inner=1)
    .state("h")
    .node(
        "att",
        attention("general", MEMORY, HIDDEN),
        {"memory": "memory", "query": "h"},
        out=True,
    )
    .node("new", dense(IN + MEMORY, HIDDEN, "tanh"), ["x", "att"], "h", True),
)
area.add(
    "backwards",
    "From the last step to the first.",
    decoder("general", go_backwards=True),
)
area.add("float32", "float32 throughout.", decoder("additive"), dtype="float32")
area.add(
    "large-scores",
    "Scores of hundreds: the softmax subtracts the largest.",
    asked_once("general"),
    given={"in/query": np.full((3, HIDDEN), 200.0)},
)


@area(
    "By hand: a query of zeros weighs the valid steps alike, so that the result is their mean.",
    rows=2,
    given={
        "in/memory": [[[1.0], [2.0], [6.0]], [[4.0], [8.0], [9.0]]],
        "in/query": [[0.0], [0.0]],
        "in/valid": [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]],
    },
    hand={
        "out/att": [[3.0], [6.0]],
        "out/weights": [[1 / 3, 1 / 3, 1 / 3], [1 / 2, 1 / 2, 0.0]],
        "grad/in/memory": [[[1 / 3], [1 / 3], [1 / 3]], [[1 / 2], [1 / 2], [0.0]]],
    },
)
def _by_hand():
    net = Net(loop=False).input("memory", 1, 3).input("query", 1).input("valid", 3)
    ports = {"memory": "memory", "query": "query", "mask": "valid"}
    net.node("att", attention("dot", 1, 1), ports, out=True)
    return net.output("weights", "att.weights")


# Teacher forcing

area = Area("teacher", "1.1")
RATE = "param/previous.rate"


def taught(
    share: float | str = 1.0,
    training_only: bool = False,
    mask: bool = False,
    **settings,
) -> Net:
    """A loop whose next step reads the truth, or what it predicted."""
    net = Net(**settings)
    over_time = "n_steps" not in settings
    net.input(sequence=over_time).input("truth", 2, training_only=training_only)
    ports = {"truth": "truth_tm1", "prediction": "y"}
    if isinstance(share, str):
        net.input(share, 1, 2, sequence=False)
        ports[share] = share
    if mask:
        net.mask()
    net.state("h").state("y", 2).node("previous", teacher(share), ports)
    read = ["x", "previous", "h"]
    net.node("new", dense(IN + 2 + HIDDEN, HIDDEN, "tanh"), read, "h")
    return net.node("out", dense(HIDDEN, 2), "new", "y", True)


def of_rate(share: float) -> dict:
    """The parameter of a share."""
    return {RATE: [share]}


area.add(
    "truth-while-training",
    "In training, the truth of the step before.",
    taught(),
    train=True,
    given=of_rate(1.0),
    source="Williams and Zipser, 1989",
)
area.add(
    "own-output-at-rest",
    "Otherwise the network's own output, also where the truth is given.",
    taught(),
    given=of_rate(1.0),
)
area.add(
    "share",
    "With a share, each row of each step reads the truth where its draw is below it.",
    taught(0.4),
    train=True,
    given=of_rate(0.4),
    source="Bengio et al., 2015",
)
area.add(
    "share-at-rest", "A share counts in training only.", taught(0.4), given=of_rate(0.4)
)
area.add(
    "share-of-none",
    "With a share of 0, the own output in training too.",
    taught(0.0),
    train=True,
    given=of_rate(0.0),
)
area.add(
    "share-from-a-context",
    "The share of each row, from a context.",
    taught("rate"),
    train=True,
    given={"in/rate": [[0.0], [1.0], [0.5]]},
)
area.add(
    "masked",
    "A mask, in training: no time passes at a masked step.",
    taught(mask=True),
    train=True,
    given={
        **of_rate(1.0),
        "in/mask": [[1, 1, 1, 0, 0], [1, 0, 1, 1, 1], [0, 1, 1, 1, 0]],
    },
)
area.add(
    "training-only",
    "An input that is given in training only, in training.",
    taught(training_only=True),
    train=True,
    given=of_rate(1.0),
)
area.add(
    "training-only-at-rest",
    "At rest it is not there: another sequence has the number of steps.",
    taught(training_only=True),
    absent=("truth",),
    given=of_rate(1.0),
)
area.add(
    "training-only-n-steps",
    "At rest it is not there: the loop has the number of steps.",
    taught(training_only=True, n_steps=5),
    absent=("truth",),
    given={**of_rate(1.0)},
)
area.add(
    "trained",
    "Ten steps of training with the truth.",
    taught(training_only=True),
    training={"optimizer": OPTIMIZERS["adam"], "loss": "mse"},
    given=of_rate(1.0),
)


@area(
    "By hand: each output is twice the truth of the step before, and one more.",
    rows=1,
    train=True,
    given={
        **of_rate(1.0),
        "in/truth": [[[1.0], [2.0], [3.0], [4.0]]],
        "param/out.W": [[2.0]],
        "param/out.b": [1.0],
    },
    hand={
        "out/out": [[[1.0], [3.0], [5.0], [7.0]]],
        "grad/in/truth": [[[2.0], [2.0], [2.0], [0.0]]],
    },
)
def _by_hand():
    net = Net().input("truth", 1, steps=4).state("y", 1)
    ports = {"truth": "truth_tm1", "prediction": "y"}
    net.node("previous", teacher(), ports)
    return net.node("out", dense(1, 1), "previous", "y", True)


# Normalized rows

area = Area("normalization", "1.1")
BA = "Ba et al., 2016"


@area("Each row of a Graph.", source=BA)
def rows():
    net = Net(loop=False).input("x", IN)
    return net.node("y", layer_normalization(IN), "x", out=True)


@area("Each step of a sequence.", source=BA)
def over_time():
    net = Net(loop=False).input("x", IN, 3)
    net.shapes["x"] = (5, IN)
    return net.node("y", layer_normalization(IN), "x", out=True)


def normalized_loop(epsilon: float = 1e-5) -> Net:
    """A loop whose sum is normalized before its function."""
    net = Net().input().state("h").node("sum", dense(IN + HIDDEN, HIDDEN), ["x", "h"])
    net.node("norm", layer_normalization(HIDDEN, epsilon), "sum")
    return net.node("rec", activation(), "norm", "h", True)


area.add(
    "in-a-loop", "The sum of a step, before its function.", normalized_loop(), source=BA
)
area.add("epsilon", "A large epsilon.", normalized_loop(0.5))
area.add("float32", "float32 throughout.", normalized_loop(), dtype="float32")
area.add(
    "in-a-chain",
    "Between two layers of a chain.",
    Net()
    .input()
    .state("h")
    .node(
        "rec",
        chain(dense(IN + HIDDEN, 3), layer_normalization(3), dense(3, HIDDEN, "tanh")),
        ["x", "h"],
        "h",
        True,
    ),
)


@area(
    "By hand: 1 and 3 have the mean 2 and the variance 1, so that they become -1 and 1.",
    rows=1,
    given={
        "in/x": [[1.0, 3.0]],
        "param/y.gamma": [2.0, 3.0],
        "param/y.beta": [0.5, 0.25],
    },
    hand={
        "out/y": [[-1.5, 3.25]],
        "grad/param/y.gamma": [-1.0, 1.0],
        "grad/param/y.beta": [1.0, 1.0],
        "grad/in/x": [[0.0, 0.0]],
    },
)
def _by_hand():
    net = Net(loop=False).input("x", 2)
    return net.node("y", layer_normalization(2, 0.0), "x", out=True)


# Cells without biases

area = Area("bias", "1.1")

for kind in ("RecurrentDense", "RecurrentGRU", "RecurrentLSTM"):
    name = kind.removeprefix("Recurrent").lower()
    area.add(
        name,
        f"{kind} without biases: a port that invents one is wrong.",
        Net(free=True)
        .input()
        .node("rec", unbiased(cell(kind, IN, HIDDEN)), "x", out=True),
    )


@area("Cells with and without biases in one loop.")
def both():
    net = Net(free=True).input().node("low", unbiased(cell("RecurrentGRU", IN, 3)), "x")
    return net.node("high", cell("RecurrentLSTM", 3, HIDDEN), "low", out=True)


@area(
    "By hand: with weights of 1 and no function, the cell adds up its input.",
    rows=1,
    given={
        "in/x": [[[1.0]] * 5],
        "param/rec.W": [[1.0]],
        "param/rec.U": [[1.0]],
    },
    hand={
        "out/rec": [[[1.0], [2.0], [3.0], [4.0], [5.0]]],
        "grad/param/rec.W": [[15.0]],
    },
)
def _by_hand():
    part = unbiased(cell("RecurrentDense", 1, 1, activation="linear"))
    return Net(free=True).input(dim=1).node("rec", part, "x", out=True)


# Penalties, constraints, and outputs without a loss

area = Area("penalties", "1.1")
SGD = {"optimizer": OPTIMIZERS["sgd"], "loss": "mse"}


def l1l2(l1: float = 0.0, l2: float = 0.0) -> dict:
    """The configuration of a penalty."""
    return {"name": "WeightRegularizer", "l1": l1, "l2": l2}


def ruled_loop(**rules: object) -> Net:
    """A loop of one Dense, with rules."""
    net = Net(return_sequences=False).input().state("h")
    part = ruled(dense(IN + HIDDEN, HIDDEN, "tanh"), **rules)
    return net.node("rec", part, ["x", "h"], "h", True)


def ruled_cell(kind: str, **rules: object) -> Net:
    """A cell with rules, each for all parameters of a letter."""
    net = Net(free=True, return_sequences=False).input()
    return net.node("rec", ruled(cell(kind, IN, HIDDEN), **rules), "x", out=True)


area.add(
    "l1",
    "l1 sum(|W|) is added to the loss.",
    ruled_loop(W_regularizer=l1l2(l1=0.01)),
    training=SGD,
)
area.add(
    "l2",
    "l2 sum(b^2) is added to the loss, on biases.",
    ruled_loop(b_regularizer=l1l2(l2=0.1)),
    training=SGD,
)
area.add(
    "l1l2-of-a-cell",
    "Penalties on all W, all U and all b of a cell.",
    ruled_cell(
        "RecurrentLSTM",
        W_regularizer=l1l2(0.01, 0.02),
        U_regularizer=l1l2(l2=0.05),
        b_regularizer=l1l2(l1=0.03),
    ),
    training=SGD,
)
area.add(
    "max-norm",
    "Columns of W whose norm is above m are scaled down after each step.",
    ruled_loop(W_constraint={"name": "MaxNorm", "m": 0.5}),
    training=SGD,
)
area.add(
    "non-negative",
    "Negative values of U become 0 after each step.",
    ruled_cell("RecurrentGRU", U_constraint={"name": "NonNeg"}),
    training=SGD,
)
area.add(
    "unit-norm",
    "Rows of W have a norm of 1 after each step.",
    ruled_cell("RecurrentDense", W_constraint={"name": "UnitNorm"}),
    training=SGD,
)
area.add(
    "penalty-and-constraint",
    "Both, with an optimizer that has memory.",
    ruled_loop(W_regularizer=l1l2(l2=0.1), W_constraint={"name": "MaxNorm", "m": 0.7}),
    training={"optimizer": OPTIMIZERS["adam"], "loss": "mse"},
)
area.add(
    "output-without-a-loss",
    "An output without a loss has no target, and trains nothing.",
    ruled_loop().node("y", dense(HIDDEN, 2), "rec", out=True),
    training={"optimizer": OPTIMIZERS["sgd"], "loss": {"rec": None, "y": "mse"}},
)


@area(
    "By hand: the loss is (w - 2)^2 + w^2, so that each step of 1/8 moves w by half of its way to 1.",
    rows=1,
    training={"optimizer": {"name": "SGD", "lr": 1 / 8}, "loss": "mse"},
    given={
        "in/x": [[[1.0]]],
        "param/rec.W": [[0.0]],
        "target/rec": [[2.0]],
    },
    hand={
        "step/loss": [2 + 2 / 4**step for step in range(10)],
        "trained/rec.W": [[1 - 2**-10]],
    },
)
def _by_hand():
    net = Net(return_sequences=False).input(dim=1, steps=1)
    part = ruled(dense(1, 1, bias=False), W_regularizer=l1l2(l2=1.0))
    return net.node("rec", part, "x", out=True)


# Initial states and words

area = Area("starts", "1.1")


@area("A state starts from a node that reads a context alone.")
def from_a_node():
    net = Net().input().input("c", 2, 2, sequence=False)
    net.node("first", dense(2, HIDDEN, "tanh"), "c")
    net.state("h", initial="first")
    return net.node("new", dense(IN + HIDDEN, HIDDEN, "tanh"), ["x", "h"], "h", True)


@area(
    "By hand: the state starts from 3 times 2, and the loop adds up its input.",
    rows=1,
    gradients=False,
    given={
        "in/x": [[[1.0], [2.0], [3.0]]],
        "in/c": [[2.0]],
        "param/first.W": [[3.0]],
        "param/sum.W": [[1.0], [1.0]],
    },
    hand={"out/sum": [[[7.0], [9.0], [12.0]]]},
)
def _by_hand():
    net = Net().input(dim=1, steps=3).input("c", 1, 2, sequence=False)
    net.node("first", dense(1, 1, bias=False), "c").state("h", 1, "first")
    return net.node("sum", dense(2, 1, bias=False), ["x", "h"], "h", True)


# Arrays that must be refused

area = Area("refused", "1.1")

area.add(
    "memory-of-padding",
    "A row of the memory has no valid step.",
    with_mask_port(),
    given={"in/valid": VALID * [[1.0], [0.0], [1.0]]},
    refused="DataError",
)
area.add(
    "memory-of-masked-steps",
    "A row of the memory is all masked.",
    translator(decoder("general")),
    given={"in/source": padded(MEMORY) * [[[1.0]], [[0.0]], [[1.0]]]},
    refused="DataError",
)
area.add(
    "mask-of-another-length",
    "The mask has one step less than the memory.",
    Net(loop=False)
    .input("memory", MEMORY, 3, inner=7)
    .input("query", MEMORY)
    .input("valid", None, 2, "bool", inner=6)
    .node(
        "att",
        attention("dot", MEMORY, MEMORY),
        {"memory": "memory", "query": "query", "mask": "valid"},
        out=True,
    ),
    given={"in/valid": np.ones((3, 6))},
    refused="ShapeError",
)
area.add(
    "no-truth-in-training",
    "An input that is given in training only, and is not.",
    taught(training_only=True),
    train=True,
    absent=("truth",),
    given=of_rate(1.0),
    refused="DataError",
)
area.add(
    "no-steps-at-rest",
    "Nothing else has the number of steps.",
    Net()
    .input("c", 2, 2, sequence=False)
    .input("truth", 2, training_only=True)
    .node(
        "out",
        teacher(),
        {"truth": "truth", "prediction": "c"},
        out=True,
    ),
    absent=("truth",),
    given={"param/out.rate": [1.0]},
    refused="DataError",
)
