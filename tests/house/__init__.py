"""Readability figures of the package, old beside new: ``python -m tests.house``."""
