"""Models from descriptions: nested as described, or flat; layers shared, or one for each use."""

import zlib

import numpy as np

import recursive
from recursive import (
    GRU,
    LSTM,
    Activation,
    Attention,
    AutoEncoder,
    Bidirectional,
    Blend,
    Dense,
    Graph,
    Greedy,
    Lambda,
    LayerNormalization,
    Masking,
    Merge,
    Recurrent,
    RecurrentDense,
    RecurrentGRU,
    RecurrentLSTM,
    Recursive,
    RepeatVector,
    Sequential,
    SimpleRNN,
    Teacher,
    TimeDistributedDense,
)
from recursive.layers.embeddings import Embedding
from tests.compositions.describe import NUMBERS, Group
from tests.compositions.layers import (
    DenseOf2015,
    Formula,
    MeanOfData,
    Of2015,
    Passing,
    gated,
)

LENGTHS = {
    "x": 5,
    "w": 5,
    "y": 7,
    "sentences": 2,
    "words": 8,
    "repeated": 3,
    "steps": 4,
}
OVER_TIME = {"rnn": SimpleRNN, "gru": GRU, "lstm": LSTM}
PORTS = {
    "blend": ("gate", "old", "new"),
    "merge_layer": ("input_0", "input_1"),
    "seeded": ("x", "start"),
    "ask": ("memory", "query"),
    "taught": ("x", "truth"),
    "teacher": ("truth", "prediction"),
    "lambda": ("gate", "value"),
}
"""The ports of layers of several, in the order in which nodes read them."""
CELLS = {"rnn": RecurrentDense, "gru": RecurrentGRU, "lstm": RecurrentLSTM}


def shown(name):
    """The name of an output for a value of a node."""
    return "o_" + name.replace(".", "_")


