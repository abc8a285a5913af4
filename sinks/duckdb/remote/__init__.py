"""DuckDB store for processes other than the writer."""
