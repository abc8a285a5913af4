"""Tests of an export to S3, with a server of its protocol in this process."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pytest
from moto.server import ThreadedMotoServer
from packaging.requirements import Requirement

from pipeline.export import s3
from pipeline.export.export import OpenTarget
from pipeline.export.open_target import S3NotInstalled, open_target
from pipeline.export.target import ConcurrentExport, TargetUnavailable
from sinks.duckdb.serving import load_extensions
from tests.unit.pipeline.export.exported_shop import Shop

SECRET = "this-is-not-to-be-seen"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def client(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Yield a client of an empty bucket, and set the environment variables that point to it."""
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{endpoint}",
        "AWS_ACCESS_KEY_ID": "readmodels",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    made = boto3.client("s3", region_name="us-east-1")
    made.create_bucket(Bucket="lake")
    yield made
    for one in made.list_objects_v2(Bucket="lake").get("Contents", ()):
        made.delete_object(Bucket="lake", Key=one["Key"])
    made.delete_bucket(Bucket="lake")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with closing(Shop(tmp_path / "duckdb", random.Random(7))) as opened_shop:
        yield opened_shop


@pytest.fixture
def to() -> OpenTarget:
    return partial(open_target, "s3://lake/a/shop")


def read_there(endpoint: str) -> list[tuple[Any, ...]]:
    """Return the history as DuckDB reads it from the bucket."""
    with duckdb.connect() as connection:
        load_extensions(connection)
        connection.execute(
            "CREATE SECRET (TYPE s3, KEY_ID 'readmodels', SECRET 'any', REGION 'us-east-1', URL_STYLE 'path',"
            f" USE_SSL false, ENDPOINT '{endpoint}')"
        )
        connection.execute("SET VARIABLE export = 's3://lake/a/shop/orders_history'")
        [(script,)] = connection.execute(
            "SELECT content FROM read_text(getvariable('export') || '/history.sql')"
        ).fetchall()
        connection.execute(script)
        return list(connection.execute("FROM orders_history ORDER BY ALL").fetchall())


def keys(client: Any) -> set[str]:
    """Return all keys in the bucket."""
    return {one["Key"] for one in client.list_objects_v2(Bucket="lake").get("Contents", ())}


def test_duckdb_reads_there_what_the_model_holds(shop: Shop, to: OpenTarget, client: Any, endpoint: str) -> None:
    for _ in range(2):
        shop.go_on()
        shop.export(to)
    assert read_there(endpoint) == shop.held()
    manifest = json.loads(client.get_object(Bucket="lake", Key="a/shop/orders_history/manifest.json")["Body"].read())
    files = {f"a/shop/orders_history/{file['name']}" for file in manifest["files"]}
    assert keys(client) == files | {f"a/shop/orders_history/{name}" for name in ("manifest.json", "history.sql")}


def test_a_concurrent_export_is_refused_and_changes_no_manifest(shop: Shop, to: OpenTarget, client: Any) -> None:
    for _ in range(2):
        shop.go_on()
        with to("orders_history") as late:
            before = late.manifest()
            shop.export(to)
            after = late.manifest()
            with pytest.raises(ConcurrentExport):
                late.replace_manifest(b"{}", before)
            assert late.manifest() == after != before


def test_files_that_no_manifest_lists_are_removed_once_no_export_can_still_list_them(
    shop: Shop, to: OpenTarget, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = "a/shop/orders_history/day=2026-01-01/left.parquet"
    client.put_object(Bucket="lake", Key=left, Body=b"by a run that was killed")
    shop.go_on()
    assert shop.export(to)[0].removed == 0
    assert left in keys(client)
    monkeypatch.setattr(s3, "LISTED_WITHIN", timedelta(seconds=-5))
    assert shop.export(to)[0].removed == 1
    assert left not in keys(client)


def test_a_refusal_of_s3_is_reported_without_the_secret(
    shop: Shop, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.go_on()
    with pytest.raises(TargetUnavailable, match="s3://nowhere: NoSuchBucket") as refused:
        shop.export(partial(open_target, "s3://nowhere/a"))
    assert SECRET not in str(refused.value) + refused.value.remedy
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(TargetUnavailable, match="Credentials"):
        shop.export(partial(open_target, "s3://lake/a"))


def test_an_export_reaches_s3_once_the_extra_is_installed(
    shop: Shop, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.go_on()
    to = partial(open_target, "s3://lake/export")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "boto3", None)
        without.delitem(sys.modules, "pipeline.export.s3")
        with pytest.raises(S3NotInstalled, match="boto3") as refused:
            shop.export(to)
    [wanted] = re.findall(r"`pip install '([^']+)'`", refused.value.remedy)
    requirement = Requirement(wanted)
    needed = map(Requirement, requires(requirement.name) or ())
    [extra] = requirement.extras
    assert "boto3" in {one.name for one in needed if one.marker and one.marker.evaluate({"extra": extra})}
    assert len(shop.export(to)) == 1
    assert client.list_objects_v2(Bucket="lake")["KeyCount"] > 0
