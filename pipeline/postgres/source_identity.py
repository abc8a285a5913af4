"""Identity of what is captured. It shows whether a source is the same as at the last check.

A change that was reverted leaves traces in PostgreSQL's catalog. A recreated table has another oid, and so has a
recreated primary key or publication entry. If an operation was removed from the publication and added again, the
publication's row has another transaction and the same content.

A replica identity that was changed and changed back leaves a new version of the table's row in `pg_class`. GRANT,
TRUNCATE, VACUUM FULL and others do the same and lose nothing, so the version proves nothing by itself: the log has to
be read (`pipeline.epochs.old_rows`). All of them keep the table's oid, and REINDEX keeps that of a primary key's
constraint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline.postgres.capture import SourceState

Identity = Mapping[str, str]

PUBLICATION = "publication"
PUBLICATION_ROW = "publication row"
_TABLE, _KEY, _ENTRIES, _VERSION = "table ", "key ", "entries ", "version "


def identity_of(source: SourceState) -> dict[str, str]:
    """Derive the identity of what is captured. Missing objects are left out."""
    database = source.database
    found = {
        PUBLICATION: database.publication_identity,
        PUBLICATION_ROW: f"{database.publication_version} {database.publication_content}",
    }
    for table in source.tables:
        found[f"{_TABLE}{table.table_name}"] = table.table_identity
        found[f"{_KEY}{table.table_name}"] = table.key_identity
        found[f"{_ENTRIES}{table.table_name}"] = ",".join(table.publication_entries)
        found[f"{_VERSION}{table.table_name}"] = table.table_version
    return {name: value for name, value in found.items() if value.strip()}


def is_known(table: str, known: Identity) -> bool:
    """Return whether a recorded identity contains the table (`schema.table`)."""
    return f"{_TABLE}{table}" in known


def altered(known: Identity, found: Identity) -> Iterator[str]:
    """Yield changes that were reverted since an identity was recorded, if they left changes out of the log."""
    changed = {name for name in known.keys() & found.keys() if known[name] != found[name]}
    if PUBLICATION in changed:
        yield "the publication was dropped and made again"
    elif PUBLICATION_ROW in changed and _content(known) == _content(found):
        yield "the publication's operations were changed and set back"
    remade = {name.removeprefix(_TABLE) for name in changed if name.startswith(_TABLE)}
    yield from (f"{table} was dropped and made again" for table in sorted(remade))
    for table in sorted({name.partition(" ")[2] for name in changed} - remade):
        if f"{_KEY}{table}" in changed:
            yield f"the primary key of {table} was dropped and made again"
        if f"{_ENTRIES}{table}" in changed and PUBLICATION not in changed and not _shares_entry(table, known, found):
            yield f"{table} was taken out of the publication and put back"


def rewritten(known: Identity, found: Identity) -> frozenset[str]:
    """Return the tables whose replica identity may have been changed and changed back since the recorded identity."""
    versions = {name for name in known.keys() & found.keys() if name.startswith(_VERSION)}
    return frozenset(name.removeprefix(_VERSION) for name in versions if known[name] != found[name])


def _shares_entry(table: str, known: Identity, found: Identity) -> bool:
    """Return whether an entry of the publication stayed. A table may be in it twice, such as by its schema."""
    before, after = (set(one[f"{_ENTRIES}{table}"].split(",")) for one in (known, found))
    return not before.isdisjoint(after)


def _content(identity: Identity) -> str:
    return identity[PUBLICATION_ROW].partition(" ")[2]
