"""Epochs of the log: their fingerprint, the detection of their end, and the opening of another one."""
