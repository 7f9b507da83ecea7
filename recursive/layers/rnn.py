"""RNN: a cell repeated over time.

The equations belong to the cell (``layers/cells.py``), the step function of scan to
``layers/cell_loop.py``. This module holds what all recurrent layers share: the call of
scan, masks, directions and the states that are kept between batches.

The loop in short, for one state and no mask::

    projected = cell.project(x)                    # all steps at once
    h = zeros
    for t in range(time):
        h = cell.step(projected[t], h, U)

A mask, ``(batch, time)``, changes it in one of two ways. ``mask_mode`` chooses which:

* ``zero``: a masked step computes as any other, and the step after it reads zeros for
  the states. This is the rule of Keras 0.1.
* ``carry``: a masked step leaves the states, and so the output, as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import Size, size
from recursive.errors import ConfigError, ShapeError, suggest
from recursive.layers import learned
from recursive.layers.cell_chain import CellChain
from recursive.layers.cell_loop import CellLoop
from recursive.layers.cells import Cell, is_ours
from recursive.layers.layer import Layer, MaskedLayer
from recursive.layers.masks import USE, mask_with_checked_sizes
from recursive.layers.states import Stateful, States
from recursive.loop.axes import swap_time
from recursive.loop.call import Call
from recursive.loop.lengths import common_length
from recursive.scan import op
from recursive.spec.shapes import Shape
from recursive.utils.arguments import flag

MASK_MODES = ("zero", "carry")
"""The rules for the states at a masked step."""

Tensors = Sequence[TensorVariable]


class RNN(Stateful, MaskedLayer):
    """A cell repeated over time.

    It maps ``(batch, time, input_dim)`` to ``(batch, output_dim)``, the last step, or
    with ``return_sequences`` to ``(batch, time, output_dim)``. Its parameters are those
    of the cell, under the cell's names.

    Args:
        cell: RecurrentDense, RecurrentGRU, RecurrentLSTM or another
            :class:`~recursive.Cell`, built-in or custom; or a Sequential of cells and
            other layers that ends with a cell.
        return_sequences: True returns every step, False the last.
        truncate_gradient: k runs the reverse pass over the last k steps of the whole
            sequence; -1 over all.
        mask_mode: the rule for masked steps. ``zero``, as in Keras 0.1: a masked step
            computes as any other, and the step after it reads zeros for the states.
            ``carry``: a masked step leaves the states and the output as they were.
        stateful: True keeps the states between batches instead of starting from zeros.
        go_backwards: True runs from the last step to the first, and returns the steps
            in that order.
        name: a name for the user's own use.

    Raises:
        ConfigError: for something that is not a cell, a ``truncate_gradient`` of 0 or
            below -1, or an unknown mask mode.
        BatchSizeError: if states are kept from a batch of another size.

    >>> from recursive.layers.cells import RecurrentGRU
    >>> RNN(RecurrentGRU(4, 6), return_sequences=True)(np.ones((3, 5, 4))).eval().shape
    (3, 5, 6)
    """

    input_ndim = 3

    def __init__(
        self,
        cell: Cell | Layer,
        return_sequences: bool = False,
        truncate_gradient: int = -1,
        mask_mode: str = "zero",
        stateful: bool = False,
        go_backwards: bool = False,
        name: str | None = None,
    ):
        super().__init__(name)
        kind = type(self).__name__
        if isinstance(cell, Layer):
            cell = cell.as_step()
        _check_cell(kind, cell)
        self.cell = cell
        self.truncate_gradient = _check_truncation(kind, truncate_gradient)
        self.return_sequences = flag(kind, "return_sequences", return_sequences)
        self.mask_mode = _check_mask_mode(kind, mask_mode)
        self.go_backwards = flag(kind, "go_backwards", go_backwards)
        self.stateful = stateful

    # Delegated to the cell

    @property
    def children(self) -> dict[str, Layer]:
        """The cell."""
        return {"cell": self.cell}

    @property
    def input_dim(self) -> int | None:
        """The dim of the input; None until the cell is built."""
        return self.cell.input_dim

    @property
    def output_dim(self) -> int:
        """The dim of the output."""
        return self.cell.state_dims[0]

    @property
    def param_names(self) -> tuple[str, ...]:
        """The names of the cell's parameters, in order."""
        return self.cell.param_names

    @property
    def state_names(self) -> tuple[str, ...]:
        """The values that a step passes to the next; the first is the output."""
        return self.cell.state_names

    @property
    def state_dims(self) -> tuple[int, ...]:
        """The dim of each state."""
        return self.cell.state_dims

    @property
    def inner_names(self) -> tuple[str, ...]:
        """The parameters that the step takes as arguments."""
        return self.cell.inner_names

    @property
    def built(self) -> bool:
        """True once the cell has its parameters and a subclass's ``build`` has run."""
        has_run = vars(self).get("built", type(self).build is RNN.build)
        return self.cell.built and has_run

    @built.setter
    def built(self, value: bool) -> None:
        vars(self)["built"] = bool(value)

    def build(self, input_shape: Shape) -> None:
        shapes = {"input": (None, input_shape[-1])}
        for port, dim in zip(self.cell.ports[1:], self.state_dims, strict=True):
            shapes[port] = (None, dim)
        self.cell.ensure_built(shapes)

    # `Layer.__init__` assigns `params` before there is a cell: hence the checks below.

    @property
    def params(self) -> list[SharedVariable]:
        """The parameters of the cell; may be assigned."""
        return self.cell.params if "cell" in vars(self) else []

    @params.setter
    def params(self, value: list[SharedVariable]) -> None:
        if "cell" in vars(self):
            self.cell.params = value

    def own_params(self) -> list[SharedVariable]:
        """An empty list: the parameters belong to the cell."""
        return []

    @property
    def named_params(self) -> dict[str, SharedVariable]:
        """The parameters, learned or frozen, by the cell's names for them."""
        attributes = {}
        for name, value in vars(self).items():
            if isinstance(value, SharedVariable):
                attributes[name] = value
        named = self.cell.named_params
        # The parameters of a chain belong to its layers.
        params = self.cell.own_params() or list(named.values())
        return _by_name(params, named, attributes)

    @property
    def named_weights(self) -> dict[str, SharedVariable]:
        """The parameters, and other values that the cell saves but does not learn."""
        found = self.named_params
        known = {id(param) for param in found.values()}
        for name, value in self.cell.named_weights.items():
            if id(value) not in known:
                found[name] = value
        return found

    def get_params(self) -> tuple[list, list, list, list]:
        """The cell's params, regularizers, constraints and updates."""
        found = learned.collect(self)
        return found.params, found.regularizers, found.constraints, found.updates

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        """The part of all steps that reads only the input: the cell's ``project``.

        Args:
            x: ``(time, batch, input_dim)``.
        """
        return self.cell.project(x)

    def step(self, *args: TensorVariable) -> tuple[TensorVariable, ...]:
        """The states at t: the cell's ``step``.

        Args:
            args: the projections at t, the states at t-1 and the ``U``.
        """
        return self.cell.step(*args)

    def forget(self, past: Tensors, valid: TensorVariable) -> list[TensorVariable]:
        """The states that a step of mask mode ``zero`` reads: the cell's ``forget``."""
        return self.cell.forget(past, valid)

    # Read by containers

    @property
    def stateful(self) -> bool:
        """True if states are kept between batches. Assigning it resets them."""
        return bool(self.states.variables)

    @stateful.setter
    def stateful(self, value: bool) -> None:
        starts = {}
        if flag(type(self).__name__, "stateful", value):
            for name, dim in zip(self.state_names, self.state_dims, strict=True):
                starts[name] = np.zeros((1, dim))
        self.states = States(starts)

    @property
    def carries(self) -> bool:
        """True if states are kept between batches."""
        return self.stateful

    @property
    def reset_each_batch(self) -> tuple[str, ...]:
        """The states that are reset with each batch."""
        return () if self.stateful else self.state_names

    @property
    def revision(self) -> tuple:
        """A value that changes with ``stateful`` and when the cell changes."""
        return (self.states, self.cell.revision)

    @property
    def rowwise(self) -> bool:
        """True if the step and activations are known and no state is kept.

        A user's function may mix the rows of a batch.
        """
        return self.cell.rowwise and self.has_library_step() and not self.stateful

    def has_library_step(self) -> bool:
        """True unless a subclass of this layer changes the formula of a step."""
        return self.has_known_step() and not self.reads_mask()

    @classmethod
    def has_known_step(cls) -> bool:
        """True if the library defines ``step``, ``project`` and ``forget``."""
        return is_ours(cls.step) and is_ours(cls.project) and is_ours(cls.forget)

    def get_output_mask_for(
        self, x: TensorVariable, mask: TensorVariable | None = None
    ) -> TensorVariable | None:
        if mask is None or not self.return_sequences:
            return None
        return self._in_loop_order(mask)

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        rows, time = input_shape[:2]
        if self.return_sequences:
            return (rows, time, self.output_dim)
        return (rows, self.output_dim)

    # The loop

    masks = USE

    def call(
        self,
        x: TensorVariable,
        train: bool = False,
        mask: TensorVariable | None = None,
        carry: Callable | None = None,
    ) -> TensorVariable:
        """The output over the unmasked steps: see ``mask_mode``.

        Args:
            x: ``(batch, time, input_dim)``.
            train: True while training.
            mask: ``(batch, time)``, 0 at masked steps.
            carry: takes each kept state and its value after the last step.
        """
        kind = type(self).__name__
        _check_axes(kind, x)
        length = common_length({"input": size(x, 1)})
        mask = self._loop_mask(mask, size(x, 0), length)
        mask_per_step = None
        if mask is not None:
            in_order = swap_time(self._in_loop_order(mask))  # (time, batch)
            mask_per_step = self._mask_per_step(in_order)
        over_time = swap_time(self._in_loop_order(x))  # (time, batch, input_dim)
        loop = CellLoop(self, over_time, mask_per_step, size(x, 0), train)
        # (time, batch, dim) for each state
        states = op.scan(
            loop,
            loop.sequences,
            self._initial_states(size(x, 0)),
            loop.constants,
            length,
            self.truncate_gradient,
            name=kind,
        )
        if carry is not None:
            last = [op.last_step(state) for state in states]
            self._keep_states(last, mask, carry)
        output = states[0]
        return swap_time(output) if self.return_sequences else op.last_step(output)

    def _extra_arguments(self, call: Call) -> dict[str, object]:
        return {"carry": call.carry} if self.stateful else {}

    def _loop_mask(
        self, mask: TensorVariable | None, rows: Size, length: Size
    ) -> TensorVariable | None:
        """The mask of the loop as booleans, ``(batch, time)``; None for no mask."""
        if mask is not None:
            mask = mask_with_checked_sizes(type(self).__name__, mask, rows, length)
            return pt.neq(mask, 0)
        if self.reads_mask() and self.mask_mode == "zero":
            return pt.ones((rows, length), dtype="bool")
        return None

    def _in_loop_order(self, over_time: TensorVariable) -> TensorVariable:
        """``(batch, time, ...)`` in the order in which the loop runs through it."""
        return over_time[:, ::-1] if self.go_backwards else over_time

    def _mask_per_step(self, mask: TensorVariable) -> TensorVariable:
        """The mask that a step reads, ``(time, batch, 1)``.

        It is the mask at t for mode ``carry``, and at t-1 for ``zero``.

        Args:
            mask: ``(time, batch)``, in the order of the loop.
        """
        over_time = pt.expand_dims(mask, -1)
        if self.mask_mode == "carry":
            return over_time
        # The first step has no step before it. Ones keep the initial states. In 2015 a
        # user's `_step` read 0 there; without kept states this only forgets zeros.
        keeps_initial = self.stateful or not self.reads_mask()
        fill = pt.ones_like if keeps_initial else pt.zeros_like
        shifted = pt.concatenate([fill(over_time[:1]), over_time[:-1]])
        return shifted.astype(backend.floatX())

    def states_at(
        self,
        projected: Tensors,
        past: Tensors,
        inner: Tensors,
        valid_tm1: TensorVariable | None,
    ) -> Tensors:
        """The states at t.

        Args:
            projected: the projections of :meth:`project` at t.
            past: the states at t-1.
            inner: the parameters that the step takes as arguments.
            valid_tm1: ``(batch, 1)``, 0 in rows whose previous step is forgotten; None
                if nothing is forgotten.
        """
        if valid_tm1 is not None:
            past = self.forget(past, valid_tm1)
        return self.step(*projected, *past, *inner)

    def reads_mask(self) -> bool:
        """True if :meth:`states_at` always needs ``valid_tm1``, ones without a mask."""
        return False

    # States that are kept between batches

    def _initial_states(self, rows: Size) -> list[TensorVariable]:
        """The states before the first step, ``(batch, dim)`` each."""
        initial = []
        if self.stateful:
            for variable in self.states.variables.values():
                # A kept state is (lag, batch, dim), with lag 1 here.
                initial.append(backend.with_rows(variable, rows)[0])
        else:
            for dim in self.state_dims:
                initial.append(pt.zeros((rows, dim), dtype=backend.floatX()))
        return initial

    def _keep_states(
        self, last: Tensors, mask: TensorVariable | None, carry: Callable
    ) -> None:
        """Pass the states after the ``last`` step on to the next batch."""
        if mask is not None and self.mask_mode == "zero":
            # The first step of the next batch forgets a masked step, as the next step
            # of this batch would.
            valid = self._in_loop_order(mask)[:, -1, None]
            last = self.forget(last, valid.astype(backend.floatX()))
        for name, value in zip(self.state_names, last, strict=True):
            variable = self.states.variables[name]
            carry(variable, self.states.fitting(name, value[None]))


