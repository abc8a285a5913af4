"""What can be wrong with a change record, apart from the record itself."""


class ContractBroken(Exception):
    """The source no longer sends what was agreed: going on would store something wrong."""

    remedy = "Bring the source and the contract file back in line, then start again."


class UnsupportedType(ContractBroken):
    """A declared column has a type of which the connector does not send every value whole."""

    remedy = "Leave the column out of the contract file, or give it another type at the source."


class MissingColumn(ContractBroken):
    """A declared column is not in the records that the source sends."""

    remedy = "Take the column out of the contract file, or add it at the source (and to the connector's columns)."


class BeforeMissing(ContractBroken):
    """An update or a deletion came without the row as it was before."""

    def __init__(self, message: str, table: str) -> None:
        super().__init__(message)
        self.remedy = f"ALTER TABLE {table} REPLICA IDENTITY FULL; then rebuild the read models."


class WireTypeRefused(ContractBroken):
    """A column travels in a form that does not carry its declared type exactly."""

    remedy = (
        "Declare the column's type as PostgreSQL prints it, and keep the connector's settings: "
        "decimal.handling.mode=string, time.precision.mode=adaptive_time_microseconds, "
        "interval.handling.mode=string, binary.handling.mode=bytes."
    )


class InexactDecimal(WireTypeRefused):
    """A numeric column travels as a double, which cannot hold every amount."""

    remedy = "Set decimal.handling.mode=string in the connector, or allow inexact decimals explicitly."


class ScaleExceeded(ContractBroken):
    """A numeric has more digits after its point than the contract file declares."""

    remedy = "Declare the column with the scale that it has at the source, then rebuild the read models."


class SystemicError(Exception):
    """Nothing is wrong with the records, but they cannot be read now."""

    remedy = "Wait, or repair what is down; reading goes on from where it stopped."


class RegistryUnavailable(SystemicError):
    """The schema registry gave no answer, or failed to answer."""

    remedy = "Start the schema registry, or correct its URL and credentials; reading goes on by itself."


class UnknownSchema(SystemicError):
    """The schema registry does not know the schema id that a record names."""

    remedy = (
        "Wait for the registry to catch up; if the schema was lost, restore the registry's storage. "
        "A record that never had a schema of this registry must be taken out of the topic."
    )


class BadRecord(Exception):
    """One record cannot be read; its neighbours can. The message never holds row values."""

    remedy = "Look at the record at its topic, partition and offset; park it, or repair its producer."


class UnknownTopic(ContractBroken):
    """Records were read from a topic for which no table is declared."""

    remedy = "Declare the topic's table in the contract file, or do not subscribe to the topic."
