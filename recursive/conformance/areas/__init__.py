"""The cases, area by area: importing this fills :data:`recursive.conformance.drafts.DRAFTS`."""

from recursive.conformance.areas import loops, merging, past, layers, noise, training  # noqa: F401, I001 (their order)
