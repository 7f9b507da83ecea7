"""The conformance suite written: cases declared by area, computed by the NumPy reference.

``python -m tests.suite FOLDER`` computes the suite again from a checkout.
"""
