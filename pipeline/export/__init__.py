"""Export of DuckDB's tables as Parquet files, partitioned by day, to a folder or S3."""
