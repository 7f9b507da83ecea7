"""The page for a port's author: its adapter runs as it stands there, and is as short as it says."""

import re
from pathlib import Path

from recursive.conformance import runner
from recursive.conformance.needs import CAPABILITIES
from recursive.conformance.suite import Suite

PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"
CODE = re.search(r"```python\n# my_port.py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[1]


def test_the_adapter_on_the_page_passes_what_it_covers_in_under_sixty_lines():
    room = {}
    exec(compile(CODE, "my_port.py", "exec"), room)
    suite = Suite()
    outcomes = list(runner.run(room["Adapter"](), suite, suite.ids()))
    assert runner.good(outcomes)
    assert sum(outcome.status == "passed" for outcome in outcomes) >= 60
    assert len(CODE.splitlines()) < 60


def test_the_page_explains_every_capability():
    words = PAGE.read_text(encoding="utf-8")
    assert [name for name, meaning in CAPABILITIES.items() if f"| `{name}` | {meaning} |" not in words] == []
