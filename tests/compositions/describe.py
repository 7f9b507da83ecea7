"""Descriptions of random networks: plain data, drawn by Hypothesis, read by ``build``.

A network is a list of nodes in the order in which they are declared. Groups are ranges of
nodes that the nested build puts into a container; the flat build ignores them.
"""

from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

import recursive

DIMS = (6, 2, 7)
"""Sizes of what layers return; the input has 4."""
NUMBERS = 9
"""How many words there are; 0 is padding."""
CELLS = ("rnn", "gru", "lstm")
MODES = ("concat", "sum", "mul", "max", "ave")
HAS_DROP_MASK = "DropMask" in dir(recursive)


@dataclass(frozen=True)
class Value:
    """What a name stands for.

    ``kind`` is vec ``(batch, dim)``, seq ``(batch, time, dim)``, words ``(batch, time)`` of
    numbers, or docs ``(batch, sentence, word)`` of numbers. ``length`` names the number of
    steps, with ``~`` where they run backwards.
    """

    kind: str
    dim: int = 0
    length: str = ""
    masked: bool = False


@dataclass(frozen=True, repr=False)
class Node:
    """A layer by its kind and options, what it reads, and the earlier node that it shares with."""

    name: str
    kind: str
    reads: tuple[str, ...]
    options: tuple[tuple[str, object], ...] = ()
    merge: str = "concat"
    like: str | None = None

    def __getitem__(self, option):
        return dict(self.options)[option]

    def __repr__(self):
        options = "".join(f", {key}={value!r}" for key, value in self.options)
        merge = f", merge={self.merge!r}" if len(self.reads) > 1 else ""
        like = f", like={self.like!r}" if self.like else ""
        reads = ", ".join(self.reads)
        return f"{self.name} = {self.kind}({reads}{options}{merge}{like})"


@dataclass(frozen=True)
class Group:
    """Nodes from ``start`` to before ``stop``, in a container of a kind."""

    start: int
    stop: int
    how: str

    def holds(self, other):
        return self.start <= other.start and other.stop <= self.stop

    def crosses(self, other):
        apart = self.stop <= other.start or other.stop <= self.start
        return not (apart or self.holds(other) or other.holds(self))


