"""Tests of the sources of settings, of refused settings, and of the display of secret ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from connectors.kafka import KafkaSettings
from pipeline.config import MASK, DecimalMode, Settings, ValueFormat, load, mask_secrets, to_plain
from pipeline.invalid_config import InvalidConfig
from pipeline.service_addresses import RedisSettings
from tests.support.checkout import CHECKOUT

SHIPPED = CHECKOUT / "readmodels.toml"
LOCAL: dict[str, Any] = {
    "source": {
        "url": "postgresql://shop:hidden1@127.0.0.1/orders_db",
        "admin_url": "postgresql://admin:hidden2@127.0.0.1/orders_db",
        "replication_password": "hidden3",
    },
    "kafka": {"bootstrap_servers": "defaults:9092"},
    "connect": {"url": "http://127.0.0.1:8083"},
    "schema_registry": {"url": "http://key:hidden4@127.0.0.1:8081"},
    "elasticsearch": {"url": "http://elastic:hidden5@127.0.0.1:9200"},
    "redis": {"url": "redis://:hidden6@127.0.0.1:6379/0"},
    "duckdb": {"token": "hidden7"},
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings of the machine that runs the tests."""
    for name in list(os.environ):
        if name.startswith("READMODELS_"):
            monkeypatch.delenv(name)


def written(directory: Path, more: str) -> Path:
    """Write the shipped definitions, with `more` at the end."""
    file = directory / "readmodels.toml"
    file.write_text(SHIPPED.read_text() + "\n" + more)
    return file


def servers(settings: Settings) -> str:
    return settings.kafka.bootstrap_servers


def test_flags_come_before_the_environment_the_file_and_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert servers(load(SHIPPED, LOCAL)) == "defaults:9092"
    file = written(tmp_path, '[kafka]\nbootstrap_servers = "file:9092"\n')
    assert servers(load(file, LOCAL)) == "file:9092"
    monkeypatch.setenv("READMODELS_KAFKA__BOOTSTRAP_SERVERS", "environment:9092")
    assert servers(load(file, LOCAL)) == "environment:9092"
    assert servers(load(file, LOCAL, {"kafka": {"bootstrap_servers": "flags:9092"}})) == "flags:9092"


def test_a_section_may_come_from_several_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, '[kafka.client]\n"security.protocol" = "SSL"\n[envelopes]\nformat = "json"\n')
    monkeypatch.setenv("READMODELS_KAFKA", '{"client": {"sasl.username": "orders"}}')
    monkeypatch.setenv("READMODELS_ENVELOPES__DECIMALS", "double")
    settings = load(file, LOCAL, {"batches": {"max_records": 7}})
    assert servers(settings) == "defaults:9092"
    assert settings.kafka.client == {"security.protocol": "SSL", "sasl.username": "orders"}
    assert (settings.envelopes.format, settings.envelopes.decimals) == (ValueFormat.JSON, DecimalMode.DOUBLE)
    assert settings.batches.max_records == 7


def test_an_excluded_column_stays_excluded_beside_a_list_of_the_users(tmp_path: Path) -> None:
    more = (
        '[tables.people]\nsource = "public.people"\nkey = ["id"]\nexclude = ["pass-word"]\n'
        '[tables.people.columns]\nid = "bigint"\n'
        '[envelopes.connector]\n"column.exclude.list" = "public.orders.note"\n'
    )
    connector = load(written(tmp_path, more), LOCAL).connector
    assert not connector.captures_column("public.people", "pass-word")
    assert not connector.captures_column("public.orders", "note")
    assert connector.captures_column("public.people", "id")


def test_the_shipped_definitions_are_orders_and_their_items() -> None:
    definitions = load(SHIPPED, LOCAL).definitions
    assert definitions.topics == {"cdc.public.orders": "orders", "cdc.public.order_items": "order_items"}
    assert [shape.name for shape in definitions.document_shapes()] == ["orders"]


def test_a_file_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"there is no .*elsewhere.toml") as refused:
        load(tmp_path / "elsewhere.toml", LOCAL)
    assert "elsewhere.toml" in refused.value.remedy


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"readmodels.toml cannot be read"):
        load(written(tmp_path, "[kafka"), LOCAL)


