"""``python -m tests.bench``, from a checkout: measure, then show and write."""

import argparse
import sys

from recursive.errors import RecursiveError
from tests.bench import command


def main(arguments: list[str] | None = None) -> int:
    """Run the bench; 2 for what the user can correct, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Time the container next to what people would use instead.",
    )
    command.add_options(parser)
    try:
        command.run(parser.parse_args(arguments))
    except RecursiveError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
