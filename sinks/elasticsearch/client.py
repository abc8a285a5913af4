"""HTTP client of the Elasticsearch sink: bodies and answers are bytes, failures are sink errors.

Bytes preserve numbers such as 1e400 or 0.1000000000000000055. A parser that produces floats would change them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import msgspec
from elastic_transport import JsonSerializer, TransportError
from elasticsearch import ApiError, Elasticsearch

from sinks.elasticsearch.errors import IndexClosed
from sinks.errors import (
    GenerationMissing,
    MutationRejected,
    SinkError,
    StoreBlocked,
    StoreUnavailable,
)

T = TypeVar("T")

_JSON = "application/json"
_TOO_MANY = 429
_LONGEST_REQUEST_BYTES = 100 * 2**20
"""Elasticsearch's default, used if the user may not read the setting of the nodes."""

_NOT_THERE = "index_not_found_exception"
_CLOSED = "index_closed_exception"
_OF_MEMORY = frozenset({"es_rejected_execution_exception", "circuit_breaking_exception"})
TOO_LONG = "content_too_long_exception"
_SIZES = re.compile(r"operation_bytes=(\d+), max_\w+=(\d+)")
_WITHOUT_VALUES = re.compile(
    r"number of nested documents has exceeded the allowed limit of \[\d+\]"
    r"|Limit of total fields \[\d+\] has been exceeded"
    r"|immense term in field=\"[^\"]*\""
    r"|[Ss]tring value length \(\d+\) exceeds the maximum allowed"
)
_BLOCKED_INDEX = re.compile(r"index \[([^\]]*)\] blocked by")
_FIELD = re.compile(r"failed to parse field \[([^\]]*)\]|dynamic introduction of \[([^\]]*)\]")


class _Unparsed(JsonSerializer):
    def loads(self, data: bytes) -> bytes:
        return data


def connect(url: str, *, request_timeout_s: float) -> Elasticsearch:
    """Configure a client for this sink. Nothing is sent yet; the caller closes it.

    The client returns answers as bytes and never retries by itself, because a retry would hide that an earlier attempt
    may have been applied.

    Args:
        url: of any node; a user and password in it are sent as basic authentication.
    """
    return Elasticsearch(
        url,
        request_timeout=request_timeout_s,
        max_retries=0,
        retry_on_timeout=False,
        serializers={_JSON: _Unparsed()},
    )


class ErrorCause(msgspec.Struct):
    """Elasticsearch's reason for a failure. Its texts may quote a document, so only safe parts are shown."""

    type: str
    reason: str | None = None
    index: str | None = None

    @property
    def is_missing_index(self) -> bool:
        """True if the index is missing or closed, so that the request itself may be valid."""
        return self.type in (_NOT_THERE, _CLOSED)

    @property
    def is_of_definition(self) -> bool:
        """True if the index lacks a column, because it was created from another definition."""
        return self.type == "strict_dynamic_mapping_exception"

    @property
    def is_of_memory(self) -> bool:
        """True if the cluster has no memory for the request, now or ever."""
        return self.type in _OF_MEMORY

    @property
    def can_ever_fit(self) -> bool | None:
        """True if the cluster could accept the request without other load; None if it does not say."""
        if self.type == TOO_LONG:
            return False
        sizes = _SIZES.search(self.reason or "")
        return int(sizes[1]) <= int(sizes[2]) if sizes else None

    def __str__(self) -> str:
        text = self.reason or ""
        if sizes := _SIZES.search(text):
            return f"{self.type}, {int(sizes[1]):,} bytes where {int(sizes[2]):,} are the most"
        if said := _WITHOUT_VALUES.search(text):
            return f"{self.type}, {said[0]}"
        found = _FIELD.search(text)
        return f"{self.type}, field {(found[1] or found[2])!r}" if found else self.type


class _Refusal(msgspec.Struct):
    error: ErrorCause | str


def to_sink_error(status: int, reason: ErrorCause, subject: str) -> SinkError:
    """Return the sink error for a rejected request, or for one rejected item of a bulk request.

    Args:
        status: the HTTP status.
        subject: the subject of the request, such as the id of a document; never its content.
    """
    words = f"{subject}: {status} {reason}"
    if reason.type == _CLOSED:
        return IndexClosed(reason.index or subject)
    if reason.type == _NOT_THERE:
        return GenerationMissing(words)
    if remedy := _remedy_of_block(status, reason):
        return StoreBlocked(words, remedy)
    if status in (400, 413):
        return MutationRejected(words, "elasticsearch")
    return StoreUnavailable(words)


