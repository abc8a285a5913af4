"""Fixtures of all tests, and the profiles of the property tests, before pytest asks for one of them."""

import tests.support.profiles  # noqa: F401
from tests.support.servers import containers, endpoints, local_endpoints, local_stack

__all__ = ["containers", "endpoints", "local_endpoints", "local_stack"]
