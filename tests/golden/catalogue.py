"""A table with a column of every type that can be stored, and values that are hard to store."""

from collections.abc import Mapping
from dataclasses import dataclass, field

TABLE = "public.catalogue"

SCHEMA = """
CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy ☺');
"""

COLUMNS: Mapping[str, str] = {
    "id": "bigint",
    "required_text": "text",
    "required_numeric": "numeric(12,2)",
    "required_time": "timestamp with time zone",
    "a_smallint": "smallint",
    "an_integer": "integer",
    "a_bigint": "bigint",
    "an_oid": "oid",
    "a_real": "real",
    "a_double": "double precision",
    "a_boolean": "boolean",
    "some_money": "money",
    "a_price": "numeric(12,2)",
    "a_number": "numeric",
    "a_count": "numeric(18,0)",
    "a_fine_number": "numeric(38,18)",
    "a_text": "text",
    "a_varchar": "character varying(40)",
    "a_char": "character(5)",
    "a_citext": "citext",
    "a_uuid": "uuid",
    "a_json": "json",
    "a_jsonb": "jsonb",
    "a_mood": "mood",
    "an_inet": "inet",
    "a_cidr": "cidr",
    "a_macaddr": "macaddr",
    "an_ltree": "ltree",
    "an_hstore": "hstore",
    "a_tsvector": "tsvector",
    "a_bytea": "bytea",
    "a_bit": "bit(1)",
    "four_bits": "bit(4)",
    "twelve_bits": "bit(12)",
    "a_date": "date",
    "a_timestamp": "timestamp without time zone",
    "a_timestamp_ms": "timestamp(3) without time zone",
    "a_timestamptz": "timestamp with time zone",
    "a_timestamptz_s": "timestamp(0) with time zone",
    "a_time": "time without time zone",
    "a_time_ms": "time(3) without time zone",
    "a_timetz": "time with time zone",
    "an_interval": "interval",
    "an_int4range": "int4range",
    "a_numrange": "numrange",
    "a_tstzrange": "tstzrange",
    "smallints": "smallint[]",
    "integers": "integer[]",
    "bigints": "bigint[]",
    "reals": "real[]",
    "doubles": "double precision[]",
    "booleans": "boolean[]",
    "texts": "text[]",
    "varchars": "character varying(40)[]",
    "prices": "numeric(12,2)[]",
    "numbers": "numeric[]",
    "uuids": "uuid[]",
    "jsonbs": "jsonb[]",
    "byteas": "bytea[]",
    "dates": "date[]",
    "timestamps": "timestamp without time zone[]",
    "timestamptzs": "timestamp with time zone[]",
    "a_macaddr8": "macaddr8",
    "an_int8range": "int8range",
    "a_tsrange": "tsrange",
    "a_daterange": "daterange",
    "citexts": "citext[]",
    "inets": "inet[]",
    "jsons": "json[]",
    "chars": "character(5)[]",
    "ranges": "int4range[]",
    "hstores": "hstore[]",
    "a_charchar": '"char"',
    "a_free_varchar": "character varying",
    "oids": "oid[]",
    "a_long_text": "text",
    "a_long_jsonb": "jsonb",
    "a_long_bytea": "bytea",
}

_REQUIRED = {"required_text": "'–'", "required_numeric": "0", "required_time": "'2026-01-02 03:04:05.000006+00'"}

