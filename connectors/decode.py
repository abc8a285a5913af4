"""The bytes of change records become Arrow tables of envelopes."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from connectors.assembly import SNAPSHOT_ENDED, assemble
from connectors.decode_avro import AvroTable
from connectors.decode_json import JsonTable
from connectors.envelope import Format, TableColumns, envelope_schema
from connectors.errors import UnknownTopic
from connectors.numerics import Decimals
from connectors.records import Records
from connectors.schemas import Schemas


@dataclass(frozen=True)
class Rejected:
    """A record that cannot be read, where its neighbours can.

    Attributes:
        reason: what is wrong with it; never a value of the row.
    """

    topic: str
    partition: int
    offset: int
    reason: str


@dataclass(frozen=True)
class Decoded:
    """What became of a batch: each of its records is an envelope, a rejected one or a tombstone.

    Attributes:
        envelopes: one table per schema, see `envelope_schema`; in each, the records' order.
        rejected: the records that cannot be read, in their order.
        tombstones: how many records had a null value, which says nothing but to compaction.
    """

    envelopes: list[pa.Table]
    rejected: list[Rejected]
    tombstones: int


class Decoder:
    """Decodes the change records of declared tables, a batch of one topic at a time."""

    def __init__(
        self, tables: Mapping[str, TableColumns], schemas: Schemas, decimals: Decimals = Decimals.EXACT
    ) -> None:
        """Take the tables by the names of their topics.

        Raises:
            UnsupportedType: a declared type cannot be kept exactly.
        """
        for table in tables.values():
            envelope_schema(table)
        self._tables = {
            topic: AvroTable(table, schemas, decimals) if table.format is Format.AVRO else JsonTable(table, decimals)
            for topic, table in tables.items()
        }

    def schema_ids(self, topic: str) -> frozenset[int]:
        """The registry's ids of the schemas that a topic's records had so far; JSON has none."""
        return self._tables[topic].schema_ids

    def is_snapshot_ended(self, records: Records) -> bool:
        """Whether one of these records is the last row of a snapshot that came to its end.

        Debezium marks it, also where the last of the tables is empty.
        """
        sent = [one for one, _ in self._tables[records.topic].read(records.values).sent]
        return any(pc.any(pc.equal(one.source["snapshot"], SNAPSHOT_ENDED)).as_py() for one in sent)

    def decode(self, records: Records) -> Decoded:
        """Decode one batch.

        Raises:
            ContractBroken: the source no longer sends what was declared.
            SystemicError: the schema registry cannot be asked, or does not know a schema.
        """
        if records.topic not in self._tables:
            raise UnknownTopic(f"no table is declared for topic {records.topic}")
        batch = self._tables[records.topic].read(records.values)
        faults = dict(batch.faults)
        envelopes = []
        for sent, plan in batch.sent:
            table, table_faults = assemble(sent, plan, records)
            faults.update(table_faults)
            if len(table):
                envelopes.append(table)
        rejected = [
            Rejected(records.topic, int(records.partitions[row]), int(records.offsets[row]), reason)
            for row, reason in sorted(faults.items())
        ]
        return Decoded(envelopes, rejected, batch.tombstones)
