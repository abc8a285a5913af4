"""Example of orders and order items: its tables, a generator of changes, readers, and a latency probe."""