_ORDINARY = {
    "required_text": "'Grüße, Welt'",
    "required_numeric": "12.30",
    "a_smallint": "7",
    "an_integer": "-70000",
    "a_bigint": "9007199254740993",
    "an_oid": "4000000000",
    "a_real": "1.1",
    "a_double": "0.1",
    "a_boolean": "true",
    "some_money": "'1234.50'",
    "a_price": "-0.50",
    "a_number": "'1.10'",
    "a_count": "100",
    "a_fine_number": "0.000000000000000001",
    "a_text": "E'tab\\t, quote \", backslash \\\\, line\\nend'",
    "a_varchar": "'日本語 𝄞'",
    "a_char": "'ab'",
    "a_citext": "'CaSe'",
    "a_uuid": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    "a_json": """'{"b" : 1,  "a": [1.10, null]}'""",
    "a_jsonb": """'{"b" : 1,  "a": [1.10, "ü"]}'""",
    "a_mood": "'happy ☺'",
    "an_inet": "'192.168.0.1/24'",
    "a_cidr": "'10.0.0.0/8'",
    "a_macaddr": "'08:00:2b:01:02:03'",
    "an_ltree": "'Top.Science.Astronomy'",
    "an_hstore": """'a=>1, b=>NULL, "ü \\" x"=>"y"'""",
    "a_tsvector": "'a:1 fat:2 cat:3'",
    "a_bytea": "'\\x00ff10'",
    "a_bit": "B'1'",
    "four_bits": "B'0010'",
    "twelve_bits": "B'100000000110'",
    "a_date": "'2024-02-29'",
    "a_timestamp": "'2026-01-02 03:04:05.000006'",
    "a_timestamp_ms": "'2026-01-02 03:04:05.006'",
    "a_timestamptz": "'2026-01-02 03:04:05.100000+02'",
    "a_timestamptz_s": "'2026-01-02 03:04:05+02'",
    "a_time": "'12:34:56.000007'",
    "a_time_ms": "'12:34:56.007'",
    "a_timetz": "'12:34:56.5+02'",
    "an_interval": "'1 year 2 months 3 days 04:05:06.789'",
    "an_int4range": "'[1,5)'",
    "a_numrange": "'(1.10,]'",
    "a_tstzrange": "'[2026-01-02 03:04:05+00,)'",
    "smallints": "'{1,NULL,-3}'",
    "integers": "'{}'",
    "bigints": "'{9007199254740993,NULL}'",
    "reals": "'{1.1,NULL}'",
    "doubles": "'{0.1,1e300}'",
    "booleans": "'{t,f,NULL}'",
    "texts": '\'{"a,b",NULL,"","ü"}\'',
    "varchars": "'{x}'",
    "prices": "'{1.10,-2.00,NULL}'",
    "numbers": "'{1.10,100,NULL}'",
    "uuids": "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}'",
    "jsonbs": """'{"{\\"a\\": 1.10}",NULL}'""",
    "byteas": "'{\"\\\\\\\\x00ff\",NULL}'",
    "dates": "'{2024-02-29,NULL}'",
    "timestamps": "'{2026-01-02 03:04:05.000006,NULL}'",
    "timestamptzs": "'{2026-01-02 03:04:05.000006+02,NULL}'",
    "a_macaddr8": "'08:00:2b:01:02:03:04:05'",
    "an_int8range": "'[1,9007199254740993)'",
    "a_tsrange": "'[2026-01-02 03:04:05.000006,)'",
    "a_daterange": "'[2026-01-02,2026-02-03)'",
    "citexts": "'{aB,NULL}'",
    "inets": "'{192.168.0.1/24,NULL}'",
    "jsons": "'{\"[1.10]\",NULL}'",
    "chars": "'{ab,NULL}'",
    "ranges": "'{\"[1,5)\",NULL}'",
    "hstores": "'{a=>1,NULL}'",
    "a_charchar": "'x'",
    "a_free_varchar": "'x'",
    "oids": "'{1,NULL}'",
    "a_long_text": "repeat('Zeile 1 ü ', 900)",
    "a_long_jsonb": "jsonb_build_object('x', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 90) n))",
    "a_long_bytea": "decode((SELECT string_agg(md5(n::text), '') FROM generate_series(1, 90) n), 'hex')",
}

_SMALLEST = {
    "a_smallint": "-32768",
    "an_integer": "-2147483648",
    "a_bigint": "-9223372036854775808",
    "an_oid": "0",
    "a_real": "'-3.4028235e38'",
    "a_double": "'-1.7976931348623157e308'",
    "a_boolean": "false",
    "some_money": "'-92233720368547758.08'",
    "a_price": "-9999999999.99",
    "a_number": "-1e-30",
    "a_count": "-999999999999999999",
    "a_fine_number": "0",
    "a_text": "''",
    "a_char": "''",
    "a_jsonb": "'null'",
    "a_json": "'null'",
    "an_hstore": "''",
    "a_bytea": "''",
    "a_bit": "B'0'",
    "four_bits": "B'0000'",
    "twelve_bits": "B'000000000001'",
    "a_date": "'0001-01-01'",
    "a_timestamp": "'1969-12-31 23:59:59.999999'",
    "a_timestamp_ms": "'1969-12-31 23:59:59.999'",
    "a_timestamptz": "'0001-01-01 00:00:00+00'",
    "a_timestamptz_s": "'1500-02-28 00:00:00+00'",
    "a_time": "'00:00:00'",
    "a_time_ms": "'00:00:00'",
    "a_timetz": "'00:00:00-15:59'",
    "an_interval": "'-1 year -1 day -00:00:00.000001'",
    "an_int4range": "'empty'",
    "doubles": "'{-0,NULL}'",
}

