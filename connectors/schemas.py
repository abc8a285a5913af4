"""Where the decoder gets schemas from, whoever keeps them."""

from typing import Any, Protocol


class Schemas(Protocol):
    """Where schemas are looked up."""

    def schema(self, schema_id: int) -> Any:
        """Return the Avro schema with this id as parsed JSON, with no type in it that is defined elsewhere.

        Raises:
            RegistryUnavailable: there was no answer.
            UnknownSchema: the answer is that there is no such schema.
            UnresolvedSchema: it is not an Avro schema that can be read.
        """
