"""Relays between clients and servers that can delay, cut, lose, swallow or refuse traffic."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Self

from stack.paths import LOOPBACK

CHUNK_BYTES = 65536
ACTS_WITHIN_S = 10.0


@dataclass(frozen=True)
class Disturbance:
    """A fault of a relay's connections, both open and future ones.

    Args:
        delay_s: delay of each chunk, in both directions.
        cut_after_bytes: bytes that each direction still forwards before the connection is cut.
        is_deaf: requests reach the server and are executed; their answers and the connection are lost.
        is_stuck: connections are accepted, and nothing is forwarded until the fault ends.
        is_closed: open connections are cut, and new ones refused.
    """

    delay_s: float = 0.0
    cut_after_bytes: int | None = None
    is_deaf: bool = False
    is_stuck: bool = False
    is_closed: bool = False


CLEAR = Disturbance()


class _Cut(Exception):
    """Raised to end a connection."""


class _Relay:
    """One listening port and the server's port behind it. Runs on the event loop."""

    def __init__(self, port: int, server_port: int) -> None:
        self._port = port
        self._server_port = server_port
        self._disturbance = CLEAR
        self._flows = asyncio.Event()
        self._flows.set()
        self._listener: asyncio.Server | None = None
        self._transports: set[asyncio.Transport | asyncio.WriteTransport] = set()

    async def listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, LOOPBACK, self._port)

    async def disturb(self, disturbance: Disturbance) -> None:
        self._disturbance = disturbance
        if disturbance.is_stuck:
            self._flows.clear()
        else:
            self._flows.set()
        if disturbance.is_closed:
            self.close()
        else:
            await self.listen()

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for transport in list(self._transports):
            transport.abort()

    async def _serve(self, requests: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self._transports.add(client.transport)
        server: asyncio.StreamWriter | None = None
        try:
            await self._flows.wait()
            answers, server = await asyncio.open_connection(LOOPBACK, self._server_port)
            self._transports.add(server.transport)
            await self._relay(requests, server, answers, client)
        except OSError:
            # The server refused the connection; the client sees the relay close it.
            pass
        finally:
            for writer in (client, server):
                if writer is not None:
                    writer.transport.abort()
                    self._transports.discard(writer.transport)

    async def _relay(
        self,
        requests: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        client: asyncio.StreamWriter,
    ) -> None:
        ways = [
            asyncio.create_task(self._carry(requests, server, is_answer=False)),
            asyncio.create_task(self._carry(answers, client, is_answer=True)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, is_answer: bool) -> None:
        met, left = CLEAR, 0
        while data := await source.read(CHUNK_BYTES):
            await self._flows.wait()
            if self._disturbance is not met:
                met, left = self._disturbance, self._disturbance.cut_after_bytes or 0
            await asyncio.sleep(met.delay_s)
            if met.is_deaf and is_answer:
                raise _Cut
            if met.cut_after_bytes is not None:
                data, left = data[:left], left - len(data)
            target.write(data)
            await target.drain()
            if left < 0:
                raise _Cut


class Relays:
    """Relays by name, on their own thread.

    Args:
        ports: listening port of each relay, by name.
        server_ports: the server's port, by name.
    """

    def __init__(self, ports: Mapping[str, int], server_ports: Mapping[str, int]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._relays = {name: _Relay(port, server_ports[name]) for name, port in ports.items()}

    def __enter__(self) -> Self:
        self._thread.start()
        for relay in self._relays.values():
            self._do(relay.listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def disturb(self, name: str, disturbance: Disturbance) -> None:
        """Replace a relay's current disturbance; `CLEAR` heals the relay."""
        self._do(self._relays[name].disturb(disturbance))

    async def _close(self) -> None:
        for relay in self._relays.values():
            await relay.disturb(Disturbance(is_closed=True))
        carrying = asyncio.all_tasks() - {asyncio.current_task()}
        if carrying:
            await asyncio.wait(carrying, timeout=ACTS_WITHIN_S / 2)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(ACTS_WITHIN_S)
