"""Every type of PostgreSQL with its extreme values, and how each store shows them."""
