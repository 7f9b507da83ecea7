"""The inputs of a layer, and the one channel for everything else.

A :class:`Value` is a tensor with its mask. A :class:`Call` is one application of a
whole network: it says if the network is training, hands out random draws, and collects
updates of shared variables and terms of the loss. Containers pass both to their layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive.errors import ConfigError, StateError
from recursive.spec.names import split


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor and its mask.

    Args:
        tensor: the values, batch first.
        mask: true where the values are unmasked; None if all are. It is ``(batch,
            time)`` for a sequence, ``(batch, sentence, word)`` for documents, and never
            has the last axis of a tensor of floats.
        is_context: True for a context, which each step of a loop sees whole. A layer
            that takes no mask may still read a context with one, because the loop loses
            none of its steps. Values computed from a context are not contexts.
    """

    tensor: TensorVariable
    mask: TensorVariable | None = None
    is_context: bool = False

    def with_tensor(self, tensor: TensorVariable) -> Value:
        """A new value of ``tensor`` with this mask, if it has the axes of the mask."""
        return with_mask(tensor, self.mask, self.is_context)


Values = Mapping[str, Value]
"""Values by port or by output name."""


def with_mask(
    tensor: TensorVariable, mask: TensorVariable | None, is_context: bool = False
) -> Value:
    """``tensor`` with ``mask``, or without it if the tensor has too few axes for it."""
    if mask is None or mask.ndim > leading_axes(tensor):
        return Value(tensor)
    return Value(tensor, mask, is_context)


def leading_axes(tensor: TensorVariable) -> int:
    """The number of axes that a mask may have.

    All of a tensor of integers, such as words; all but the last of a tensor of floats.
    """
    return tensor.ndim - tensor.dtype.startswith("float")


def joined(masks: Iterable[TensorVariable | None]) -> TensorVariable | None:
    """The mask that is true where all of ``masks`` are; None if there is none.

    A mask with fewer axes than another holds for every entry of the axes it lacks.
    """
    distinct = list(dict.fromkeys(mask for mask in masks if mask is not None))
    if not distinct:
        return None
    if len(distinct) == 1:
        return distinct[0]
    axes = max(mask.ndim for mask in distinct)
    return reduce(pt.and_, [_with_axes(pt.neq(mask, 0), axes) for mask in distinct])


def _with_axes(mask: TensorVariable, axes: int) -> TensorVariable:
    """``mask`` with axes of size 1 appended up to ``axes`` of them."""
    missing = ["x"] * (axes - mask.ndim)
    return mask.dimshuffle(*range(mask.ndim), *missing) if missing else mask


def joined_with(tensor: TensorVariable, values: Iterable[Value]) -> Value:
    """``tensor``, computed from ``values``, masked where any of them is."""
    masked = [value for value in values if value.mask is not None]
    mask = joined(value.mask for value in masked)
    return with_mask(tensor, mask, all(value.is_context for value in masked))


Update = tuple[SharedVariable, TensorVariable]


@dataclass
class Record:
    """The updates and loss terms that a program takes from a network."""

    updates: dict[SharedVariable, TensorVariable] = field(default_factory=dict)
    penalties: list[TensorVariable] = field(default_factory=list)


