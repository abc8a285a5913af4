"""Every PostgreSQL type with its extreme values, and their representation in each store."""
