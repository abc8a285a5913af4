"""Relay between a client and a server that records the client's bytes."""

import socket
import threading
from typing import Self


class Wiretap:
    """Relay of one connection to `server` from a free local port."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.heard = b""
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(30)
        self.port: int = self._listener.getsockname()[1]
        self._relay = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._relay.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._relay.join()
        self._listener.close()

    def _run(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.create_connection(self._server) as server:
            answers = threading.Thread(target=_pump, args=(server, client))
            answers.start()
            while said := client.recv(65536):
                self.heard += said
                server.sendall(said)
            server.shutdown(socket.SHUT_WR)
            answers.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65536):
        target.sendall(data)
