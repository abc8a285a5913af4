"""The pipeline on its real servers while these are killed, stopped and cut off: `make chaos`.

A cycle is a shop that is open, one to three faults, and the question of what is left of them once they are healed.
"""
