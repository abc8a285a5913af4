"""Types of PostgreSQL and Kafka Connect, and the conversion of their values."""
