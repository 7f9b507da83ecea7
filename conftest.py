"""A peer of the bench whose library is not installed cannot be looked into for examples."""

from recursive.bench.field import CONTENDERS

collect_ignore = [f"recursive/bench/contenders/{contender.module}.py" for contender in CONTENDERS
                  if contender.backend is None and contender.missing]
