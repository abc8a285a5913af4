"""DuckDB store: tables, histories, live views, and the server for readers."""
