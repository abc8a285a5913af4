"""Current rate of faults, and the faults of the simulation so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random


@dataclass
class Weather:
    """Switch and rate of the faults.

    Args:
        lots: the random generator.
        severity: factor for the usual frequency of faults.
    """

    lots: Random
    severity: float = 1.0
    is_stormy: bool = False
    struck: Counter[str] = field(default_factory=Counter)

    def strikes(self, fault: str, probability: float) -> bool:
        """Return whether a fault happens now."""
        if not self.is_stormy or self.lots.random() >= probability * self.severity:
            return False
        self.struck[fault] += 1
        return True
