"""``python -m tests.bench`` measures the container and its peers in one session.

``field`` lists who can be measured and on which networks, ``equations`` says each network once for all peers, and
``contenders`` holds the container and each peer, a module each. ``session`` starts a process for each of them, a
``worker``, and lets them run in turns; ``report`` is what comes of it, ``table``, ``plots`` and ``page`` show it.
"""
