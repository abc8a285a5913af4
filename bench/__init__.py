"""Benchmarks: `python -m bench` prints each model's speed as shares of its baselines', and fails where one is wrong."""