class Builder:
    """Makes one model of a description.

    Args:
        flat: True leaves groups out; everything is a node of one container.
        shared: False gives each use of a layer a layer with the same weights.
        unroll: True writes every loop out.
        order: a random state that draws another order of declaration.
    """

    def __init__(self, flat=False, shared=True, unroll=False, order=None):
        self.flat, self.shared, self.unroll, self.order = flat, shared, unroll, order
        self.made = {}
        self.leaves = {}
        """By path, the layers that have weights: several where they are not shared."""

    def model(self, network):
        graph = Graph()
        for name, value in network.inputs:
            self.add_input(graph, name, value)
        known = {name: name for name, _ in network.inputs}
        self.declare(graph, network, 0, len(network.nodes), known, "", None)
        for name in network.outputs:
            graph.add_output(shown(name), input=known[name])
        return graph

    # Containers

    def add_input(self, container, name, value, steps=0):
        """An input for a value; ``steps`` axes more where the container is a loop."""
        if value.kind in ("words", "docs"):
            axes = 2 + (value.kind == "docs") + steps
            container.add_input(name, ndim=axes, dtype="int")
        else:
            axes = 2 + (value.kind == "seq") + steps
            container.add_input(name, ndim=axes, dim=value.dim)

    def entries(self, network, start, stop, inside):
        """Nodes and outermost groups of a range, in their order."""
        groups = []
        if not self.flat:
            groups = [
                group
                for group in network.groups
                if start <= group.start and group.stop <= stop and group != inside
            ]
        outer = [g for g in groups if not any(o != g and o.holds(g) for o in groups)]
        found, at = [], start
        while at < stop:
            group = next((g for g in outer if g.start == at), None)
            found.append(group or network.nodes[at])
            at = group.stop if group else at + 1
        return self.shuffled(found) if self.order is not None else found

    def shuffled(self, nodes):
        """Another order in which what a node reads still comes before it."""
        names = {node.name for node in nodes}
        left, found, there = list(nodes), [], set()
        while left:
            ready = []
            for node in left:
                needs = {read.split(".")[0] for read in node.reads} & names
                needs |= {node.like} & names if node.like else set()
                if needs <= there:
                    ready.append(node)
            node = ready[self.order.randint(len(ready))]
            left.remove(node)
            found.append(node)
            there.add(node.name)
        return found

    def declare(self, container, network, start, stop, known, path, inside):
        """Add the nodes of a range; ``known`` says what each value is called there."""
        for entry in self.entries(network, start, stop, inside):
            if isinstance(entry, Group):
                self.declare_group(container, network, entry, known, path)
            else:
                self.declare_node(container, network, entry, known, path)

    def declare_node(self, container, network, node, known, path):
        layer = self.layer(network, node, path)
        reads = [renamed(read, known) for read in node.reads]
        if node.kind in PORTS:
            ports = dict(zip(PORTS[node.kind], reads, strict=True))
            container.add_node(layer, node.name, input=ports)
        elif node.kind == "cell":
            container.add_node(layer, node.name, input={"input": reads})
        elif len(reads) == 1:
            container.add_node(layer, node.name, input=reads[0])
        else:
            container.add_node(layer, node.name, inputs=reads, merge_mode=node.merge)
        known[node.name] = node.name
        if node.kind == "encoder":
            known |= {
                f"{node.name}.{out}": f"{node.name}.{out}" for out in ("out", "h_final")
            }

    def declare_group(self, container, network, group, known, path):
        reads, outputs = around(network, group)
        name = f"g{group.start}_{group.stop}"
        if group.how == "graph":
            layer, ports = self.graph(network, group, reads, outputs, path)
            inner = {port: known[read] for port, read in zip(ports, reads, strict=True)}
            given = inner if len(reads) > 1 else next(iter(inner.values()))
            container.add_node(layer, name, input=given)
        else:
            container.add_node(
                self.chain(network, group, path), name, input=known[reads[0]]
            )
        if len(outputs) == 1:
            known[outputs[0]] = name
        else:
            known |= {output: f"{name}.{shown(output)}" for output in outputs}

    def graph(self, network, group, reads, outputs, path):
        graph = Graph()
        values = dict(network.values)
        ports = [f"i_{read.replace('.', '_')}" for read in reads]
        for port, read in zip(ports, reads, strict=True):
            self.add_input(graph, port, values[read])
        known = dict(zip(reads, ports, strict=True))
        self.declare(graph, network, group.start, group.stop, known, path, group)
        for output in outputs:
            graph.add_output(shown(output), input=known[output])
        return graph, ports

    def chain(self, network, group, path):
        """A Sequential of the group's entries, or an AutoEncoder of two of them."""
        layers = []
        for entry in self.entries(network, group.start, group.stop, group):
            if not isinstance(entry, Group):
                layers.append(self.layer(network, entry, path))
            elif entry.how == "graph":
                reads, outputs = around(network, entry)
                layers.append(self.graph(network, entry, reads, outputs, path)[0])
            else:
                layers.append(self.chain(network, entry, path))
        if group.how == "sequential" or len(layers) == 1:
            return Sequential(layers)
        half = len(layers) // 2
        encoder, decoder = layers[:half], layers[half:]
        return AutoEncoder(
            encoder[0] if len(encoder) == 1 else Sequential(encoder),
            decoder[0] if len(decoder) == 1 else Sequential(decoder),
        )

    # Layers

    def layer(self, network, node, path):
        """The layer of a node; of the node that it shares with, where layers are shared."""
        place = path + (node.like or node.name)
        if place in self.made and self.shared:
            return self.made[place]
        again = place in self.made
        values = dict(network.values)
        value = values.get(node.reads[0].removesuffix("_tm1"))
        self.made[place] = getattr(self, f"make_{node.kind}")(
            node, value, values, place, again
        )
        return self.made[place]

    def leaf(self, layer, path):
        """The layer with weights that follow from its path."""
        rng = np.random.RandomState(zlib.crc32(path.encode()))
        layer.set_weights([rng.normal(0, 0.5, w.shape) for w in layer.get_weights()])
        self.leaves.setdefault(path, []).append(layer)
        return layer

    def make_dense(self, node, value, values, path, again, kind=Dense):
        if kind is Dense and value.kind == "seq":
            kind = TimeDistributedDense  # a Dense takes no mask
        penalty = "l2" if dict(node.options).get("penalty") and not again else None
        made = kind(value.dim, node["dim"], activation="tanh", W_regularizer=penalty)
        return self.leaf(made, path)

    def make_tdd(self, *args):
        return self.make_dense(*args, kind=TimeDistributedDense)

    def make_dense_of2015(self, *args):
        return self.make_dense(*args, kind=DenseOf2015)

    def make_past(self, node, value, values, path, again):
        past = node.reads[1].removesuffix("_tm1")
        dim = value.dim + values[past].dim
        return self.leaf(Dense(dim, node["dim"], activation="tanh"), path)

    def make_norm(self, node, value, *args):
        path = args[1]
        return self.leaf(LayerNormalization(value.dim), path)

    def make_teacher(self, node, *_):
        return Teacher(node["share"])

    def make_lambda(self, *_):
        return Lambda(gated, ports=PORTS["lambda"])

    def make_ask(self, node, value, values, path, again):
        query = values[node.reads[1]].dim
        return self.attention(node, value.dim, query, path)

    def attention(self, node, memory, query, path):
        """An attention with weights that follow from its path."""
        made = Attention(node["score"], dim=3)
        made.build({"memory": (None, None, memory), "query": (None, query)})
        return self.leaf(made, path)

    def make_embedding(self, node, value, values, path, again):
        made = Embedding(NUMBERS, node["dim"], mask_zero=node["mask_zero"])
        return self.leaf(made, path)

    def make_masking(self, *_):
        return Masking()

    def make_drop_mask(self, *_):
        return recursive.DropMask()

    def make_activation(self, node, *_):
        return Activation(node["function"])

    def make_formula(self, *_):
        return Formula()

    def make_passing(self, *_):
        return Passing()

    def make_of2015(self, *_):
        return Of2015()

    def make_mean(self, *_):
        return MeanOfData()

    def make_blend(self, *_):
        return Blend()

    def make_repeat(self, *_):
        return RepeatVector(LENGTHS["repeated"])

    def make_merge_layer(self, node, value, values, path, again):
        kind = TimeDistributedDense if value.kind == "seq" else Dense
        branches = []
        for index, read in enumerate(node.reads):
            dim = values[read].dim
            branches.append(self.leaf(kind(dim, dim), f"{path}.{index}"))
        return Merge(branches, mode="concat")

    def make_layer(self, node, value, values, path, again):
        made = OVER_TIME[node["cell"]](
            value.dim,
            node["dim"],
            return_sequences=node["every"],
            go_backwards=node["back"],
            mask_mode="carry",
        )
        return self.leaf(made, path)

    def make_both(self, node, value, values, path, again):
        inner = OVER_TIME[node["cell"]](
            value.dim, node["dim"], return_sequences=node["every"], mask_mode="carry"
        )
        return self.leaf(Bidirectional(inner, merge_mode=node.merge), path)

    def make_cell(self, node, value, values, path, again):
        made = CELLS[node["cell"]](value.dim, node["dim"], bias=node["bias"])
        return self.leaf(made, path)

    # Loops

    def over(self, value):
        """Arguments of a loop over a value, which may be written out."""
        if not self.unroll:
            return {}
        tag = "sentences" if value.kind == "docs" else value.length.removesuffix("~")
        return {"unroll": True, "n_steps": LENGTHS[tag]}

    def steps(self):
        return {"n_steps": LENGTHS["steps"], "unroll": self.unroll}

    def make_loop(self, node, value, values, path, again):
        loop = Recurrent(
            return_sequences=node["every"],
            go_backwards=node["back"],
            **self.over(value),
        )
        body = node["body"]
        for name, step in body.inputs:
            self.add_input(loop, name, step, steps=1)
        known = {name: name for name, _ in body.inputs}
        self.declare(loop, body, 0, len(body.nodes), known, f"{path}/", None)
        loop.add_output("out", input=known[body.outputs[0]])
        return loop

    def make_encoder(self, node, value, values, path, again):
        loop = Recursive(
            return_sequences=node["every"],
            return_final_states=True,
            **self.over(value),
        )
        loop.add_input("x", dim=value.dim)
        self.add_gru(loop, value.dim, node["dim"], path)
        return loop

    def make_seeded(self, node, value, values, path, again):
        loop = Recursive(return_sequences=node["every"], **self.over(value))
        loop.add_input("x", dim=value.dim)
        self.add_gru(loop, value.dim, node["dim"], path, start="start")
        return loop

    def add_gru(self, loop, dim, hidden, path, start=None):
        loop.add_state("h", dim=hidden)
        if start is not None:
            loop.set_state_from("h", start)
        loop.add_node(
            self.leaf(RecurrentGRU(dim, hidden), path),
            "out",
            input={"input": "x", "prev_hid": "h"},
            return_state="h",
            create_output=True,
        )

    def make_attend(self, node, value, values, path, again):
        loop = Recurrent(return_sequences=True, **self.steps())
        loop.add_input("memory", ndim=3, dim=value.dim, is_sequence=False)
        if node["reader"] == "mean":
            reader, dim = MeanOfData(), value.dim
        else:
            dim = 3
            reader = OVER_TIME[node["reader"]](value.dim, dim, mask_mode="carry")
            reader = self.leaf(reader, f"{path}.reader")
        loop.add_node(reader, "read", input="memory")
        cell = self.leaf(RecurrentDense(dim, node["dim"]), path)
        loop.add_node(cell, "h", input={"input": "read"})
        return loop

    def make_listen(self, node, value, values, path, again):
        loop = Recursive(return_sequences=True, **self.steps())
        loop.add_input("memory", ndim=3, dim=value.dim, is_sequence=False)
        loop.add_state("h", dim=node["dim"])
        layer = self.attention(node, value.dim, node["dim"], f"{path}.att")
        loop.add_node(layer, "att", input={"memory": "memory", "query": "h"})
        dense = Dense(value.dim + node["dim"], node["dim"], activation="tanh")
        loop.add_node(
            self.leaf(dense, path),
            "out",
            inputs=["att", "h"],
            return_state="h",
            create_output=True,
        )
        return loop

    def make_taught(self, node, value, values, path, again):
        dim = values[node.reads[1]].dim
        loop = Recursive(return_sequences=node["every"], **self.over(value))
        loop.add_input("x", dim=value.dim)
        loop.add_input("truth", dim=dim, training_only=node["only"])
        loop.add_state("y", dim=dim)
        ports = {"truth": "truth_tm1", "prediction": "y"}
        loop.add_node(Teacher(node["share"]), "previous", input=ports)
        loop.add_node(
            self.leaf(Dense(value.dim + dim, dim, activation="tanh"), path),
            "out",
            inputs=["x", "previous"],
            return_state="y",
            create_output=True,
        )
        return loop

    def make_decoder(self, node, value, values, path, again):
        loop = Recurrent(return_sequences=True, **self.steps())
        loop.add_input("c", dim=value.dim, is_sequence=False)
        dim, reads = value.dim, ["c"]
        if node["says_words"]:
            loop.add_state("word", dtype="int", input="choice", initial=1)
            table = self.leaf(Embedding(NUMBERS, 2), f"{path}.table")
            loop.add_node(table, "read", input="word")
            dim, reads = dim + 2, ["c", "read"]
        cell = self.leaf(CELLS[node["cell"]](dim, node["dim"]), path)
        loop.add_node(cell, "h", input={"input": reads})
        if node["says_words"]:
            scores = Dense(node["dim"], NUMBERS, activation="softmax")
            loop.add_node(self.leaf(scores, f"{path}.scores"), "p", input="h")
            loop.add_node(Greedy(), "choice", input="p")
            loop.add_output("h", input="h")
        return loop


def renamed(read, known):
    """What a value is called in a container, or the step before of it."""
    if read.endswith("_tm1"):
        name = read.removesuffix("_tm1")
        return f"{known.get(name, name)}_tm1"
    return known[read]


def around(network, group):
    """What the nodes of a group read from outside, and which of their values are read there."""
    inside = network.nodes[group.start : group.stop]
    outside = [node for node in network.nodes if node not in inside]
    names = {node.name for node in inside}

    def is_inside(value):
        return value.split(".")[0] in names

    reads = []
    for node in inside:
        reads += [read for read in node.reads if not is_inside(read)]
    wanted = [read for node in outside for read in node.reads] + list(network.outputs)
    outputs = [name for name in wanted if is_inside(name)]
    return list(dict.fromkeys(reads)), list(dict.fromkeys(outputs))
