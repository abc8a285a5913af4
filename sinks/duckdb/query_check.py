"""Check of a reader's query: one SELECT, made of nothing but the allowed functions, types and tables.

The parse tree decides. It may have only parts that are listed in `allowed_functions.toml`; a part, function or type
that is not listed there is refused, so that a new version of DuckDB opens nothing by itself.

Source: https://duckdb.org/docs/current/data/json/sql_to_and_from_json
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb
import orjson

from sinks.duckdb.reader_limits import DEFAULT_LIMITS

PARSER_MEMORY = "512MB"
MAX_NESTING = 1024
"""Levels of JSON that orjson reads; a level of SQL is about four of them."""

_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(?:ANALYZE\s+)?(?=\S)", re.IGNORECASE)
_SHOWN = {"", '"databases"', '"schemas"', '"tables"', "__show_tables_expanded"}


class QueryRefused(ValueError):
    """A reader's query does more than read tables, or is beyond a bound."""

    remedy = "Ask with one SELECT statement of the functions that docs/security.md allows to readers."


class QueryCatalog(Protocol):
    """The names that a query may use beside DuckDB's own."""

    def has_macro(self, name: str) -> bool:
        """Return whether a macro of that name was made beside the tables."""

    def has_relation(self, path: tuple[str, str, str]) -> bool:
        """Return whether that catalog, schema and name is a table or view; the first two may be empty."""


class AnyName:
    """A catalog of which nothing is known: whoever answers the query checks its names."""

    def has_macro(self, name: str) -> bool:  # noqa: ARG002
        return True

    def has_relation(self, path: tuple[str, str, str]) -> bool:  # noqa: ARG002
        return True


def require_reads(query: str, catalog: QueryCatalog, max_bytes: int = DEFAULT_LIMITS.max_query_bytes) -> None:
    """Check that a query reads tables and does nothing else.

    Args:
        query: one SELECT, or an EXPLAIN of one.
        catalog: the macros, tables and views of the instance that is asked.
        max_bytes: the length of the query's text.

    Raises:
        QueryRefused: it does something else; the message names the part that does.
    """
    for part, is_called in _parts(select_of(query[_explained(query) :], max_bytes)):
        _require_allowed(part, is_called, catalog)


def select_of(query: str, max_bytes: int = DEFAULT_LIMITS.max_query_bytes) -> dict[str, Any]:
    """Parse a text that is exactly one SELECT.

    Raises:
        QueryRefused: it is not.
    """
    try:
        size_bytes = len(query.encode())
    except UnicodeEncodeError:
        raise QueryRefused("a query is Unicode text") from None
    if size_bytes > max_bytes:
        raise QueryRefused(f"a query has at most {max_bytes} bytes (duckdb.max_query_bytes), and this has {size_bytes}")
    try:
        tree = parse_query(query)
    except duckdb.OutOfMemoryException:
        raise QueryRefused(f"a query needs at most {PARSER_MEMORY} to be parsed") from None
    except orjson.JSONDecodeError:
        raise QueryRefused(f"a query is nested at most {MAX_NESTING} levels of its parse tree deep") from None
    if tree["error"]:
        raise QueryRefused(_without_serialization(tree["error_message"]))
    if len(tree["statements"]) != 1:
        raise QueryRefused("a query is one SELECT statement")
    return tree


def _without_serialization(message: str) -> str:
    return "a query is one SELECT statement" if "serialized" in message else message


def _explained(query: str) -> int:
    """Where the statement begins that is explained; 0 where none is."""
    found = _EXPLAIN.match(query)
    return found.end() if found else 0


@functools.cache
def _parser() -> duckdb.DuckDBPyConnection:
    """An empty database that only parses: making one takes longer than most queries."""
    return duckdb.connect(config={"memory_limit": PARSER_MEMORY, "threads": 1})


def parse_query(query: str) -> dict[str, Any]:
    """Parse SELECT statements into a tree; it has a flag `error`, and then `error_message`."""
    with _parser().cursor() as parser:
        tree: dict[str, Any] = orjson.loads(parser.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0])
    return tree


def render_query(tree: Mapping[str, Any]) -> str:
    """Write the SELECT that a tree stands for."""
    with _parser().cursor() as parser:
        return str(
            parser.execute("SELECT json_deserialize_sql(?::JSON)", [orjson.dumps(tree).decode()]).fetchall()[0][0]
        )


