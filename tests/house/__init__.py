"""Readability figures of the package, old next to new: ``python -m tests.house``."""
