"""Queries of the DuckDB model, as of now and as of a moment."""
