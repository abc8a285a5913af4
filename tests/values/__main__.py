"""Command that writes the page of types: `python -m tests.values`."""

from tests.values.types_page import PAGE, made

PAGE.write_text(made())