@dataclass(frozen=True, repr=False)
class Network:
    """Inputs by name, nodes, which of their values are outputs, and groups."""

    inputs: tuple[tuple[str, Value], ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    groups: tuple[Group, ...] = ()
    padded: bool = False
    values: tuple[tuple[str, Value], ...] = field(default=(), repr=False)

    def __repr__(self):
        groups = [f"{g.how} of nodes {g.start} to {g.stop - 1}" for g in self.groups]
        lines = [f"{name}: {value}" for name, value in self.inputs]
        lines += [repr(node) for node in self.nodes]
        lines += [f"outputs: {', '.join(self.outputs)}", *groups]
        text = "\n".join(lines).replace("\n", "\n    ")
        return f"Network(padded={self.padded}):\n    {text}"

    def _repr_pretty_(self, printer, cycle):
        """What Hypothesis shows of an example that fails."""
        printer.text(repr(self))

    def every_node(self):
        """The nodes here and in the bodies of loops."""
        for node in self.nodes:
            yield node
            body = dict(node.options).get("body")
            if body is not None:
                yield from body.every_node()

    @property
    def shares(self):
        return any(node.like for node in self.every_node())

    def has(self, *kinds):
        return any(node.kind in kinds for node in self.every_node())

    @property
    def depth(self):
        """How deep containers stand in each other."""
        inner = [dict(node.options).get("body") for node in self.nodes]
        loops = [1 + body.depth for body in inner if body is not None]
        around = [
            sum(group.holds(Group(at, at + 1, "")) for group in self.groups)
            for at in range(len(self.nodes))
        ]
        return max([0, *loops, *around])


@dataclass(frozen=True)
class Rules:
    """What is drawn: ``in_loop`` for the step of a loop; the others switch kinds on."""

    in_loop: bool = False
    padded: bool = False
    custom: bool = True
    code: bool = True
    old: bool = True
    share: bool = False
    penalties: bool = True
    masks: bool = True
    cells: tuple[str, ...] = CELLS
    depth: int = 2


class _Drawing:
    """A network that is being drawn: the nodes so far and their values."""

    def __init__(self, draw, inputs, rules):
        self.draw = draw
        self.rules = rules
        self.values = dict(inputs)
        self.inputs = tuple(inputs.items())
        self.nodes = []
        self.found = {}
        self.hidden = set()
        """Inputs that only their first node reads, since padding is to be masked."""
        self.apart = set()
        """Nodes that stay outside of groups."""

    def pick(self, *choices):
        return self.draw(st.sampled_from(choices))

    def happens(self):
        return self.draw(st.booleans())

    def add(self, kind, reads, value, merge="concat", like=None, **options):
        name = f"n{len(self.nodes)}"
        node = Node(name, kind, tuple(reads), tuple(options.items()), merge, like)
        self.nodes.append(node)
        self.found[name] = value
        if isinstance(value, dict):
            self.values |= {f"{name}.{out}": v for out, v in value.items() if out}
            self.values[name] = value[""]
        else:
            self.values[name] = value
        return name

    def names(self, *kinds):
        """Values of some kinds, the latest first: Hypothesis shrinks towards the first."""
        found = [
            name
            for name, value in self.values.items()
            if value.kind in kinds and name not in self.hidden
        ]
        return found[::-1]

    # Inputs

    def enter(self, name, value):
        """The first node of an input, which makes numbers vectors, or a mask."""
        if value.kind == "docs":
            self.add_docs(name, value)
        elif value.kind == "words":
            masked = self.rules.padded or (self.rules.masks and self.happens())
            found = Value("seq", self.pick(*DIMS), value.length, masked)
            self.add("embedding", [name], found, dim=found.dim, mask_zero=masked)
        elif value.kind == "seq" and not self.rules.in_loop:
            masked = self.rules.padded or (self.rules.masks and self.happens())
            if masked:
                self.hidden |= {name} if self.rules.padded else set()
                self.add("masking", [name], replace(value, masked=True))

    def add_docs(self, name, value):
        """A loop over sentences, whose step reads words."""
        step = {"v": Value("words", 0, "words")}
        self.add_loop(name, replace(value, length="sentences"), step)

    # One more node

    def grow(self):
        moves = []
        if self.names("seq"):
            moves += ["on_seq", "cell_over_seq", "both_ways", "merge_seq"]
            moves += ["mean"] if self.rules.custom else []
            if self.rules.depth:
                moves += ["loop", "attend", "encoder", "listen", "taught"]
        if self.names("vec"):
            moves += ["on_vec", "merge_vec", "repeat"]
            if self.rules.in_loop:
                moves += ["cell", "tap"]
            if self.rules.depth:
                moves += ["decoder"]
        if self.names("seq") and self.names("vec"):
            moves += ["ask"]
            moves += ["seeded"] if self.rules.depth else []
        if self.rules.share and any(map(self.twin_reads, self.nodes)):
            moves = ["share", *moves]
        getattr(self, f"add_{self.pick(*moves)}")()

    def add_on_seq(self):
        name = self.pick(*self.names("seq"))
        value = self.values[name]
        kinds = ["tdd", "activation", "dense", "norm"]
        kinds += ["masking"] if self.rules.masks else []
        kinds += ["passing"] if self.rules.custom else []
        if not value.masked:
            kinds += ["formula"] if self.rules.custom else []
            kinds += ["of2015", "dense_of2015"] if self.rules.old else []
        elif HAS_DROP_MASK and not self.rules.padded:
            kinds += ["drop_mask"]
        self.add_plain(self.pick(*kinds), name, value)

    def add_on_vec(self):
        name = self.pick(*self.names("vec"))
        kinds = ["dense", "activation", "norm"]
        kinds += ["formula", "passing"] if self.rules.custom else []
        kinds += ["of2015", "dense_of2015"] if self.rules.old else []
        self.add_plain(self.pick(*kinds), name, self.values[name])

    def add_plain(self, kind, name, value):
        """A layer that treats every row of a value alike."""
        options = {}
        if kind in ("dense", "tdd", "dense_of2015"):
            value = replace(value, dim=self.pick(*DIMS))
            options = {"dim": value.dim}
            if self.rules.penalties and not self.rules.in_loop:
                options["penalty"] = self.happens()
        elif kind == "activation":
            options = {"function": self.pick("tanh", "sigmoid")}
        elif kind == "masking":
            value = replace(value, masked=True)
        elif kind == "drop_mask":
            value = replace(value, masked=False)
        self.add(kind, [name], value, **options)

    def add_cell_over_seq(self):
        """A recurrent layer with a scan of its own."""
        name = self.pick(*self.names("seq"))
        self.add_recurrent(name, self.pick(*self.rules.cells))

    def add_recurrent(self, name, cell, every=None):
        value, dim = self.values[name], self.pick(*DIMS)
        every = self.happens() if every is None else every
        back = self.happens()
        found = self.over_time(value, dim, every, back)
        self.add("layer", [name], found, cell=cell, dim=dim, every=every, back=back)

    def over_time(self, value, dim, every, back=False):
        """What a loop over a value returns: all steps or the last."""
        if not every:
            return Value("vec", dim)
        length = value.length
        if back:
            length = length[:-1] if length.endswith("~") else f"{length}~"
        return Value("seq", dim, length, value.masked)

    def add_both_ways(self):
        name = self.pick(*self.names("seq"))
        dim, every = self.pick(*DIMS), self.happens()
        merge = self.pick("concat", "sum")
        found = self.over_time(
            self.values[name], 2 * dim if merge == "concat" else dim, every
        )
        cell = self.pick(*self.rules.cells)
        self.add("both", [name], found, merge, cell=cell, dim=dim, every=every)

    def add_mean(self):
        name = self.pick(*self.names("seq"))
        self.add("mean", [name], Value("vec", self.values[name].dim))

    def add_merge_seq(self):
        first = self.pick(*self.names("seq"))
        self.merge(first, "seq", self.values[first].length)

    def add_merge_vec(self):
        self.merge(self.pick(*self.names("vec")), "vec", "")

    def merge(self, first, kind, length):
        """Two values side by side, or element by element where they have one dim."""
        value = self.values[first]
        others = [
            name
            for name in self.names(kind)
            if self.values[name].length == length and name != first
        ]
        if not others:
            self.add_plain("activation", first, value)
            return
        second = self.pick(*others)
        other = self.values[second]
        masked = value.masked or other.masked
        if other.dim == value.dim:
            modes = [*MODES, "blend", "merge_layer", "teacher"]
            modes += ["lambda"] if self.rules.code and kind == "vec" else []
            mode = self.pick(*modes)
        else:
            mode = self.pick("concat", "merge_layer")
        if mode == "blend":
            found = replace(value, masked=masked)
            self.add("blend", [first, second, first], found)
            return
        if mode in ("teacher", "lambda"):
            options = {"share": self.pick(1.0, 0.0)} if mode == "teacher" else {}
            found = replace(value, masked=masked)
            self.add(mode, [first, second], found, **options)
            return
        joined = mode if mode in MODES else "concat"
        dim = value.dim + other.dim if joined == "concat" else value.dim
        found = replace(value, dim=dim, masked=masked)
        kind = "merge_layer" if mode == "merge_layer" else "activation"
        options = {"function": "tanh"} if kind == "activation" else {}
        self.add(kind, [first, second], found, joined, **options)

    def add_repeat(self):
        name = self.pick(*self.names("vec"))
        found = Value("seq", self.values[name].dim, "repeated")
        self.add("repeat", [name], found)

    # Cells and the past, in a loop

    def add_cell(self):
        name = self.pick(*self.names("vec"))
        dim = self.pick(*DIMS)
        added = self.add(
            "cell",
            [name],
            Value("vec", dim),
            cell=self.pick(*self.rules.cells),
            dim=dim,
            bias=self.happens(),
        )
        self.apart.add(added)

    def add_tap(self):
        """A Dense that reads a value and the step before of another, or of itself."""
        name, other = (self.pick(*self.names("vec")) for _ in range(2))
        dim = self.pick(*DIMS)
        own = self.happens()
        past = f"n{len(self.nodes)}_tm1" if own else f"{other}_tm1"
        if "." in past:
            past = f"n{len(self.nodes)}_tm1"
        added = self.add("past", [name, past], Value("vec", dim), dim=dim)
        self.apart |= {added, past.removesuffix("_tm1")}

    # Loops

    def add_loop(self, name=None, value=None, step=None):
        """A loop over one sequence; its step is a network."""
        if name is None:
            name = self.pick(*self.names("seq"))
            value = self.values[name]
            step = {"v": Value("vec", value.dim)}
        every, back = self.happens(), self.happens()
        body = self.body(step)
        out = body.outputs[0]
        dim = dict(body.values)[out].dim
        found = self.over_time(value, dim, every, back)
        self.add("loop", [name], found, body=body, every=every, back=back)

    def body(self, step):
        rules = replace(self.rules, in_loop=True, depth=self.rules.depth - 1)
        return drawn(self.draw, step, rules)

    def add_attend(self):
        """A loop of its own number of steps that reads a sequence whole at each of them."""
        name = self.pick(*self.names("seq"))
        found = Value("seq", self.pick(*DIMS), "steps")
        reader = self.pick("gru", "lstm", *(["mean"] if self.rules.custom else []))
        self.add("attend", [name], found, dim=found.dim, reader=reader)

    def add_ask(self):
        """An attention that a vector asks of a sequence."""
        memory, query = self.pick(*self.names("seq")), self.pick(*self.names("vec"))
        dim = self.values[memory].dim
        score = self.score(dim == self.values[query].dim)
        self.add("ask", [memory, query], Value("vec", dim), score=score)

    def score(self, has_equal_dims):
        alike = ["dot", "scaled_dot"] if has_equal_dims else []
        return self.pick("additive", "general", *alike)

    def add_listen(self):
        """A loop of its own number of steps whose state asks a sequence at each of them."""
        name = self.pick(*self.names("seq"))
        dim = self.pick(*DIMS)
        score = self.score(dim == self.values[name].dim)
        self.add("listen", [name], Value("seq", dim, "steps"), dim=dim, score=score)

    def add_taught(self):
        """A loop that reads the truth in training, and its own output otherwise."""
        name = self.pick(*self.names("seq"))
        value = self.values[name]
        truths = [
            other
            for other in self.names("seq")
            if self.values[other].length == value.length
        ]
        truth = self.pick(*truths)
        dim, every = self.values[truth].dim, self.happens()
        masked = value.masked or self.values[truth].masked
        found = self.over_time(replace(value, masked=masked), dim, every)
        options = {"every": every, "only": self.happens(), "share": self.pick(1.0, 0.0)}
        self.add("taught", [name, truth], found, **options)

    def add_decoder(self):
        """A loop of its own number of steps over a vector, which may say words and read them."""
        name = self.pick(*self.names("vec"))
        found = Value("seq", self.pick(*DIMS), "steps")
        cell, says_words = self.pick("rnn", "gru"), self.happens()
        self.add(
            "decoder", [name], found, dim=found.dim, cell=cell, says_words=says_words
        )

    def add_encoder(self):
        """A loop with two outputs: all its steps, or the last, and the state after it."""
        name = self.pick(*self.names("seq"))
        value, dim, every = self.values[name], self.pick(*DIMS), self.happens()
        found = {
            "out": self.over_time(value, dim, every),
            "h_final": Value("vec", dim),
        }
        found = {"": found["out"], **found}
        added = self.add("encoder", [name], found, dim=dim, every=every)
        del self.values[added]

    def add_seeded(self):
        """A loop over a sequence whose state starts from a vector."""
        start = self.pick(*self.names("vec"))
        name = self.pick(*self.names("seq"))
        every, dim = self.happens(), self.values[start].dim
        found = self.over_time(self.values[name], dim, every)
        self.add("seeded", [name, start], found, dim=dim, every=every)

    # Shared layers

    SHARED = ("dense", "tdd", "norm", "layer", "both", "loop", "encoder", "decoder")
    SHARED += ("listen", "cell")

    def twin_reads(self, node):
        """Values that the layer of a node can read as well."""
        if node.kind not in self.SHARED:
            return []
        [first] = [self.values[name] for name in node.reads]
        return [
            name
            for name, value in self.values.items()
            if (value.kind, value.dim) == (first.kind, first.dim)
            and name not in self.hidden
            and (node.kind != "layer" or value.masked == first.masked)
        ]

    def add_share(self):
        nodes = [node for node in self.nodes if self.twin_reads(node)]
        node = self.pick(*nodes)
        name = self.pick(*self.twin_reads(node)[::-1])
        found = self.found[node.name]
        read = self.values[name]

        def again(value):
            if value.kind != "seq" or node.kind in ("decoder", "listen"):
                return value
            back = dict(node.options).get("back", False)
            return self.over_time(read, value.dim, True, back)

        several = found if isinstance(found, dict) else {"": found}
        several = {out: again(value) for out, value in several.items()}
        found = several if isinstance(found, dict) else several[""]
        like = node.like or node.name
        added = self.add(
            node.kind, [name], found, node.merge, like, **dict(node.options)
        )
        if isinstance(found, dict):
            del self.values[added]
        if node.kind == "cell":
            self.apart.add(added)

    # Groups

    def prune(self, outputs):
        """Leave out what no output depends on."""
        needed = {name.split(".")[0] for name in outputs}
        for node in reversed(self.nodes):
            if node.name in needed:
                reads = [read.removesuffix("_tm1") for read in node.reads]
                needed |= {read.split(".")[0] for read in reads}
                needed |= {node.like} if node.like else set()
        self.nodes = [node for node in self.nodes if node.name in needed]

    def groups(self, outputs):
        kept = []
        for _ in range(self.draw(st.integers(0, 3))):
            start = self.draw(st.integers(0, len(self.nodes) - 1))
            stop = self.draw(st.integers(start + 1, len(self.nodes)))
            hows = self.hows(start, stop, outputs)
            group = Group(start, stop, self.pick(*hows)) if hows else None
            if group is None or any(group.crosses(other) for other in kept):
                continue
            # inside a chain, groups are links of it: whole chains again
            if any((group.start, group.stop) == (o.start, o.stop) for o in kept):
                continue
            kept.append(group)
        return tuple(kept)

    def hows(self, start, stop, outputs):
        """The containers that can hold these nodes."""
        inside = self.nodes[start:stop]
        if self.apart & {node.name for node in inside}:
            return []
        if not all(self.found[node.name] for node in inside):
            return []
        hows = ["graph"]
        if self.is_chain(start, stop, outputs):
            hows = ["sequential", *hows]
            if stop - start > 1:
                hows.append("autoencoder")
        return hows

    def is_chain(self, start, stop, outputs):
        """Each reads the one before, nobody else does, and none has two outputs."""
        inside = self.nodes[start:stop]
        if any(len(node.reads) > 1 or node.kind == "encoder" for node in inside):
            return False
        for at, node in enumerate(inside[:-1]):
            readers = [n for n in self.nodes if node.name in n.reads]
            if readers != [inside[at + 1]] or node.name in outputs:
                return False
        return True


def drawn(draw, inputs, rules):
    """A network over ``inputs``."""
    drawing = _Drawing(draw, inputs, rules)
    for name, value in inputs.items():
        drawing.enter(name, value)
    most = 2 if rules.in_loop else 3
    for _ in range(draw(st.integers(1, most))):
        drawing.grow()
    if rules.in_loop:
        # a step has one output, of one kind: a vector
        if drawing.values[drawing.names("vec", "seq")[0]].kind != "vec":
            drawing.add_recurrent(drawing.names("seq")[0], "gru", every=False)
        outputs = (drawing.names("vec")[0],)
        drawing.prune(outputs)
    else:
        outputs = tops(drawing)
    return Network(
        drawing.inputs,
        tuple(drawing.nodes),
        outputs,
        drawing.groups(outputs),
        rules.padded,
        tuple(drawing.values.items()),
    )


def tops(drawing):
    """What nobody reads, and for each sequence a vector that depends on its mask."""
    read = {name for node in drawing.nodes for name in node.reads}
    names = [n for n in drawing.values if n not in read and n.startswith("n")]
    for name in [n for n in names if drawing.values[n].kind == "seq"]:
        found = Value("vec", 2)
        if drawing.rules.custom:
            found = Value("vec", drawing.values[name].dim)
            names.append(drawing.add("mean", [name], found))
            continue
        options = {"cell": "rnn", "dim": 2, "every": False, "back": False}
        names.append(drawing.add("layer", [name], found, **options))
    return tuple(names)


INPUTS = {
    "x": Value("seq", 4, "x"),
    "w": Value("words", 0, "w"),
    "d": Value("docs", 0, "d"),
    "y": Value("seq", 3, "y"),
}


@st.composite
def networks(draw, first=("x", "w", "x", "w", "d"), **rules):
    """A network of one or two inputs, of which ``first`` offers the first."""
    first = draw(st.sampled_from(first))
    rules.setdefault("depth", draw(st.sampled_from([1, 1, 1, 2])))
    names = [first, *(["y"] if draw(st.booleans()) else [])]
    if "padded" not in rules:
        rules["padded"] = draw(st.booleans())
    return drawn(draw, {name: INPUTS[name] for name in names}, Rules(**rules))
