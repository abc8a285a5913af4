"""Rows of PostgreSQL, as each read model must show them."""
