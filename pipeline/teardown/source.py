"""Parts of a deployment in the source database: slots, objects that `init` created, and the connector's role."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from pipeline.postgres import replication
from pipeline.postgres.database import Connection, InsufficientPrivilege, connect, load_sql
from pipeline.service_addresses import SourceSettings
from pipeline.setup.source import SLOT_RELEASE_TIMEOUT_S, Deployment
from pipeline.teardown.connectors import Connectors
from pipeline.teardown.found import Area, LeftAlone, RemovablePart
from pipeline.teardown.traces import Traces

EXAMPLE_TABLES = ("public.orders", "public.order_items")
"""Tables of the example."""
MADE_BY_DEMO = "created by readmodels demo"
"""Comment on tables that `demo` created."""
_IDENTITIES = "readmodels.earlier_replica_identity"
_KINDS: dict[str, LiteralString] = {"publication": "PUBLICATION", "table": "TABLE", "schema": "SCHEMA"}


@dataclass(frozen=True)
class _Slot:
    name: str
    plugin: str
    is_active: bool
    retained: str


@dataclass(frozen=True)
class _Role:
    name: str
    is_made_by_init: bool
    other_databases: list[str]


def find_slots(deployment: Deployment, traces: Traces, connectors: Connectors) -> Area:
    """Find the replication slots of a deployment. A slot that stays would fill the source's disk."""
    area = Area("replication slot")
    of_others = {one.slot for one in connectors.others}
    # If Kafka Connect has a connector of the deployment, its settings name the slot, not the current configuration.
    own = {*traces.slots} or {deployment.connector.slot} - of_others
    with area.looking(), connect(deployment.source.url) as connection:
        with connection.cursor(row_factory=class_row(_Slot)) as cursor:
            slots = cursor.execute(load_sql("teardown_slots.sql")).fetchall()
        for slot in slots:
            if slot.name in own:
                area.found.append(_slot(deployment, slot.name))
            elif slot.name not in of_others and not slot.is_active and slot.plugin == "pgoutput":
                area.left.append(_unread(slot))
    return area


def find_setup(deployment: Deployment, traces: Traces, connectors: Connectors) -> Area:
    """Find the publication, the heartbeat and the signals that `init` created."""
    area = Area("publication, heartbeat and signals")
    with area.looking(), connect(deployment.source.url) as connection:
        named = {"publications": sorted(traces.publications), "made_by": replication.MADE_BY}
        rows = connection.execute(load_sql("teardown_objects.sql"), named).fetchall()
        objects = [(str(kind), str(name)) for kind, name in rows]
        beside = connectors.beside(deployment)
        if beside and objects:
            area.left.append(_shared(beside))
            return area
        if ("table", _IDENTITIES) in objects:
            area.found += _identities(deployment.source, connection)
        held = [str(name) for (name,) in connection.execute(load_sql("teardown_schema.sql"))]
        for kind, name in objects:
            if kind == "schema" and held:
                area.left.append(_holds(name, held))
            else:
                area.found.append(_object(deployment.source, kind, name))
        area.left += _other_publications(connection, traces, {name for kind, name in objects if kind == "publication"})
    return area


def find_role(deployment: Deployment, traces: Traces, connectors: Connectors) -> Area:
    """Find the role that `init` created, and its grants to a role that existed before."""
    area = Area("replication role")
    if connectors.beside(deployment):
        return area
    with area.looking(), connect(deployment.source.url) as connection:
        for role in _roles(connection, deployment.source.replication_role):
            if role.is_made_by_init and not role.other_databases:
                area.found.append(RemovablePart(f"role {role.name}", _dropping(deployment.source, role.name)))
                continue
            granted = [name for _, _, name in _grants(connection, role.name) if _is_granted_by_init(name, traces)]
            if granted:
                revoke = _revoking(deployment.source, role.name, granted)
                area.found.append(RemovablePart(f"rights of role {role.name} on {', '.join(granted)}", revoke))
            area.left.append(_not_dropped(role))
    return area


def find_tables(source: SourceSettings) -> Area:
    """Find the example's tables, which only `--with-tables` drops, and only if `demo` or `up` created them."""
    area = Area("tables")
    query = "SELECT obj_description(to_regclass(%s), 'pg_class')"
    with area.looking(), connect(source.url) as connection:
        for table in EXAMPLE_TABLES:
            if connection.execute(query, [table]).fetchone() == (MADE_BY_DEMO,):
                area.found.append(_object(source, "table", table))
    return area


def _slot(deployment: Deployment, name: str) -> RemovablePart:
    def remove() -> None:
        with connect(deployment.source.admin_url) as connection:
            replication.drop_slot(connection, name, SLOT_RELEASE_TIMEOUT_S)

    return RemovablePart(f"slot {name}", remove)


def _unread(slot: _Slot) -> LeftAlone:
    return LeftAlone(
        f"slot {slot.name} stays: nothing reads it, it keeps {slot.retained} of WAL, and nothing says whose it is",
        f"If nobody needs it, drop it: SELECT pg_drop_replication_slot('{slot.name}');",
    )


