"""Tests of the offsets from which a live generation reads the log again."""

from __future__ import annotations

import pytest

from connectors.kafka import KafkaSettings
from pipeline.generations.replay_in_place import OffsetBeyondEnd, from_offset


def test_an_offset_that_no_partition_reaches_is_refused_with_the_ends_of_all() -> None:
    kafka, ends = KafkaSettings(bootstrap_servers="kafka:9092"), {("topic", 0): 9, ("topic", 1): 4}
    assert from_offset(8)(kafka, ends) == {("topic", 0): 8, ("topic", 1): 8}
    with pytest.raises(OffsetBeyondEnd) as refused:
        from_offset(9)(kafka, ends)
    assert str(refused.value) == "every partition ends before offset 9: topic/0 at 9, topic/1 at 4"
    assert refused.value.remedy == (
        "Give a smaller offset; `readmodels replay all` shows the first and last offset of each partition."
    )
