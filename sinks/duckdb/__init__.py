"""DuckDB store: tables, histories, live views, and serving of readers."""
