"""Tests of the connector's configuration: the shipped one is safe, and an unsafe one is refused by name."""

import pytest

from connectors.debezium import (
    FORBIDDEN_SETTINGS,
    REQUIRED_SETTINGS,
    WATERMARK_PREFIX,
    ConfigurationRefused,
    ConnectorConfiguration,
    default_configuration,
)
from connectors.source_session import LATER_SETTINGS, OPTIONS

SHIPPED = default_configuration()


def refusal_of(configuration: ConnectorConfiguration) -> str:
    with pytest.raises(ConfigurationRefused) as refused:
        configuration.validate()
    return str(refused.value)


def test_the_shipped_configuration_is_safe() -> None:
    SHIPPED.validate()


def test_the_shipped_configuration_names_what_the_workers_read() -> None:
    assert SHIPPED.name == "postgres-orders-cdc"
    assert SHIPPED.tables == ("public.orders", "public.order_items")
    assert SHIPPED.table_topics == ("cdc.public.orders", "cdc.public.order_items")
    assert SHIPPED.message_topic == "cdc.message"
    assert SHIPPED.service_topics == (
        "cdc.message",
        "__debezium-heartbeat.cdc",
        "cdc.readmodels.signal",
        "cdc.notification",
    )
    assert (SHIPPED.slot, SHIPPED.publication) == ("debezium_orders", "readmodels")


def test_the_shipped_configuration_takes_every_place_and_secret_from_the_environment() -> None:
    places = {key for key in SHIPPED.settings if key.startswith("database.") or key.endswith(".url")}
    assert len(places) == 6
    for key in places:
        assert SHIPPED.settings[key].startswith("${env:READMODELS_CONNECTOR_")


def test_only_watermarks_are_sent_of_the_messages_in_the_wal() -> None:
    assert SHIPPED.settings["message.prefix.include.list"] == WATERMARK_PREFIX


def test_every_setting_is_text_as_kafka_connect_wants_it() -> None:
    assert {type(value) for value in SHIPPED.settings.values()} == {str}


@pytest.mark.parametrize("key", REQUIRED_SETTINGS)
def test_a_pinned_setting_with_another_value_is_refused(key: str) -> None:
    message = refusal_of(SHIPPED.with_settings({key: "another"}))
    assert key in message
    assert REQUIRED_SETTINGS[key][1] in message


@pytest.mark.parametrize("key", REQUIRED_SETTINGS)
def test_a_pinned_setting_that_is_missing_is_refused(key: str) -> None:
    settings = {other: value for other, value in SHIPPED.settings.items() if other != key}
    assert key in refusal_of(ConnectorConfiguration(SHIPPED.name, settings))


@pytest.mark.parametrize("key", FORBIDDEN_SETTINGS)
def test_a_setting_that_breaks_identity_is_refused(key: str) -> None:
    assert key in refusal_of(SHIPPED.with_settings({key: "public.order_items:order_id"}))


def test_doubles_are_refused_unless_they_are_asked_for() -> None:
    doubles = SHIPPED.with_settings({"decimal.handling.mode": "double"})
    assert "lose cents" in refusal_of(doubles)
    doubles.validate(is_double_accepted=True)


def test_precise_decimals_are_refused_in_json_without_schemas() -> None:
    precise = SHIPPED.with_settings({"decimal.handling.mode": "precise"})
    precise.validate()
    assert "scale" in refusal_of(precise.with_json_values())


def test_a_connector_without_heartbeat_is_refused() -> None:
    assert "heartbeat.interval.ms" in refusal_of(SHIPPED.with_settings({"heartbeat.interval.ms": "0"}))


def test_json_values_need_no_schema_registry() -> None:
    configuration = SHIPPED.with_json_values()
    configuration.validate()
    assert configuration.has_json_values
    assert not any("registry" in key.lower() for key in configuration.settings)
    assert configuration.settings["value.converter.replace.null.with.default"] == "false"


def test_a_configuration_is_printed_without_its_settings() -> None:
    assert "canary" not in repr(SHIPPED.with_settings({"database.password": "canary"}))


def test_an_excluded_column_is_not_captured() -> None:
    configuration = SHIPPED.with_settings({"column.exclude.list": r"public\.orders\.note, public.order_items.sku"})
    assert not configuration.captures_column("public.orders", "note")
    assert not configuration.captures_column("public.order_items", "sku")
    assert configuration.captures_column("public.orders", "notes")


def test_a_connector_whose_sessions_take_the_settings_of_the_database_is_refused() -> None:
    assert SHIPPED.settings["driver.options"] == OPTIONS[0]
    assert "driver.options" in refusal_of(SHIPPED.with_settings({"driver.options": "-c statement_timeout=0"}))
    for options in OPTIONS:
        SHIPPED.with_settings({"driver.options": options}).validate()


@pytest.mark.parametrize(("version", "unknown"), [(18, set()), (16, {"transaction_timeout"}), (13, {*LATER_SETTINGS})])
def test_a_server_is_not_given_settings_that_it_does_not_know(version: int, unknown: set[str]) -> None:
    fitted = SHIPPED.for_server(version)
    assert {name for name in LATER_SETTINGS if name not in fitted.settings["driver.options"]} == unknown
    fitted.validate()
