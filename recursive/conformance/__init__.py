"""Cases that any implementation can be checked against: architectures, arrays, and where the numbers come from.

``cases/legacy2015/<group>/<id>/`` holds what the original code of 2015 computed: ``case.json`` says what was run, by
which code and how closely it must be met, ``arrays.safetensors`` holds the numbers. ``cases/MANIFEST.json`` lists every
file with its sha256. A case with ``"judged": false`` records what the original did where it was wrong: it is never a
pass or a fail.
"""
