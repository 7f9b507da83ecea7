"""The versions of the suite."""

VERSIONS = ("1.0", "1.1")
"""The versions of the suite, each with all cases of those before it."""
VERSION = "1.0"
"""The version that runs unless another is chosen."""
DRAFTS = ("1.1",)
"""Versions that may still change."""
