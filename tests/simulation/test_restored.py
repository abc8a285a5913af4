"""Tests of a cluster that is restored to a copy in the middle of a batch."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from sinks.batch import Batch, OffsetRange
from sinks.elasticsearch.document_index import DocumentIndex
from sinks.errors import OffsetGap
from sinks.generation import GenerationMetadata
from tests.simulation.elasticsearch_model import ElasticsearchSide
from tests.simulation.log import TOPIC_PARTITIONS
from tests.simulation.store_model import GENERATION
from tests.simulation.world import World

TOPIC_PARTITION = TOPIC_PARTITIONS[0]


def test_progress_does_not_move_over_what_a_cluster_lost_in_the_middle_of_a_batch() -> None:
    side = ElasticsearchSide(World(0, ElasticsearchSide))
    with side.installed(), side.opened() as store:
        store.create(GENERATION, GenerationMetadata())
        sink = store.sink(GENERATION)
        sink.write(Batch(span=OffsetRange({}, {TOPIC_PARTITION: 2})))
        copy = side.cluster.copied()
        sink.write(Batch(span=OffsetRange({TOPIC_PARTITION: 2}, {TOPIC_PARTITION: 4})))
        goes_back = patch.object(DocumentIndex, "_merge_all", lambda *_: side.cluster.restart(copy))
        with goes_back, pytest.raises(OffsetGap) as lost:
            sink.write(Batch(span=OffsetRange({TOPIC_PARTITION: 4}, {TOPIC_PARTITION: 6})))
        assert lost.value.stored == {TOPIC_PARTITION: 2}
        assert sink.progress().next_offset(TOPIC_PARTITION) == 2
