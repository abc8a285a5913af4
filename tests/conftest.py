"""What every test may ask for."""

from tests.servers import containers, endpoints, local_endpoints, local_stack

__all__ = ["containers", "endpoints", "local_endpoints", "local_stack"]
