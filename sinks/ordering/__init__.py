"""Ordering of changes: registers, range tombstones, and folding."""
