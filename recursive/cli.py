"""The command line: ``recursive demo`` and ``recursive conformance``."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import recursive
from recursive.conformance import command as conformance_command
from recursive.errors import RecursiveError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in ``arguments``, or in those of the process.

    Returns:
        0 for success, 1 if a port fails a case, 2 for a user error, 130 after Ctrl-C.
    """
    started = time.time()
    chosen = _parser().parse_args(arguments)
    try:
        code = chosen.run(chosen, started)
    except RecursiveError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130  # 128 + SIGINT, as in a shell
    return code or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recursive", description=recursive.__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--version", action="version", version=f"recursive {recursive.__version__}"
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_demo(commands)
    conformance_command.add_to(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction) -> None:
    demo = commands.add_parser(
        "demo", help="train a network on a small real task, from data to pictures"
    )
    demo.add_argument(
        "task",
        nargs="?",
        choices=("digits", "addition", "text", "translate"),
        default="digits",
        help="read handwritten digits (the default), add numbers, write text, or"
        " translate dates",
    )
    demo.add_argument(
        "--quick", action="store_true", help="a slice of the data, few epochs"
    )
    demo.add_argument(
        "--backend",
        help="auto, jax, numba, c or python (default: c if there is a C++ compiler, "
        "else jax if installed, else python)",
    )
    demo.add_argument(
        "--out",
        type=Path,
        help="folder to write to (default: recursive-demo, and in it a folder for"
        " each other task)",
    )
    demo.add_argument(
        "--seed", type=int, default=1, help="of initial weights and order of rows"
    )
    demo.set_defaults(run=_run_demo)


def _run_demo(chosen: argparse.Namespace, started: float) -> None:
    folder = Path("recursive-demo")
    out = chosen.out or (folder if chosen.task == "digits" else folder / chosen.task)
    # A demo imports tensor libraries, which take seconds to load.
    demo = importlib.import_module(f"recursive.demos.{chosen.task}")
    demo.run(out, chosen.quick, chosen.backend, chosen.seed, started)


if __name__ == "__main__":
    sys.exit(main())
