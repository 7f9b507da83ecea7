"""The cases, area by area: importing this fills :data:`tests.suite.drafts.DRAFTS`."""

from tests.suite.areas import loops, merging, past, layers, noise, training  # noqa: F401, I001 (their order)
