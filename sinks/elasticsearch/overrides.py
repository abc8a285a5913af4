"""Index settings and field mappings that a document declares, merged into the generated ones.

Only settings and mappings that leave the sink's own needs intact are accepted. Elasticsearch itself checks the rest
when an index is created.

Source: https://www.elastic.co/docs/reference/elasticsearch/index-settings
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sinks.errors import SinkError

ALLOWED_SETTINGS = frozenset(
    {"number_of_shards", "number_of_replicas", "refresh_interval", "analysis", "similarity", "codec", "priority"}
    | {"max_result_window", "max_inner_result_window", "max_ngram_diff", "max_shingle_diff", "max_terms_count"}
    | {"max_regex_length", "highlight", "query", "search", "routing"}
)
"""First words of the settings that a document may declare. Others, such as `blocks` or `default_pipeline`, could refuse
or change the sink's writes."""


class InvalidOverride(SinkError):
    """An index setting or field mapping of a document cannot be used."""

    remedy = (
        "Correct `settings` or `mappings` below `elasticsearch` of the document in `readmodels.toml`: the message "
        "names the document and the cause."
    )


def check_settings(document: str, settings: Mapping[str, Any]) -> None:
    """Check that a document declares allowed settings only.

    Raises:
        InvalidOverride: a setting is not allowed.
    """
    for name in settings:
        if name.partition(".")[0] not in ALLOWED_SETTINGS:
            raise InvalidOverride(
                f"document {document!r}: the index setting {name!r} is not one of {', '.join(sorted(ALLOWED_SETTINGS))}"
            )


def override_fields(
    document: str, generated: Mapping[str, dict[str, Any]], mappings: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return field mappings with those that a document declares. A mapping without a type extends the generated one.

    Args:
        generated: the mappings of the document's fields, by name.
        mappings: the declared part, in the form of Elasticsearch: `{"properties": {…}}`.

    Raises:
        InvalidOverride: a field does not exist, or the mapping is more than fields.
    """
    if others := sorted({*mappings} - {"properties"}):
        raise InvalidOverride(f"document {document!r}: {', '.join(others)} cannot be declared, only `properties`")
    fields = dict(generated)
    for name, given in dict(mappings.get("properties", {})).items():
        if name not in fields:
            raise InvalidOverride(f"document {document!r}: there is no field {name!r}")
        if "dynamic" in given:
            raise InvalidOverride(f"document {document!r}: `dynamic` of {name!r} cannot be declared")
        if fields[name].get("type") == "nested":
            inner = override_fields(document, fields[name]["properties"], given)
            fields[name] = {**fields[name], "properties": inner}
        else:
            fields[name] = dict(given) if "type" in given else {**fields[name], **given}
    return fields
