"""What a layer is applied to, and what leaves it beside its output.

A :class:`Value` is a tensor with the mask that belongs to it. A :class:`Call` is one application of a whole
network: it says whether the network is training, hands out random draws, and collects updates of shared
variables and terms of the loss. Both are passed from container to layer; there is no other channel.
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
    """A tensor, and which entries along its leading axes are data; None for all of them.

    Args:
        tensor: batch first.
        mask: ``(batch, time)`` for a sequence, ``(batch, sentence, word)`` for documents; never the last axis
            of a tensor of floats.
        is_context: True for a context, which a loop hands to each of its steps whole. A layer that takes no mask may
            read it, since none of the loop's steps are lost. What is computed from a context is none.
    """

    tensor: TensorVariable
    mask: TensorVariable | None = None
    is_context: bool = False

    def with_tensor(self, tensor: TensorVariable) -> Value:
        """Another tensor with this mask, where its axes can still have one."""
        return with_mask(tensor, self.mask, self.is_context)


Values = Mapping[str, Value]
"""Values by port or by output name."""


def with_mask(
    tensor: TensorVariable, mask: TensorVariable | None, is_context: bool = False
) -> Value:
    """``tensor`` with ``mask``, or without it where the tensor has too few leading axes."""
    if mask is None or mask.ndim > leading_axes(tensor):
        return Value(tensor)
    return Value(tensor, mask, is_context)


def leading_axes(tensor: TensorVariable) -> int:
    """How many axes a mask may have: all of words, all but the last of vectors."""
    return tensor.ndim - tensor.dtype.startswith("float")


def joined(masks: Iterable[TensorVariable | None]) -> TensorVariable | None:
    """True where all of ``masks`` are; one with fewer axes holds for all that lies below. None where there is none."""
    distinct = list(dict.fromkeys(mask for mask in masks if mask is not None))
    if len(distinct) < 2:
        return distinct[0] if distinct else None
    axes = max(mask.ndim for mask in distinct)
    return reduce(pt.and_, [_with_axes(pt.neq(mask, 0), axes) for mask in distinct])


def _with_axes(mask: TensorVariable, axes: int) -> TensorVariable:
    missing = ["x"] * (axes - mask.ndim)
    return mask.dimshuffle(*range(mask.ndim), *missing) if missing else mask


def joined_with(tensor: TensorVariable, values: Iterable[Value]) -> Value:
    """``tensor``, made of ``values``: data where all of them are."""
    masked = [value for value in values if value.mask is not None]
    mask = joined(value.mask for value in masked)
    return with_mask(tensor, mask, all(value.is_context for value in masked))


Update = tuple[SharedVariable, TensorVariable]


@dataclass
class Record:
    """What a program takes from a network beside its outputs."""

    updates: dict[SharedVariable, TensorVariable] = field(default_factory=dict)
    penalties: list[TensorVariable] = field(default_factory=list)


class Call:
    """One application of a network, as one of its layers sees it.

    Args:
        train: True while training.
        draws: random draws that take the place of those the layer would make, by name.

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
    ):
        self.train = train
        self.draws = dict(draws or {})
        self.path = path
        self._record = Record() if record is None else record

    @property
    def updates(self) -> list[Update]:
        """What shared variables become after the program has run, in the order in which that was said."""
        return list(self._record.updates.items())

    @property
    def penalties(self) -> list[TensorVariable]:
        """The terms that training adds to the loss."""
        return self._record.penalties

    def inside(
        self, part: str, draws: Mapping[str, TensorVariable] | None = None
    ) -> Call:
        """The call as the layer called ``part`` sees it: its own ``draws``, or those named ``part.<name>``."""
        own = {}
        for name, value in self.draws.items():
            outer, inner = split(name)
            if outer == part:
                own[inner] = value
        return self._like(draws=own | dict(draws or {}), path=(*self.path, part))

    def training(self, train: bool) -> Call:
        """The same call, training or not."""
        return self if train == self.train else self._like(train=train)

    def in_step(self) -> Call:
        """The call as the step of a loop sees it, where nothing leaves but the results."""
        return self._like(draws={}, record=_NoRecord())

    def _like(self, **changed: object) -> Call:
        same = {
            "train": self.train,
            "draws": self.draws,
            "record": self._record,
            "path": self.path,
        }
        return Call(**(same | changed))

    def random(self, name: str, draw: Callable[[], TensorVariable]) -> TensorVariable:
        """The random draw called ``name``: the one that is given, else what ``draw`` makes."""
        given = self.draws.get(name)
        return draw() if given is None else pt.as_tensor_variable(given)

    def pending(self, variable: SharedVariable) -> TensorVariable:
        """What ``variable`` becomes so far: itself, or the value of the last update."""
        return self._record.updates.get(variable, variable)

    def update(
        self,
        variable: SharedVariable,
        value: TensorVariable,
        training_only: bool = False,
    ) -> None:
        """Let ``variable`` become ``value`` after the program has run.

        Args:
            variable: a shared variable.
            value: of its type; start from :meth:`pending` where it may be updated before.
            training_only: True for what only training changes.

        Raises:
            ConfigError: inside the step of a loop.
        """
        self._check_leaves("updates")
        if self.train or not training_only:
            self._record.updates[variable] = value

    def carry(self, variable: SharedVariable, value: TensorVariable) -> None:
        """Let the carried state ``variable`` become ``value``, when predicting, testing and training alike.

        Raises:
            StateError: for a second time: one state cannot continue in two ways.
        """
        if variable in self._record.updates:
            raise StateError.about(
                "state",
                str(variable.name),
                takes="one layer call",
                got="two",
                because="a state that is carried over can go on in one way only",
                do="Use copy.deepcopy for a second layer like it, with states of its own.",
            )
        # One row, known on JAX, has another type: PyTensor takes that for another class.
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
        if isinstance(self._record, _NoRecord):
            raise ConfigError.about(
                "node",
                ".".join(self.path),
                takes="a layer that returns its output and no more",
                because="a loop hands out nothing but its results",
                got=f"one with {what}",
                do="Use it outside of the loop.",
            )


class _NoRecord(Record):
    """The record of a step: a loop has no place for one."""