def _object(source: SourceSettings, kind: str, name: str) -> RemovablePart:
    def remove() -> None:
        drop = sql.SQL("DROP {} IF EXISTS {}").format(sql.SQL(_KINDS[kind]), sql.Identifier(*name.split(".")))
        with connect(source.url) as connection:
            _execute(connection, drop)

    return RemovablePart(f"{kind} {name}", remove)


def _shared(beside: Collection[str]) -> LeftAlone:
    return LeftAlone(
        f"publication readmodels, schema readmodels and role stay: connector {', '.join(beside)} reads this database",
        "Tear down the other deployment, then run `readmodels teardown --execute` again.",
    )


def _holds(schema: str, held: Collection[str]) -> LeftAlone:
    return LeftAlone(
        f"schema {schema} stays: it holds {', '.join(held)}, which `init` did not create",
        f"Move them to another schema, or drop them; then DROP SCHEMA {schema};",
    )


def _identities(source: SourceSettings, connection: Connection) -> Iterator[RemovablePart]:
    """Yield the replica identities that `init` changed; removing one restores the table's own."""
    for name, statement in connection.execute(load_sql("teardown_identities.sql"), {}).fetchall():
        yield RemovablePart(f"replica identity FULL of {name}", _restoring(source, str(statement)))


def _restoring(source: SourceSettings, statement: str) -> Callable[[], None]:
    def remove() -> None:
        restore = sql.SQL(statement).format()
        try:
            with connect(source.url) as connection:
                _execute(connection, restore)
        except InsufficientPrivilege:
            with connect(source.admin_url) as connection:
                _execute(connection, restore)

    return remove


def _other_publications(connection: Connection, traces: Traces, own: Collection[str]) -> Iterator[LeftAlone]:
    query = "SELECT pubname FROM pg_catalog.pg_publication WHERE pubname = ANY (%s)"
    for (name,) in connection.execute(query, [sorted(traces.publications - {*own})]):
        quoted = sql.Identifier(str(name)).as_string(connection)
        yield LeftAlone(
            f"publication {name} stays: the connector read it, and `init` did not create it",
            f"If nobody needs it, drop it: DROP PUBLICATION {quoted};",
        )


def _roles(connection: Connection, role: str) -> list[_Role]:
    query = sql.SQL(load_sql("teardown_roles.sql")).format(
        made_by=sql.Literal(replication.MADE_BY), role_name=sql.Literal(role)
    )
    with connection.cursor(row_factory=class_row(_Role)) as cursor:
        return cursor.execute(query).fetchall()


def _grants(connection: Connection, role: str) -> list[tuple[str, str, str]]:
    rows = connection.execute(load_sql("teardown_grants.sql"), {"role": role}).fetchall()
    return [(str(kind), str(quoted), str(name)) for kind, quoted, name in rows]


def _is_granted_by_init(name: str, traces: Traces) -> bool:
    schemas = {table.partition(".")[0] for table in traces.tables}
    return name in traces.tables or name in schemas or name.partition(".")[0] == "readmodels"


def _not_dropped(role: _Role) -> LeftAlone:
    if role.is_made_by_init:
        return LeftAlone(
            f"role {role.name} stays: it has rights in {', '.join(role.other_databases)}",
            "Run `readmodels teardown --execute` for the deployment of that database, then again for this one.",
        )
    quoted = '"' + role.name.replace('"', '""') + '"'
    return LeftAlone(
        f"role {role.name} stays: `init` did not create it",
        f"If nobody needs it, drop it. In every database in which it has rights: REASSIGN OWNED BY {quoted} TO "
        f"CURRENT_USER; DROP OWNED BY {quoted}; then, in one of them: DROP ROLE {quoted};",
    )


def _revoking(source: SourceSettings, role: str, names: Collection[str]) -> Callable[[], None]:
    def remove() -> None:
        with connect(source.url) as connection:
            for kind, quoted, name in _grants(connection, role):
                if name in names:
                    _execute(connection, _revoke(kind, quoted, role))

    return remove


def _dropping(source: SourceSettings, role: str) -> Callable[[], None]:
    def remove() -> None:
        with connect(source.url) as owner, connect(source.admin_url) as admin:
            # The owner of a table revokes what it granted; the admin role revokes the rest, if it may.
            for connection in (owner, admin):
                for kind, quoted, _ in _grants(connection, role):
                    try:
                        _execute(connection, _revoke(kind, quoted, role))
                    except InsufficientPrivilege:
                        if connection is admin:
                            raise
            _execute(admin, sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))

    return remove


def _revoke(kind: str, quoted: str, role: str) -> sql.Composed:
    return sql.SQL("REVOKE ALL ON {} {} FROM {}").format(sql.SQL(kind), sql.SQL(quoted), sql.Identifier(role))


def _execute(connection: Connection, query: sql.Composed) -> None:
    try:
        connection.execute(query)
    except psycopg.errors.InsufficientPrivilege as error:
        raise InsufficientPrivilege(f"{query.as_string(connection)}: {error.diag.message_primary}") from error
