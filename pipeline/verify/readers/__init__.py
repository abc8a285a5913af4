"""Readers of the read models, one module per store."""
