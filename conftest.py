"""What needs a library that is not installed, a peer of the bench or a port, cannot be looked into for examples."""

from importlib.util import find_spec

from recursive.bench.field import CONTENDERS

collect_ignore = [f"recursive/bench/contenders/{contender.module}.py" for contender in CONTENDERS
                  if contender.backend is None and contender.missing]
collect_ignore += [f"recursive/conformance/adapters/{library}.py" for library in ("torch", "jax", "keras")
                   if find_spec(library) is None]
