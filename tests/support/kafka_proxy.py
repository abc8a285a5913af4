"""Relay in front of an HTTP server that lets a test act while a request passes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit


class AnswerLost(Exception):
    """Raised by a test in `after` so that the client receives no answer."""


class Interposed:
    """Relay of requests to `url` from a free local port.

    `before` is called with a request's path before the server receives the request. `after` is called once the server
    has
    answered, before the client receives the answer. A request that a callback makes through the relay passes without a
    call.
    """

    def __init__(self, url: str) -> None:
        self.before: Callable[[str], None] | None = None
        self.after: Callable[[str], None] | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, urlsplit(url).netloc))
        self._server.daemon_threads = True
        self._relay = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._relay.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._relay.join()
        self._server.server_close()

    def call_before(self, path: str) -> None:
        """Call `before`, if it is set; unset it while it runs."""
        act, self.before = self.before, None
        if act is not None:
            act(path)

    def call_after(self, path: str) -> None:
        """Call `after`, if it is set; unset it while it runs."""
        act, self.after = self.after, None
        if act is not None:
            act(path)


def _handler(relay: Interposed, server: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            relay.call_before(self.path)
            connection = HTTPConnection(server, timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            try:
                relay.call_after(self.path)
            except AnswerLost:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name in ("content-type", "x-elastic-product"):
                if value := answer.headers.get(name):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _forward  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Keep requests out of the test's output."""

    return Handler
