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


class ContractBroken(OfRecord, Exception):
    """The source no longer sends what was agreed: going on would store something wrong."""

    remedy = f"Declare in readmodels.toml what the source sends now; {_REBUILD} {_BEGIN_BEHIND}"


class UnsupportedType(ContractBroken):
    """A declared column has a type of which the connector does not send every value whole."""

    remedy = "Take the column out of readmodels.toml, or give it another type in PostgreSQL."


class MissingColumn(ContractBroken):
    """A declared column is not in the records that the source sends."""

    remedy = (
        f"If PostgreSQL has no such column, take it out of readmodels.toml; {_REBUILD} If PostgreSQL has it, only "
        "older records lack it: run `readmodels replay all --execute`."
    )


class BeforeMissing(ContractBroken):
    """An update or a deletion came without the row as it was before."""

    def __init__(self, message: str, table: str) -> None:
        super().__init__(message)
        self.remedy = (
            f"ALTER TABLE {table_in_sql(table)} REPLICA IDENTITY FULL; then run `readmodels replay all --snapshot "
            "--execute`, which leaves out the records that were written before."
        )


class WireTypeRefused(ContractBroken):
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
        "Set decimal.handling.mode=string in the connector, or accept rounded amounts: set `envelopes.decimals` to "
        "double."
    )


class ScaleExceeded(WireTypeRefused):
    """A numeric has more digits after its point than the contract file declares."""


class SystemicError(Exception):
    """Nothing is wrong with the records, but they cannot be read now."""

    remedy = "Wait, or repair what is down; reading goes on from where it stopped."


class RegistryUnavailable(SystemicError):
    """The schema registry gave no answer, or failed to answer."""

    remedy = "Start the schema registry, or correct its URL and credentials; reading goes on by itself."


class UnknownSchema(OfRecord, SystemicError):
    """The schema registry does not know the schema id that a record names."""

    remedy = f"Wait for the registry to catch up; if it lost the schema, restore its storage. {_BEGIN_BEHIND}"


class BadRecord(Exception):
    """One record cannot be read; its neighbours can. The message never holds row values."""

    remedy = _BEGIN_BEHIND


class UnknownTopic(ContractBroken):
    """Records were read from a topic for which no table is declared."""

    remedy = "Declare the topic's table in readmodels.toml, then run `readmodels replay all --execute`."
