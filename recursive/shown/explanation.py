"""A loop in words: the arguments of scan, the generated step and its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recursive.layers.identity import own_methods
from recursive.scan import op
from recursive.shown.loops_in_c import why_not_c
from recursive.spec.explain import explain

if TYPE_CHECKING:
    from recursive.layers.recursive import Recursive


def explanation(rnn: Recursive) -> str:
    """The plan of ``rnn`` as text, what it cannot show, and the kind of gradient."""
    rnn.complete()
    sizes = {}
    for name, param in rnn.named_params.items():
        sizes[name] = param.get_value(borrow=True).shape
    parts = [explain(rnn.plan, rnn.shapes, sizes, rnn.param_names)]
    for method in own_methods(type(rnn)):
        parts.append(f"Not shown: {method}, which may change the result.")
    parts.append(f"The gradient: {_gradient(rnn)}")
    if rnn.built and rnn.plan.results and not rnn.spec.unroll:
        reason = why_not_c(rnn)
        if reason is not None:
            parts.append(
                f"On backend c: PyTensor's scan runs the loop, since {reason}."
            )
    return "\n\n".join(parts)


def _gradient(rnn: Recursive) -> str:
    """The kind of gradient that the loop has."""
    if rnn.spec.unroll:
        return "that of the steps, which are written out."
    if rnn.spec.until is not None:
        return "scan's own gradient, since the loop may stop at any step."
    if rnn.truncate_gradient != -1:
        return "scan's own gradient, since it is truncated."
    if not rnn.plan.results:
        return "no loop is left."
    if not rnn.built:
        return "known once all dims are known."
    return op.describe_gradient(rnn.get_output())
