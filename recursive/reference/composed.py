"""Layers made of layers: in sequence, in parallel, in both directions."""

from __future__ import annotations

from collections.abc import Mapping

from recursive.reference.arguments import at_first_place
from recursive.reference.arrays import (
    Array,
    LayerGradients,
    LayerInput,
    LayerResult,
    Scope,
    Value,
    Values,
    collected,
    listed,
    one_or_all,
    summed,
)
from recursive.reference.masks import joined
from recursive.reference.merges import merge
from recursive.reference.table import USE, Config, compute_part, layer


class Parts:
    """The layers inside a layer, by name: their results, then their gradients."""

    def __init__(self, scope: Scope):
        self.scope = scope
        self.results: dict[str, LayerResult] = {}

    def run(self, name: str, part: Config, x: LayerInput) -> LayerResult:
        """Run the part called ``name``."""
        self.results[name] = compute_part(part, x, self.scope.child(name))
        return self.results[name]

    def result(self, value: Values, back: object, mask: object) -> LayerResult:
        """The result of the whole layer, with final states and updates of all parts."""
        finals = collected(self.results, "finals")
        updates = collected(self.results, "updates")
        return LayerResult(value, back, mask, finals, updates)


def gradients_of_parts(
    x: Values, found: Mapping[str, LayerGradients]
) -> LayerGradients:
    """The gradients of the whole layer, with those of all parts under their names."""
    return LayerGradients(x, collected(found, "params"), collected(found, "states"))


@layer("AutoEncoder", mask=USE)
def auto_encoder(config, x, scope):
    """``y = decoder(encoder(x))``, or the code ``encoder(x)`` alone to predict."""
    parts = {"encoder": config["encoder"]}
    if config.get("output_reconstruction", True) or scope.train:
        parts["decoder"] = config["decoder"]
    return chained(parts, x, scope)


def chained(chain: Mapping[str, Config], x: LayerInput, scope: Scope) -> LayerResult:
    """Each layer of the output of the one before, with its mask."""
    parts = Parts(scope)
    for name, part in chain.items():
        result = parts.run(name, part, x)
        x = result.output

    def back(d):
        found = {}
        for name, part in reversed(parts.results.items()):
            # The gradient of a layer's input is that of the output before it.
            found[name] = part.back(d)
            d = found[name].x
        return gradients_of_parts(d, found)

    return parts.result(result.value, back, result.mask)


@layer("Merge", mask=USE)
def merged(config, x, scope):
    """``y = merge(f_0(x_0), f_1(x_1), ...)``.

    Branch ``i`` with one input reads ``input_i``; one with several reads
    ``input_i_name`` for each. A branch that stands in two places reads the inputs of
    the first. The mask joins those of all branches.
    """
    parts = Parts(scope)
    numbers = _input_numbers(len(config["layers"]), scope)
    is_by_name = isinstance(x, Mapping)
    inputs = x if is_by_name else {f"input_{numbers[0]}": x}
    for index, part in enumerate(config["layers"]):
        branch = _branch_input(f"input_{numbers[index]}", inputs)
        parts.run(f"layer_{index}", part, branch)
    results = parts.results.values()
    values = [result.value for result in results]
    y, merge_back = merge(values, config.get("mode", "sum"), scope.dtype)

    def back(d):
        found = {}
        d_x = dict.fromkeys(inputs)
        shares = zip(numbers, parts.results.items(), merge_back(d), strict=True)
        for number, (name, part), share in shares:
            found[name] = part.back(share)
            branch = found[name].x
            named = {f"input_{number}": branch}
            if isinstance(branch, Mapping):
                named = {f"input_{number}_{port}": d for port, d in branch.items()}
            # The places of one branch add up.
            d_x = {**d_x, **summed(d_x, named)}
        return gradients_of_parts(d_x if is_by_name else one_or_all(d_x), found)

    return parts.result(y, back, joined(result.mask for result in results))


def _input_numbers(count: int, scope: Scope) -> list[int]:
    """The number of each branch's input: that of the first place of the branch."""
    first: dict[str, int] = {}
    numbers = []
    for index in range(count):
        place = scope.child(f"layer_{index}").place
        layer_place = at_first_place(f"{place}.", scope.shared)
        numbers.append(first.setdefault(layer_place, index))
    return numbers


def _branch_input(name: str, x: Mapping[str, Value]) -> LayerInput:
    """The input of a branch of a Merge: the port ``name``, or all ``name_...``."""
    if name in x:
        return x[name]
    found = {}
    for port, value in x.items():
        if port.startswith(name + "_"):
            found[port.removeprefix(name + "_")] = value
    return found


@layer("Bidirectional", mask=USE)
def bidirectional(config, x, scope):
    """``y = merge(f(x), g(x))``, where ``g`` runs the other way.

    Without a merge mode, the outputs are ``forward`` and ``backward``. All steps are in
    the order of the input.
    """
    parts = Parts(scope)
    values = []
    masks = []
    for name in ("layer", "backward_layer"):
        result = parts.run(name, config[name], x)
        values.append(_in_order(result.value, config[name]))
        mask = result.mask
        masks.append(None if mask is None else _in_order(mask, config[name]))
    mode = config.get("merge_mode", "concat")
    if mode:
        y, merge_back = merge(values, mode, scope.dtype)
        mask = joined(masks)
    else:
        y = dict(zip(("forward", "backward"), values, strict=True))
        merge_back = listed
        mask = dict(zip(y, masks, strict=True))

    def back(d):
        found = {}
        for (name, part), share in zip(
            parts.results.items(), merge_back(d), strict=True
        ):
            found[name] = part.back(_in_order(share, config[name]))
        # Both directions read the same input.
        d_x = sum(gradients.x for gradients in found.values())
        return gradients_of_parts(d_x, found)

    return parts.result(y, back, mask)


def _in_order(steps: Array, part: Config) -> Array:
    """``(batch, time, ...)`` in the order of the input; a last step as it is."""
    # A container has these settings in its declaration, a recurrent layer in its own.
    settings = {**part, **part.get("spec", {})}
    if settings.get("go_backwards") and settings.get("return_sequences"):
        return steps[:, ::-1]
    return steps
