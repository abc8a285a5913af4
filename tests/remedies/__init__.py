"""All remedies that the product can print, the register with the proof of each, and the page made of both.

A remedy that is printed and not registered fails `tests/unit/project/test_remedies.py`. To register one, add an entry
to `entries.py`, then write the page: `python -m tests.remedies`.
"""
