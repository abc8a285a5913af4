"""The pipeline on real servers that are killed, stopped and cut off: `make chaos`.

A cycle is an open shop, one to three faults, and a comparison once the faults are healed.
"""
