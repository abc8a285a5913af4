"""Redis store: `GET orders:42` is a document as one JSON string; `{orders:42}:r` has its registers.

Readers use logical database 0. A rebuild fills another database, and the cutover swaps the two with SWAPDB. Each script
locates its generation first, so that no write reaches the wrong one after a cutover.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence

import structlog
from redis import ConnectionPool, Redis

from sinks.batch import Batch, Progress
from sinks.epoch import Epoch
from sinks.errors import GenerationInUse, GenerationMissing, MutationRejected
from sinks.generation import NO_METADATA, GenerationMetadata, utc_now
from sinks.redis.connection import Script, connection_pool, session
from sinks.redis.errors import UnsupportedServer
from sinks.redis.generation import MARKER, RECORD, AdaptiveBatchSize, RedisGeneration, locate, record_of
from sinks.redis.resp import encode_args
from sinks.redis.server_check import check_server
from sinks.rejection import NO_REJECTIONS, Rejections
from sinks.shape import DocumentShape, Shape

log = structlog.get_logger()

LIST = Script(("databases", "list"))
CREATE = Script(("databases", "create"))

_CANNOT_CREATE = {
    b"occupied": (
        "database 0 holds keys of another application, which a cutover would hide from its readers",
        "Give the read model a Redis server of its own. If the keys are left over from this read model, remove them: "
        "`redis-cli -n 0 FLUSHDB`.",
    ),
    b"full": (
        "no database is empty, so there is nowhere to build another generation",
        "Prune a generation that is kept, or raise `databases` in the server's configuration.",
    ),
}


class RedisStore:
    """Generations of documents in one Redis server.

    Args:
        url: such as `redis://user:password@host:port/0`, `rediss://…` for TLS, or `unix:///path`. The live generation
            is in database 0, whatever the URL names.
        shapes: the documents of the read model.
    """

    def __init__(self, url: str, shapes: Sequence[DocumentShape]) -> None:
        self._connections = connection_pool(url)
        self._shapes = tuple(shapes)

    def key_prefix(self, document: str) -> str:
        """Return the prefix of a document's keys."""
        return next(shape.prefix for shape in self._shapes if shape.name == document)

    def generations(self) -> dict[int, GenerationMetadata]:
        found = {one[0]: one[1] for one in self._databases() if one is not None}
        return {number: found[number] for number in sorted(found)}

    def live(self) -> int | None:
        shown = self._databases()[0]
        return shown[0] if shown is not None else None

    def sink(self, generation: int) -> RedisSink:
        made_of = self.generations().get(generation, NO_METADATA).shapes
        return RedisSink(self._connections, made_of or self._shapes, generation)

    def create(self, generation: int, record: GenerationMetadata) -> None:
        RedisSink(self._connections, record.shapes or self._shapes, generation).prepare(record)

    def mark_complete(self, generation: int, filled_per_s: float = 0.0) -> None:
        self.sink(generation).record_metadata(lambda record: record.as_complete(filled_per_s))

    def mark_rejected(self, generation: int) -> None:
        self.sink(generation).record_metadata(GenerationMetadata.as_rejected)

    def record_epoch(self, generation: int, epoch: Epoch) -> None:
        self.sink(generation).record_metadata(lambda record: record.with_epoch(epoch))

    def drop(self, generation: int) -> None:
        if generation == self.live():
            raise GenerationInUse(f"generation {generation} of redis is live")
        if generation in self.generations():
            with session(self._connections) as server:
                locate(server, generation).flush_database()

    def drop_all(self) -> None:
        for generation in self.generations():
            self.remove(generation)

    def remove(self, generation: int, documents: Collection[str] = ()) -> None:
        """Remove a generation, even the live one. Keys that are not its own stay.

        Args:
            documents: names of documents that it may have in addition to those in its metadata.
        """
        record = self.generations().get(generation)
        if record is None:
            return
        # The definitions may have changed, so the metadata's own shapes are included.
        made_of = {shape.prefix for shape in record.shapes if isinstance(shape, DocumentShape)}
        described = {shape.prefix for shape in self._shapes}
        named = {DocumentShape(name, {}).prefix for name in documents}
        with session(self._connections) as server:
            locate(server, generation).remove_keys(sorted({*named, *described, *made_of}))

    def close(self) -> None:
        """Close all connections, including those of its sinks."""
        self._connections.disconnect()

    def size_bytes(self, generation: int) -> int:
        with session(self._connections) as server:
            return locate(server, generation).size_bytes()

    def rejections(self, generation: int) -> Rejections:  # noqa: ARG002
        return NO_REJECTIONS

    def database(self, generation: int) -> int:
        """Return the current logical database of a generation; a cutover changes it.

        Raises:
            GenerationMissing: no database has the generation.
        """
        for number, found in enumerate(self._databases()):
            if found is not None and found[0] == generation:
                return number
        raise GenerationMissing(f"generation {generation} is not in Redis")

    def _databases(self) -> list[tuple[int, GenerationMetadata] | None]:
        """Return the number and metadata of the generation in every database, or None."""
        with session(self._connections) as server:
            answer = server.call(LIST, [encode_args(MARKER, RECORD)], [])
        return [
            (int(marker.partition(b" ")[0]), record_of(record)) if marker else None
            for marker, record in zip(answer[::2], answer[1::2], strict=True)
        ]


