"""The container that Eder Santana proposed: a recurrent network declared as a graph of inputs, states and nodes.

``add_input``, ``add_state`` and ``add_node`` say what one time step computes; the container writes the step, hands it
to scan with its arguments in a known order, and returns what was declared as output.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.errors import DataError
from recursive.layers.core import Layer
from recursive.layers.graph import Graph
from recursive.loop.step import run, with_params
from recursive.loop.unroll import unroll
from recursive.spec.explain import explain
from recursive.spec.graph import GraphSpec, InputSpec, StateSpec
from recursive.spec.names import Ref
from recursive.spec.plan import StepPlan, plan, source_of
from recursive.spec.shapes import Shape


class Recursive(Graph):
    """A recurrent network as a graph. A bare state name reads t-1, a node name reads t, ``name_tm2`` reads t-2.

    Args:
        truncate_gradient: k runs the backward loop over the last k steps of the whole sequence; -1 over all.
        return_sequences: True returns ``(batch, time, dim)``, False the last step, ``(batch, dim)``.

    Source: keras issue 620 (Santana, 2015) and his ``Recursive`` container of 2015-09-15.

    >>> from recursive.layers.core import Activation, Dense
    >>> rnn = Recursive(return_sequences=True)
    >>> rnn.add_input("input", ndim=3)
    >>> rnn.add_state("h", dim=6)
    >>> rnn.add_node(Dense(4, 6, init="one"), name="i2h", inputs=["input"])
    >>> rnn.add_node(Dense(6, 6, init="orthogonal"), name="h2h", inputs=["h"])
    >>> rnn.add_node(Activation("tanh"), name="rec", inputs=["i2h", "h2h"], merge_mode="sum",
    ...              return_state="h", create_output=True)
    >>> [str(ref) for ref in rnn.plan.arguments]
    ['input', 'h_tm1', 'i2h.W', 'i2h.b', 'h2h.W', 'h2h.b']
    >>> rnn.get_output().type.shape
    (None, None, 6)
    """

    loop = True

    def __init__(self, truncate_gradient: int = -1, return_sequences: bool = False):
        super().__init__()
        self._spec = GraphSpec(loop=True, return_sequences=return_sequences, truncate_gradient=truncate_gradient)

    # Declaration

    def add_input(self, name: str, ndim: int = 3, dtype: str = "float", dim: int | None = None) -> None:
        """Declare an input of ``ndim`` axes, of which the first two are batch and time.

        Args:
            name: what nodes read it by.
            ndim: 3 for ``(batch, time, dim)``, 2 for ``(batch, time)`` of whole numbers.
            dtype: ``float``, ``int`` or ``bool``.
            dim: the size of the last axis; None finds it from the layers, or from the first batch.

        Raises:
            RecursiveError: a child of it, for a bad name, ndim, dtype or dim.
        """
        super().add_input(name, ndim, dtype, dim)

    def add_state(self, name: str, dim: int) -> None:
        """Declare a state of ``dim`` values a row, zeros before the first step.

        Some node must return its next value: ``add_node(..., return_state=name)``.

        Raises:
            RecursiveError: a child of it, for a bad name or dim.
        """
        self._declare(StateSpec(name, dim))

    def add_node(self, layer: Layer, name: str, input: str | None = None, inputs: Sequence[str] = (),
                 merge_mode: str = "concat", return_state: str | None = None, create_output: bool = False) -> None:
        """Declare a node: ``layer`` applied, at every step, to what it reads.

        Args:
            layer: any layer, a container included; one that is used by two nodes shares its weights.
            name: what other nodes read it by.
            input: the name that it reads.
            inputs: several names, merged by ``merge_mode``. A string means one name.
            merge_mode: concat, sum, mul, ave or max.
            return_state: the state whose next value this node is.
            create_output: True makes the node an output of the same name.

        Raises:
            RecursiveError: a child of it, for unknown or taken names, no input, or an unknown merge mode.
        """
        self._add_node(layer, name, input, inputs, merge_mode, create_output, return_state)

    # What was declared

    @property
    def return_sequences(self) -> bool:
        """Whether outputs are whole sequences."""
        return self._spec.return_sequences

    @return_sequences.setter
    def return_sequences(self, value: bool) -> None:
        self._change(self._spec.replace(return_sequences=bool(value)))

    @property
    def truncate_gradient(self) -> int:
        """How many of the last steps the backward loop runs over; -1 for all."""
        return self._spec.truncate_gradient

    @truncate_gradient.setter
    def truncate_gradient(self, value: int) -> None:
        self._change(self._spec.replace(truncate_gradient=value))

    def explain(self) -> str:
        """The arguments of scan, position by position, and the generated step, as text."""
        self.build()
        sizes = {name: param.get_value(borrow=True).shape for name, param in self.named_params.items()}
        return explain(self.plan, self.shapes, sizes, self.param_names)

    def _output_shape(self, shape: Shape, input_shapes: dict[str, Shape]) -> Shape:
        time = next(iter(input_shapes.values()))[1]
        return (shape[0], time, *shape[1:]) if self.return_sequences else shape

    def _input_shape(self, item: InputSpec) -> Shape:
        step = super()._input_shape(item)
        return (step[0], None, *step[1:])

    # The container as a function

    def call(self, inputs: dict[str, TensorVariable], train: bool = False) -> dict[str, TensorVariable]:
        """Every output by name: ``(batch, time, dim)``, or the last step of it."""
        sequences = {name: swap_time(value) for name, value in inputs.items()}
        if train:
            sequences |= self._draws_over_time(next(iter(sequences.values())))
        every = unroll(self._plan(train), self._layers(), self.named_params, sequences, self.shapes, train,
                       self.truncate_gradient)
        outputs = {output.name: every[source_of(self._spec, output)] for output in self._spec.outputs}
        return {name: swap_time(value) if self.return_sequences else value[-1] for name, value in outputs.items()}

    draws = ()
    """A loop makes the draws of its nodes itself."""

    def _plan(self, train: bool) -> StepPlan:
        """The plan; while training, with the draws of the nodes among the sequences."""
        drawn = {node: tuple(f"{node}.{name}" for name in layer.draws) for node, layer in self.nodes.items()}
        return plan(self._spec, self.param_names, drawn if train else {})

    def _draws_over_time(self, first: TensorVariable) -> dict[str, TensorVariable]:
        """The draws of all steps at once, ``(time, batch, ...)``, for as many rows as the input ``first`` has."""
        rows = (backend.size(first, 0), backend.size(first, 1))
        names = (f"{node}.{name}" for node, layer in self.nodes.items() for name in layer.draws)
        return {name: self.draw(name, (*rows, *self._draw_shape(name)[1:])) for name in names}

    def _step(self, *args: TensorVariable) -> list[TensorVariable]:
        """One time step: the value of every node, in the order in which the nodes were added.

        Args:
            args: the inputs at t and the states at t-1, each in the order declared, a state or input that is read at
                several taps once for each, oldest first; then the parameters, which may be left out.

        Raises:
            DataError: for another number of arguments.
        """
        arguments = self.plan.arguments
        needed = len(arguments) - len(self.plan.constants)
        if len(args) not in (needed, len(arguments)):
            names = ", ".join(map(str, arguments))
            raise DataError.about("step", "arguments", takes=f"{needed} or {len(arguments)} tensors ({names})",
                                  because="they are inputs, states and, if you like, parameters",
                                  got=f"{len(args)}", do="See explain() for their order.")
        env = dict(zip(arguments, map(pt.as_tensor_variable, args), strict=False))
        run(self.plan.nodes, self._layers(), env, train=False)
        return with_params([env[Ref(node.name)] for node in self._spec.nodes], self.named_params, env)


def swap_time(x: TensorVariable) -> TensorVariable:
    """``(batch, time, ...)`` to ``(time, batch, ...)``, and back."""
    return x.dimshuffle(1, 0, *range(2, x.ndim))