class Call:
    """One application of a network, as one of its layers sees it.

    Args:
        train: True while training.
        draws: random draws to use instead of those that the layer would make, by name.
        record: collects updates and terms of the loss.
        path: the names of the containers and layers down to this layer.
        for_loss: True if a loss compares the outputs with targets, as it always does
            while training.
        n_steps: the number of steps of the outermost loops that have no sequence to
            take it from; None for the declared one.

    >>> call = Call(train=True, draws={"drop.keep": pt.vector("keep")})
    >>> list(call.inside("drop").draws)
    ['keep']
    """

    def __init__(
        self,
        train: bool = False,
        draws: Mapping[str, TensorVariable] | None = None,
        record: Record | None = None,
        path: tuple[str, ...] = (),
        for_loss: bool = False,
        n_steps: int | TensorVariable | None = None,
    ):
        self.train = train
        self.n_steps = n_steps
        self.for_loss = for_loss or train
        self.draws = dict(draws or {})
        self.path = path
        self._record = Record() if record is None else record

    @property
    def updates(self) -> list[Update]:
        """The new values of shared variables, in the order in which they were set."""
        return list(self._record.updates.items())

    @property
    def penalties(self) -> list[TensorVariable]:
        """The terms that training adds to the loss."""
        return self._record.penalties

    def inside(
        self, part: str, draws: Mapping[str, TensorVariable] | None = None
    ) -> Call:
        """The call for the layer called ``part``.

        Its draws are those called ``part.<name>`` here, updated with ``draws``.
        """
        own = {}
        for name, value in self.draws.items():
            outer, inner = split(name)
            if outer == part:
                own[inner] = value
        return self._like(draws=own | dict(draws or {}), path=(*self.path, part))

    def training(self, train: bool) -> Call:
        """The same call, training or not."""
        return self if train == self.train else self._like(train=train)

    @property
    def is_in_step(self) -> bool:
        """True inside the step of a loop."""
        return isinstance(self._record, _NoRecord)

    def in_step(self) -> Call:
        """The call for a step of a loop, which has no outputs but its results."""
        # A loop inside the step is not one of the outermost loops.
        return self._like(draws={}, record=_NoRecord(), n_steps=None)

    def _like(self, **changed: object) -> Call:
        same = {
            "train": self.train,
            "draws": self.draws,
            "record": self._record,
            "path": self.path,
            "for_loss": self.for_loss,
            "n_steps": self.n_steps,
        }
        return Call(**(same | changed))

    def random(self, name: str, draw: Callable[[], TensorVariable]) -> TensorVariable:
        """The random draw called ``name``: the given one, else that of ``draw()``."""
        given = self.draws.get(name)
        return draw() if given is None else pt.as_tensor_variable(given)

    def pending(self, variable: SharedVariable) -> TensorVariable:
        """The value of the last update of ``variable``; without one, the variable."""
        return self._record.updates.get(variable, variable)

    def update(
        self,
        variable: SharedVariable,
        value: TensorVariable,
        training_only: bool = False,
    ) -> None:
        """Set ``variable`` to ``value`` after the program has run.

        Args:
            variable: a shared variable.
            value: its new value, of the same type. If others may update it too, compute
                it from :meth:`pending`.
            training_only: True if only training changes the variable.

        Raises:
            ConfigError: inside the step of a loop.
        """
        self._check_leaves("updates")
        if self.train or not training_only:
            self._record.updates[variable] = value

    def carry(self, variable: SharedVariable, value: TensorVariable) -> None:
        """Set the kept state ``variable`` to ``value``, while training or not.

        Raises:
            StateError: if it has been set already: a state has one next value.
        """
        if variable in self._record.updates:
            raise StateError.about(
                "state",
                str(variable.name),
                takes="one layer call",
                got="two",
                because="a kept state has one next value",
                do="Use copy.deepcopy for a second layer like it, with its own states.",
            )
        # On JAX a batch of one row has a broadcastable axis, which PyTensor takes for
        # another type than that of the variable. Setting all its rows keeps the type.
        if not variable.type.in_same_class(value.type):
            value = pt.set_subtensor(variable[:], value)
        self.update(variable, value)

    def penalty(self, term: TensorVariable) -> None:
        """Add ``term`` to the loss while training.

        Raises:
            ConfigError: inside the step of a loop.
        """
        self._check_leaves("a penalty")
        if self.train:
            self._record.penalties.append(term)

    def _check_leaves(self, what: str) -> None:
        if self.is_in_step:
            raise ConfigError.about(
                "node",
                ".".join(self.path),
                takes="a layer that only returns its output",
                because="a loop returns nothing but its results",
                got=f"one with {what}",
                do="Use it outside the loop.",
            )


class _NoRecord(Record):
    """The record of a step, which nothing can be added to."""
