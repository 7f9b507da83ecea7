"""Random declarations, good and bad, for Hypothesis: any that the checks let through must run, and be what it says."""

import dataclasses

from hypothesis import strategies as st

from tests.suite.declare import Net, activation, cell, dense, identity

DIM = 3
"""Of every value: most reads fit together, and those that do not are there too."""


@st.composite
def nets(draw):
    """A loop of up to two sequences, a context, three states and four nodes."""
    free = draw(st.booleans())
    net = Net(
        free=free,
        return_sequences=draw(st.booleans()),
        go_backwards=draw(st.booleans()),
        return_final_states=draw(st.booleans()),
        truncate_gradient=draw(st.sampled_from([-1, -1, 1, 3])),
    )
    net.input("x", DIM)
    names = ["x"]
    if draw(st.booleans()):
        net.input("u", draw(st.sampled_from([DIM, 2])))
        names.append("u")
    if draw(st.booleans()):
        net.input("c", DIM, sequence=False)
        names.append("c")
    if draw(st.integers(0, 3)) == 0:
        net.mask()
    states = [f"s{place}" for place in range(draw(st.integers(0, 3)))]
    for name in states:
        starts = [
            0.0,
            0.5,
            "learned",
            (0.25, -1.0, 2.0),
            *(["c"] if "c" in names else []),
        ]
        net.state(name, DIM, draw(st.sampled_from(starts)))
    names += states
    nodes = [f"n{place}" for place in range(draw(st.integers(max(1, len(states)), 4)))]
    feeds = dict(zip(draw(st.permutations(nodes)), states, strict=False))
    for name in nodes:
        _add(draw, net, name, [*names, *(nodes if free else [])], feeds.get(name))
        names.append(name)
    net.output("y", _read(draw, names)[0])
    if (
        net.spec.mask is not None
    ):  # a truncated gradient through a mask stops a little earlier: docs/sharp-edges.md
        net.spec = net.spec.replace(truncate_gradient=-1)
    return net


def _read(draw, names):
    count = draw(st.sampled_from([1, 1, 2, 2, 3]))
    read = [
        name + draw(st.sampled_from(["", "", "", "_tm1", "_tm2"]))
        for name in draw(
            st.lists(st.sampled_from(names), min_size=count, max_size=count)
        )
    ]
    mode = draw(st.sampled_from(["concat", "sum", "mul", "ave", "max"]))
    return (mode, read), mode


def _add(draw, net, name, names, feeds):
    reads, mode = _read(draw, names)
    width = sum(
        2
        if ref.startswith("u")
        and ("u", 2) in {(item.name, item.dim) for item in net.spec.inputs}
        else DIM
        for ref in reads[1]
    )
    dim = width if mode == "concat" else DIM
    kind = draw(
        st.sampled_from(["dense", "dense", "dense", "activation", "identity", "cell"])
    )
    part = {
        "dense": dense(dim, DIM, draw(st.sampled_from(["tanh", "sigmoid", "linear"]))),
        "activation": activation("tanh"),
        "identity": identity(),
        "cell": cell("RecurrentGRU", dim, DIM),
    }[kind]
    net.node(name, part, reads, feeds, out=draw(st.booleans()))


@st.composite
def spoilt(draw):
    """A declaration with a name, a number or a mode in it changed."""
    net = draw(nets())
    spec = net.spec
    what = draw(
        st.sampled_from(
            ["read", "feeds", "name", "mode", "dim", "truncate", "output", "initial"]
        )
    )
    node = spec.nodes[-1]
    port = node.ports[0]
    changes = {
        "read": {
            "nodes": (
                *spec.nodes[:-1],
                dataclasses.replace(
                    node,
                    ports=(
                        dataclasses.replace(
                            port,
                            refs=(
                                dataclasses.replace(
                                    port.refs[0],
                                    name=draw(
                                        st.sampled_from(["zz", "mask", "n0", "y"])
                                    ),
                                ),
                                *port.refs[1:],
                            ),
                        ),
                        *node.ports[1:],
                    ),
                ),
            )
        },
        "feeds": {
            "states": tuple(
                dataclasses.replace(
                    state, input=draw(st.sampled_from([None, "x", "zz", "n0"]))
                )
                for state in spec.states
            )
        },
        "name": {
            "nodes": (
                *spec.nodes[:-1],
                dataclasses.replace(
                    node, name=draw(st.sampled_from(["x", "h_tm1", "for", "a b", "n0"]))
                ),
            )
        },
        "mode": {
            "nodes": (
                *spec.nodes[:-1],
                dataclasses.replace(
                    node,
                    ports=(
                        dataclasses.replace(
                            port,
                            merge_mode=draw(
                                st.sampled_from(["add", "dot", "join", ""])
                            ),
                        ),
                        *node.ports[1:],
                    ),
                ),
            )
        },
        "dim": {
            "states": tuple(
                dataclasses.replace(state, dim=draw(st.sampled_from([0, 2, -1, 7])))
                for state in spec.states
            )
        },
        "truncate": {"truncate_gradient": draw(st.sampled_from([0, -2, 10**6]))},
        "output": {"outputs": ()},
        "initial": {
            "states": tuple(
                dataclasses.replace(
                    state,
                    initial=draw(
                        st.sampled_from(["zz", "x", (1.0,), ((1.0, 2.0, 3.0),) * 4])
                    ),
                )
                for state in spec.states
            )
        },
    }[what]
    net.spec = spec.replace(**changes)
    return net
