"""Tests of the ordering rule in the Redis scripts, against the table of cases and the Python reference."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import permutations
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from sinks.batch import Batch, Mutations
from sinks.ordering.document import Parts, merge, render
from sinks.ordering.range_tombstone import RangeTombstone, RangeTombstones, TombstoneKind
from sinks.ordering.register import (
    EMPTY_REGISTER,
    NO_OFFSET,
    REPAIR_TIEBREAK,
    SNAPSHOT_ROW_TIEBREAK,
    Change,
    Register,
    merge_registers,
)
from sinks.ordering.version_text import encode_version
from sinks.redis import generation
from sinks.redis.connection import Script
from sinks.redis.store import RedisStore
from sinks.shape import ROOT, tombstone_scope
from sinks.sink import Sink
from tests.contract.redis_changes import ORDERS, PartChange, batch
from tests.support.redis_server import shared_server
from tests.unit.sinks.ordering.cases import CASES, Case, Side

LETTERS = {Side.STREAMED: b"s", Side.SNAPSHOT: b"r"}


@dataclass(frozen=True)
class Server:
    """An empty generation, and a client that reads its contents."""

    store: RedisStore
    client: Redis

    def empty_sink(self) -> Sink:
        """Return the sink of a new generation."""
        self.client.flushall()
        sink = self.store.sink(1)
        sink.prepare()
        return sink

    def registers(self, key: str) -> dict[bytes, bytes]:
        """Return the registers of a document, part by part."""
        return cast("dict[bytes, bytes]", self.client.hgetall(f"{{orders:{key}}}:r"))


@pytest.fixture(params=["by the server's locale", "byte by byte"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """Yield a server whose locale compares bytes, with scripts that detect that it does or does not."""
    if request.param == "byte by byte":
        find_a_strange_locale(monkeypatch, tmp_path)
    store = RedisStore(shared_server().url, [ORDERS])
    with shared_server().client() as client:
        yield Server(store, client)
    store.close()


def find_a_strange_locale(monkeypatch: pytest.MonkeyPatch, staging: Path) -> None:
    shutil.copytree(str(files("sinks.redis") / "lua"), staging / "lua")
    register, probe = staging / "lua" / "register.lua", "local compares_bytes = "
    assert register.read_text().count(probe) == 1
    register.write_text(register.read_text().replace(probe, f"{probe} false and "))
    monkeypatch.setattr("sinks.redis.connection.files", lambda _: staging)
    for script in ("MERGE", "JOIN_FENCES", "RAISE_FENCE"):
        monkeypatch.setattr(generation, script, Script(getattr(generation, script).names))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_row_is_as_in_its_case_in_any_order(server: Server, case: Case) -> None:
    changes = [
        batch(PartChange("1", ROOT, side is Side.SNAPSHOT, change._replace(image=quoted(change.image))))
        for side, change in case.changes
    ]
    range_tombstones = [
        batch(range_tombstones=[replace(range_tombstone, scope=tombstone_scope("orders", ROOT))])
        for range_tombstone in case.range_tombstones
    ]
    for batches in permutations([*changes, *range_tombstones]):
        sink = server.empty_sink()
        for each in batches:
            sink.write(each)
        assert server.client.get("orders:1") == (
            None if case.shown is None else f'{{"id":"{case.shown}","items":[]}}'.encode()
        )
        (register,) = server.registers("1").values()
        assert [change[:1] for change in register.split(b"\0")] == [LETTERS[side] for side in case.kept]


def quoted(image: object) -> str | None:
    return None if image is None else f'{{"id":"{image}"}}'


LSNS = [0, 5, 6, 7, 2**53, 2**53 + 1, 2**63 - 1]
NUMBERS = st.sampled_from(LSNS)
PARTS = st.sampled_from([ROOT, "items/1", "items/10", "items/9", "items/é", "items/Z", "items/a", "items/-5"])


@st.composite
def part_changes(draw: st.DrawFn) -> PartChange:
    """Draw a change that any log may hold: the content of an offset is fixed, and no commit is skipped.

    A change precedes the commit that follows the last one; otherwise it would have been streamed after that commit.
    """
    part, is_snapshot = draw(PARTS), draw(st.booleans())
    epoch, last_commit = draw(st.integers(0, 1)), draw(st.integers(0, len(LSNS) - 1))
    commit_lsn, lsn = LSNS[last_commit], draw(st.sampled_from(LSNS[: last_commit + 2]))
    offset = draw(st.sampled_from([NO_OFFSET, 0, 3, 4, 1 << 48]))
    tie = SNAPSHOT_ROW_TIEBREAK if is_snapshot else REPAIR_TIEBREAK if offset == NO_OFFSET else 0
    change = Change(epoch, lsn if is_snapshot else commit_lsn, lsn, tie, offset, len(part) % 3, False)
    deleted = not is_snapshot and sum(change.order) % 3 == 0
    image = None if deleted else f'{{"part":"{part}","order":"{change.order}"}}'
    return PartChange("42", part, is_snapshot, change._replace(deleted=deleted, image=image))


FENCES = st.builds(
    lambda collection, kind, epoch, lsn, started_at: RangeTombstone(
        scope=tombstone_scope("orders", collection),
        kind=kind,
        epoch=epoch,
        commit_lsn=lsn,
        lsn=lsn,
        started_at=started_at,
    ),
    st.sampled_from([ROOT, "items"]),
    st.sampled_from(TombstoneKind),
    st.integers(0, 1),
    NUMBERS,
    st.dictionaries(st.integers(0, 2), st.sampled_from([0, 1, 4])),
)
BATCHES = st.lists(
    st.builds(
        lambda changes, range_tombstones: (changes, range_tombstones),
        st.lists(part_changes(), max_size=6),
        st.lists(FENCES, max_size=1),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BATCHES)
def test_any_batches_leave_the_registers_and_the_document_that_python_computes(
    server: Server, batches: list[tuple[list[PartChange], list[RangeTombstone]]]
) -> None:
    sink, parts, range_tombstones = server.empty_sink(), Parts(), RangeTombstones()
    for changes, raised in batches:
        sink.write(batch(*changes, range_tombstones=raised))
        range_tombstones = range_tombstones.merge(raised)
        incoming: Parts = {}
        for _, part, is_snapshot, change in changes:
            register = Register(snapshot=change) if is_snapshot else Register(streamed=change)
            incoming[part] = merge_registers(incoming.get(part, EMPTY_REGISTER), register)
        parts = merge(parts, incoming, range_tombstones, "orders")
    assert server.registers("42") == {part.encode(): text(register) for part, register in parts.items()}
    document = render(parts, ORDERS)
    assert server.client.get("orders:42") == (None if document is None else document.encode())


def text(register: Register) -> bytes:
    """Return a register in Redis' format."""
    sides = zip(LETTERS.values(), register, strict=True)
    return b"\0".join(
        letter + encode_version(change).encode() + str(change.image or "").encode()
        for letter, change in sides
        if change
    )


def test_a_batch_of_both_sides_of_a_row_is_one_register(server: Server) -> None:
    sink = server.empty_sink()
    row = PartChange("1", ROOT, True, Change(0, 200, 200, 1, 0, 0, False, '{"id":1,"status":"pending"}'))
    update = PartChange("1", ROOT, False, Change(0, 150, 150, 0, 1, 0, False, '{"id":1,"status":"paid"}'))
    sink.write(batch(row, update))
    assert server.client.get("orders:1") == b'{"id":1,"status":"paid","items":[]}'
    assert server.registers("1") == {b"": text(Register(update.change, row.change))}


def test_mutations_of_one_document_in_several_tables_are_written_together(server: Server) -> None:
    sink = server.empty_sink()
    root = batch(PartChange("1", ROOT, False, Change(0, 10, 10, 0, 0, 0, False, '{"id":1}'))).mutations
    item = batch(PartChange("1", "items/7", False, Change(0, 10, 11, 0, 0, 0, False, '{"id":7}'))).mutations
    sink.write(Batch((*root, *item, Mutations("orders", root[0].changes.slice(0, 0)))))
    assert server.client.get("orders:1") == b'{"id":1,"items":[{"id":7}]}'
