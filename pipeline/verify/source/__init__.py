"""Reader of PostgreSQL's rows in the form that each read model must show."""
