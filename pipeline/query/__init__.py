"""Queries of the DuckDB model: its current state, or its state at a past moment."""
