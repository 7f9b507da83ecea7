"""Noise of given random numbers: a run with noise is a function like any other."""

from tests.suite.areas.loops import plain
from tests.suite.declare import (
    HIDDEN,
    IN,
    Net,
    Part,
    chain,
    dense,
    dropout,
    zoneout,
)
from tests.suite.drafts import Area

area = Area("randomness")


def noisy(part: Part) -> Net:
    """Noise on the input of the plain loop."""
    net = Net().input().state("h").node("noisy", part, "x")
    return net.node(
        "rec", dense(IN + HIDDEN, HIDDEN, "tanh"), ["noisy", "h"], "h", True
    )


def normal(kind: str, dim: int, **config: object) -> Part:
    """Noise of standard normal draws."""
    return Part(kind, config, draws={"noise": (dim,)})


area.add(
    "dropout",
    "Values are kept where the draw is p or more, and scaled by 1 / (1 - p).",
    noisy(dropout(IN, 0.3)),
    train=True,
)
area.add(
    "dropout-at-rest", "Nothing is dropped but while training.", noisy(dropout(IN, 0.3))
)
area.add(
    "dropout-of-the-past",
    "On what the state was, other values at every step.",
    Net()
    .input()
    .state("h")
    .node("drop", dropout(HIDDEN), "h")
    .node("rec", dense(IN + HIDDEN, HIDDEN, "tanh"), ["x", "drop"], "h", True),
    train=True,
)
area.add(
    "dropout-of-a-sequence",
    "The same values at every step.",
    train=True,
    source="Gal and Ghahramani, 2016",
    net=Net()
    .input()
    .state("h")
    .node("drop", dropout(HIDDEN, 0.4, "sequence"), "h")
    .node("rec", dense(IN + HIDDEN, HIDDEN, "tanh"), ["x", "drop"], "h", True),
)
area.add(
    "gaussian-noise",
    "Normal noise is added.",
    noisy(normal("GaussianNoise", IN, sigma=0.3)),
    train=True,
)
area.add(
    "gaussian-dropout",
    "Normal noise multiplies.",
    noisy(normal("GaussianDropout", IN, p=0.3)),
    train=True,
)


def zoned() -> Net:
    """Values that stay as they were."""
    net = (
        Net(free=True)
        .input()
        .node("new", dense(IN + HIDDEN, HIDDEN, "tanh"), ["x", "rec_tm1"])
    )
    return net.node("rec", zoneout(HIDDEN), "new", out=True)


area.add(
    "zoneout",
    "Values stay as they were where the draw is below p.",
    zoned(),
    train=True,
    source="Krueger et al., 2016",
)
area.add("zoneout-at-rest", "At rest, the mean of both.", zoned())
area.add(
    "in-a-chain",
    "Draws of layers inside a chain.",
    train=True,
    net=noisy(chain(dense(IN, IN), dropout(IN, 0.3), dropout(IN, 0.2, "sequence"))),
)
area.add(
    "behind-the-loop",
    "Noise behind the loop.",
    plain().node("y", dropout(HIDDEN, 0.4), "rec", out=True),
    train=True,
)


@area(
    "By hand: with p of one half, values are doubled or gone.",
    rows=1,
    train=True,
    gradients=False,
    given={
        "in/x": [[[1.0], [1.0], [1.0], [1.0]]],
        "draw/drop.keep": [[[0.2], [0.5], [0.7], [0.1]]],
    },
    hand={"out/drop": [[[0.0], [2.0], [2.0], [0.0]]]},
)
def _by_hand():
    return Net().input(dim=1, steps=4).node("drop", dropout(1), "x", out=True)
