"""Problem: one thing that an operator has to see to."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong, with the remedy.

    Args:
        subject: the part of the deployment that has it, such as "connector", "slot" or a model's name.
        problem: what is wrong, as a sentence without a full stop.
        remedy: what an operator has to do, with the exact command.
    """

    subject: str
    problem: str
    remedy: str
