"""Ten steps of each optimizer on one batch, its loss before each step, and the parameters after them."""

from recursive.conformance.areas.loops import plain
from recursive.conformance.declare import HIDDEN, Net, dense, vanilla
from recursive.conformance.drafts import Area

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
    area.add(name, f"Ten steps of {config['name']} on the network of the proposal.",
             vanilla(Net(return_sequences=False).input().state("h")), training={"optimizer": config, "loss": "mse"})
area.add("sequences", "A loss over all steps.", plain(), training={"optimizer": OPTIMIZERS["adam"], "loss": "mse"})
area.add("two-outputs", "The losses of two outputs are added.",
         plain(return_sequences=False).node("y", dense(HIDDEN, 2), "rec", out=True),
         training={"optimizer": OPTIMIZERS["sgd"], "loss": {"rec": "mse", "y": "mse"}})
