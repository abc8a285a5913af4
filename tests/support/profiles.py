"""Numbers of examples for the property tests: the same few thousand on every run, or many new ones each night.

`pytest tests/unit --hypothesis-profile nightly --timeout 0` runs the nightly profile: 200,000 examples of the state
machine that interleaves everything (`test_machine.py`), and as many of all the other tests together.
"""

from __future__ import annotations

from hypothesis import settings

for every_day in ("default", "ci"):
    settings.register_profile(every_day, max_examples=100, derandomize=True, database=None, deadline=None)
settings.register_profile("nightly", max_examples=4_000, derandomize=False, deadline=None, print_blob=True)


def times(factor: int) -> settings:
    """Return settings with `factor` times the examples of the active profile."""
    return settings(max_examples=factor * settings().max_examples)
