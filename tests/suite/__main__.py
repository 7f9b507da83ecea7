"""``python -m tests.suite FOLDER`` computes the suite from the NumPy reference."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from tests.suite.generate import generate


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.suite", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder to write to")
    folder = parser.parse_args().folder

    count = generate(
        folder, lambda drafts: tqdm(drafts, unit="case", disable=None, file=sys.stderr)
    )
    print(f"Wrote {count} cases to {folder}.")


if __name__ == "__main__":
    main()
