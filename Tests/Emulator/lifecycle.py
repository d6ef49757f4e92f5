"""Starts and stops both servers: each prints one line, then runs until it is ended or its parent dies."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from aiohttp import web

POLL_PARENT_SECONDS = 0.5
READ_BUFFER_BYTES = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--parent-pid", type=int, help="end when this process has died")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input is closed")


async def serve(
    app: web.Application,
    options: argparse.Namespace,
    outage: web.AppKey[Callable[[float], None]] | None = None,
) -> None:
    """Serve `app` on the loopback interface and return when it is time to end.

    Open connections are not drained: whoever stops the server wants it gone now. Under `outage`, the app gets a
    function that closes the server for a number of seconds.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.exit_with_stdin:
        _stop_at_end_of_stdin(loop, stop)
    watcher = asyncio.create_task(_stop_with_parent(options.parent_pid, stop)) if options.parent_pid else None

    runner = web.AppRunner(app, access_log=None, read_bufsize=READ_BUFFER_BYTES)
    door = _Door(runner)
    if outage is not None:
        app[outage] = door.close_for
    await runner.setup()
    print(f"http://127.0.0.1:{await door.open(options.port)}", flush=True)
    await stop.wait()
    if watcher is not None:
        watcher.cancel()
    await door.close()


class _Door:
    """The listening socket, which can be closed for a while: connections are then refused."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self._site: web.TCPSite | None = None
        self._port = 0
        self._task: asyncio.Task[None] | None = None

    async def open(self, port: int) -> int:
        self._site = web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True)
        await self._site.start()
        self._port = _port(self._site)
        return self._port

    async def close(self) -> None:
        if self._site is not None:
            await self._site.stop()
            self._site = None

    def close_for(self, seconds: float) -> None:
        self._task = asyncio.create_task(self._close_for(seconds))

    async def _close_for(self, seconds: float) -> None:
        await asyncio.sleep(0.05)  # the order for it is answered first
        await self.close()
        for connection in list(self._runner.server.connections if self._runner.server else []):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(seconds)
        await self.open(self._port)


def _port(site: web.TCPSite) -> int:
    server: Any = site._server  # the only way to learn the port chosen for port 0
    return int(server.sockets[0].getsockname()[1])


def _stop_at_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    # A thread, because epoll refuses regular files and standard input may be one.
    def wait() -> None:
        # A socket that was closed with something unread in it ends with an error.
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, daemon=True).start()


async def _stop_with_parent(pid: int, stop: asyncio.Event) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        stop.set()
        return
    except (AttributeError, OSError):
        await _poll_parent(pid)
        stop.set()
        return
    # A pidfd becomes readable when the process ends, even if nobody reaps it and even if its id is used again.
    asyncio.get_running_loop().add_reader(descriptor, stop.set)


async def _poll_parent(pid: int) -> None:
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        except PermissionError:
            pass
        await asyncio.sleep(POLL_PARENT_SECONDS)