class RedisSink:
    """Sink of one generation of documents in Redis."""

    def __init__(self, connections: ConnectionPool, shapes: Sequence[Shape], generation: int) -> None:
        self._connections = connections
        self._shapes = {shape.target: shape for shape in shapes if isinstance(shape, DocumentShape)}
        self._number = generation
        self._pace = AdaptiveBatchSize()

    def prepare(self, record: GenerationMetadata = NO_METADATA) -> None:
        for finding in check_server(Redis(connection_pool=self._connections)):
            if finding.is_fatal:
                raise UnsupportedServer(finding.problem, finding.remedy)
            log.warning("redis setting risks a replay", model="redis", reason=finding.problem, remedy=finding.remedy)
        marker = f"{self._number} {secrets.token_hex(8)}"
        with session(self._connections) as server:
            answer = server.call(
                CREATE, [encode_args(MARKER, RECORD)], [encode_args(self._number, marker, record.to_json())]
            )
        if answer in _CANNOT_CREATE:
            raise UnsupportedServer(*_CANNOT_CREATE[answer])

    def progress(self) -> Progress:
        with session(self._connections) as server:
            return locate(server, self._number).progress

    def write(self, batch: Batch) -> None:
        with session(self._connections) as server:
            generation = locate(server, self._number)
            generation.progress.require_contiguous(batch.span)
            self._fence(generation, batch)
            self._merge(generation, batch)
            generation.move_progress(batch.span)

    def record_metadata(self, change: Callable[[GenerationMetadata], GenerationMetadata]) -> None:
        """Change the metadata of this generation."""
        with session(self._connections) as server:
            generation = locate(server, self._number)
            generation.record_metadata(change(generation.record))

    def cutover(self) -> None:
        with session(self._connections) as server:
            locate(server, self._number).swap_live()
        self.record_metadata(lambda record: record.as_shown(utc_now()))

    def _fence(self, generation: RedisGeneration, batch: Batch) -> None:
        for range_tombstone in batch.range_tombstones:
            generation.store_tombstone(range_tombstone)
        for document in {range_tombstone.scope.rpartition("/")[0] for range_tombstone in batch.range_tombstones}:
            generation.apply_tombstones(self._shapes[document])

    def _merge(self, generation: RedisGeneration, batch: Batch) -> None:
        rejected: list[str] = []
        for target in dict.fromkeys(mutations.target for mutations in batch.mutations):
            rejected += generation.merge(self._shapes[target], batch.folded_parts(self._shapes[target]), self._pace)
        if rejected:
            words = f"these keys hold something else than registers: {', '.join(rejected[:20])}"
            raise MutationRejected(words, "redis")
