"""DuckDB: its description, its writer process and the copies that this process publishes."""
