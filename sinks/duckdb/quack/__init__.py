"""Proxy in front of DuckDB's Quack server, which checks and limits readers' requests."""
