"""Random recurrent networks from a seed: every kind of node, tap, merge, mask and option, wired at random."""

import numpy as np
import pytensor.tensor as pt

from recursive import (
    Activation,
    Blend,
    Dense,
    Gate,
    Identity,
    Lambda,
    Recurrent,
    RecurrentDense,
    RecurrentGRU,
    RecurrentLSTM,
    Switch,
)
from tests.cases import with_random_weights

BATCH, TIME, IN, CONTEXT, DIMS = 2, 5, 3, 2, (1, 2, 4)


def random_network(seed):
    """A container and arrays for its inputs."""
    rng = np.random.RandomState(seed)
    maker = _Maker(rng)
    for number in range(rng.randint(1, 4)):
        maker.add(f"n{number}")
    return with_random_weights(maker.finished(), seed), maker.arrays


class _Maker:
    def __init__(self, rng):
        self.rng = rng
        self.rnn = Recurrent(
            return_sequences=bool(rng.randint(2)),
            go_backwards=self.happens(0.1),
            truncate_gradient=int(rng.choice([2, TIME + 1]))
            if self.happens(0.1)
            else -1,
        )
        self.arrays = {}
        self.dims = {}
        self.masked = self.happens(0.15)
        self.input("x", IN)
        if self.happens(0.3):
            self.input("u", 2)
        if self.happens(0.3):
            self.rnn.add_input("c", is_sequence=False, dim=CONTEXT)
            self.arrays["c"] = rng.normal(size=(BATCH, CONTEXT))
            self.dims["c"] = CONTEXT
        if self.masked:
            self.rnn.add_mask("mask")
            self.arrays["mask"] = (rng.uniform(size=(BATCH, TIME)) < 0.7).astype(
                self.rnn_mask_dtype()
            )
        self.nodes = []

    def rnn_mask_dtype(self):
        return {"float": "float64", "int": "int32", "bool": "bool"}[
            self.rnn._spec.inputs[-1].dtype
        ]

    def happens(self, share):
        return bool(self.rng.uniform() < share)

    def input(self, name, dim):
        self.rnn.add_input(name, dim=dim)
        self.arrays[name] = self.rng.normal(size=(BATCH, TIME, dim))
        self.dims[name] = dim

    def past(self, name):
        """A name at an earlier time: mostly the step before, up to three steps back."""
        return f"{name}_tm{self.rng.choice([1, 1, 1, 2, 3])}"

    def read(self, name):
        """What a node may read: inputs and earlier nodes, now or before, and its own past."""
        known = [
            str(self.rng.choice(list(self.dims))) for _ in range(self.rng.randint(1, 3))
        ]
        refs = [
            self.past(ref) if self.happens(0.4) and ref != "c" else ref for ref in known
        ]
        return list(
            dict.fromkeys([*refs, *([self.past(name)] if self.happens(0.7) else [])])
        )

    def dim_of(self, refs):
        return sum(self.dims[ref.partition("_tm")[0]] for ref in refs)

    def add(self, name):
        self.dims_before = dict(self.dims)
        dim = int(self.rng.choice(DIMS))
        kind = self.rng.choice(
            [
                "dense",
                "dense",
                "cell",
                "gru",
                "lstm",
                "blend",
                "sum",
                "square",
                "switch",
                "nested",
            ]
        )
        getattr(self, f"add_{kind}")(name, dim)
        self.nodes.append(name)

    def node(self, layer, name, dim, **given):
        self.rnn.add_node(layer, name, **given)
        self.dims[name] = dim

    def activation(self):
        return str(
            self.rng.choice(
                ["tanh", "sigmoid", "relu", "softplus", "hard_sigmoid", "linear"]
            )
        )

    def add_dense(self, name, dim):
        known = dict(self.dims)
        refs = self.read(name)
        self.dims = known | {name: dim}
        self.node(
            Dense(self.dim_of(refs), dim, activation=self.activation()),
            name,
            dim,
            input=refs,
        )

    def add_cell(self, name, dim):
        refs = [ref for ref in self.read(name) if not ref.startswith(name)]
        layer = RecurrentDense(self.dim_of(refs), dim, activation=self.activation())
        self.node(layer, name, dim, input={"input": refs, "prev_hid": self.past(name)})

    def add_gru(self, name, dim):
        refs = [ref for ref in self.read(name) if not ref.startswith(name)]
        self.node(
            RecurrentGRU(self.dim_of(refs), dim),
            name,
            dim,
            input={"input": refs, "prev_hid": self.past(name)},
        )

    def add_lstm(self, name, dim):
        refs = [ref for ref in self.read(name) if not ref.startswith(name)]
        self.node(
            RecurrentLSTM(self.dim_of(refs), dim), name, dim, input={"input": refs}
        )

    def add_blend(self, name, dim):
        """The gates of a GRU as nodes, without the reset or with it."""
        refs = [ref for ref in self.read(name) if not ref.startswith(name)]
        size = self.dim_of(refs)
        self.node(
            Gate(size, dim),
            f"{name}z",
            dim,
            input={"input": refs, "prev_hid": f"{name}_tm1"},
        )
        old = f"{name}_tm1"
        if self.happens(0.5):
            self.node(
                Gate(size, dim),
                f"{name}r",
                dim,
                input={"input": refs, "prev_hid": f"{name}_tm1"},
            )
            self.rnn.add_node(
                Identity(),
                f"{name}old",
                inputs=[f"{name}r", f"{name}_tm1"],
                merge_mode="mul",
            )
            self.dims[f"{name}old"] = dim
            old = f"{name}old"
        self.node(
            RecurrentDense(size, dim),
            f"{name}new",
            dim,
            input={"input": refs, "prev_hid": old},
        )
        self.node(
            Blend(),
            name,
            dim,
            input={"gate": f"{name}z", "old": f"{name}_tm1", "new": f"{name}new"},
        )

    def add_sum(self, name, dim):
        """Products of one dim, merged, and not all of them of a step of now."""
        refs = self.read(name)
        refs = [ref for ref in refs if not ref.startswith(name)]
        for place, ref in enumerate(refs):
            self.node(Dense(self.dim_of([ref]), dim), f"{name}p{place}", dim, input=ref)
        merged = [*(f"{name}p{place}" for place in range(len(refs))), f"{name}_tm1"]
        mode = str(self.rng.choice(["sum", "mul", "ave", "max"]))
        if mode == "mul" and dim == 1:
            # A factor of dim 1 broadcasts: the dim of the state does not follow from it.
            self.rnn.add_state(name, dim=dim, input=name)
        self.node(Activation("tanh"), name, dim, inputs=merged, merge_mode=mode)

    def add_square(self, name, dim):
        """A function of one's own, between two products, and a softmax."""
        refs = [ref for ref in self.read(name) if not ref.startswith(name)]
        self.node(
            Dense(self.dim_of(refs), dim, activation="tanh"),
            f"{name}in",
            dim,
            input=refs,
        )
        own = Lambda(lambda z: pt.exp(-z * z) + z / (1 + abs(z)))
        self.rnn.add_node(
            own, f"{name}own", inputs=[f"{name}in", f"{name}_tm1"], merge_mode="sum"
        )
        self.dims[f"{name}own"] = dim
        self.node(Activation("softmax"), name, dim, input=f"{name}own")

    def add_switch(self, name, dim):
        refs = [ref for ref in self.read(name) if not ref.startswith(name)]
        self.node(Dense(self.dim_of(refs), dim), f"{name}in", dim, input=refs)
        self.node(Lambda(lambda z: z > 0), f"{name}if", dim, input=f"{name}in")
        self.node(
            Switch(),
            name,
            dim,
            input={
                "condition": f"{name}if",
                "then": f"{name}in",
                "otherwise": f"{name}_tm1",
            },
        )
        for helper in (f"{name}if",):
            del self.dims[helper]

    def add_nested(self, name, dim):
        """A loop in the loop, over two slices made of the past."""
        inner = Recurrent()
        inner.add_input("word", dim=2)
        inner.add_node(RecurrentDense(2, dim), "h", input="word")
        refs = [ref for ref in self.read(name) if not ref.startswith(name)]
        self.rnn.add_node(
            Dense(self.dim_of(refs) + dim, 4), f"{name}in", input=[*refs, f"{name}_tm1"]
        )
        self.node(
            Lambda(lambda z: z.reshape((z.shape[0], 2, 2)), output_dim=2),
            f"{name}words",
            2,
            input=f"{name}in",
        )
        del self.dims[f"{name}words"]
        self.node(inner, name, dim, input=f"{name}words")

    def finished(self):
        names = list(
            dict.fromkeys(
                [self.nodes[-1], *(str(self.rng.choice(self.nodes)) for _ in range(2))]
            )
        )
        for name in names[: self.rng.randint(1, 4)]:
            self.rnn.add_output(f"{name}_out", input=name)
        return self.rnn
