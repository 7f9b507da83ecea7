"""Attention: a weighted mean over the steps of a memory.

At each step a decoder asks for a part of what an encoder has read. A *query* is scored
against every step of a *memory*, a softmax turns the scores into weights, and the
output is the mean of the memory with these weights::

    s_j = score(memory_j, query)            one number per step j of the memory
    w   = softmax(s)                        over the steps that are valid
    y   = sum over j of w_j memory_j

Padding takes no part: a masked step has weight 0, so that a row gives what it would
give alone. The mask comes with the memory.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend, initializations
from recursive.backend.sizes import size
from recursive.errors import ConfigError, DataError, ShapeError, suggest
from recursive.layers.layer import Layer, check_dim
from recursive.layers.masks import USE
from recursive.layers.products import as_floats, linear_map
from recursive.loop.call import joined
from recursive.spec.shapes import Shape

SCORES = ("dot", "general", "scaled_dot", "additive")
"""The functions that compare a step of the memory with a query."""


class Attention(Layer):
    """The mean of a memory, weighted by how well each step matches a query.

    The scores of a step ``m`` of the memory and a query ``q`` are

    * ``dot``: ``m . q``, for equal dims;
    * ``scaled_dot``: ``m . q / sqrt(dim)``, for equal dims;
    * ``general``: ``m . (q @ W)``;
    * ``additive``: ``v . tanh(m @ W + q @ U + b)``, with ``dim`` units.

    Ports are ``memory``, ``(batch, source, dim)``, ``query``, ``(batch, dim)``, and
    optionally ``mask``, ``(batch, source)``, a mask that is a value; it is joined with
    the mask of the memory. Outputs are ``output``, ``(batch, dim)``, the weighted mean,
    and ``weights``, ``(batch, source)``, which sum to 1.

    Args:
        score: ``dot``, ``general``, ``scaled_dot`` or ``additive``.
        dim: the number of units of ``additive``; that of the query if None.
        init: the initialization of ``W``, ``U`` and ``v``.
        seed: the seed of the initial weights.

    Raises:
        DataError: when a row of the memory has no valid step. JAX cannot raise from a
            program; there the weights and the output of such a row are 0.

    Source: ``dot`` and ``general`` of Luong et al., 2015; ``scaled_dot`` of Vaswani et
    al., 2017; ``additive`` of Bahdanau et al., 2015.

    >>> memory, query = np.eye(3)[None], np.array([[0.0, 9.0, 0.0]])
    >>> found = Attention("dot")({"memory": memory, "query": query})
    >>> found["weights"].eval().round(3).tolist()
    [[0.0, 1.0, 0.0]]
    """

    ports = ("memory", "query", "mask")
    optional_ports = ("mask",)
    output_names = ("output", "weights")
    masks: Mapping[str, str] = {"memory": USE}
    input_ndim = 3
    rowwise = True

    def __init__(
        self,
        score: str = "dot",
        dim: int | None = None,
        init: str = "glorot_uniform",
        name: str | None = None,
        seed: int | None = None,
    ):
        super().__init__(name, seed)
        if score not in SCORES:
            raise ConfigError.about(
                "layer",
                "Attention",
                takes=f"a score of {', '.join(SCORES)}",
                got=repr(score),
                do=suggest(str(score), SCORES),
            )
        self.score = score
        self.dim = check_dim("Attention", "dim", dim, optional=True)
        self.init = initializations.get(init)

    @property
    def built(self) -> bool:
        """True once there are weights, if the score has any."""
        return self.score in ("dot", "scaled_dot") or bool(self.params)

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        if self.built:
            return
        memory = check_dim("Attention", "dim of the memory", input_shape["memory"][-1])
        query = check_dim("Attention", "dim of the query", input_shape["query"][-1])
        rng = self.rng
        if self.score == "general":
            self.W = initializations.first_values(self.init, (query, memory), rng)
            self.params = [self.W]
            return
        units = self.dim or query
        self.W = initializations.first_values(self.init, (memory, units), rng)
        self.U = initializations.first_values(self.init, (query, units), rng)
        self.b = initializations.zero((units,))
        self.v = initializations.first_values(self.init, (units, 1), rng)
        self.params = [self.W, self.U, self.b, self.v]

    def call(
        self,
        x: Mapping[str, TensorVariable],
        train: bool = False,
        mask: Mapping[str, TensorVariable] | None = None,
    ) -> dict[str, TensorVariable]:
        memory = as_floats(x["memory"])
        valid = _valid(x, mask)
        if valid is not None:
            # What padding holds, maybe NaN, must not get into a product or a gradient.
            memory = pt.switch(valid[..., None], memory, 0.0)
        scores = self._scores(memory, as_floats(x["query"]))
        weights = masked_softmax(scores, valid)
        output = (weights[..., None] * memory).sum(axis=1)
        return {"output": output, "weights": weights}

    def _scores(self, memory: TensorVariable, query: TensorVariable) -> TensorVariable:
        """The score of each step of the memory, ``(batch, source)``."""
        if self.score == "additive":
            units = pt.tanh(
                linear_map(memory, self.W) + (query.dot(self.U) + self.b)[:, None]
            )
            # Row by row, unlike a product of all steps of all rows.
            return (units * self.v[:, 0]).sum(axis=-1)
        if self.score == "general":
            query = query.dot(self.W)
        scores = (memory * query[:, None]).sum(axis=-1)
        if self.score == "scaled_dot":
            scores = scores / np.sqrt(size(memory, -1)).astype(scores.dtype)
        return scores

    def get_output_mask_for(
        self,
        x: Mapping[str, TensorVariable],
        mask: Mapping[str, TensorVariable] | None = None,
    ) -> None:
        return None

    def get_output_shape_for(
        self, input_shape: Mapping[str, Shape]
    ) -> dict[str, Shape]:
        rows, source, dim = input_shape["memory"]
        mask = input_shape.get("mask", (rows, source))
        is_known = None not in (source, mask[-1])
        if len(mask) != 2 or (is_known and source != mask[-1]):
            raise ShapeError.about(
                "port",
                "mask",
                takes=f"one entry per step of the memory, {(rows, source)}",
                got=mask,
                do="Read the mask of the same sequence.",
            )
        query = input_shape["query"]
        if len(query) != 2:
            raise ShapeError.about(
                "port",
                "query",
                takes="one vector per row, (batch, dim)",
                got=query,
                do="Make the attention a node of a loop, which asks at each step.",
            )
        has_equal_dims = self.score in ("dot", "scaled_dot")
        if has_equal_dims and None not in (dim, query[-1]) and dim != query[-1]:
            raise ShapeError.about(
                "layer",
                "Attention",
                takes=f"a memory and a query of equal dim for the score {self.score!r}",
                got=f"{dim} and {query[-1]}",
                do="Use the score 'general', or bring them to one dim with a Dense.",
            )
        return {"output": (rows, dim), "weights": (rows, source)}


def _valid(
    x: Mapping[str, TensorVariable], mask: Mapping[str, TensorVariable] | None
) -> TensorVariable | None:
    """True at the steps of the memory that are no padding; None if all are."""
    found = []
    if mask is not None:
        found.append(mask["memory"])
    if "mask" in x:
        found.append(_of_one_length(x["mask"], x["memory"]))
    valid = joined(found)
    if valid is None:
        return None
    valid = pt.neq(valid, 0)
    error = DataError.about(
        "layer",
        "Attention",
        takes="a memory with one valid step or more in each row",
        got="a row that is all padding",
        do="Leave the row out, or drop the mask with DropMask().",
    )
    return backend.checked_values(valid, valid.any(axis=-1).all(), error)


def _of_one_length(mask: TensorVariable, memory: TensorVariable) -> TensorVariable:
    """The mask, checked: a single entry would count for all steps."""
    error = ShapeError.about(
        "port",
        "mask",
        takes="one entry per step of the memory",
        got="another number of entries",
        do="Read the mask of the same sequence.",
    )
    entries, steps = size(mask, 1), size(memory, 1)
    if isinstance(entries, int) and isinstance(steps, int):
        return backend.checked(mask, entries == steps, error)
    return backend.checked_values(mask, pt.eq(entries, steps), error)


def masked_softmax(
    scores: TensorVariable, valid: TensorVariable | None
) -> TensorVariable:
    """The softmax over the valid entries of each row; exactly 0 at all others."""
    if valid is None:
        return pt.special.softmax(scores, axis=-1)
    weights = pt.special.softmax(pt.switch(valid, scores, -np.inf), axis=-1)
    # Not a product: the weights of a row without a valid step are 0 / 0.
    return pt.switch(valid, weights, 0.0)
