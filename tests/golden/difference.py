"""Differences between a connector's current output and its recorded output.

LSNs, times and ids are new at every recording. LSNs are compared only by equality and order, and sequences by which
halves they have.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from typing import Any

from tests.golden.recording import Record, plain

_VARYING = {"ts_ms", "ts_us", "ts_ns", "txId", "xmin", "version"}
"""Fields of an envelope or of its source that always vary; the version is reported once."""
_SHOWN_CHARACTERS = 60

Flat = dict[str, Any]


def differences(kept: str, now: str) -> list[str]:
    """Return the differences between two recordings, a line each: location, recorded value, current value."""
    return list(_differences(_Told(kept), _Told(now)))


def version(text: str) -> str:
    """Return the connector's version in a recording."""
    return _Told(text).version


class _Told:
    """A recording, split into topics, records and fields."""

    def __init__(self, text: str) -> None:
        head, *lines = [json.loads(line) for line in text.splitlines()]
        self._schemas = {int(schema_id): schema for schema_id, schema in head["schemas"].items()}
        self._prefix = head.get("prefix", "")
        records = [self._record(line, head) for line in lines if "value" in line]
        self.topics = {topic: list(some) for topic, some in groupby(records, lambda record: record.topic)}
        self.changes: list[Flat] = [_flat(line) for line in lines if "op" in line]
        self.columns: Flat = _flat(head.get("columns", {}))
        values = [plain(record.value, self._schemas) for record in records]
        self.version: str = next(found for value in values if (found := _source_of(value).get("version")))

    def schemas(self, topic: str) -> list[Flat]:
        """Return the schemas of a topic's values, in the order of their use."""
        used = [int.from_bytes(one.value[1:5], "big") for one in self.topics[topic] if one.value and one.value[0] == 0]
        return [_fields(self._schemas[schema_id]) for schema_id in dict.fromkeys(used)]

    def records(self, topic: str) -> list[Flat]:
        """Return the records of a topic, without the varying fields."""
        values = [plain(record.value, self._schemas) for record in self.topics[topic]]
        lsns = {lsn for value in values if (lsn := _source_of(value).get("lsn")) is not None}
        ranks = {lsn: rank for rank, lsn in enumerate(sorted(lsns))}
        return [
            _flat({"key": record.key, "headers": record.headers, "value": _steady(value, ranks)})
            for record, value in zip(self.topics[topic], values, strict=True)
        ]

    def _record(self, line: Mapping[str, Any], head: Mapping[str, Any]) -> Record:
        record = Record.from_json({"topic": head.get("topic"), "key": None, "headers": {}, **line})
        if not self._prefix or record.value is None:
            return record
        return Record.from_json({**record.to_json(), "value": _joined(self._prefix, line["value"])})


def _joined(prefix: str, rest: str) -> str:
    return base64.b64encode(base64.b64decode(prefix) + base64.b64decode(rest)).decode()


def _differences(kept: _Told, now: _Told) -> Iterator[str]:
    yield from _of_fields("columns", kept.columns, now.columns)
    for topic in sorted(kept.topics.keys() | now.topics.keys()):
        if topic not in kept.topics or topic not in now.topics:
            yield f"{topic}: {'new' if topic in now.topics else 'gone'}"
            continue
        yield from _of_lists(f"{topic}, schema", kept.schemas(topic), now.schemas(topic))
        yield from _of_lists(f"{topic}, record", kept.records(topic), now.records(topic))
    yield from _of_lists("PostgreSQL's change", kept.changes, now.changes)


def _of_lists(what: str, kept: Sequence[Flat], now: Sequence[Flat]) -> Iterator[str]:
    if len(kept) != len(now):
        yield f"{what}s: {len(kept)} → {len(now)}"
    for number, (old, new) in enumerate(zip_longest(kept, now), 1):
        if old is not None and new is not None:
            yield from _of_fields(f"{what} {number}", old, new)


def _of_fields(what: str, kept: Flat, now: Flat) -> Iterator[str]:
    for path in sorted(kept.keys() | now.keys()):
        if path not in kept:
            yield f"{what}: {path} is new, {_shown(now[path])}"
        elif path not in now:
            yield f"{what}: {path} is gone, was {_shown(kept[path])}"
        # A NaN equals nothing, but all have the same `repr`.
        elif repr(kept[path]) != repr(now[path]):
            yield f"{what}: {path}: {_shown(kept[path])} → {_shown(now[path])}"


def _source_of(value: Any) -> Mapping[str, Any]:
    payload = value.get("payload", value) if isinstance(value, dict) else {}
    source = payload.get("source") if isinstance(payload, dict) else None
    return source or {}


def _steady(value: Any, ranks: Mapping[int, int]) -> Any:
    """Return an envelope without the varying fields."""
    if not isinstance(value, dict):
        return value
    if "payload" in value and "schema" in value:
        return {"schema": _fields(value["schema"]), "payload": _steady(value["payload"], ranks)}
    kept = {name: part for name, part in value.items() if name not in _VARYING}
    if isinstance(source := kept.get("source"), dict):
        kept["source"] = {name: part for name, part in source.items() if name not in _VARYING}
        kept["source"]["lsn"] = ranks.get(source["lsn"])
        if isinstance(sequence := source.get("sequence"), str):
            kept["source"]["sequence"] = [half is not None for half in json.loads(sequence)]
    return kept


def _fields(schema: Any, path: str = "") -> Flat:
    """Return the fields of an Avro or Connect schema by path, each with all its attributes."""
    if isinstance(schema, list):
        found: Flat = {path: [part if isinstance(part, str) else part.get("type") for part in schema]}
        for part in schema:
            if isinstance(part, dict):
                found |= _fields(part, path)
        return found
    if not isinstance(schema, dict):
        return {path: schema}
    said = {name: part for name, part in schema.items() if name not in ("fields", "items", "type", "field")}
    found = {f"{path}.{name}".lstrip("."): json.dumps(part, sort_keys=True) for name, part in said.items()}
    for nested in schema.get("fields", ()):
        name = nested.get("field") or nested["name"]
        found |= _fields({**nested, "name": name}, f"{path}.{name}".lstrip("."))
    if "type" in schema and not isinstance(schema["type"], str):
        found |= _fields(schema["type"], path)
    elif "type" in schema:
        found[f"{path}.type".lstrip(".")] = schema["type"]
    if "items" in schema:
        found |= _fields(schema["items"], f"{path}[]")
    return found


def _flat(value: Any, path: str = "") -> Flat:
    """Return every leaf by its path."""
    if isinstance(value, dict) and value:
        return {key: leaf for name, part in value.items() for key, leaf in _flat(part, f"{path}.{name}").items()}
    return {path.lstrip("."): value}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text)} characters)"
