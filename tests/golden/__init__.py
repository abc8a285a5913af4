"""Change records as a real connector wrote them, and what they must be read as, in PostgreSQL's own words."""