@dataclass(frozen=True)
class Names:
    """One kind of name: those that are allowed, and the reasons for which others are refused."""

    kind: str
    allowed: frozenset[str]
    refused: Mapping[str, str]

    def require(self, name: str) -> None:
        """Check that a name is allowed.

        Raises:
            QueryRefused: it is not; the message has the reason.
        """
        if name.lower() not in self.allowed:
            reason = self.refused.get(name.lower(), "is not known as harmless")
            raise QueryRefused(f"{self.kind} {name} {reason}")


@functools.cache
def _listed() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("allowed_functions.toml").read_text())


@functools.cache
def _names(kind: str, reasons: str, *lists: str) -> Names:
    allowed = (name.lower() for one in lists for name in _listed()["allowed"][one].split())
    refused = _listed()["refused"].get(reasons, {}).items()
    return Names(kind, frozenset(allowed), {name: reason for reason, names in refused for name in names.split()})


def nodes() -> Names:
    """List the parts of a parse tree."""
    return _names("the clause", "node", "node")


def expression_functions() -> Names:
    """List the functions that an expression may call."""
    return _names("the function", "expression", "scalar", "aggregate", "macro")


def table_functions() -> Names:
    """List the functions that may stand in a FROM clause."""
    return _names("the table function", "table", "table")


def types() -> Names:
    """List the types of casts."""
    return _names("the type", "type", "type")


def views() -> Names:
    """List the views of DuckDB's own catalog."""
    return _names("the view", "view", "view")


def own_views() -> frozenset[str]:
    """List the views that DuckDB brings along."""
    with _parser().cursor() as parser:
        found = parser.execute("SELECT view_name FROM duckdb_views() WHERE internal").fetchall()
    return frozenset(name for (name,) in found)


@functools.cache
def _closed_views() -> frozenset[str]:
    return own_views() - views().allowed


def _parts(tree: object) -> Iterator[tuple[dict[str, Any], bool]]:
    """Walk through all objects of a tree, and say of each if it is the call of a table function."""
    # Without recursion, which a nested query could exhaust.
    waiting: list[tuple[Any, bool]] = [(tree, False)]
    while waiting:
        one, is_called = waiting.pop()
        if isinstance(one, dict):
            yield one, is_called
            is_table_function = one.get("type") == "TABLE_FUNCTION"
            for key, branch in one.items():
                if isinstance(branch, dict | list) and branch:
                    waiting.append((branch, is_table_function and key == "function"))
        else:
            waiting.extend((branch, False) for branch in one if isinstance(branch, dict | list))


def _require_allowed(part: Mapping[str, Any], is_called: bool, catalog: QueryCatalog) -> None:
    node = part.get("type")
    if isinstance(node, str):
        nodes().require(node)
    if "function_name" in part:
        _require_function(part, table_functions() if is_called else expression_functions(), catalog)
    if "type_info" in part and part["id"] != "UNBOUND":
        types().require(part["id"].replace(" ", "_"))
    if node == "UNBOUND_TYPE_INFO":
        types().require(part["name"].replace(" ", "_"))
    if node == "BASE_TABLE":
        _require_relation(part, catalog)
    if node == "SHOW_REF" and part["table_name"] not in _SHOWN:
        raise QueryRefused(f"SHOW {part['table_name']} is not known as harmless")
    if part.get("pivot_enum"):
        raise QueryRefused("a PIVOT names its columns with IN")


def _require_function(call: Mapping[str, Any], names: Names, catalog: QueryCatalog) -> None:
    name: str = call["function_name"]
    if name.lower() in names.refused or not (name.lower() in names.allowed or catalog.has_macro(name)):
        names.require(name)
    if call.get("export_state"):
        raise QueryRefused("EXPORT_STATE holds the state of an aggregate")


def _require_relation(table: Mapping[str, Any], catalog: QueryCatalog) -> None:
    name: str = table["table_name"]
    if name.lower() in _closed_views():
        views().require(name)
    path = (table["catalog_name"], table["schema_name"], name)
    # DuckDB takes a name that it does not find for that of a file, if there is a dot in it.
    if "." in ".".join(filter(None, path)) and not catalog.has_relation(path):
        raise QueryRefused(f"there is no table {'.'.join(filter(None, path))}, and files are not read")
    if table["at_clause"] is not None:
        raise QueryRefused("AT is not known as harmless")
