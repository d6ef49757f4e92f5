"""Start a SOCKS5 proxy with a user name and a password. It prints its address on standard output and serves until it is ended."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import sys

USER, PASSWORD = b"someone", b"let-me-out"


async def serve(port: int) -> None:
    server = await asyncio.start_server(_connection, "127.0.0.1", port)
    print(f"socks5://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    server.close()


async def _connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        if await _admit(reader, writer):
            await _relay(reader, writer)
    writer.close()


async def _admit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """RFC 1929: by name and password only."""
    version, count = await reader.readexactly(2)
    methods = await reader.readexactly(count)
    if version != 5 or 2 not in methods:
        writer.write(b"\x05\xff")
        return False
    writer.write(b"\x05\x02")
    _, length = await reader.readexactly(2)
    user = await reader.readexactly(length)
    password = await reader.readexactly((await reader.readexactly(1))[0])
    is_right = (user, password) == (USER, PASSWORD)
    writer.write(b"\x01\x00" if is_right else b"\x01\x01")
    return is_right


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _, command, _, kind = await reader.readexactly(4)
    if kind == 3:
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
    else:
        host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
    port = int.from_bytes(await reader.readexactly(2), "big")
    try:
        if command != 1:
            raise OSError
        there, back = await asyncio.open_connection(host, port)
    except OSError:
        writer.write(b"\x05\x05\x00\x01" + bytes(6))
        return
    writer.write(b"\x05\x00\x00\x01" + bytes(6))
    await asyncio.gather(_copy(reader, back), _copy(there, writer))


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await source.read(65536):
            sink.write(piece)
            await sink.drain()
    sink.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="A SOCKS5 proxy on the loopback interface.")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--exit-with-stdin", action="store_true", help="it always ends when standard input is closed")
    asyncio.run(serve(parser.parse_args().port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
