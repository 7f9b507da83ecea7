"""The reason why a loop is not translated."""

from __future__ import annotations

from pytensor.graph.basic import Apply


class TranslationError(Exception):
    """A loop cannot become C code.

    It never reaches a user: the loop is then compiled as PyTensor's scan.

    Args:
        operation: the operation that is the reason.
        because: what it does.
    """

    def __init__(self, operation: str, because: str):
        super().__init__(f"{operation} {because}")
        self.operation = operation
        self.because = because


def describe(node: Apply) -> str:
    """The operation of a node, as text for the user."""
    return str(node.op)
