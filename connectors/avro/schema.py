"""Avro schemas as parsed JSON, with their named types resolved.

Source: https://avro.apache.org/docs/1.12.0/specification/#names
"""

from collections.abc import Mapping
from typing import Any

_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_NAMED = frozenset({"record", "error", "enum", "fixed"})


class UnresolvedSchema(ValueError):
    """A schema is not Avro, names an undefined type, or contains itself."""


def inline_types(schema: Any, types: Mapping[str, Any] | None = None) -> Any:
    """Copy a schema, and replace every type name with the type itself, under its full name.

    Args:
        schema: a schema as parsed JSON.
        types: types that are defined elsewhere, resolved, by full name.

    Raises:
        UnresolvedSchema: a type is undefined, or contains itself.
    """
    return _Resolver(dict(types or {})).resolve(schema, "")


class _Resolver:
    def __init__(self, types: dict[str, Any]) -> None:
        self._types = types

    def resolve(self, schema: Any, namespace: str) -> Any:
        if isinstance(schema, list):
            return [self.resolve(branch, namespace) for branch in schema]
        if isinstance(schema, str):
            return schema if schema in _PRIMITIVES else self._named(_full_name(schema, namespace))
        match schema["type"]:
            case kind if isinstance(kind, str) and kind in _NAMED:
                return self._define(schema, namespace)
            case "array":
                return {**schema, "items": self.resolve(schema["items"], namespace)}
            case "map":
                return {**schema, "values": self.resolve(schema["values"], namespace)}
            case kind:
                return {**schema, "type": self.resolve(kind, namespace)}

    def _define(self, schema: Mapping[str, Any], namespace: str) -> Any:
        name = _full_name(schema["name"], schema.get("namespace", namespace))
        self._types[name] = None
        copy = {key: value for key, value in schema.items() if key != "namespace"} | {"name": name}
        if "fields" in schema:
            inner = name.rpartition(".")[0]
            copy["fields"] = [{**f, "type": self.resolve(f["type"], inner)} for f in schema["fields"]]
        self._types[name] = copy
        return copy

    def _named(self, name: str) -> Any:
        if self._types.get(name) is None:
            raise UnresolvedSchema(f"type {name} is defined nowhere, or contains itself")
        return self._types[name]


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def strip_logical_types(schema: Any) -> Any:
    """Copy a resolved schema for fastavro, without logical types and with each type once, to read raw values."""
    return _plain(schema, set())


def _plain(schema: Any, defined: set[str]) -> Any:
    if isinstance(schema, list):
        return [_plain(branch, defined) for branch in schema]
    if isinstance(schema, str):
        return schema
    if schema["type"] in _NAMED:
        if schema["name"] in defined:
            return schema["name"]
        defined.add(schema["name"])
    copy = {key: schema[key] for key in ("type", "name", "size", "symbols") if key in schema}
    if not isinstance(schema["type"], str):
        copy["type"] = _plain(schema["type"], defined)
    for part in ("items", "values"):
        if part in schema:
            copy[part] = _plain(schema[part], defined)
    if "fields" in schema:
        copy["fields"] = [{"name": f["name"], "type": _plain(f["type"], defined)} for f in schema["fields"]]
    return copy


def record_fields(schema: Any) -> dict[str, Any]:
    """Return the types of a (nullable) record's fields by name; empty for any other type."""
    if isinstance(schema, list):
        return next((record_fields(branch) for branch in schema if branch != "null"), {})
    if isinstance(schema, str):
        return {}
    if not isinstance(schema["type"], str):
        return record_fields(schema["type"])
    return {field["name"]: field["type"] for field in schema.get("fields", [])}
