"""How bad things are at the moment, and what has befallen the simulated world so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random


@dataclass
class Weather:
    """Whether faults happen, and how often.

    Args:
        lots: draws them.
        severity: by what their usual frequency is multiplied.
    """

    lots: Random
    severity: float = 1.0
    is_stormy: bool = False
    struck: Counter[str] = field(default_factory=Counter)

    def strikes(self, fault: str, probability: float) -> bool:
        """Whether a fault happens here and now."""
        if not self.is_stormy or self.lots.random() >= probability * self.severity:
            return False
        self.struck[fault] += 1
        return True
