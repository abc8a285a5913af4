"""Benchmarks: `python -m bench` prints each model's speed as shares of its baselines', and fails if one is wrong."""
