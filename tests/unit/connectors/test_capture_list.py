"""Tests of the lists of captured names: each entry matches its own name and no other."""

import re

import pytest

from connectors.capture_list import format_name_list, name_pattern, parse_name_list, topic_of

NAMES = (
    "public.orders",
    "public.Orders",
    "sales.order$items",
    "sales.a,b",
    "sales.a\\b",
    "vertrieb.größe",
    "s.a+(b)|c",
)


def test_a_list_is_parsed_to_the_names_of_which_it_was_made() -> None:
    assert parse_name_list(format_name_list(NAMES)) == NAMES


def test_a_list_of_plain_names_is_parsed_too() -> None:
    assert parse_name_list("public.orders, public.order_items") == ("public.orders", "public.order_items")


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_matches_its_own_name_only_although_case_is_ignored_elsewhere(name: str) -> None:
    pattern = re.compile(name_pattern(name), re.IGNORECASE)
    assert [other for other in (*NAMES, "publicxorders") if pattern.fullmatch(other)] == [name]


def test_a_topic_has_an_underscore_where_kafka_allows_no_character() -> None:
    assert topic_of("cdc", "sales.order$items") == "cdc.sales.order_items"
