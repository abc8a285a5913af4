"""What the log holds, and what that says: whether a model can be built from it, and what must be swept."""
