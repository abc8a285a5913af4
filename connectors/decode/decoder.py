"""Decoder of change records: from bytes to Arrow tables of envelopes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from connectors.decode.assemble import SNAPSHOT_ENDED, assemble
from connectors.decode.avro_table import AvroTableDecoder
from connectors.decode.json_table import JsonTableDecoder
from connectors.envelope import SourceTable, ValueEncoding, envelope_schema
from connectors.errors import DependencyUnavailable, SourceContractViolation, UnknownSchema
from connectors.records import RecordBatch
from connectors.schema_lookup import SchemaLookup
from connectors.types.numeric import DecimalPolicy


@dataclass(frozen=True)
class RejectedRecord:
    """One record that cannot be decoded, although its neighbours can.

    Attributes:
        reason: the fault; never a value of the row.
    """

    topic: str
    partition: int
    offset: int
    reason: str


@dataclass(frozen=True)
class DecodedBatch:
    """Result of decoding a batch: each record is an envelope, a rejected record or a tombstone.

    Attributes:
        envelopes: one table per schema, see `envelope_schema`; each in record order.
        rejected: the records that cannot be decoded, in order.
        tombstones: the number of records with a null value, which matter only to compaction.
        substituted: by table of `envelopes`, the columns that were not read from the records, each with the reason.
    """

    envelopes: list[pa.Table]
    rejected: list[RejectedRecord]
    tombstones: int
    substituted: Sequence[Mapping[str, str]] = ()


class Decoder:
    """Decoder of the change records of declared tables, one batch of one topic at a time."""

    def __init__(
        self, tables: Mapping[str, SourceTable], schemas: SchemaLookup, decimals: DecimalPolicy = DecimalPolicy.EXACT
    ) -> None:
        """Set up the tables, given by topic name.

        Raises:
            UnsupportedType: a declared type cannot be stored exactly.
        """
        for table in tables.values():
            envelope_schema(table)
        self._tables = {
            topic: AvroTableDecoder(table, schemas, decimals)
            if table.format is ValueEncoding.AVRO
            else JsonTableDecoder(table, decimals)
            for topic, table in tables.items()
        }

    def schema_ids(self, topic: str) -> frozenset[int]:
        """Return the registry ids of the schemas that a topic's records had so far; empty for JSON."""
        return self._tables[topic].schema_ids

    def is_snapshot_ended(self, records: RecordBatch) -> bool:
        """Return whether one of these records is the last row of a completed snapshot.

        Debezium marks this row, even if the last of the tables is empty.
        """
        sent = [one for one, _ in self._tables[records.topic].read(records.values).sent]
        return any(pc.any(pc.equal(one.source["snapshot"], SNAPSHOT_ENDED)).as_py() for one in sent)

    def decode(self, records: RecordBatch) -> DecodedBatch:
        """Decode one batch.

        Raises:
            SourceContractViolation: the source no longer sends the declared columns; the message names the first such
                record.
            DependencyUnavailable: the schema registry does not answer, or does not have a schema.
        """
        try:
            return self._decoded(records)
        except DependencyUnavailable as error:
            if isinstance(error, UnknownSchema):
                error.place = records.place(self._first_failing(records))
            raise
        except SourceContractViolation as error:
            error.place = records.place(self._first_failing(records))
            raise
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a record may cause any exception in a library
            row = self._first_failing(records)
            return DecodedBatch([], [_rejected(records, row, f"{type(error).__name__} while it was read")], 0)

    def _first_failing(self, records: RecordBatch) -> int:
        """Return the row of the first record for which decoding fails, found by bisection."""
        good, bad = 0, len(records)
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                self._decoded(records.first(middle))
            except Exception:  # noqa: BLE001 - this only locates an error that is raised already
                bad = middle
            else:
                good = middle
        return good

    def _decoded(self, records: RecordBatch) -> DecodedBatch:
        batch = self._tables[records.topic].read(records.values)
        faults = dict(batch.faults)
        envelopes, substituted = [], []
        for sent, plan in batch.sent:
            table, table_faults = assemble(sent, plan, records)
            faults.update(table_faults)
            if len(table):
                envelopes.append(table)
                substituted.append({name: one.reason for name, one in plan.substitutes.items()})
        rejected = [_rejected(records, row, reason) for row, reason in sorted(faults.items())]
        return DecodedBatch(envelopes, rejected, batch.tombstones, substituted)


def _rejected(records: RecordBatch, row: int, reason: str) -> RejectedRecord:
    return RejectedRecord(records.topic, int(records.partitions[row]), int(records.offsets[row]), reason)