def test_missing_settings_are_all_named_at_once() -> None:
    with pytest.raises(InvalidConfig) as refused:
        load(SHIPPED, {"kafka": {"bootstrap_servers": "here:9092"}, "source": {"url": "postgresql://u:hidden@h/db"}})
    for name in ("source.replication_password", "connect", "elasticsearch", "redis"):
        assert f"{name}: " in str(refused.value)
    assert "hidden" not in str(refused.value)
    assert "kafka" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("READMODELS_KAFKA__BOOTSTRAP_SERVER", "hidden", "kafka.bootstrap_server: "),
        ("READMODELS_BATCHES__MAX_RECORDS", "hidden", "batches.max_records: "),
        ("READMODELS_BATCHES__MAX_RECORDS", "0", "batches: .*above zero"),
        ("READMODELS_DUCKDB__COPY_MODE", "everybody", "duckdb: .*copy_mode is 'everybody'"),
        ("READMODELS_DUCKDB__COPY_MODE", "0440", "duckdb: .*copy_mode is '0440'"),
        ("READMODELS_ENVELOPES__FORMAT", "hidden", "envelopes.format: .*'avro' or 'json'"),
        ("READMODELS_SOURCE", "{hidden", 'the environment: .*"source"'),
        ("READMODELS_TABLES__ORDERS__KEY", '["hidden"]', "tables.orders: .*not among its columns"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidConfig, match=named):
        load(SHIPPED, LOCAL)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("[kafak]\nbootstrap_servers = 'hidden'", "kafak: "),
        ("[kafka]\nbootstrap_server = 'hidden'", "kafka.bootstrap_server: "),
        ("[redis]\nurl = 'hidden'\npasword = 'hidden'", "redis.pasword: "),
        ("[source]\nreplication_password = ['hidden']", "source.replication_password: "),
        ("[elasticsearch]\nrequest_timeout_s = 'hidden'", "elasticsearch.request_timeout_s: "),
    ],
)
def test_an_unknown_or_wrong_key_of_the_file_is_named_and_its_value_is_not(
    more: str, named: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidConfig, match=named) as refused:
        load(written(tmp_path, more), LOCAL)
    assert "hidden" not in str(refused.value)


def test_no_secret_is_shown_unless_it_is_asked_for() -> None:
    flags = {
        "kafka": {
            "bootstrap_servers": "h:9092",
            "client": {
                "sasl.password": "hidden8",
                "ssl.key.pem": "hidden9",
                "sasl.oauthbearer.config": "hidden10",
                "sasl.username": "orders",
            },
        },
        "envelopes": {
            "connector": {
                "database.password": "hidden11",
                "value.converter.basic.auth.user.info": "user:hidden12",
                "schema.history.sasl.jaas.config": 'x required username="u" password="hidden13";',
                "heartbeat.interval.ms": "1000",
            }
        },
    }
    settings = load(SHIPPED, LOCAL, flags)
    text = json.dumps(to_plain(settings, is_secret_shown=False))
    assert "hidden" not in text
    assert "hidden" not in repr(settings)
    for plain in ("shop:" + MASK, "orders", "h:9092", "1000"):
        assert plain in text
    asked_for = json.dumps(to_plain(settings, is_secret_shown=True))
    assert all(f"hidden{number}" in asked_for for number in range(1, 14))
    assert MASK not in asked_for


