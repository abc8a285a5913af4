"""Proxy for DuckDB's Quack server, which forwards only requests of authenticated readers.

Quack's server uses one thread per connection and buffers a body before it checks the token. The proxy reads heads and
bodies with limits and timeouts, checks the token or the session, and only then forwards the request. A connection
carries one request, as DuckDB's client sends them.
"""

from __future__ import annotations

import asyncio
import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import h11
import structlog

from sinks.duckdb.quack import messages
from sinks.duckdb.quack.messages import MalformedMessage, MessageHeader, MessageKind
from sinks.duckdb.quack.sessions import Sessions, WrongTokens
from sinks.duckdb.reader_limits import ReaderLimits

MAX_HEAD_BYTES = 16_384
MAX_CONNECT_BYTES = 4_096
MAX_OVERHEAD_BYTES = 1_024
"""Bytes of a message beside the text of its query."""

MAX_UNPROVEN = 256
"""Connections that have not authenticated yet. One more closes the oldest of them."""

UNPROVEN_TIMEOUT_S = 10.0
IDLE_TIMEOUT_S = 60.0
CHUNK_BYTES = 65_536
NOT_AUTHORIZED = b"Authorization failed"
REFUSED = "query refused: "
"""Prefix of the answer to a query that readers may not send."""

log = structlog.get_logger()


class RequestRefused(Exception):
    """A request that is not forwarded. Its sender gets the reason as the answer.

    Args:
        status: the HTTP status; 200 if the answer is a Quack message, which the client shows as an error.
    """

    def __init__(self, words: str, status: int = 200) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True)
class _Request:
    header: MessageHeader
    body: bytes


