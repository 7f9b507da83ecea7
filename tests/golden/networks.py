"""The networks of the golden cases, declared as their ``case.json`` says."""

import ast
import re

from recursive import Activation, Dense, Graph, Lambda, Recursive

LAYERS = {
    "Dense": lambda i, o, activation="linear": Dense(i, o, activation=activation),
    "Activation": Activation,
    "Lambda": lambda identity: Lambda(lambda x: x),
}


def layer_of(text):
    """``Dense(7,4,tanh)``, or ``Activation(tanh)``, as a layer; ``linear`` behind it says what is so anyway."""
    kind, arguments = re.fullmatch(r"(\w+)\((.*)\)(?: linear)?", text).groups()
    return LAYERS[kind](
        *(int(word) if word.isdigit() else word for word in arguments.split(","))
    )


def recursive_of(about, layers, every=False):
    """The container of a case's ``architecture``, over ``layers`` by name; ``every`` makes each node an output."""
    said = about["architecture"]
    rnn = Recursive(return_sequences=True)
    for item in said["inputs"]:
        rnn.add_input(item["name"], ndim=item["ndim"], dim=item["dim"])
    for state in said["states"]:
        rnn.add_state(state["name"], dim=state["dim"])
    for node in said["nodes"]:
        rnn.add_node(
            layers[node["name"]],
            node["name"],
            inputs=node["inputs"],
            merge_mode=node["merge_mode"] or "concat",
            return_state=node["return_state"],
            create_output=every or node["create_output"],
        )
    return rnn


def layers_of(about):
    return {
        node["name"]: layer_of(node["layer"]) for node in about["architecture"]["nodes"]
    }


def graph_of(mode, dims):
    """The Graph that is trained with each merge mode."""
    model = Graph()
    for index, dim in enumerate(dims, start=1):
        model.add_input(f"input{index}", dim=dim)
        model.add_node(
            Dense(dim, 4, activation="tanh" if index == 1 else "sigmoid"),
            f"dense{index}",
            input=f"input{index}",
        )
    model.add_node(Dense(2), "dense3", inputs=["dense1", "dense2"], merge_mode=mode)
    model.add_output("out1", input="dense3")
    model.add_output("out2", inputs=["dense1", "dense2"], merge_mode=mode)
    return model


def vanilla_rnn(return_sequences):
    """The first network of the proposal, 3 to 4."""
    rnn = Recursive(return_sequences=return_sequences)
    rnn.add_input("input", ndim=3, dim=3)
    rnn.add_state("h", dim=4)
    rnn.add_node(Dense(3, 4), "i2h", input="input")
    rnn.add_node(Dense(4, 4), "h2h", input="h")
    rnn.add_node(
        Activation("tanh"),
        "rec",
        inputs=["i2h", "h2h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    return rnn


def called(text, kinds):
    """``SGD(lr=0.1)``, a call with plain arguments, made with the class of that name."""
    call = ast.parse(text, mode="eval").body
    return kinds[call.func.id](
        **{item.arg: ast.literal_eval(item.value) for item in call.keywords}
    )
