"""Where the decoder gets schemas from, whoever keeps them."""

from typing import Any, Protocol

from connectors.errors import UnknownSchema


class SchemaLookup(Protocol):
    """Where schemas are looked up."""

    def schema(self, schema_id: int) -> Any:
        """Return the Avro schema with this id as parsed JSON, with no type in it that is defined elsewhere.

        Raises:
            RegistryUnavailable: there was no answer.
            UnknownSchema: the answer is that there is no such schema.
            UnresolvedSchema: it is not an Avro schema that can be read.
        """


class NegativeCache:
    """Schemas of a registry, of which also those that it does not know are asked for only once.

    Args:
        schemas: whom to ask.
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
