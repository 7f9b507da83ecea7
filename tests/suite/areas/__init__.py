"""The cases, area by area: importing this fills :data:`tests.suite.drafts.DRAFTS`."""

from tests.suite.areas import loops, merging, past, layers, noise, training, seq2seq  # noqa: F401, I001 (their order)
