"""How many examples the property tests try: the same few thousand on every run, or many new ones each night.

`pytest tests/unit --hypothesis-profile nightly --timeout 0` is the second: 200,000 of the machine in which everything
interleaves (`test_machine.py`), and as many of all the others.
"""

from __future__ import annotations

from hypothesis import settings

for every_day in ("default", "ci"):
    settings.register_profile(every_day, max_examples=100, derandomize=True, database=None, deadline=None)
settings.register_profile("nightly", max_examples=4_000, derandomize=False, deadline=None, print_blob=True)


def times(factor: int) -> settings:
    """Settings for a test that tries so many times the examples of the profile in force."""
    return settings(max_examples=factor * settings().max_examples)
