"""Interface for the lookup of Avro schemas, and a cache of unknown schema ids."""

from typing import Any, Protocol

from connectors.errors import UnknownSchema


class SchemaLookup(Protocol):
    """Lookup of schemas by id."""

    def schema(self, schema_id: int) -> Any:
        """Return the Avro schema with this id as parsed JSON, without references to types defined elsewhere.

        Raises:
            RegistryUnavailable: there was no answer.
            UnknownSchema: there is no such schema.
            UnresolvedSchema: it is not a readable Avro schema.
        """


class NegativeCache:
    """Schema lookup that also caches unknown ids, so that each is requested only once.

    Args:
        schemas: the lookup to ask.
    """

    def __init__(self, schemas: SchemaLookup) -> None:
        self._schemas = schemas
        self.unknown: dict[int, UnknownSchema] = {}

    def schema(self, schema_id: int) -> Any:
        if schema_id in self.unknown:
            raise self.unknown[schema_id]
        try:
            return self._schemas.schema(schema_id)
        except UnknownSchema as error:
            self.unknown[schema_id] = error
            raise
