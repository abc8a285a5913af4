"""Test of the page that lists every type with its form in each store."""

from tests.values.types_page import PAGE, made


def test_the_page_of_types_is_what_the_code_does() -> None:
    assert PAGE.read_text() == made(), "run `python -m tests.values`"
