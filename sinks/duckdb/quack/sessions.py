"""Sessions of DuckDB's readers, and the delay after attempts with a wrong token."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

import structlog

MAX_SESSIONS = 10_000
WRONG_TOKEN_DELAY_S = 1.0
MAX_WRONG_TOKEN_DELAY_S = 5.0

log = structlog.get_logger()


class Sessions:
    """Open sessions, and the bytes sent of each session's last result."""

    def __init__(self) -> None:
        self._sent: OrderedDict[str, int] = OrderedDict()

    def __contains__(self, session: str) -> bool:
        return session in self._sent

    def begin(self, session: str) -> None:
        self._sent[session] = 0
        if len(self._sent) > MAX_SESSIONS:
            self._sent.popitem(last=False)

    def end(self, session: str) -> None:
        self._sent.pop(session, None)

    def sent(self, session: str) -> int:
        return self._sent.get(session, 0)

    def send(self, session: str, sent_bytes: int) -> None:
        if session in self._sent:
            self._sent[session] += sent_bytes

    def forget(self, session: str) -> None:
        """Reset the count, because a new result begins."""
        if session in self._sent:
            self._sent[session] = 0
            self._sent.move_to_end(session)


class WrongTokens:
    """Counter of attempts with a wrong token, which delays the answers to each peer."""

    def __init__(self) -> None:
        self.count = 0
        self._free_at: OrderedDict[str, float] = OrderedDict()
        self._told_at = 0.0

    async def answer_late(self, peer: str) -> None:
        """Wait until the peer may get its answer: one per second, and at most `MAX_WRONG_TOKEN_DELAY_S`."""
        self.count += 1
        now = time.monotonic()
        if now > self._told_at + WRONG_TOKEN_DELAY_S:
            self._told_at = now
            log.warning("authentication failed", peer=peer, wrong_tokens=self.count)
        free_at = max(now, self._free_at.pop(peer, now)) + WRONG_TOKEN_DELAY_S
        self._free_at[peer] = free_at
        if len(self._free_at) > MAX_SESSIONS:
            self._free_at.popitem(last=False)
        await asyncio.sleep(min(free_at - now, MAX_WRONG_TOKEN_DELAY_S))
