"""What a container shows of itself: its loop in words, as a table, a picture or a script, and all its values."""

from __future__ import annotations

from recursive.errors import RecursiveError
from recursive.layers.drawn import Drawn
from recursive.layers.identity import own_methods
from recursive.loop import reversible
from recursive.shown.gradients import gradient_norms
from recursive.shown.source import source
from recursive.shown.summary import summary
from recursive.shown.trace import Series, Trace, trace
from recursive.spec.explain import explain
from recursive.spec.plan import StepPlan


class Shown(Drawn):
    """The methods of :class:`Recursive` that only look."""

    def _drawn_plan(self) -> StepPlan | None:
        try:
            return self.plan
        except RecursiveError:  # it is not complete: the picture tells what is missing
            return None

    def explain(self) -> str:
        """The arguments of scan, position by position, the generated step, what runs outside it, and the way back."""
        self.complete()
        sizes = {
            name: param.get_value(borrow=True).shape
            for name, param in self.named_params.items()
        }
        text = explain(self.plan, self.shapes, sizes, self.param_names)
        for method in own_methods(type(self)):
            text += f"\n\nNot shown: {method}, which may make something else of it."
        return f"{text}\n\nThe way back: {self._way_back()}"

    def _way_back(self) -> str:
        """Which gradient the loop has."""
        if self.spec.unroll:
            return "that of the steps, which are written out."
        if self.spec.until is not None:
            return "scan's own gradient, since the loop may stop at any step."
        if self.truncate_gradient != -1:
            return "scan's own gradient, since it is truncated."
        if not self.plan.results:
            return "no loop is left."
        return (
            reversible.told(self.get_output())
            if self.built
            else "told when all dims are known."
        )

    def summary(self) -> str:
        """A table of the nodes, their shapes and parameters and where each runs, then of the states.

        Raises:
            RecursiveError: a child of it, for a container that is not complete.
        """
        plan = self.plan
        sizes = {
            name: param.get_value(borrow=True).size
            for name, param in self.named_params.items()
        }
        return summary(self.spec.nodes, plan, self.shapes, self.param_names, sizes)

    def source(self, library: str) -> str:
        """A script that stands alone, without this library, and computes what the container does outside of training.

        Its ``run(weights, inputs)`` takes arrays by name, weights as ``named_params`` are called, and returns the
        outputs by name. What it cannot say is a stub, marked ``GAP``, that raises NotImplementedError: layers but
        for Dense, Activation, Identity, Embedding, Gate, RecurrentDense and Blend, activations of one's own, masks,
        and states that are carried over.

        Args:
            library: ``numpy`` for a plain loop, ``pytensor`` for scan.

        Raises:
            UnknownNameError: for another library.
            RecursiveError: a child of it, for a container that is not complete.
        """
        return source(self, library)

    def trace(self, x: object) -> Trace:
        """Every node and state at every step by name, ``(batch, time, dim)``, for data as ``predict`` takes it.

        States start as they are kept, and none is carried over. A name that is not there offers the nearest one.

        Raises:
            RecursiveError: a child of it, for a container that is not complete or data that does not match it.

        >>> import numpy as np
        >>> from recursive.layers.cells import RecurrentDense
        >>> from recursive.models import Recurrent
        >>> rnn = Recurrent()
        >>> rnn.add_input("x", dim=4)
        >>> rnn.add_node(RecurrentDense(6), "h", input="x")
        >>> rnn.trace(np.ones((3, 5, 4)))
        Trace(h (3, 5, 6))
        """
        return trace(self, x)

    def gradient_norms(self, x: object) -> Series:
        """By state, ``(batch, time)``: the norm of the gradient of the last output's sum with respect to each step's.

        Raises:
            RecursiveError: as :meth:`trace`, and for a loop that may stop early where its gradient cannot be had.
        """
        return gradient_norms(self, x)
