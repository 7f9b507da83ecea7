"""Layers made of layers: one after another, side by side, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from recursive.reference.arrays import (
    Array,
    Computed,
    Given,
    Pulled,
    Read,
    Value,
    Values,
    outside,
    summed,
)
from recursive.reference.masks import joined
from recursive.reference.merges import merge
from recursive.reference.table import USE, compute_part, layer

Config = Mapping[str, object]


@layer("Sequential", mask=USE)
def sequential(config: Config, x: Read, given: Given) -> Computed:
    """Each layer given the output of the one before, and its mask."""
    return _chain(
        {f"layer_{index}": part for index, part in enumerate(config["layers"])},
        x,
        given,
    )


@layer("AutoEncoder", mask=USE)
def auto_encoder(config: Config, x: Read, given: Given) -> Computed:
    """An encoder, and the decoder given what it returns; the encoder alone where nothing is to be made again."""
    names = (
        ("encoder", "decoder")
        if config.get("output_reconstruction", True)
        else ("encoder",)
    )
    return _chain({name: config[name] for name in names}, x, given)


def _chain(parts: Mapping[str, Config], x: Read, given: Given) -> Computed:
    """Each part given the output of the one before, with its mask."""
    done = {}
    for name, part in parts.items():
        done[name] = compute_part(part, x, given.inside(name))
        x = done[name].output

    def back(d: Values) -> Pulled:
        pulled = {}
        for name, found in reversed(done.items()):
            pulled[name] = found.back(d)
            d = pulled[name].x
        return _together(d, pulled)

    last = list(done.values())[-1]
    return _whole(last.value, back, done, last.mask)


@layer("Merge", mask=USE)
def merged(config: Config, x: Mapping[str, Value], given: Given) -> Computed:
    """Branches with inputs of their own, made one by a merge mode.

    A branch with one input reads ``input_<number>``; one with several puts that in front of their names. What is merged
    is data where every branch is.
    """
    done = {}
    for index, part in enumerate(config["layers"]):
        own = {
            name: value
            for name, value in x.items()
            if name == f"input_{index}" or name.startswith(f"input_{index}_")
        }
        inputs = (
            own[f"input_{index}"]
            if f"input_{index}" in own
            else {
                name.removeprefix(f"input_{index}_"): value
                for name, value in own.items()
            }
        )
        done[f"layer_{index}"] = compute_part(
            part, inputs, given.inside(f"layer_{index}")
        )
    value, merge_back = merge(
        [found.value for found in done.values()], config.get("mode", "sum"), given.dtype
    )

    def back(d: Array) -> Pulled:
        pulled = {
            name: found.back(part)
            for (name, found), part in zip(done.items(), merge_back(d), strict=True)
        }
        d_x = {}
        for index, branch in enumerate(pulled.values()):
            several = isinstance(branch.x, Mapping)
            d_x |= (
                {f"input_{index}_{name}": part for name, part in branch.x.items()}
                if several
                else {f"input_{index}": branch.x}
            )
        return _together(d_x, pulled)

    mask = joined(found.mask for found in done.values())
    return _whole(value, back, done, mask)


@layer("Bidirectional", mask=USE)
def bidirectional(config: Config, x: Value, given: Given) -> Computed:
    """A layer, and one that runs the other way, merged, or as ``forward`` and ``backward``; steps in their order."""
    parts = {name: config[name] for name in ("layer", "backward_layer")}
    done = {
        name: compute_part(part, x, given.inside(name)) for name, part in parts.items()
    }
    turned = {
        name: _setting(part, "go_backwards") and _setting(part, "return_sequences")
        for name, part in parts.items()
    }
    values = [_in_order(found.value, turned[name]) for name, found in done.items()]
    mode = config.get("merge_mode", "concat")
    value, merge_back = (
        merge(values, mode, given.dtype)
        if mode
        else (
            dict(zip(("forward", "backward"), values, strict=True)),
            lambda d: list(d.values()),
        )
    )

    def back(d: Values) -> Pulled:
        pulled = {
            name: found.back(_in_order(part, turned[name]))
            for (name, found), part in zip(done.items(), merge_back(d), strict=True)
        }
        return _together(sum(branch.x for branch in pulled.values()), pulled)

    masks = [
        None if found.mask is None else _in_order(found.mask, turned[name])
        for name, found in done.items()
    ]
    if mode:
        return _whole(value, back, done, joined(masks))
    by_name = dict(zip(value, masks, strict=True))
    return _whole(value, back, done, by_name)


def _setting(part: Config, name: str) -> bool:
    """A setting of a recurrent layer, or of a container, which has it in its declaration."""
    return bool({**part, **part.get("spec", {})}.get(name, False))


def _in_order(steps: Array, turned: bool) -> Array:
    return steps[:, ::-1] if turned else steps


def _together(x: Values, pulled: Mapping[str, Pulled]) -> Pulled:
    """The gradient of all parts, by the names that they have outside."""
    return Pulled(
        x,
        summed(*(outside(part.params, name) for name, part in pulled.items())),
        summed(*(outside(part.states, name) for name, part in pulled.items())),
    )


def _whole(
    value: Values,
    back: Callable[[Values], Pulled],
    done: Mapping[str, Computed],
    mask: Array | Mapping[str, Array] | None,
) -> Computed:
    return Computed(
        value, back, mask, _of_parts(done, "finals"), _of_parts(done, "updates")
    )


def _of_parts(done: Mapping[str, Computed], field: str) -> dict[str, Array]:
    return {
        outer: value
        for name, found in done.items()
        for outer, value in outside(getattr(found, field), name).items()
    }