def test_printed_settings_can_be_loaded_again() -> None:
    plain = to_plain(load(SHIPPED, LOCAL), is_secret_shown=True)
    assert to_plain(load(SHIPPED, {}, json.loads(json.dumps(plain))), is_secret_shown=True) == plain


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:hidden@h:5432/db", f"postgresql://u:{MASK}@h:5432/db"),
        (
            "postgresql://u:hid%40den@h1:1,h2:2/db?sslmode=require",
            f"postgresql://u:{MASK}@h1:1,h2:2/db?sslmode=require",
        ),
        (
            "postgresql:///db?user=u&password=hidden&sslmode=require",
            f"postgresql:///db?user=u&password={MASK}&sslmode=require",
        ),
        ("postgresql://u@h/db?sslpassword=hidden", f"postgresql://u@h/db?sslpassword={MASK}"),
        ("host=h password=hidden user=u", f"host=h password={MASK} user=u"),
        ("host=h password = 'hid den\\' hidden' user=u", f"host=h password = {MASK} user=u"),
        ("redis://:hidden@h:6379/0", f"redis://:{MASK}@h:6379/0"),
        ("redis://:hid@hidden@h:6379/0", f"redis://:{MASK}@h:6379/0"),
        ("rediss://u:hid/hidden?#@h", f"rediss://u:{MASK}@h"),
        ("redis://h:6379?password=hidden", f"redis://h:6379?password={MASK}"),
        ("http://u:hidden@a:1,http://u:hidden@b:1", f"http://u:{MASK}@a:1,http://u:{MASK}@b:1"),
        ("https://h:9200/?api_key=hidden", f"https://h:9200/?api_key={MASK}"),
        ("quack:127.0.0.1:9494", "quack:127.0.0.1:9494"),
        ("http://h:9200/path", "http://h:9200/path"),
        ("kafka1:9092,kafka2:9092", "kafka1:9092,kafka2:9092"),
    ],
)
def test_a_password_is_masked_wherever_a_url_holds_it(url: str, expected: str) -> None:
    assert mask_secrets(url) == expected


@pytest.mark.parametrize(
    "url", ["redis://:hidden@h:1/5", "rediss://h:1/1", "redis://h:1?db=3", "unix:///run/r.sock?db=2"]
)
def test_a_redis_database_other_than_0_is_refused_and_not_passed_over(url: str) -> None:
    with pytest.raises(ValueError, match="the URL names database") as caught:
        RedisSettings(url=url)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://h:1/0", "redis://h:1", "rediss://u:p@h:1/0", "unix:///run/redis.sock"])
def test_a_redis_server_is_named_by_any_url_of_its_database_0(url: str) -> None:
    assert RedisSettings(url=url).url == url


def test_a_redis_url_of_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="must begin with redis://"):
        RedisSettings(url="http://h:1/0")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("one:9092,two:9093", "one:9092,two:9093"),
        (" one:9092 ,\ttwo:9093\n", "one:9092,two:9093"),
        ("SASL_SSL://one:9092, [::1]:9093", "SASL_SSL://one:9092,[::1]:9093"),
        ("one", "one"),
    ],
)
def test_a_list_of_brokers_may_have_spaces(given: str, used: str) -> None:
    assert KafkaSettings(bootstrap_servers=given).with_client()["bootstrap.servers"] == used


@pytest.mark.parametrize(
    "given", ["", "one:9092,", "http://one:9092/", "one:9092;two:9092", "one:port", "one two:9092"]
)
def test_a_malformed_list_of_brokers_is_refused(given: str) -> None:
    with pytest.raises(InvalidConfig, match=r"kafka: .* is no broker"):
        load(SHIPPED, {**LOCAL, "kafka": {"bootstrap_servers": given}})


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("127.0.0.1:9200", "must begin with http"),
        ("https://search.example/base", "add :9200, or :443"),
        ("http://elastic:hidden5@127.0.0.1:port", "port is not a number"),
        ("http://127.0.0.1:9200/base?pretty", "accepts no parameters"),
    ],
)
def test_an_address_of_elasticsearch_that_its_client_cannot_use_is_refused(url: str, problem: str) -> None:
    with pytest.raises(InvalidConfig, match=problem) as refused:
        load(SHIPPED, {**LOCAL, "elasticsearch": {"url": url}})
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://shop:hidden1@127.0.0.1/orders_db?sslmod=require", "'sslmod', which libpq does not know"),
        ("host=127.0.0.1 dbnam=orders_db password=hidden1", "'dbnam', which libpq does not know"),
        ("postgresql://shop:hidden1%zz@127.0.0.1/orders_db", "is no libpq URL"),
        ("postgresql://shop:hidden1@hidden1@127.0.0.1/orders_db", "%40 stands for @"),
        ("hidden1", "is no libpq URL"),
    ],
)
def test_a_url_that_libpq_cannot_read_is_refused_without_its_password(url: str, problem: str) -> None:
    for name in ("url", "admin_url"):
        with pytest.raises(InvalidConfig, match=f"source: .*{name} .*{problem}") as refused:
            load(SHIPPED, {**LOCAL, "source": {**LOCAL["source"], name: url}})
        assert "hidden" not in str(refused.value)
