"""Errors of change records, and of the services without which they cannot be read."""

from connectors.sql_names import table_in_sql

_REBUILD = (
    "then run `readmodels replay all --execute`, or `readmodels replay all --snapshot --execute` if older records do "
    "not fit the new declaration."
)
_BEGIN_BEHIND = (
    "If the connector did not write this record, end its producer; then `readmodels epoch open --resnapshot --execute` "
    "begins behind the record, with a snapshot of PostgreSQL."
)


class OfRecord:
    """A part of the errors that one record causes.

    Attributes:
        place: the record's topic, partition and offset, as `cdc.public.orders/0 offset 7`; empty until it is known.
    """

    place = ""

    def __str__(self) -> str:
        message = super().__str__()
        return f"{self.place}: {message}" if self.place else message


class SourceContractViolation(OfRecord, Exception):
    """The source no longer sends what was agreed: going on would store something wrong. Each kind has its remedy."""

    remedy: str


class UnsupportedType(SourceContractViolation):
    """A declared column has a type of which the connector does not send every value whole."""

    remedy = (
        "Remove the column from `columns` of its table in readmodels.toml, or declare it there with another type, "
        "which PostgreSQL has to give it; then run `readmodels init`."
    )


class MissingColumn(SourceContractViolation):
    """A declared column is not in the records that the source sends."""

    remedy = (
        f"If PostgreSQL has no such column, take it out of readmodels.toml; {_REBUILD} If PostgreSQL has it, only "
        "older records lack it: run `readmodels replay all --execute`."
    )


class MissingBeforeImage(SourceContractViolation):
    """An update or a deletion came without the row as it was before."""

    def __init__(self, message: str, table: str) -> None:
        super().__init__(message)
        self.remedy = (
            f"ALTER TABLE {table_in_sql(table)} REPLICA IDENTITY FULL; then run `readmodels epoch open --resnapshot "
            "--execute`, which begins behind the records that were written before, with a snapshot of PostgreSQL."
        )


class WireTypeRefused(SourceContractViolation):
    """A column travels in a form that does not carry its declared type exactly."""

    remedy = (
        f"Declare the column in readmodels.toml with the type that it has in PostgreSQL now; {_REBUILD} If the type "
        f"did not change, the connector's settings did: `readmodels init` says which. {_BEGIN_BEHIND}"
    )


class TypeWidened(WireTypeRefused):
    """A column holds a value that its declared type has no room for: the type was widened at the source."""


class InexactDecimal(WireTypeRefused):
    """A numeric column travels as a double, which cannot hold every amount."""

    remedy = (
        "Remove decimal.handling.mode from [envelopes.connector] in readmodels.toml, then run `readmodels init` and "
        "`readmodels replay all --snapshot --execute`. Or accept rounded amounts: set `envelopes.decimals` to double."
    )


class ScaleExceeded(WireTypeRefused):
    """A numeric has more digits after its point than the contract file declares."""


class DependencyUnavailable(Exception):
    """Nothing is wrong with the records, but they cannot be read now. Each kind has its remedy."""

    remedy: str


class RegistryUnavailable(DependencyUnavailable):
    """The schema registry gave no answer, or failed to answer."""

    remedy = (
        "Start the schema registry; reading goes on by itself. If it runs, correct `schema_registry.url`, which holds "
        "its user and password too, and start the worker again."
    )


class UnknownSchema(OfRecord, DependencyUnavailable):
    """The schema registry does not know the schema id that a record names."""

    remedy = (
        "If the registry lost the schema, restore its storage: reading goes on by itself once it knows the schema. "
        f"{_BEGIN_BEHIND}"
    )


class UnreadableRecord(Exception):
    """One record cannot be read; its neighbours can. The message never holds row values."""

    remedy = _BEGIN_BEHIND
