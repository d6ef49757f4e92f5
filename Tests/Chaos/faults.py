"""Injects faults at random moments."""

from __future__ import annotations

import random
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    at: float
    what: str
    strike: Callable[[], None]


class Schedule:
    """Plans faults at random moments within a number of seconds."""

    def __init__(self, seed: int, seconds: float) -> None:
        self._random = random.Random(seed)
        self._seconds = seconds
        self._faults: list[Fault] = []

    def add(self, count: int, what: str, strike: Callable[[], None]) -> None:
        self._faults += [Fault(self._random.uniform(0, self._seconds), what, strike) for _ in range(count)]

    def run(self, is_over: Callable[[], bool]) -> None:
        """Injects all faults in order, unless the run ends before."""
        started = time.monotonic()
        for fault in sorted(self._faults, key=lambda fault: fault.at):
            while time.monotonic() < started + fault.at:
                if is_over():
                    return
                time.sleep(0.01)
            fault.strike()


class RefusingProxy:
    """Forwards connections to a server, or for a while answers 503 or closes them."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        """- Parameter address: the address of this machine at which it is to be found; the server is on the loopback interface."""
        self._target = port
        self._listener = socket.create_server((address, 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._refusing_until = 0.0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def refuse(self, seconds: float) -> None:
        """Breaks the open connections and accepts none for a number of seconds."""
        self._refusing_until = time.monotonic() + seconds
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if time.monotonic() < self._refusing_until:
            self._answer_503(client)
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
        with client, server, selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            try:
                while True:
                    for key, _ in selector.select():
                        data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                        if not data:
                            return
                        key.data.sendall(data)
            except OSError:
                return
            finally:
                with self._lock:
                    self._open -= {client, server}

    @staticmethod
    def _answer_503(client: socket.socket) -> None:
        body = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
        head = f"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        with client:
            try:
                client.recv(1 << 16)
                client.sendall(head.encode() + body)
            except OSError:
                pass
