"""The listening sockets: one a data centre, on IPv4 and IPv6, and one of an MTProxy."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import Any

from botapi.control import Route

from . import methods
from .connection import Connection
from .core import Address, Core
from .handshake import DataCentre

BUFFER_BYTES = 1 << 20
STOP_SECONDS = 1.0


class Servers:
    """All data centres of one emulator."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        assert methods.__all__

    async def start(self) -> None:
        for number, centre in self.core.centres.items():
            found = [await self._listen("127.0.0.1", 0, centre)]
            with contextlib.suppress(OSError):  # a machine without IPv6
                found.append(await self._listen("::1", 0, centre))
            self.core.addresses[number] = found
        if self.core.settings.proxy_secret is not None:
            self.core.proxy = await self._listen("127.0.0.1", 0, None, self.core.settings.proxy_secret)

    def routes(self) -> list[Route]:
        """Returns the routes of the control API."""
        from .control import routes  # which knows the servers

        return routes(self)

    async def _listen(self, host: str, port: int, centre: DataCentre | None, secret: bytes | None = None) -> Address:
        serve = functools.partial(self._serve, centre, secret)
        server = await asyncio.start_server(serve, host, port, limit=BUFFER_BYTES)
        self._servers.append(server)
        return Address(host, int(server.sockets[0].getsockname()[1]))

    async def _serve(
        self,
        centre: DataCentre | None,
        secret: bytes | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        connection = Connection(self.core, reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(connection)
        self._tasks.add(task)
        try:
            await connection.serve(centre, secret)
        finally:
            self.connections.discard(connection)
            self._tasks.discard(task)

    def drop(self, account: int | None = None, dc: int | None = None) -> int:
        """Close connections at once; returns how many."""
        chosen = [c for c in self.connections if c.serves(account, dc)]
        for connection in chosen:
            connection.abort()
        return len(chosen)

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        self.drop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
