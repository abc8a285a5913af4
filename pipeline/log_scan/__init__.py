"""Scan of the log and its assessment: whether a model can be rebuilt from it, and which sweeps that requires."""
