"""What happens to the mask of what each port of a layer reads."""

from __future__ import annotations

from collections.abc import Mapping

from pytensor.tensor.variable import TensorVariable

from recursive.errors import ConfigError, SequenceLengthError, ShapeError
from recursive.loop.call import Value, Values, leading_axes

PASS = "pass"
"""The output has the mask; masks of several ports are joined with AND."""
USE = "use"
"""The formula reads the mask, as ``call(x, mask=...)``, and the layer says which mask its output has."""
DROP = "drop"
"""The mask ends here."""
REFUSE = "refuse"
"""A mask is an error: masked entries would silently count as data."""
POLICIES = (PASS, USE, DROP, REFUSE)


def policy(layer: object, port: str) -> str:
    """The policy of ``layer`` at ``port``."""
    stated = layer.masks
    supports = layer.supports_masked_input
    if not getattr(supports, "follows_policy", False):  # overridden, as in Keras 0.1
        return PASS if supports() else REFUSE
    if isinstance(stated, Mapping):
        stated = stated.get(port, REFUSE)
    if stated not in POLICIES:
        raise ConfigError.about(
            "layer",
            type(layer).__name__,
            takes=f"masks of {', '.join(map(repr, POLICIES))}, or a dict of these by port",
            because="it states what happens to the mask of its input",
            got=repr(stated),
            do="Say masks = 'pass' in the class, for example.",
        )
    return stated


def accepted_masks(layer: object, inputs: Values) -> dict[str, TensorVariable]:
    """The masks that ``layer`` uses or passes on, by port.

    Raises:
        ConfigError: for a mask at a port that refuses one. A context of a loop is read without its mask instead.
    """
    found = {}
    for port, value in inputs.items():
        if value.mask is None:
            continue
        stated = policy(layer, port)
        if stated in (PASS, USE):
            found[port] = value.mask
        elif stated == REFUSE and not value.is_context:
            raise refused(layer, port)
    return found


def refused(layer: object, port: str) -> ConfigError:
    """The error of a layer that takes no mask at ``port``."""
    kind = type(layer).__name__
    where = "" if tuple(layer.ports) == ("input",) else f" at port {port!r}"
    return ConfigError.about(
        "layer",
        kind,
        takes=f"an input without a mask{where}",
        because="it does not look at one, so that masked steps would count as data",
        got="a masked value",
        do="Put a recurrent layer with return_sequences=False before it, use a layer that supports "
        "masks (TimeDistributedDense for a Dense), or put DropMask() before it where masked steps "
        "may count as data. A class of your own states masks = 'pass', or masks = 'use' to read it.",
    )


def check_fits(layer: object, port: str, value: Value) -> None:
    """Raise an error where a mask has other axes or other sizes than the value that it belongs to.

    Raises:
        ShapeError: for axes that the value does not have, or another number of rows.
        SequenceLengthError: for another number of steps.
    """
    mask, tensor = value.mask, value.tensor
    if mask is None:
        return
    kind = type(layer).__name__
    axes = leading_axes(tensor)
    if not 2 <= mask.ndim <= max(axes, 2):
        raise ShapeError.about(
            "mask",
            kind,
            takes="(batch, time), or as many leading axes of its value as there are",
            because="it says of every step of every row whether it is data",
            got=f"{mask.ndim} axes for a value of {tensor.ndim}, at port {port!r}",
            do="Leave out the axis of the dims.",
        )
    rows, *sizes = zip(mask.type.shape, tensor.type.shape, strict=False)
    if None not in rows and rows[0] != rows[1]:
        raise ShapeError.about(
            "mask",
            kind,
            takes="(batch, time)",
            because="it says of every step of every row whether it is data",
            got=f"{rows[0]} rows for {rows[1]}",
            do="Give each row its own.",
        )
    for found, wanted in sizes:
        if None not in (found, wanted):
            check_length(kind, port, wanted, found)


def check_length(kind: str, port: str, steps: int, entries: int) -> None:
    """Raise a SequenceLengthError unless a mask has an entry for each step."""
    if steps != entries:
        raise SequenceLengthError.about(
            "mask",
            kind,
            takes=f"an entry for each step of what port {port!r} reads",
            because="it says of every step whether it is data",
            got=f"input: {steps}, mask: {entries}",
            do="Cut or pad one of them.",
        )
