"""The code of docs/proposal.md, section by section, as it stands there."""

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "proposal.md"
SECTIONS = {
    int(number): text
    for number, text in re.findall(
        r"^## (\d+)\. (.*?)(?=^## )", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
}


def code(number):
    """The one block of Python in a section."""
    [block] = re.findall(r"```python\n(.*?)```", SECTIONS[number], re.DOTALL)
    return block


def section(number):
    """What is defined once the block of a section has run."""
    names = {}
    exec(compile(code(number), f"proposal.md, section {number}", "exec"), names)
    return names
