"""The tables of DuckDB as Parquet files, a day each, in a folder or on S3."""
