"""Registers the profiles of the property tests, before pytest asks for one of them."""

import tests.unit.examples  # noqa: F401
