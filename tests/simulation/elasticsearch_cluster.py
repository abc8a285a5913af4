"""Simulated Elasticsearch for the sink's requests: sequence numbers, real-time reads by id, stale searches.

A restarted node begins a new primary term. A restored node continues the sequence numbers of the copy, so that sequence
numbers repeat. The version of a deleted document is forgotten after `index.gc_deletes`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

GC_DELETES_S = 60.0
REFRESH_S = 1.0


class Document(NamedTuple):
    """A stored document."""

    source: bytes
    seq_no: int
    term: int


class Forgotten(NamedTuple):
    """The remaining metadata of a deleted document."""

    seq_no: int
    term: int
    deleted_at_s: float


@dataclass
class Index:
    """One index with one shard."""

    aliases: set[str]
    meta: dict[str, Any]
    term: int = 1
    next_seq_no: int = 0
    documents: dict[str, Document] = field(default_factory=dict)
    deleted: dict[str, Forgotten] = field(default_factory=dict)
    searchable: dict[str, Document] = field(default_factory=dict)
    refreshed_at_s: float = 0.0


class Answer(NamedTuple):
    """A status and a body."""

    status: int
    body: bytes


class Refused(Exception):
    """Raised to refuse a request or an item of a request."""

    def __init__(self, status: int, kind: str, reason: str = "") -> None:
        super().__init__(kind)
        self.status = status
        self.kind = kind
        self.reason = reason or kind

    def to_error(self) -> dict[str, Any]:
        """Return the error as an item of a bulk answer."""
        return {"type": self.kind, "reason": self.reason}


class Cluster:
    """Indices, and the handling of requests to them.

    Args:
        now_s: returns the time.
        refuse_item: raises `Refused` if an item of a bulk request is to fail.
    """

    def __init__(self, now_s: Callable[[], float], refuse_item: Callable[[], None]) -> None:
        self.indices: dict[str, Index] = {}
        self._now_s = now_s
        self._refuse_item = refuse_item
        self._searches: dict[str, dict[str, Document]] = {}

    def copied(self) -> dict[str, Index]:
        """Return a copy of everything durable."""
        return copy.deepcopy(self.indices)

    def restart(self, indices: dict[str, Index]) -> None:
        """Restart with the given indices; open searches are lost."""
        self.indices = indices
        self._searches.clear()
        for index in indices.values():
            index.term += 1

    def handle(self, method: str, target: str, body: bytes | None) -> Answer:
        """Execute a request immediately."""
        parts = urlsplit(target).path.strip("/").split("/")
        try:
            return Answer(200, msgspec.json.encode(self._route(method, parts, body or b"")))
        except Refused as refused:
            error = {"error": refused.to_error(), "status": refused.status}
            return Answer(refused.status, msgspec.json.encode(error))

    def _route(self, method: str, parts: list[str], body: bytes) -> Any:
        match method, parts:
            case "POST", [alias, "_bulk"]:
                return {"items": list(self._bulk(self._of_alias(alias), body))}
            case "POST", [name, "_mget"]:
                return {"docs": [self._get(self._index(name), id_) for id_ in msgspec.json.decode(body)["ids"]]}
            case "POST", [name, "_refresh"]:
                self._refresh(self._index(name))
                return {"_shards": {"failed": 0}}
            case "POST", [name, "_pit"]:
                return self._open_search(self._index(name))
            case "POST", ["_search"]:
                return self._search(msgspec.json.decode(body))
            case "DELETE", ["_pit"]:
                self._searches.pop(msgspec.json.decode(body)["id"], None)
                return {}
            case "POST", ["_aliases"]:
                return self._change_aliases(msgspec.json.decode(body)["actions"])
            case "GET", [pattern, "_mapping"]:
                return {name: {"mappings": {"_meta": index.meta}} for name, index in self._matching(pattern)}
            case "GET", ["_alias", alias]:
                return self._shown(alias)
            case "PUT", [name, "_mapping"]:
                index = self._index(name)
                index.meta = msgspec.json.decode(body).get("_meta", index.meta)
                return {}
            case "PUT", [name, "_alias", alias]:
                self._index(name).aliases.add(alias)
                return {}
            case "PUT", [name]:
                return self._create(name, msgspec.json.decode(body))
        raise NotImplementedError(f"{method} {parts}")

    def _create(self, name: str, body: dict[str, Any]) -> Any:
        if name in self.indices:
            raise Refused(400, "resource_already_exists_exception")
        self.indices[name] = Index(set(body["aliases"]), body["mappings"].get("_meta", {}))
        return {}

    def _index(self, name: str) -> Index:
        if name not in self.indices:
            raise Refused(404, "index_not_found_exception")
        return self.indices[name]

    def _of_alias(self, alias: str) -> Index:
        found = [index for index in self.indices.values() if alias in index.aliases]
        if not found:
            raise Refused(404, "index_not_found_exception")
        return found[0]

    def _matching(self, pattern: str) -> list[tuple[str, Index]]:
        return [(name, index) for name, index in self.indices.items() if fnmatchcase(name, pattern)]

    def _shown(self, alias: str) -> Any:
        shown: dict[str, Any] = {name: {} for name, index in self.indices.items() if alias in index.aliases}
        if not shown:
            raise Refused(404, "aliases_not_found_exception")
        return shown

    def _change_aliases(self, actions: list[dict[str, Any]]) -> Any:
        for action in actions:
            ((verb, what),) = action.items()
            for _, index in self._matching(what["index"]):
                index.aliases.discard(what["alias"])
                if verb == "add":
                    index.aliases.add(what["alias"])
        return {}

    def _get(self, index: Index, id_: str) -> dict[str, Any]:
        document = index.documents.get(id_)
        if document is None:
            return {"_id": id_, "found": False}
        return {"_id": id_, "found": True, **_version(document), "_source": msgspec.Raw(document.source)}

    def _refresh(self, index: Index) -> None:
        index.searchable = dict(index.documents)
        index.refreshed_at_s = self._now_s()

    def _open_search(self, index: Index) -> Any:
        if self._now_s() - index.refreshed_at_s > REFRESH_S:
            self._refresh(index)
        id_ = f"pit-{len(self._searches)}-{self._now_s()}"
        self._searches[id_] = dict(index.searchable)
        return {"id": id_}

    def _search(self, search: dict[str, Any]) -> Any:
        id_ = search["pit"]["id"]
        if id_ not in self._searches:
            raise Refused(404, "search_context_missing_exception")
        ((field_, kinds),) = search["query"]["terms"].items()
        ours, kind = field_.split(".")
        after = search.get("search_after", [-1])[0]
        hits = [
            {"_id": name, **_version(found), "_source": msgspec.Raw(found.source), "sort": [place]}
            for place, (name, found) in enumerate(sorted(self._searches[id_].items()))
            if place > after and msgspec.json.decode(found.source)[ours][kind] in kinds
        ]
        return {"hits": {"hits": hits[: search["size"]]}, "pit_id": id_}

    def _bulk(self, index: Index, body: bytes) -> Iterator[dict[str, Any]]:
        lines = iter(body.splitlines())
        for line in lines:
            ((action, what),) = msgspec.json.decode(line).items()
            source = b"" if action == "delete" else next(lines)
            try:
                self._refuse_item()
                yield {action: {"status": 200, **_version(self._write(index, action, what, source))}}
            except Refused as refused:
                yield {action: {"status": refused.status, "error": refused.to_error()}}

    def _write(self, index: Index, action: str, what: dict[str, Any], source: bytes) -> Document:
        id_ = what["_id"]
        known = index.documents.get(id_)
        self._forget_deleted(index)
        gone = index.deleted.get(id_)
        at = known or gone
        if action == "create" and known is not None:
            raise Refused(409, "version_conflict_engine_exception")
        if "if_seq_no" in what and (
            at is None or (at.seq_no, at.term) != (what["if_seq_no"], what["if_primary_term"]) or known is None
        ):
            raise Refused(409, "version_conflict_engine_exception")
        written = Document(source, index.next_seq_no, index.term)
        index.next_seq_no += 1
        if action == "delete":
            index.documents.pop(id_, None)
            index.deleted[id_] = Forgotten(written.seq_no, written.term, self._now_s())
        else:
            index.deleted.pop(id_, None)
            index.documents[id_] = written
        return written

    def _forget_deleted(self, index: Index) -> None:
        index.deleted = {
            id_: gone for id_, gone in index.deleted.items() if self._now_s() - gone.deleted_at_s < GC_DELETES_S
        }


def _version(document: Document) -> dict[str, int]:
    return {"_seq_no": document.seq_no, "_primary_term": document.term}
