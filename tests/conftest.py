"""What every test may ask for, and the profiles of the property tests, before pytest asks for one of them."""

import tests.examples  # noqa: F401
from tests.servers import containers, endpoints, local_endpoints, local_stack

__all__ = ["containers", "endpoints", "local_endpoints", "local_stack"]
