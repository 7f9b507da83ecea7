"""The command line: ``recursive demo`` and ``recursive conformance``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import recursive
from recursive.errors import RecursiveError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in ``arguments`` (or of the process); 0 where it went well, 1 where a port
    fails a case, 2 where the user can mend it."""
    started = time.time()
    chosen = _parser().parse_args(arguments)
    try:
        code = chosen.run(chosen, started)
    except RecursiveError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    return code or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="recursive", description=recursive.__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"recursive {recursive.__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    demo = commands.add_parser("demo", help="train the thread's vanilla RNN on handwritten digits")
    demo.add_argument("--quick", action="store_true", help="a slice of the data, few epochs")
    demo.add_argument("--backend", help="auto, jax, numba, c or python (default: jax if installed, else python)")
    demo.add_argument("--out", type=Path, default=Path("recursive-demo"), help="folder to write to")
    demo.add_argument("--seed", type=int, default=1, help="of first weights and order of rows")
    demo.set_defaults(run=_demo)
    _add_conformance(commands)
    return parser


def _demo(chosen: argparse.Namespace, started: float) -> None:
    from recursive.demos import digits

    digits.run(chosen.out, chosen.quick, chosen.backend, chosen.seed, started)


def _add_conformance(commands: argparse._SubParsersAction) -> None:
    from recursive.conformance import command

    command.add_to(commands)


if __name__ == "__main__":
    sys.exit(main())
