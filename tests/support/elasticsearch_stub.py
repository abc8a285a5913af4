"""Elasticsearch stub that returns prepared answers by the last part of the path and records its requests."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit


class ClusterAnswers:
    """HTTP server on a free local port that returns prepared answers.

    Attributes:
        answers: response body by the last part of the path, such as `_search`.
        statuses: HTTP status by method and last part, such as `DELETE _pit`; 200 if not given.
        requests: path and body of each request.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.statuses: dict[str, int] = {}
        self.requests: list[tuple[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(cluster: ClusterAnswers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            cluster.requests.append((self.path, json.loads(body) if body else None))
            last = urlsplit(self.path).path.rpartition("/")[2]
            content = json.dumps(cluster.answers.get(last, {})).encode()
            self.send_response(cluster.statuses.get(f"{self.command} {last}", 200))
            self.send_header("content-type", "application/json")
            self.send_header("x-elastic-product", "Elasticsearch")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Suppress the request log."""

    return Handler