learned.LIBRARY.add(RNN.get_params)


def _by_name(
    params: Sequence[SharedVariable], *sources: Mapping[str, SharedVariable]
) -> dict[str, SharedVariable]:
    """``params`` by the name that the first of ``sources`` to know it has for it.

    Names such as ``param_0`` are placeholders for parameters without a name.
    """
    names = {}
    for named in sources:
        for name, param in named.items():
            if not name.startswith("param_"):
                names.setdefault(id(param), name)
    found = {}
    for index, param in enumerate(params):
        found[names.get(id(param), f"param_{index}")] = param
    return found


def _check_axes(layer: str, x: TensorVariable) -> None:
    """Raise a ShapeError unless ``x`` has the axes ``(batch, time, dim)``."""
    if x.ndim != 3:
        raise ShapeError.about(
            "layer",
            layer,
            takes="(batch, time, dim)",
            got=f"{x.ndim} axes",
            do="Declare the input with ndim=3, or ndim=4 for a loop inside a loop.",
        )


def _check_cell(layer: str, cell: object) -> None:
    """Raise a ConfigError unless ``cell`` is a cell that a loop can repeat."""
    if isinstance(cell, CellChain) and not cell.ends_with_cell:
        raise ConfigError.about(
            "layer",
            layer,
            takes="a Sequential that ends with a cell",
            because="the output of its loop is a state",
            got=type(list(cell.children.values())[-1]).__name__,
            do="Put the last layers after the loop.",
        )
    if not isinstance(cell, Cell | CellChain):
        raise ConfigError.about(
            "layer",
            layer,
            takes="a cell",
            got=type(cell).__name__,
            do="Use RNN(RecurrentGRU(4, 6)), for example. "
            "Other layers can be nodes of a Recurrent.",
        )
    if cell.draws or cell.has_side_outputs:
        raise ConfigError.about(
            "layer",
            layer,
            takes="a cell without random draws and penalties on its output",
            because="its loop returns only states",
            got=type(cell).__name__,
            do="Add the cell to a Recurrent as a node, and draw in a Dropout.",
        )


def _check_mask_mode(layer: str, mode: object) -> str:
    """Return ``mode``, or raise a ConfigError if it is not a mask mode."""
    if mode not in MASK_MODES:
        raise ConfigError.about(
            "layer",
            layer,
            takes=f"a mask_mode of {' or '.join(MASK_MODES)}",
            got=repr(mode),
            do=suggest(str(mode), MASK_MODES),
        )
    return mode


def _check_truncation(layer: str, steps: object) -> int:
    """Return ``steps``, or raise a ConfigError unless it is -1, or 1 or more."""
    is_integer = isinstance(steps, int) and not isinstance(steps, bool)
    if not is_integer or steps == 0 or steps < -1:
        raise ConfigError.about(
            "layer",
            layer,
            takes="a truncate_gradient of -1, or 1 and more",
            got=repr(steps),
            do="Use truncate_gradient=-1 for the whole gradient.",
        )
    return steps
