"""Masks: the policy of each port of a layer, and the checks of a mask's shape.

A mask says which steps of a sequence are valid: ``(batch, time)``, nonzero at a valid
step, 0 at padding. ``(batch, sentence, word)`` masks the words of documents. No mask
means that all steps are valid. A mask belongs to one value, so a layer that reads two
values may read two masks.

A layer declares a policy for each port in ``Layer.masks``:

* ``pass``: the output gets the mask. Masks of several ports are joined with AND.
* ``use``: ``call`` takes the mask. The layer must also override
  ``get_output_mask_for``, which returns the mask of the output.
* ``drop``: the output has no mask.
* ``refuse``: a mask is an error, because masked steps would count as valid.

A layer that declares nothing refuses masks. There is one exception: a port that refuses
masks reads the context of a loop without its mask. Every step gets the whole context,
so no step of the loop is lost by it.

A layer of earlier versions with a method ``call_masked`` declares ``pass``. It gets its
masks from ``Layer._formula``, not as the ``mask`` argument of ``call``.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import Size, size
from recursive.errors import ConfigError, SequenceLengthError, ShapeError
from recursive.loop.call import Value, Values, leading_axes
from recursive.loop.lengths import check_lengths, length_message

PASS = "pass"
USE = "use"
DROP = "drop"
REFUSE = "refuse"
POLICIES = (PASS, USE, DROP, REFUSE)


def policy(layer: object, port: str) -> str:
    """The policy of ``layer`` at ``port``.

    Raises:
        ConfigError: for a policy that does not exist.
    """
    supports = layer.supports_masked_input
    # Layers of Keras 0.1 override this method instead of declaring a policy. Layer sets
    # `follows_policy` on its own method, so an override lacks it.
    is_overridden = not getattr(supports, "follows_policy", False)
    if is_overridden:
        return PASS if supports() else REFUSE

    declared = layer.masks
    if isinstance(declared, Mapping):
        declared = declared.get(port, REFUSE)
    if declared not in POLICIES:
        known = ", ".join(map(repr, POLICIES))
        raise ConfigError.about(
            "layer",
            type(layer).__name__,
            takes=f"masks of {known}, or a dict of these by port",
            got=repr(declared),
            do="Set masks = 'pass' in the class, for example.",
        )
    return declared


def accepted_masks(layer: object, inputs: Values) -> dict[str, TensorVariable]:
    """The masks that ``layer`` uses or passes on, by port.

    Raises:
        ConfigError: for a mask at a port that refuses masks, except that of a context.
    """
    found = {}
    for port, value in inputs.items():
        if value.mask is None:
            continue
        declared = policy(layer, port)
        if declared in (PASS, USE):
            found[port] = value.mask
        elif declared == REFUSE and not value.is_context:
            raise _refused(layer, port)
        # DROP: the layer does not see the mask.
    return found


def _refused(layer: object, port: str) -> ConfigError:
    """The error of a layer that takes no mask at ``port``."""
    where = "" if tuple(layer.ports) == ("input",) else f" at port {port!r}"
    return ConfigError.about(
        "layer",
        type(layer).__name__,
        takes=f"an input without a mask{where}",
        because="masked steps would count as valid",
        got="a masked value",
        do="Put a recurrent layer with return_sequences=False before it, use a layer "
        "that supports masks (TimeDistributedDense for a Dense), or put DropMask() "
        "before it if masked steps may count as valid. In a class of your own, set "
        "masks = 'pass', or masks = 'use' to read the mask.",
    )


def check_mask(layer: object, port: str, value: Value) -> None:
    """Raise an error if the mask of ``value`` does not fit the value.

    Only sizes that the types show are compared.

    Raises:
        ShapeError: if the mask has more axes than the value allows, or a different
            number of rows.
        SequenceLengthError: if the number of steps is different.
    """
    mask, tensor = value.mask, value.tensor
    if mask is None:
        return
    kind = type(layer).__name__
    # A mask has a time axis, so at least 2 axes, and never has the axis of the dim. A
    # value of 2 axes still allows 2: it may be (batch, time), with one float per step.
    if not 2 <= mask.ndim <= max(leading_axes(tensor), 2):
        raise ShapeError.about(
            "mask",
            kind,
            takes="(batch, time), or as many leading axes as its value has",
            got=f"{mask.ndim} axes for a value of {tensor.ndim}, at port {port!r}",
            do="Leave out the last axis, the dim.",
        )

    # The mask may have fewer axes than the value: zip ends at the shorter, the mask.
    pairs = list(zip(mask.type.shape, tensor.type.shape, strict=False))
    mask_rows, rows = pairs[0]
    if None not in (mask_rows, rows) and mask_rows != rows:
        raise _wrong_rows(kind, f"{mask_rows} rows for {rows}")
    for entries, steps in pairs[1:]:
        if None not in (entries, steps) and entries != steps:
            raise SequenceLengthError.about(
                "mask",
                kind,
                takes=f"one mask entry per step of the value at port {port!r}",
                got=f"input: {steps}, mask: {entries}",
                do="Cut or pad one of them.",
            )


def mask_with_checked_sizes(
    kind: str, mask: TensorVariable, rows: Size, length: Size
) -> TensorVariable:
    """Return ``mask``, which must be ``(rows, length)``.

    Unlike :func:`check_mask`, it also compares sizes that are not known yet: the result
    raises when the program runs.

    Args:
        kind: the class name of the layer, for errors.
        mask: the mask.
        rows: the number of rows of the batch.
        length: the number of steps.

    Raises:
        ShapeError: if the number of axes or rows is different.
        SequenceLengthError: if the number of steps is different.
    """
    if mask.ndim != 2:
        raise ShapeError.about(
            "mask",
            kind,
            takes="(batch, time)",
            got=f"{mask.ndim} axes",
            do="Leave out the last axis, the dim.",
        )

    mask_rows = size(mask, 0)
    if isinstance(mask_rows, int) and isinstance(rows, int):
        same_rows = mask_rows == rows
        got = f"{mask_rows} rows for {rows}"
    else:
        same_rows = pt.eq(mask_rows, rows)
        got = "another number of rows"
    # Read before the check of the rows is added to the mask.
    mask_length = size(mask, 1)
    mask = backend.checked(mask, same_rows, _wrong_rows(kind, got))

    if isinstance(mask_length, int) and isinstance(length, int):
        check_lengths({"input": length, "mask": mask_length})
        return mask
    error = SequenceLengthError(length_message("input and mask", "lengths that differ"))
    return backend.checked(mask, pt.eq(mask_length, length), error)


def _wrong_rows(kind: str, got: str) -> ShapeError:
    return ShapeError.about(
        "mask",
        kind,
        takes="(batch, time)",
        got=got,
        do="Pass one row of mask entries per row of the batch.",
    )
