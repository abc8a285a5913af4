"""Fuzz test of the check of readers' queries: queries from DuckDB's own list of functions, sent to a real server.

After every batch an oracle compares the server's files, settings, tables and locks with those before. To run it for
longer than the tests do: `python -m tests.fuzz_readers --minutes 60`.
"""
