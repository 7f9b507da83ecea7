"""The container and its peers: a module each, loaded in a process of its own.

Each has a class ``Runner(network, sizes, weights, backend)`` with ``forward(x)``, the output at the last step as an
array ``(batch, dim)``; ``train(x, y)``, one step of SGD on the mean squared error, which gives back the loss before it
as a number; and ``weights()``, the container's parameters as they are now. ``x`` and ``y`` are NumPy arrays.
"""
