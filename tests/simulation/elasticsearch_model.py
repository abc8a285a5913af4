"""Search model over a simulated cluster, with faults of requests, nodes and disks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest.mock import patch

import msgspec
from elastic_transport import (
    ApiResponseMeta,
    ConnectionError,
    ConnectionTimeout,
    HttpHeaders,
    Urllib3HttpNode,
)
from elastic_transport._node import NodeApiResponse

from sinks.elasticsearch.codec import RESERVED, VISIBLE, DocumentCodec
from sinks.elasticsearch.mapping import METADATA_FIELD
from sinks.elasticsearch.metadata_documents import parse_progress, progress_id
from sinks.elasticsearch.store import ElasticsearchStore, IndexSettings, connect
from sinks.sink import Store
from tests.simulation.documents import SHAPE, SHAPES, Documents, visible_in
from tests.simulation.elasticsearch_cluster import Cluster, Index, Refused
from tests.simulation.invariant_checker import Held, name_of, without_images
from tests.simulation.log import TOPIC_PARTITIONS
from tests.simulation.store_model import Hazard, Surroundings

TIMEOUT_S = 10.0
BUSY = (
    "rejected execution of primary operation [coordinating_and_primary_bytes=51000224, replica_bytes=0, "
    "all_bytes=51000224, primary_operation_bytes=900000, max_primary_bytes=51897958]"
)
"""The answer of a real cluster that is short of memory."""


class ElasticsearchSide(Documents):
    """One cluster with one node."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.cluster = Cluster(lambda: around.scheduler.now_s, self._refuse_item)
        self._is_disk_full = False
        self._down_until_s = 0.0
        self._copy: dict[str, Index] | None = None
        self._format = DocumentCodec(SHAPE)

    @contextmanager
    def installed(self) -> Iterator[None]:
        def perform_request(
            node: Urllib3HttpNode, method: str, target: str, body: bytes | None = None, **_: object
        ) -> NodeApiResponse:
            return self._perform(node, method, target, body)

        with patch.object(Urllib3HttpNode, "perform_request", perform_request):
            yield

    @contextmanager
    def opened(self) -> Iterator[Store]:
        with connect("http://cluster:9200", request_timeout_s=TIMEOUT_S) as client:
            yield ElasticsearchStore(client, SHAPES, IndexSettings())

    def held(self) -> Held:
        [index] = self.cluster.indices.values()
        registers, visible = {}, {}
        for id_, document in index.documents.items():
            if id_.startswith(RESERVED):
                continue
            parts = self._format.decode(document.source).parts
            registers.update({name_of(id_, part): without_images(register) for part, register in parts.items()})
            content = msgspec.json.decode(document.source)
            if content[METADATA_FIELD]["kind"] == VISIBLE:
                visible.update(visible_in(content))
        ledger = [
            index.documents[progress_id(topic_partition)].source
            for topic_partition in TOPIC_PARTITIONS
            if progress_id(topic_partition) in index.documents
        ]
        return Held(registers, visible, parse_progress(ledger).offsets)

    def begun(self) -> None:
        """Do nothing: everything acknowledged is durable."""

    def hazards(self) -> Mapping[str, Hazard]:
        return {
            "node restarts": self._restart,
            "disk is full": self._fill_the_disk,
            "disk is not full any more": self.heal,
            "copy is taken": self._take_a_copy,
            "copy is restored": self._restore,
        }

    def killed(self) -> None:
        """Do nothing: the cluster does not depend on the worker process."""

    def heal(self) -> None:
        self._is_disk_full = False

    def _perform(self, node: Urllib3HttpNode, method: str, target: str, body: bytes | None) -> NodeApiResponse:
        scheduler, weather = self._around.scheduler, self._around.weather
        scheduler.pause(0.02)
        if scheduler.now_s < self._down_until_s or weather.strikes("connection refused", 0.02):
            raise ConnectionError("refused")
        if weather.strikes("request refused", 0.03):
            status = weather.lots.choice((429, 503))
            answer = b'{"error":{"type":"es_rejected_execution_exception","reason":"%b"}}' % BUSY.encode()
        else:
            status, answer = self.cluster.handle(method, target, body)
            self._around.look()
        scheduler.pause(0.02)
        if weather.strikes("answer lost", 0.04):
            scheduler.pause(TIMEOUT_S)
            raise ConnectionTimeout("no answer")
        headers = HttpHeaders({"content-type": "application/json", "x-elastic-product": "Elasticsearch"})
        return NodeApiResponse(ApiResponseMeta(status, "1.1", headers, 0.0, node.config), answer)

    def _refuse_item(self) -> None:
        if self._is_disk_full:
            raise Refused(429, "cluster_block_exception")
        if self._around.weather.strikes("item refused", 0.05):
            status, kind, reason = self._around.weather.lots.choice(
                ((429, "es_rejected_execution_exception", BUSY), (503, "unavailable_shards_exception", ""))
            )
            raise Refused(status, kind, reason)

    def _restart(self) -> None:
        self._begin_anew(self.cluster.copied())

    def _fill_the_disk(self) -> None:
        self._is_disk_full = True

    def _take_a_copy(self) -> None:
        self._copy = self.cluster.copied()

    def _restore(self) -> None:
        if self._copy is not None:
            self._begin_anew(self._copy)
            self._copy = None
            self._around.went_back()

    def _begin_anew(self, indices: dict[str, Index]) -> None:
        self.cluster.restart(indices)
        self._down_until_s = self._around.scheduler.now_s + self._around.weather.lots.uniform(0, 5)
