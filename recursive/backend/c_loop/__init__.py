"""The loop as one C function, for any step that works row by row.

PyTensor's scan calls a compiled step once for each step. Here the step and the loop
around it are one C function. Threads divide the rows of the batch, and each runs the
whole loop for its rows::

    for each block of rows, on any thread:
        for t = 0, ..., T-1:
            z = h @ U                                    a small product
            for each row r, for each position j:
                h[r, j] = tanh(x[t, r, j] + z[r, j])     one pass over the elements

No thread waits for another, since a row never reads another row. That is also what has
to be proved before a loop may be translated. If it cannot, or if an operation has no
translation, the program is compiled with PyTensor's scan instead.

**The modules**, in the order in which a loop passes through them:

- ``linker.py`` takes the graph of a program and replaces its loops;
- ``outside.py`` removes passes over the values of all steps around them;
- ``translate.py`` turns one loop into C text, with the help of
  ``axes.py``, which axis of each value counts rows,
  ``operations.py``, the table with an entry for each operation,
  ``elementwise.py``, elementwise operations, fused,
  ``values.py`` and ``writer.py``, what a value is in C and how text is collected,
  ``kernel.py``, the product, and ``program.py``, what threads do;
- ``binary.py`` compiles the text and caches the result;
- ``op.py`` is the operation that calls it;
- ``products.py`` and ``arrays.py`` are products and elementwise operations outside of
  loops, ``threads.py`` the number of threads, ``refusal.py`` the reason against it.
"""
