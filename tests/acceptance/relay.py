"""A way to a server that a test can block: connections are taken, and nothing is answered until it opens."""

from __future__ import annotations

import socket
import threading
from typing import Self


class Relay:
    """Relays connections to `server` from a free port of this machine, from when it is opened."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._is_open = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="relay", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def open(self) -> None:
        """Answer from now on, also those who wait."""
        self._is_open.set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="relayed", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._is_open.wait()
        with client, socket.create_connection(self._server) as server:
            answers = threading.Thread(target=_pump, args=(server, client), daemon=True)
            answers.start()
            _pump(client, server)
            answers.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One side is gone, and so the other is told.
        target.close()
