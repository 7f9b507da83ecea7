"""A scan with its own reverse pass.

:func:`recursive.scan.op.scan` takes the arguments of ``backend.scan`` and returns the
same values. Only its gradient is computed differently. The package knows steps and
tensors, but no layers and no declarations.

**The loop.** Step ``t`` reads a slice of each sequence, the past of each state, and
values that are constant over time: parameters and contexts. It returns the next value
of each state::

    h_t = f(x_t, h_{t-1}; W, U, b)      for example   h_t = tanh(z_t)
                                                      z_t = x_t W + h_{t-1} U + b

Values have a row for each sequence of the batch, so ``h_t`` is ``(batch, dim)``. Over
time they are ``(time, batch, dim)``.

**The delta recursion.** The loss ``L`` depends on ``h_t`` in two ways: directly, by
what is computed from the outputs after the loop, and through the next step. Write
``g_t`` for the direct part of its gradient, and ``c_t`` for the gradient that step
``t+1`` sends back to ``h_t``::

    delta_t = dL/dh_t = g_t + c_t
    c_{t-1} = delta_t . dh_t/dh_{t-1}    = (delta_t * (1 - h_t**2)) U.T

The last step has no next one, so ``c_T = 0``, and the recursion runs backwards. The
right-hand side is the vector-Jacobian product of one step: it takes the gradient with
respect to the results of a step to the gradient with respect to all that the step reads
(``vjp.py``). ``U.T`` is the transpose of ``U``. A state that is read several steps back
has a ``c`` for each of these taps.

**What stays in the loop.** Only ``c`` waits for another step. The rest is computed for
all steps at once after the backward loop, from ``dz_t = delta_t * (1 - h_t**2)``::

    dL/dx_t = dz_t W.T                   one product over (time * batch) rows
    dL/dU   = sum_t h_{t-1}.T dz_t       one product over (time * batch) rows
    dL/db   = sum_t dz_t                 a sum over time and batch

PyTensor's own gradient repeats each step in the backward loop, products included, and
adds to ``dL/dU`` there. These are three products per step: ``h_{t-1} U`` again,
``dz_t U.T`` and ``h_{t-1}.T dz_t``. Here there is one, ``dz_t U.T``.

**What is stored.** The backward loop reads values of the forward steps, such as the
gates of an LSTM. Computing them again would repeat the products, so the forward loop
also returns these values over time. Values that cheap operations give from
stored ones, such as ``1 - h_t**2``, are computed again (``partition.py``).

**The modules.** ``step_graph.py`` calls the step on placeholders and finds its products
with weights. ``vjp.py`` differentiates that graph; ``constant_sizes.py`` checks that
its values can be stored. ``partition.py`` decides what is stored, what stays in the
backward loop and what comes after it. ``backward.py`` runs the backward loop and the
products after it. ``op.py`` makes all this the gradient of an operation.
"""
