"""Ten steps of each optimizer on one batch: the losses and the parameters after them."""

from tests.suite.areas.loops import plain
from tests.suite.declare import HIDDEN, Net, activation, dense, vanilla
from tests.suite.drafts import Area

area = Area("training")

OPTIMIZERS = {
    "sgd": {"name": "SGD", "lr": 0.1},
    "sgd-momentum": {"name": "SGD", "lr": 0.1, "momentum": 0.9},
    "sgd-nesterov": {"name": "SGD", "lr": 0.1, "momentum": 0.9, "nesterov": True},
    "sgd-decay": {"name": "SGD", "lr": 0.1, "decay": 0.1},
    "rmsprop": {"name": "RMSprop", "lr": 0.01},
    "adagrad": {"name": "Adagrad", "lr": 0.05},
    "adadelta": {"name": "Adadelta"},
    "adam": {"name": "Adam", "lr": 0.02},
}

for name, config in OPTIMIZERS.items():
    area.add(
        name,
        f"Ten steps of {config['name']} on the network of the proposal.",
        vanilla(Net(return_sequences=False).input().state("h")),
        training={"optimizer": config, "loss": "mse"},
    )
area.add(
    "sequences",
    "A loss over all steps.",
    plain(),
    training={"optimizer": OPTIMIZERS["adam"], "loss": "mse"},
)
area.add(
    "two-outputs",
    "The losses of two outputs are added.",
    plain(return_sequences=False).node("y", dense(HIDDEN, 2), "rec", out=True),
    training={"optimizer": OPTIMIZERS["sgd"], "loss": {"rec": "mse", "y": "mse"}},
)


@area(
    "By hand: the weight counts at both steps, so that the output is 2 (W + b), and every step halves its error.",
    rows=1,
    training={"optimizer": {"name": "SGD", "lr": 1 / 32}, "loss": "mse"},
    given={
        "in/x": [[[1.0], [1.0]]],
        "param/i2h.W": [[0.0]],
        "param/i2h.b": [0.0],
        "target/rec": [[4.0]],
    },
    hand={
        "step/loss": [16 / 4**step for step in range(10)],
        "trained/i2h.W": [[1 - 2**-10]],
        "trained/i2h.b": [1 - 2**-10],
    },
)
def _by_hand():
    net = (
        Net(return_sequences=False)
        .input(dim=1, steps=2)
        .state("h", 1)
        .node("i2h", dense(1, 1), "x")
    )
    return net.node("rec", activation("linear"), ("sum", ["i2h", "h"]), "h", True)
