"""A plan as tensors: one step, the scan that repeats it, and what surrounds the scan.

``step.py`` builds the function that scan repeats; ``nodes.py`` runs the nodes in it.
``run.py`` runs a whole plan: hoisted nodes before the loop, the loop, deferred nodes
after it. ``scanned.py`` and ``masked.py`` are the loop without and with masked steps.
The package calls layers, but imports none.
"""