class QuackProxy:
    """Server for readers' connections, on its own thread.

    Args:
        upstream: host and port of Quack's server, which only this process should know.
        token: the token that readers send.
        private_token: the token for Quack's server, sent in its place.
        reason: returns why the last query of a session was refused.
    """

    def __init__(
        self,
        upstream: tuple[str, int],
        token: str,
        private_token: str,
        bounds: ReaderLimits,
        reason: Callable[[str], str],
    ) -> None:
        self._upstream = upstream
        self._token = token.encode()
        self._private_token = private_token.encode()
        self._bounds = bounds
        self._reason = reason
        self._sessions = Sessions()
        self._wrong_tokens = WrongTokens()
        self._unproven: OrderedDict[asyncio.StreamWriter, None] = OrderedDict()
        self._connections: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front", daemon=True)

    @property
    def wrong_tokens(self) -> int:
        """The number of connections with a wrong token."""
        return self._wrong_tokens.count

    def open(self, host: str, port: int) -> None:
        """Accept readers' connections at an address.

        Raises:
            OSError: the address is in use, or does not belong to this machine.
        """
        self._thread.start()
        self._busy = asyncio.Semaphore(self._bounds.max_readers)
        starting = asyncio.start_server(self._connected, host, port, backlog=MAX_UNPROVEN)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()

    def close(self) -> None:
        """Close all readers' connections."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        handlers = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in self._connections:
            connection.transport.abort()
        await asyncio.gather(*handlers, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            with self._counted(writer):
                async with asyncio.timeout(UNPROVEN_TIMEOUT_S):
                    request = await self._proven(reader, writer)
            async with self._busy:
                await self._pass_on(request, writer)
        except RequestRefused as refusal:
            writer.write(_response(messages.error(str(refusal)), refusal.status))
        except MalformedMessage as error:
            words = f"this is no message of Quack's, as a client of DuckDB 1.5 sends them: {error}"
            writer.write(_response(messages.error(words), 400))
        except (OSError, TimeoutError, h11.RemoteProtocolError, asyncio.IncompleteReadError):
            # The peer has disconnected, sends no HTTP or does not read, so there is no answer.
            writer.transport.abort()
        finally:
            self._connections.discard(writer)
            writer.close()

    @contextmanager
    def _counted(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        """Count a connection as unauthenticated; above the limit, close the oldest one."""
        self._unproven[writer] = None
        if len(self._unproven) > MAX_UNPROVEN:
            self._unproven.popitem(last=False)[0].transport.abort()
        try:
            yield
        finally:
            self._unproven.pop(writer, None)

    async def _proven(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Request:
        """Read a request and check the token or the session in its first bytes."""
        incoming = _Incoming(reader, writer)
        length = await incoming.head()
        if length > self._bounds.max_query_bytes + MAX_OVERHEAD_BYTES:
            limit = self._bounds.max_query_bytes
            raise RequestRefused(f"{REFUSED}a query has at most {limit} bytes (duckdb.max_query_bytes)")
        header = messages.parse_header(await incoming.body(min(length, 64)))
        if header.kind not in messages.FROM_READERS:
            raise RequestRefused(f"readers send no message of kind {header.kind}: they only read")
        if header.kind != MessageKind.CONNECT:
            if header.session not in self._sessions:
                raise RequestRefused("Invalid connection id: the worker was started again; attach anew")
            self._unproven.pop(writer, None)
            return _Request(header, await incoming.body(length))
        if length > MAX_CONNECT_BYTES:
            raise RequestRefused("a connection begins with a shorter message", 413)
        body = await incoming.body(length)
        if not hmac.compare_digest(messages.query_text(body, header), self._token):
            await self._wrong_tokens.answer_late(_peer(writer))
            raise RequestRefused("Authentication failed: show the token of `duckdb.token`")
        return _Request(header, messages.with_query_text(body, header, self._private_token))

    async def _pass_on(self, request: _Request, writer: asyncio.StreamWriter) -> None:
        session = request.header.session
        if request.header.kind == MessageKind.DISCONNECT:
            self._sessions.end(session)
        if request.header.kind == MessageKind.PREPARE:
            self._sessions.forget(session)
        if self._sessions.sent(session) > self._bounds.max_result_bytes:
            limit = self._bounds.max_result_bytes
            raise RequestRefused(f"{REFUSED}a result has at most {limit} bytes (duckdb.max_result_bytes)")
        source, server = await asyncio.open_connection(*self._upstream)
        self._connections.add(server)
        try:
            server.write(_request(request.body))
            # Only a short answer is parsed, because the relevant answers are short. A result is streamed as it arrives.
            begin = await _at_most(source, MAX_CONNECT_BYTES)
            writer.write(self._looked_into(request.header, begin))
            self._sessions.send(session, len(begin))
            while chunk := await source.read(CHUNK_BYTES):
                writer.write(chunk)
                self._sessions.send(session, len(chunk))
                async with asyncio.timeout(IDLE_TIMEOUT_S):
                    await writer.drain()
        finally:
            self._connections.discard(server)
            server.close()

    def _looked_into(self, asked: MessageHeader, response: bytes) -> bytes:
        """Register a new session. If Quack only says that a query is refused, return an answer with the reason."""
        body = response.partition(b"\r\n\r\n")[2]
        if len(response) >= MAX_CONNECT_BYTES or not body:
            return response
        answer = messages.parse_header(body)
        if answer.kind == MessageKind.CONNECTED:
            self._sessions.begin(answer.session)
        if answer.kind == MessageKind.ERROR and messages.query_text(body, answer) == NOT_AUTHORIZED:
            return _response(messages.error(f"{REFUSED}{self._reason(asked.session)}"))
        return response


class _Incoming:
    """One HTTP request while it arrives."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = h11.Connection(h11.SERVER, MAX_HEAD_BYTES)
        self._body = bytearray()

    async def head(self) -> int:
        """Read the head and return the length of the body."""
        request = await self._next()
        if not isinstance(request, h11.Request) or request.method != b"POST" or request.target != b"/quack":
            raise RequestRefused("only POST /quack is answered", 404)
        lengths = [value for name, value in request.headers if name == b"content-length"]
        if len(lengths) != 1:
            raise RequestRefused("a request names the length of its body", 411)
        if self._parser.they_are_waiting_for_100_continue:
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return int(lengths[0])

    async def body(self, length: int) -> bytes:
        """Read the body up to a length."""
        while len(self._body) < length:
            event = await self._next()
            if not isinstance(event, h11.Data):
                break
            self._body += event.data
        return bytes(self._body)

    async def _next(self) -> object:
        while (event := self._parser.next_event()) is h11.NEED_DATA:
            self._parser.receive_data(await self._reader.read(CHUNK_BYTES))
        return event


async def _at_most(source: asyncio.StreamReader, length: int) -> bytes:
    try:
        return await source.readexactly(length)
    except asyncio.IncompleteReadError as end:
        return end.partial


def _request(body: bytes) -> bytes:
    head = f"POST /quack HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _response(body: bytes, status: int = 200) -> bytes:
    head = f"HTTP/1.1 {status} \r\nConnection: close\r\nContent-Type: application/vnd.duckdb\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _peer(writer: asyncio.StreamWriter) -> str:
    return str((writer.get_extra_info("peername") or ("unknown",))[0])
