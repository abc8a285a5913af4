"""DuckDB store for processes other than the one that holds its files."""
