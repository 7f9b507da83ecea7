"""Relations that hold for every network: each builds models of one description and compares them."""

import copy
import json
import pickle
import zlib

import numpy as np
import pytensor

from recursive import model_from_json, reference
from recursive.backend import Argument, Program, floatX
from tests.compositions.build import LENGTHS, Builder, shown
from tests.compositions.describe import NUMBERS
from tests.compositions.layers import CUSTOM

BATCH = 3
BOUND = 1e-9
AXES = {"seq": 3, "words": 2, "docs": 3}


def data_for(network, seed=1):
    """Arrays for the inputs, and which steps of each are data.

    Steps that are not are zeros, at any place; every row has one that is.
    """
    rng = np.random.RandomState(seed)
    arrays, masks = {}, {}
    for name, value in network.inputs:
        shape = (BATCH, LENGTHS.get(name))
        if value.kind == "docs":
            shape = (BATCH, LENGTHS["sentences"], LENGTHS["words"])
        mask = rng.uniform(size=shape) < 0.7
        mask[..., 0] |= ~mask.any(axis=-1)
        if value.kind == "seq":
            array = rng.normal(size=(*shape, value.dim)) * mask[..., None]
        else:
            array = (rng.randint(1, NUMBERS, size=shape) * mask).astype("int32")
        arrays[name], masks[name] = array, mask
    return arrays, masks


def arguments_of(network):
    """What a program of a network is given."""
    found = []
    for name, value in network.inputs:
        dims = (value.dim,) if value.kind == "seq" else ()
        dtype = floatX() if value.kind == "seq" else "int32"
        shape = (None,) * (AXES[value.kind] - len(dims)) + dims
        found.append(Argument(name, dtype, shape))
    return found


def outputs_of(model, network, tensors):
    """The outputs of a model by name, for tensors of its inputs."""
    found = model(dict(zip(dict(network.inputs), tensors, strict=True)))
    names = [shown(name) for name in network.outputs]
    if not isinstance(found, dict):
        found = {names[0]: found}
    return [found[name] for name in names]


def run(network, build, arrays):
    """What ``build``, from tensors of the inputs to a list of tensors, computes."""
    program = Program(arguments_of(network), lambda t: (build(t), []), "python")
    return program(*arrays.values())


