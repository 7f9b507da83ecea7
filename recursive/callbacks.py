"""What is told of each epoch while a model is fitted."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """The epochs that were run, and one list for each number that was followed: ``loss``, ``acc``, ``val_loss``...

    >>> history = History()
    >>> history.add(0, {"loss": 0.5})
    >>> history.history
    {'loss': [0.5]}
    """

    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)

    def add(self, epoch: int, logs: dict[str, float]) -> None:
        """Note the numbers of one epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)
