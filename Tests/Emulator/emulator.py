"""Start the Bot API emulator: prints its address on standard output and serves until it is told to end."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import lifecycle
from botapi.server import BotApiServer
from botapi.world import Options, World

DEFAULT_TOKEN = "123456:TEST-token"


def main() -> int:
    parser = argparse.ArgumentParser(description="A strict Telegram Bot API emulator on the loopback interface.")
    parser.add_argument("--token", action="append", help=f"a bot's token, repeatable (default {DEFAULT_TOKEN})")
    parser.add_argument("--local", action="store_true", help="behave like a local server (--local): larger limits")
    parser.add_argument("--files", type=Path, metavar="DIR", help="keep files here instead of a temporary folder")
    parser.add_argument("--enforce-rates", action="store_true", help="answer 429 above Telegram's message rates")
    lifecycle.add_arguments(parser)
    arguments = parser.parse_args()

    directory = arguments.files or Path(tempfile.mkdtemp(prefix="botapi-emulator-"))
    try:
        options = Options(
            arguments.token or [DEFAULT_TOKEN], directory.resolve(), arguments.local, arguments.enforce_rates
        )
        try:
            world = World(options)
        except ValueError as error:
            parser.error(str(error))
        asyncio.run(lifecycle.serve(BotApiServer(world).application(), arguments))
    finally:
        if not arguments.files:
            shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
