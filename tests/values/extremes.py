"""Extreme values of every type that a model can hold, as PostgreSQL input."""

from collections.abc import Iterator, Mapping, Sequence

from psycopg.sql import Literal

TABLE = "public.extremes"

SCHEMA = """
CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'happy ☺');
"""

_MOMENTS = (
    "294276-12-31 23:59:59.999999",
    "294247-01-10 04:00:54.775806",
    "294247-01-10 04:00:54.775807",
    "294247-01-10 04:00:54.775808",
    "294247-01-10 04:00:55",
    "10000-01-01 00:00:00",
    "1582-10-10 00:00:00.000001",
    "1500-02-28 01:02:03.000004",
    "0001-12-31 23:59:59 BC",
    "0044-03-15 12:00:00 BC",
    "4714-11-24 00:00:00 BC",
    "infinity",
    "-infinity",
)
_DATES = (
    "5874897-12-31",
    "294277-01-01",
    "10000-01-01",
    "9999-12-31",
    "1582-10-04",
    "1500-02-28",
    "0001-01-01",
    "0001-12-31 BC",
    "0044-03-15 BC",
    "4714-11-24 BC",
    "infinity",
    "-infinity",
)
_FLOATS = ("NaN", "Infinity", "-Infinity", "-0", "0")
_JSON = (
    "null",
    '"\\ud83c\\udf81"',
    '"\\u0001\\""',
    "1e5000",
    "-1e-400",
    "9" * 5_000,
    '{"": 1, "a.b": {"": []}}',
    '{"readmodels": {"kind": "hidden"}, "items": null}',
    "[" * 2_000 + "]" * 2_000,
    '{"x": ' * 600 + "0" + "}" * 600,
    '{"' + "n" * 60_000 + '": 1}',
)