def _remedy_of_block(status: int, reason: ErrorCause) -> str | None:
    """Return the remedy if the cluster, the index or the user is the reason; None if the request is."""
    text = reason.reason or ""
    if reason.type == "cluster_block_exception":
        if status == _TOO_MANY:
            return (
                "Free disk space on the Elasticsearch nodes, or raise "
                "`cluster.routing.allocation.disk.watermark.flood_stage`. Elasticsearch releases the block by itself "
                "once a disk is below its high watermark."
            )
        if index := _BLOCKED_INDEX.search(text):
            return (
                f"Release the block: `PUT /{index[1]}/_settings` with "
                '{"index.blocks.write": null, "index.blocks.read_only": null}.'
            )
        return (
            "Release the block of the cluster: `PUT /_cluster/settings` with "
            '{"persistent": {"cluster.blocks.read_only": null}}.'
        )
    if "maximum normal shards open" in text:
        return (
            "Drop kept generations with `readmodels prune`, delete other indices, or raise "
            "`cluster.max_shards_per_node` of the cluster."
        )
    if status in (401, 403):
        return (
            "Correct the user and the password in READMODELS_ELASTICSEARCH__URL, and give the user the privileges "
            "`manage` and `all` on the indices, and `monitor` on the cluster."
        )
    if reason.is_of_memory:
        return (
            "Give Elasticsearch more heap (`-Xmx` in jvm.options), or less other work; the worker tries again by "
            "itself."
        )
    return None


class UnreadableResponse(SinkError):
    """Elasticsearch returned JSON that cannot be parsed: a stored document has half a surrogate pair."""

    remedy = "Run `readmodels replay elasticsearch --execute`: the new generation keeps such a value as text."


def _is_whole(body: bytes) -> bool:
    """Return whether an answer is a complete JSON object. Python's parser accepts half a surrogate pair."""
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


@dataclass(frozen=True)
class Response:
    """HTTP status and body of an answer."""

    status: int
    body: bytes

    def read(self, form: type[T], subject: str) -> T:
        """Parse the body.

        Raises:
            UnreadableResponse: the body is complete, but has JSON that cannot be parsed. A retry would not help.
            StoreUnavailable: the body has another form. If a connection breaks within the headers of an answer, before
                the length of the body, the client reports a success without a body.
        """
        try:
            return msgspec.json.decode(self.body, type=form)
        except msgspec.MsgspecError as error:
            if not isinstance(error, msgspec.ValidationError) and _is_whole(self.body):
                raise UnreadableResponse(
                    f"{subject}: {self.status}, but a document in the answer is unreadable"
                ) from error
            raise StoreUnavailable(f"{subject}: {self.status}, but the answer is cut or of an unknown form") from error

    @property
    def cause(self) -> ErrorCause:
        """The reason for which the request was rejected."""
        try:
            error = msgspec.json.decode(self.body, type=_Refusal).error
        except msgspec.MsgspecError:
            return ErrorCause("answer of an unknown form")
        return error if isinstance(error, ErrorCause) else ErrorCause("refused", error)


class _Http(msgspec.Struct):
    max_content_length_in_bytes: int


class _Node(msgspec.Struct):
    http: _Http


class _Nodes(msgspec.Struct):
    nodes: dict[str, _Node]


class EsClient:
    """Requests over one open client.

    Args:
        client: from `connect`.
    """

    def __init__(self, client: Elasticsearch) -> None:
        self._client = client.options(
            max_retries=0, retry_on_timeout=False, retry_on_status=(), ignore_status=range(300, 600)
        )

    @cached_property
    def max_request_bytes(self) -> int:
        """The longest request that every node accepts. A node cuts the connection of a longer one without an answer."""
        answer = self.request_raw("GET", "/_nodes/http")
        if answer.status >= 300:
            return _LONGEST_REQUEST_BYTES
        nodes = answer.read(_Nodes, "GET /_nodes/http").nodes.values()
        return min((node.http.max_content_length_in_bytes for node in nodes), default=_LONGEST_REQUEST_BYTES)

    def request_raw(
        self, method: str, path: str, body: object = None, params: Mapping[str, object] | None = None
    ) -> Response:
        """Send one request, and return the answer for any status.

        Args:
            body: bytes to send unchanged (for `_bulk`, lines), or an object to encode as JSON.

        Raises:
            StoreUnavailable: no answer arrived; the request may have been applied.
        """
        content = "application/x-ndjson" if path.endswith("/_bulk") else _JSON
        sent = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        try:
            answered = self._client.perform_request(
                method, path, params=params, headers={"accept": _JSON, "content-type": content}, body=sent
            )
        except (TransportError, ApiError) as error:
            raise StoreUnavailable(f"{method} {path}: {type(error).__name__}") from error
        if not isinstance(answered.body, bytes):
            raise TypeError("the client parses answers, and so rounds numbers: open it with `connect`")
        return Response(answered.meta.status, answered.body)

    def request(
        self,
        method: str,
        path: str,
        answer: type[T],
        body: object = None,
        params: Mapping[str, object] | None = None,
    ) -> T:
        """Send one request that must succeed, and parse its answer.

        Raises:
            StoreUnavailable: no answer arrived, or the cluster cannot serve now.
            GenerationMissing: the index is missing.
            MutationRejected: the request was rejected permanently.
        """
        answered = self.request_raw(method, path, body, params)
        if answered.status >= 300:
            raise to_sink_error(answered.status, answered.cause, f"{method} {path}")
        return answered.read(answer, f"{method} {path}")
