"""Benchmarks: each prints ratios against its baseline, and fails where a limit is missed."""
