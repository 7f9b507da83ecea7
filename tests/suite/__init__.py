"""The cases of the conformance suite, by area, and the generator of their numbers.

``python -m tests.suite FOLDER`` computes the suite again from a checkout.
"""
