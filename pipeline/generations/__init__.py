"""Generations of a read model: rebuild beside the live one, verification, cutover and rollback."""
