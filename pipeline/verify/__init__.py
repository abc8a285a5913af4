"""Comparison of every row and document of the read models with PostgreSQL at one watermark, during writes."""