_LARGEST = {
    "required_numeric": "9999999999.99",
    "a_smallint": "32767",
    "an_integer": "2147483647",
    "a_bigint": "9223372036854775807",
    "an_oid": "4294967295",
    "a_real": "'3.4028235e38'",
    "a_double": "'1.7976931348623157e308'",
    "some_money": "'92233720368547758.07'",
    "a_price": "9999999999.99",
    "a_number": "1e40::numeric + 0.5",
    "a_count": "999999999999999999",
    "a_fine_number": "99999999999999999999.999999999999999999",
    "twelve_bits": "B'111111111111'",
    "a_date": "'9999-12-31'",
    "a_timestamp": "'9999-12-31 23:59:59.999999'",
    "a_timestamp_ms": "'9999-12-31 23:59:59.999'",
    "a_timestamptz": "'9999-12-31 23:59:59.999999+00'",
    "a_timestamptz_s": "'9999-12-31 23:59:59+00'",
    "a_time": "'24:00:00'",
    "a_time_ms": "'23:59:59.999'",
    "a_timetz": "'23:59:59.999999+15:59'",
    "an_interval": "'1000 years 12:00:00'",
    "smallints": "(SELECT array_agg(n::smallint) FROM generate_series(1, 300) n)",
    "texts": "(SELECT array_agg(n::text) FROM generate_series(1, 200) n)",
}

_FAR = {
    "a_date": "'12000-01-01'",
    "a_timestamp": "'12000-01-01 00:00:00.000001'",
    "a_timestamp_ms": "'12000-01-01 00:00:00.001'",
    "a_timestamptz": "'12000-01-01 00:00:00.000001+00'",
    "a_timestamptz_s": "'0044-03-15 12:00:00+00 BC'",
}

_ANCIENT = {
    "a_timestamp": "'0044-03-15 12:00:00.000001 BC'",
    "a_timestamp_ms": "'4713-01-01 00:00:00 BC'",
    "a_timestamptz": "'4713-01-01 00:00:00+00 BC'",
    "a_timestamptz_s": "'0001-12-31 23:59:59+00 BC'",
}

_INFINITE = {
    "a_real": "'NaN'",
    "a_double": "'Infinity'",
    "a_price": "'NaN'",
    "a_number": "'Infinity'",
    "a_date": "'infinity'",
    "a_timestamp": "'infinity'",
    "a_timestamp_ms": "'infinity'",
    "a_timestamptz": "'infinity'",
    "a_timestamptz_s": "'infinity'",
    "reals": "'{NaN,-Infinity}'",
    "dates": "'{infinity,-infinity}'",
    "timestamps": "'{infinity,-infinity}'",
    "timestamptzs": "'{infinity,-infinity}'",
}

_NEGATIVELY_INFINITE = {
    "a_real": "'-Infinity'",
    "a_double": "'NaN'",
    "a_number": "'-Infinity'",
    "a_date": "'-infinity'",
    "a_timestamp": "'-infinity'",
    "a_timestamp_ms": "'-infinity'",
    "a_timestamptz": "'-infinity'",
    "a_timestamptz_s": "'-infinity'",
}


@dataclass(frozen=True)
class Variant:
    """One configuration of the connector.

    Attributes:
        settings: differences from the connector's own configuration.
        left_out: values that this variant cannot send, by column.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()

    @property
    def rows(self) -> list[Mapping[str, str]]:
        """The rows, as SQL expressions by column; a missing column is null."""
        special = [
            {column: value for column, value in row.items() if column not in self.left_out}
            for row in (_FAR, _ANCIENT, _INFINITE, _NEGATIVELY_INFINITE)
        ]
        return [_REQUIRED | row for row in (_ORDINARY, {}, _SMALLEST, _LARGEST, *special)]


_JSON = {
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.replace.null.with.default": "false",
}
_SPECIAL_NUMERICS = frozenset({"a_price", "a_number"})

VARIANTS: Mapping[str, Variant] = {
    "avro": Variant(),
    "avro-precise": Variant(
        {"decimal.handling.mode": "precise", "time.precision.mode": "adaptive", "hstore.handling.mode": "map"},
        _SPECIAL_NUMERICS,
    ),
    "avro-double": Variant({"decimal.handling.mode": "double", "time.precision.mode": "microseconds"}),
    "json": Variant(_JSON | {"value.converter.schemas.enable": "true"}),
    "json-bare": Variant(_JSON | {"value.converter.schemas.enable": "false"}),
    "json-precise": Variant(
        _JSON
        | {
            "value.converter.schemas.enable": "true",
            "decimal.handling.mode": "precise",
            "time.precision.mode": "isostring",
        },
        _SPECIAL_NUMERICS,
    ),
}
