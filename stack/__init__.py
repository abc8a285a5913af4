"""Local servers, as plain processes."""
