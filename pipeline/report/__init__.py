"""What the views of `sql/analytics` answer, as one page that needs nothing beside it."""