EXTREMES: Mapping[str, Sequence[str]] = {
    "smallint": ("-32768", "32767"),
    "integer": ("-2147483648", "2147483647"),
    "bigint": ("-9223372036854775808", "9223372036854775807"),
    "oid": ("0", "4294967295"),
    "real": (*_FLOATS, "1e-45", "3.4028235e38"),
    "double precision": (*_FLOATS, "5e-324", "1.7976931348623157e308"),
    "boolean": ("t", "f"),
    "money": ("-92233720368547758.08", "92233720368547758.07"),
    "numeric": ("NaN", "Infinity", "-Infinity", "-999999999999999999.99999999999999999999", "9", "10.50", "-0.0"),
    "numeric(12,2)": ("NaN", "-9999999999.99", "9999999999.99", "0.10"),
    "numeric(38,18)": ("NaN", "99999999999999999999.999999999999999999"),
    "numeric(3,5)": ("NaN", "0.00123"),
    "numeric(2,2)": ("-0.99", "0.00"),
    "text": ("", " ", "null", "NULL", "\u2028\ufeff\U0010ffff", "\x01\x7f\t\r\n\\\"'", "x" * 40_000),
    "character varying(40)": ("", "日本語 𝄞"),
    "character(5)": ("", "ab"),
    '"char"': ("", "x"),
    "citext": ("", "CaSe"),
    "mood": ("sad", "happy ☺"),
    "uuid": ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    "bytea": ("", "\\x00ff"),
    "bit(1)": ("0", "1"),
    "bit(12)": ("000000000001", "100000000110"),
    "json": (
        *_JSON,
        '{"a":1,"a":2}',
        '[{"a":{"b":1,"b":{}}}]',
        '"\\ud800"',
        '{"\\udfff": "\\ud800x"}',
        '"\\u0000"',
        "1e999999",
        "-1e999999",
        '  \n\t{"a"\r\n:\t1 }  \n',
        "-0",
        "1E+2",
        '"\\/"',
    ),
    "jsonb": _JSON,
    "hstore": ("", 'a=>NULL, "ü \\" x"=>"y"'),
    "ltree": ("", "a.b"),
    "inet": ("0.0.0.0/0", "::ffff:1.2.3.4/96"),
    "cidr": ("::/0", "10.0.0.0/8"),
    "macaddr": ("ff:ff:ff:ff:ff:ff",),
    "macaddr8": ("08:00:2b:01:02:03:04:05",),
    "tsvector": ("", "'a b':1A,2"),
    "date": _DATES,
    "timestamp without time zone": _MOMENTS,
    "timestamp(3) without time zone": ("294276-12-31 23:59:59.999", "4714-11-24 00:00:00 BC", "infinity", "-infinity"),
    "timestamp with time zone": _MOMENTS,
    "timestamp(0) with time zone": ("294276-12-31 23:59:59", "infinity"),
    "time without time zone": ("00:00:00", "23:59:59.999999", "24:00:00"),
    "time with time zone": ("00:00:00+15:59", "23:59:59.999999-15:59", "24:00:00+00"),
    "interval": ("178000000 years", "-178000000 years", "1 mon -1 day 00:00:00.000001", "-596523:00:00", "0"),
    "int4range": ("empty", "(,)", "[-2147483648,2147483647)"),
    "int8range": ("empty", "[1,9007199254740993)"),
    "numrange": ("(NaN,)", "[1.10,Infinity]"),
    "tsrange": ("[-infinity,infinity)",),
    "tstzrange": ("[294276-12-31 23:59:59+00,)",),
    "daterange": ("[5874897-12-30,)", "empty"),
    "smallint[]": ("{}", "{NULL}", "{{1,2},{3,4}}"),
    "integer[]": ("{}", "{NULL,NULL}", "{{1,2},{3,4}}", "[5:6]={1,2}", "[0:1][2:3]={{1,NULL},{3,4}}", "{{{1},{2}}}"),
    "bigint[]": ("{9223372036854775807,NULL}", "{{9007199254740993}}"),
    "oid[]": ("{4294967295}",),
    "real[]": ("{NaN,-0,Infinity}", "{{1.5,2}}"),
    "double precision[]": ("{NaN,-Infinity,5e-324}", "{{1.5,2}}"),
    "boolean[]": ("{t,f,NULL}", "{{t,f}}"),
    "numeric[]": ("{NaN,1.10,Infinity,NULL}", "{{NaN,1.0}}"),
    "numeric(12,2)[]": ("{NaN,1.1,NULL}", "{{NaN,1.0}}", "{}"),
    "text[]": ("{}", '{NULL,"NULL","",null}', '{{a,"b,c"},{"d\\"e","f\\\\g"}}', "[5:6]={a,b}", '{"[L;@1","{x}"}'),
    "character varying(40)[]": ("{x,NULL}", "{{a,b}}"),
    "character(5)[]": ("{ab}",),
    "citext[]": ("{aB}",),
    "mood[]": ('{sad,"happy ☺",NULL}', "{{sad}}"),
    "uuid[]": ("{00000000-0000-0000-0000-000000000000}", "{{00000000-0000-0000-0000-000000000000}}"),
    "json[]": ('{"{\\"a\\": 1.10}",NULL}', '{"[1]"}', '{{"[1]"},{null}}'),
    "jsonb[]": ('{"{\\"a\\": 1.10}",NULL}', '{{"{\\"a\\": 1}"}}'),
    "bytea[]": ('{"\\\\x00ff","\\\\x"}', '{{"\\\\x00ff"}}'),
    "hstore[]": ('{"a=>1, \\"b\\"=>NULL",NULL}', "{{a=>1}}"),
    "inet[]": ("{1.2.3.4/24}", "{{1.2.3.4}}"),
    "macaddr[]": ("{08:00:2b:01:02:03}",),
    "bit(3)[]": ("{101,NULL}",),
    "tsvector[]": ("{a}",),
    "int4range[]": ('{"[1,5)",empty}', '{{"[1,2)"}}'),
    "time without time zone[]": ("{24:00:00,12:00:00.5,NULL}", "{{00:00:00}}"),
    "date[]": (*(f'{{"{one}",NULL}}' for one in _DATES), "{{2026-01-01}}"),
    "timestamp without time zone[]": (*(f'{{"{one}",NULL}}' for one in _MOMENTS), "{{2026-01-01 00:00:00}}"),
    "timestamp with time zone[]": (*(f'{{"{one}",NULL}}' for one in _MOMENTS), "{{2026-01-01 00:00:00}}"),
}

COLUMNS: Mapping[str, str] = {"id": "bigint", **{f"c{number}": text for number, text in enumerate(EXTREMES)}}
"""The columns of one table of all types, each named after its position."""


DEFAULTS = ", ".join(
    f"ALTER {name} SET DEFAULT {Literal(EXTREMES[text][0]).as_string()}::{text}"
    for name, text in COLUMNS.items()
    if name != "id"
)
"""Actions of ALTER TABLE that give each column the first extreme value of its type as its default."""


def rows() -> Iterator[dict[str, str | None]]:
    """Yield the rows of the table: the first extreme value of every type, then the second, until all are NULL."""
    valued = zip([name for name in COLUMNS if name != "id"], EXTREMES.values(), strict=True)
    values = {name: (*extremes, None) for name, extremes in valued}
    for number in range(max(map(len, values.values()))):
        yield {name: extremes[min(number, len(extremes) - 1)] for name, extremes in values.items()}
