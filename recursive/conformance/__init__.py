"""Cases that check any implementation of a ``GraphSpec``, and the runner for them.

There are two sets of files:

- ``v1.0/`` is the suite for ports, which ``recursive conformance run`` runs. See
  :mod:`recursive.conformance.suite`.
- ``cases/legacy2015/<group>/<id>/`` holds the numbers that the original code of 2015
  computed. ``case.json`` says what ran, by which code, and the tolerance;
  ``arrays.safetensors`` holds the numbers; ``cases/MANIFEST.json`` lists every file
  with its sha256. A case with ``"judged": false`` records where the original was wrong.
  It never passes or fails. See :mod:`recursive.conformance.case`.
"""
