"""Start the emulator. It prints its address on standard output and serves until it is ended."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import accounts
import lifecycle
from botapi.control import OUTAGE
from botapi.server import BotApiServer
from botapi.world import Options, World

DEFAULT_TOKEN = "123456:TEST-token"


def main() -> int:
    parser = argparse.ArgumentParser(description="A strict Telegram emulator on the loopback interface.")
    parser.add_argument("--token", action="append", help=f"a bot's token, repeatable (default {DEFAULT_TOKEN})")
    parser.add_argument("--local", action="store_true", help="behave like a local server (--local): larger limits")
    parser.add_argument("--files", type=Path, metavar="DIR", help="keep files here instead of a temporary folder")
    parser.add_argument("--enforce-rates", action="store_true", help="answer 429 above Telegram's message rates")
    accounts.add_arguments(parser)
    lifecycle.add_arguments(parser)
    arguments = parser.parse_args()

    directory = arguments.files or Path(tempfile.mkdtemp(prefix="botapi-emulator-"))
    try:
        options = Options(
            arguments.token or [DEFAULT_TOKEN], directory.resolve(), arguments.local, arguments.enforce_rates
        )
        try:
            world = World(options)
            servers = accounts.make(world, arguments)
        except ValueError as error:
            parser.error(str(error))
        asyncio.run(serve(world, servers, arguments))
    finally:
        if not arguments.files:
            shutil.rmtree(directory, ignore_errors=True)
    return 0


async def serve(world: World, servers: accounts.Servers | None, arguments: argparse.Namespace) -> None:
    app = BotApiServer(world).application(servers.routes() if servers else None)
    if servers is not None:
        await servers.start()
    await lifecycle.serve(app, arguments, OUTAGE)
    if servers is not None:
        await servers.stop()


if __name__ == "__main__":
    sys.exit(main())
