"""Check of a reader's query: one SELECT that uses only allowed functions, types and tables.

The check uses the parse tree, which may contain only nodes, functions and types listed in `allowed_functions.toml`. All
others are refused, so that a new version of DuckDB allows nothing by itself.

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
"""Levels of JSON that orjson reads. One level of SQL is about four of them."""

_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(?:ANALYZE\s+)?(?=\S)", re.IGNORECASE)
_SHOWN = {"", '"databases"', '"schemas"', '"tables"', "__show_tables_expanded"}


class QueryRefused(ValueError):
    """A reader's query does more than read tables, or exceeds a limit."""

    remedy = "Ask with one SELECT statement of the functions that docs/operations/security.md allows to readers."


class QueryCatalog(Protocol):
    """Names that a query may use in addition to DuckDB's own."""

    def has_macro(self, name: str) -> bool:
        """Return whether a macro of that name was created beside the tables."""

    def has_relation(self, path: tuple[str, str, str]) -> bool:
        """Return whether a table or view has this catalog, schema and name. Catalog and schema may be empty."""


class AnyName:
    """Catalog that accepts every name. The server that runs the query checks the names."""

    def has_macro(self, name: str) -> bool:  # noqa: ARG002
        return True

    def has_relation(self, path: tuple[str, str, str]) -> bool:  # noqa: ARG002
        return True


def require_reads(query: str, catalog: QueryCatalog, max_bytes: int = DEFAULT_LIMITS.max_query_bytes) -> None:
    """Check that a query reads tables and does nothing else.

    Args:
        query: one SELECT, or an EXPLAIN of one.
        catalog: the macros, tables and views of the queried instance.
        max_bytes: the maximum length of the query's text.

    Raises:
        QueryRefused: the query does something else. The message names the part.
    """
    for part, is_called in _parts(select_of(query[_explained(query) :], max_bytes)):
        _require_allowed(part, is_called, catalog)


def select_of(query: str, max_bytes: int = DEFAULT_LIMITS.max_query_bytes) -> dict[str, Any]:
    """Parse a text that is exactly one SELECT.

    Raises:
        QueryRefused: it is not one SELECT, or exceeds a limit.
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
    """Return the index of the statement after EXPLAIN, or 0 without EXPLAIN."""
    found = _EXPLAIN.match(query)
    return found.end() if found else 0


@functools.cache
def _parser() -> duckdb.DuckDBPyConnection:
    """Return an empty database for parsing. Creating one takes longer than most queries."""
    return duckdb.connect(config={"memory_limit": PARSER_MEMORY, "threads": 1})


def parse_query(query: str) -> dict[str, Any]:
    """Parse SELECT statements into a tree. The tree has a flag `error`, and `error_message` if it is set."""
    with _parser().cursor() as parser:
        tree: dict[str, Any] = orjson.loads(parser.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0])
    return tree


def render_query(tree: Mapping[str, Any]) -> str:
    """Return the SELECT text of a tree."""
    with _parser().cursor() as parser:
        return str(
            parser.execute("SELECT json_deserialize_sql(?::JSON)", [orjson.dumps(tree).decode()]).fetchall()[0][0]
        )


@dataclass(frozen=True)
class Names:
    """Names of one kind: the allowed ones, and the refused ones with their reasons."""

    kind: str
    allowed: frozenset[str]
    refused: Mapping[str, str]

    def require(self, name: str) -> None:
        """Check that a name is allowed.

        Raises:
            QueryRefused: the name is not allowed. The message has the reason.
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
    """Return the allowed nodes of a parse tree."""
    return _names("the clause", "node", "node")


def expression_functions() -> Names:
    """Return the functions that an expression may call."""
    return _names("the function", "expression", "scalar", "aggregate", "macro")


def table_functions() -> Names:
    """Return the functions that a FROM clause may call."""
    return _names("the table function", "table", "table")


def types() -> Names:
    """Return the allowed types of casts."""
    return _names("the type", "type", "type")


def views() -> Names:
    """Return the allowed views of DuckDB's own catalog."""
    return _names("the view", "view", "view")


def own_views() -> frozenset[str]:
    """Return the names of all views that are built into DuckDB."""
    with _parser().cursor() as parser:
        found = parser.execute("SELECT view_name FROM duckdb_views() WHERE internal").fetchall()
    return frozenset(name for (name,) in found)


@functools.cache
def _closed_views() -> frozenset[str]:
    return own_views() - views().allowed


def _parts(tree: object) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield all objects of a tree, each with a flag that is set if it is the call of a table function."""
    # The loop avoids recursion, because a deeply nested query could exhaust the stack.
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
    # DuckDB reads an unknown table name that contains a dot as a file name.
    if "." in ".".join(filter(None, path)) and not catalog.has_relation(path):
        raise QueryRefused(f"there is no table {'.'.join(filter(None, path))}, and files are not read")
    if table["at_clause"] is not None:
        raise QueryRefused("AT is not known as harmless")
