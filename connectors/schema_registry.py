"""Avro schemas from a schema registry, by the id in a record."""

from typing import Any

import orjson
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from connectors.avro.schema import UnresolvedSchema, inline_types
from connectors.errors import DependencyUnavailable, RegistryUnavailable, UnknownSchema


class SchemaRegistry:
    """Schemas of a Confluent-compatible registry, cached without expiry because the meaning of an id never changes."""

    def __init__(self, client: SchemaRegistryClient) -> None:
        self._client = client
        self._known: dict[int, Any] = {}

    @classmethod
    def at(cls, url: str, timeout_s: float = 10.0) -> "SchemaRegistry":
        """Return a lookup in the registry at `url`, such as "http://127.0.0.1:8081/apis/ccompat/v7".

        It makes one attempt per schema, because the caller decides about retries.
        """
        return cls(SchemaRegistryClient({"url": url, "timeout": timeout_s, "max.retries": 0}))

    def schema(self, schema_id: int) -> Any:
        if schema_id not in self._known:
            try:
                self._known[schema_id] = self._standing_alone(self._client.get_schema(schema_id))
            except (DependencyUnavailable, UnresolvedSchema):
                raise
            except SchemaRegistryError as error:
                raise _translated(error, schema_id) from error
            except Exception as error:
                raise RegistryUnavailable(f"no answer about schema {schema_id}: {type(error).__name__}") from error
        return self._known[schema_id]

    def _standing_alone(self, registered: Schema) -> Any:
        if registered.schema_type not in (None, "AVRO"):
            raise UnresolvedSchema(f"it is {registered.schema_type}, not Avro")
        types: dict[str, Any] = {}
        for reference in registered.references or []:
            if reference.name is None or reference.subject is None or reference.version is None:
                raise RegistryUnavailable("the registry answered with a reference that names no schema")
            referenced = self._client.get_version(reference.subject, reference.version)
            types[reference.name] = self._standing_alone(referenced.schema)
        return inline_types(orjson.loads(registered.schema_str or "null"), types)


def _translated(error: SchemaRegistryError, schema_id: int) -> DependencyUnavailable:
    if error.http_status_code == 404:
        return UnknownSchema(f"the registry does not know schema {schema_id}")
    return RegistryUnavailable(f"the registry answered {error.http_status_code} about schema {schema_id}")
