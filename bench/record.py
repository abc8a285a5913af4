"""Recorder of the envelopes for the benchmark's log, from a running stack: `python -m bench.record ENDPOINTS.json`.

`ENDPOINTS.json` is the output of `readmodels up --json`. The topics must contain orders, as after `readmodels demo`.
"""

from __future__ import annotations

import base64
import sys
import uuid
from contextlib import closing
from pathlib import Path

import orjson
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient

from bench.envelopes import RECORDED, envelope_of
from stack.endpoints import Endpoints

TOPICS = ("cdc.public.orders", "cdc.public.order_items")
RECORDS_PER_TOPIC = 40
TIMEOUT_S = 60.0


def main(endpoints: Endpoints) -> None:
    """Save the schema and some inserted rows of each topic."""
    registry = SchemaRegistryClient({"url": endpoints.schema_registry})
    recorded = {}
    for topic in TOPICS:
        values = _inserts(endpoints.kafka, registry, topic)
        schema = registry.get_schema(int.from_bytes(values[0][1:5], "big")).schema_str or "null"
        recorded[topic.rpartition(".")[2]] = {
            "schema": orjson.loads(schema),
            "values": [base64.b64encode(value).decode() for value in values],
        }
        print(f"{topic}: {len(values)} records")
    RECORDED.write_bytes(orjson.dumps(recorded, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _inserts(bootstrap_servers: str, registry: SchemaRegistryClient, topic: str) -> list[bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"readmodels.record.{uuid.uuid4()}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    values: list[bytes] = []
    with closing(consumer):
        partitions = consumer.list_topics(topic, TIMEOUT_S).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        while len(values) < RECORDS_PER_TOPIC:
            messages = consumer.consume(1, TIMEOUT_S)
            if not messages or messages[0].error():
                raise TimeoutError(f"{topic} gave {len(values)} of {RECORDS_PER_TOPIC} inserts")
            value = messages[0].value()
            if value is None:
                continue
            schema = registry.get_schema(int.from_bytes(value[1:5], "big")).schema_str or "null"
            if envelope_of(value, orjson.loads(schema))["op"] == "c":
                values.append(value)
    return values


if __name__ == "__main__":
    main(Endpoints.from_json(Path(sys.argv[1]).read_text()))
