"""Change records as a real connector wrote them, and their expected decoded values according to PostgreSQL."""
