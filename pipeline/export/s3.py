"""Export target on S3, or on a server with the same protocol. Conditional writes reject a concurrent manifest.

Credentials, region and endpoint come from the usual sources of AWS tools: the environment, a profile, or the machine's
role.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.export.manifest import NAME
from pipeline.export.target import S3, ConcurrentExport, ExportTarget, ManifestVersion, TargetUnavailable

LISTED_WITHIN = timedelta(days=1)
"""Minimum age at which an unlisted file is removed. A younger one may belong to a running export."""

_MISSING = ("NoSuchKey", "404")
_NOT_THAT_ONE = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")


@dataclass(frozen=True)
class S3Target:
    """Files of one table on S3.

    Args:
        prefix: of their keys, with a slash at its end.
    """

    client: Any
    bucket: str
    prefix: str
    staging: Path

    def manifest(self) -> ManifestVersion | None:
        try:
            found = self.client.get_object(Bucket=self.bucket, Key=self.prefix + NAME)
        except ClientError as error:
            if _code(error) in _MISSING:
                return None
            raise
        return ManifestVersion(found["Body"].read(), found["ETag"])

    def publish(self, file: Path, name: str) -> None:
        self.client.upload_file(str(file), self.bucket, self.prefix + name)
        file.unlink()

    def replace_manifest(self, content: bytes, before: ManifestVersion | None) -> None:
        condition = {"IfNoneMatch": "*"} if before is None else {"IfMatch": before.tag}
        key = self.prefix + NAME
        try:
            self.client.put_object(
                Bucket=self.bucket, Key=key, Body=content, ContentType="application/json", **condition
            )
        except ClientError as error:
            if _code(error) in _NOT_THAT_ONE:
                raise ConcurrentExport(f"another process exported into {S3}{self.bucket}/{self.prefix}") from error
            raise

    def prune_files(self, names: Collection[str]) -> int:
        oldest = datetime.now(UTC) - LISTED_WITHIN
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        others = [
            one["Key"]
            for page in pages
            for one in page.get("Contents", ())
            if one["Key"].endswith(".parquet")
            and one["Key"].removeprefix(self.prefix) not in names
            and one["LastModified"] < oldest
        ]
        for key in others:
            self.client.delete_object(Bucket=self.bucket, Key=key)
        return len(others)


@contextmanager
def open_s3_target(to: str, table: str) -> Iterator[ExportTarget]:
    """Open the bucket. Unfinished files are in the machine's temporary folder."""
    name, _, prefix = to.removeprefix(S3).partition("/")
    keys = "/".join(filter(None, [prefix.strip("/"), table])) + "/"
    try:
        with TemporaryDirectory(prefix="readmodels-export-") as staging:
            yield S3Target(boto3.session.Session().client("s3"), name, keys, Path(staging))
    except ClientError as error:
        raise TargetUnavailable(f"{S3}{name}: {_code(error)}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise TargetUnavailable(f"{S3}{name}: {type(error).__name__}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
