"""Problem of a deployment that an operator has to solve."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """Problem with its remedy.

    Args:
        subject: the part of the deployment that has it, such as "connector", "slot" or a model's name.
        problem: a sentence without a full stop.
        remedy: the operator's action, with the exact command.
    """

    subject: str
    problem: str
    remedy: str