def check_same(found, expected, names, about):
    """Fail with the name of the first value that differs."""
    for name, one, other in zip(names, found, expected, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert one.shape == other.shape, f"{about}: {name} {one.shape} {other.shape}"
        assert np.isfinite(other).all(), f"{about}: {name} is not finite"
        scale = max(1.0, np.abs(other).max(initial=0))
        differs = np.abs(one - other).max(initial=0) / scale
        assert differs < BOUND, f"{about}: {name} differs by {differs:.2g}"


def nested_is_flat(network):
    """Values, and for one network in four gradients of the inputs, which take as long again."""
    arrays, _ = data_for(network)
    nested = Builder().model(network)
    flat = Builder(flat=True).model(network)
    with_gradients = zlib.crc32(repr(network).encode()) % 4 == 0

    def build(tensors):
        results = []
        floats = [t for t in tensors if t.dtype.startswith("float")]
        for model in (nested, flat):
            outputs = outputs_of(model, network, tensors)
            results += outputs
            if floats and with_gradients:
                cost = sum((output**2).sum() for output in outputs)
                results += pytensor.grad(cost, floats, disconnected_inputs="ignore")
        return results

    found = run(network, build, arrays)
    half = len(found) // 2
    names = list(network.outputs) + ["gradient"] * (half - len(network.outputs))
    check_same(found[:half], found[half:], names, "nested and flat")


def trained(network, builder, arrays):
    """The loss of one training step, and the weights after it by path."""
    model = builder.model(network)
    names = [shown(name) for name in network.outputs]
    model.compile("sgd", dict.fromkeys(names, "mse"), backend="python")
    model.optimizer.lr = 0.01
    rng = np.random.RandomState(5)
    targets = {}
    for name, length in zip(names, shapes_of(network), strict=True):
        targets[name] = rng.normal(size=(BATCH, *length))
    loss = model.train_on_batch(arrays | targets)
    return loss, model


def shapes_of(network):
    """The sizes of each output behind the batch."""
    values = dict(network.values)
    for name in network.outputs:
        value = values[name]
        if value.kind == "vec":
            yield (value.dim,)
        else:
            tag = value.length.removesuffix("~")
            yield (LENGTHS["sentences" if tag == "d" else tag], value.dim)


def weights_by_path(builder):
    """By path and place, the weights of all layers there."""
    found = {}
    for path, layers in builder.leaves.items():
        for layer in layers:
            for index, value in enumerate(layer.get_weights()):
                found.setdefault(f"{path}[{index}]", []).append(value)
    return found


def nested_learns_as_flat(network):
    """The loss with masks and penalties, and the weights after a step."""
    arrays, _ = data_for(network)
    nested, flat = Builder(), Builder(flat=True)
    losses = [trained(network, b, arrays)[0] for b in (nested, flat)]
    check_same(losses[:1], losses[1:], ["loss"], "nested and flat")
    one, other = weights_by_path(nested), weights_by_path(flat)
    assert set(one) == set(other)
    for name, values in one.items():
        check_same(values, other[name], [name], "a step, nested and flat")


def shared_is_kept_equal(network):
    """One layer used twice moves by the sum of what two with the same weights do."""
    arrays, _ = data_for(network)
    shared, apart, before = Builder(), Builder(shared=False), Builder()
    before.model(network)
    start = weights_by_path(before)
    losses = [trained(network, b, arrays)[0] for b in (shared, apart)]
    check_same(losses[:1], losses[1:], ["loss"], "shared and kept equal")
    moved = weights_by_path(apart)
    for name, [value] in weights_by_path(shared).items():
        [first] = start[name]
        expected = first + sum(other - first for other in moved[name])
        check_same([value], [expected], [name], "a step, shared and kept equal")


def rows_are_alone(network):
    """A batch with masked steps is each row by itself, without those steps."""
    arrays, masks = data_for(network)
    model = Builder().model(network)
    program = Program(
        arguments_of(network),
        lambda tensors: (outputs_of(model, network, tensors), []),
        "python",
    )
    together = program(*arrays.values())
    values = dict(network.values)
    for row in range(BATCH):
        alone = {}
        for (name, value), array in zip(network.inputs, arrays.values(), strict=True):
            if value.kind == "docs":
                # masked words stay, and more of them follow
                more = np.zeros_like(array[row : row + 1])
                alone[name] = np.concatenate([array[row : row + 1], more], axis=2)
            else:
                alone[name] = array[row : row + 1, masks[name][row]]
        expected = program(*alone.values())
        for name, found, other in zip(network.outputs, together, expected, strict=True):
            found = found[row : row + 1]
            tag = values[name].length
            if values[name].kind == "seq" and tag.removesuffix("~") in ("x", "w", "y"):
                mask = masks[tag.removesuffix("~")][row]
                found = found[:, mask[::-1] if tag.endswith("~") else mask]
            check_same([found], [other], [name], f"row {row} alone")


def order_does_not_count(network):
    """Nodes that do not depend on each other may be declared in any order."""
    arrays, _ = data_for(network)
    models = [Builder(flat=True, order=order).model(network) for order in orders()]

    def build(tensors):
        return [o for m in models for o in outputs_of(m, network, tensors)]

    found = run(network, build, arrays)
    half = len(found) // 2
    check_same(found[:half], found[half:], network.outputs, "two orders")


def orders():
    return None, np.random.RandomState(3)


def written_out_is_a_loop(network):
    """Loops whose steps are written out compute the same."""
    arrays, _ = data_for(network)
    models = [Builder(unroll=unroll).model(network) for unroll in (False, True)]

    def build(tensors):
        tensors = [
            pytensor.tensor.specify_shape(t, array.shape)
            for t, array in zip(tensors, arrays.values(), strict=True)
        ]
        return [o for m in models for o in outputs_of(m, network, tensors)]

    found = run(network, build, arrays)
    half = len(found) // 2
    check_same(found[:half], found[half:], network.outputs, "a loop, written out")


def predicted(model, network, arrays, **settings):
    found = model.predict(arrays, **settings)
    return [found[shown(name)] for name in network.outputs]


def json_round_trip(network):
    """A configuration makes the model again, with what is shared and the order of weights."""
    arrays, _ = data_for(network)
    model = Builder().model(network)
    model.compile(backend="python")
    expected = predicted(model, network, arrays)
    text = model.to_json()
    again = model_from_json(text, custom_layers=CUSTOM)
    assert json.loads(again.to_json()) == json.loads(text)
    weights = model.get_weights()
    again.set_weights(weights)
    again.compile(backend="python")
    found = predicted(again, network, arrays)
    check_same(found, expected, network.outputs, "after JSON")
    check_same(again.get_weights(), weights, weights_named(weights), "after JSON")


def weights_named(weights):
    return [f"weight {index}" for index in range(len(weights))]


def copies_are_the_same(network):
    """By deepcopy and by pickle, before and after the model has run; a copy is its own."""
    arrays, _ = data_for(network)
    model = Builder().model(network)
    model.compile(backend="python")
    early = copy.deepcopy(model)
    expected = predicted(model, network, arrays)
    late = pickle.loads(pickle.dumps(model))
    model.set_weights([w + 1 for w in model.get_weights()])
    for about, one in (("an early copy", early), ("a pickle", late)):
        found = predicted(one, network, arrays)
        check_same(found, expected, network.outputs, about)


def batches_are_rows(network):
    """Predicting two rows at a time is predicting all."""
    arrays, _ = data_for(network)
    model = Builder().model(network)
    model.compile(backend="python")
    expected = predicted(model, network, arrays)
    for size in (1, 2):
        found = predicted(model, network, arrays, batch_size=size)
        check_same(found, expected, network.outputs, f"batches of {size}")


def numpy_agrees(network):
    """The reference, which runs the declaration step by step in NumPy."""
    arrays, _ = data_for(network)
    builder = Builder()
    model = builder.model(network)
    found = run(network, lambda t: outputs_of(model, network, t), arrays)
    weights = {name: p.get_value() for name, p in model.named_params.items()}
    shared = json.loads(model.to_json()).get("shared", {})
    expected = reference.run(model.spec, weights, arrays, shared=shared).outputs
    expected = [expected[shown(name)] for name in network.outputs]
    check_same(found, expected, network.outputs, "the reference")
