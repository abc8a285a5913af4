"""Errors of change records, and of the services that decoding needs."""

from connectors.sql_names import table_in_sql

_REBUILD = (
    "then run `readmodels replay all --execute`, or `readmodels replay all --snapshot --execute` if older records do "
    "not fit the new declaration."
)
_RESNAPSHOT = (
    "If the connector did not write this record, stop its producer, then run `readmodels epoch open --resnapshot "
    "--execute`: the new epoch starts after the record, with a snapshot of PostgreSQL."
)


class OfRecord:
    """Base of the errors that one record causes.

    Attributes:
        place: the record's topic, partition and offset, such as `cdc.public.orders/0 offset 7`; empty until known.
    """

    place = ""

    def __str__(self) -> str:
        message = super().__str__()
        return f"{self.place}: {message}" if self.place else message


class SourceContractViolation(OfRecord, Exception):
    """The source no longer sends the declared columns, so that values would be wrong. Each kind has its remedy."""

    remedy: str


class UnsupportedType(SourceContractViolation):
    """A declared column has a type of which the connector does not send every value completely."""

    remedy = (
        "Remove the column from `columns` of its table in readmodels.toml, or change its type there and in PostgreSQL; "
        "then run `readmodels init`."
    )


class MissingColumn(SourceContractViolation):
    """A declared column is missing in the records of the source."""

    remedy = (
        f"If PostgreSQL has no such column, remove it from readmodels.toml; {_REBUILD} If PostgreSQL has it, only "
        "older records lack it: run `readmodels replay all --execute`."
    )


class MissingBeforeImage(SourceContractViolation):
    """An update or a deletion has no image of the old row."""

    def __init__(self, message: str, table: str) -> None:
        super().__init__(message)
        self.remedy = (
            f"ALTER TABLE {table_in_sql(table)} REPLICA IDENTITY FULL; then run `readmodels epoch open --resnapshot "
            "--execute`: the new epoch starts after the existing records, with a snapshot of PostgreSQL."
        )


class WireTypeRefused(SourceContractViolation):
    """A column is sent in a form that cannot represent its declared type exactly."""

    remedy = (
        f"Declare the column in readmodels.toml with the type that it has in PostgreSQL now; {_REBUILD} If the type "
        f"did not change, the connector's settings did: `readmodels init` says which. {_RESNAPSHOT}"
    )


class TypeWidened(WireTypeRefused):
    """A value exceeds the declared type of its column, because the type was widened in the source."""


class InexactDecimal(WireTypeRefused):
    """A numeric column is sent as a double, which cannot represent every amount."""

    remedy = (
        "Remove decimal.handling.mode from [envelopes.connector] in readmodels.toml, then run `readmodels init` and "
        "`readmodels replay all --snapshot --execute`. Or accept rounded amounts: set `envelopes.decimals` to double."
    )


class ScaleExceeded(WireTypeRefused):
    """A numeric has more digits after its point than the definitions declare."""


class DependencyUnavailable(Exception):
    """The records are valid, but cannot be read now. Each kind has its remedy."""

    remedy: str


class RegistryUnavailable(DependencyUnavailable):
    """The schema registry did not answer, or answered with a failure."""

    remedy = (
        "Start the schema registry; the worker resumes automatically. If the registry runs, correct "
        "`schema_registry.url`, which also contains its user and password, and restart the worker."
    )


class UnknownSchema(OfRecord, DependencyUnavailable):
    """The schema registry does not know the schema id of a record."""

    remedy = (
        "If the registry lost the schema, restore its storage: the worker resumes once it knows the schema. "
        f"{_RESNAPSHOT}"
    )


class UnreadableRecord(Exception):
    """One record cannot be read; its neighbours can. The message never contains row values."""

    remedy = _RESNAPSHOT
