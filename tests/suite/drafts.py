"""A case before it has numbers: a declaration, how it is called, and why it exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.suite.declare import Net

PROPOSAL = "keras issue 620 (Santana, 2015)"
ELANMART = "keras issue 620 (elanmart, 2015)"
HOUSE = "recursive"


@dataclass(frozen=True)
class Draft:
    """The declaration of a case, from which the generator computes its numbers.

    Args:
        given: arrays that are not drawn at random, by their names in the file; lists will do.
        hand: values that were worked out on paper, which the interpreter must meet before anything is written.
        training: optimizer and loss of ten steps.
        lag: the lag of each given state.
        version: the version of the suite that adds the case.
        absent: the inputs that are not given, since the run does not train.
        refused: the class of the error that the run must raise.
    """

    id: str
    area: str
    why: str
    net: Net
    source: str = HOUSE
    tier: str | None = None
    batches: int = 1
    train: bool = False
    dtype: str = "float64"
    given: Mapping[str, object] = field(default_factory=dict)
    hand: Mapping[str, object] = field(default_factory=dict)
    training: Mapping[str, object] | None = None
    gradients: bool = True
    rows: int = 3
    version: str = "1.0"
    absent: tuple[str, ...] = ()
    refused: str | None = None


DRAFTS: list[Draft] = []
"""Every case, in the order in which the areas were imported."""


class Area:
    """Declares cases of one area: ``@area("Why it exists.")`` over a function of a Net.

    >>> area = Area("example")
    >>> area("It is empty.")(Net).id
    'example/net'
    """

    def __init__(self, name: str, version: str = "1.0"):
        self.name = name
        self.version = version

    def __call__(
        self, why: str, **options: object
    ) -> Callable[[Callable[[], Net]], Draft]:
        def put(build: Callable[[], Net]) -> Draft:
            return self.add(
                build.__name__.strip("_").lower().replace("_", "-"),
                why,
                build(),
                **options,
            )

        return put

    def add(self, name: str, why: str, net: Net, **options: object) -> Draft:
        """One case by its name."""
        draft = Draft(
            f"{self.name}/{name}",
            self.name,
            why,
            net,
            version=self.version,
            **options,
        )
        if self.name != "example":
            DRAFTS.append(draft)
        return draft
