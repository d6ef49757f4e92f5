"""Accounts beside the bots: their options, and their servers. Telethon is imported only where there are some."""

from __future__ import annotations

import argparse
from typing import Any, Protocol

from botapi.control import Route
from botapi.world import World


class Servers(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def routes(self) -> list[Route]: ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("accounts (MTProto)")
    group.add_argument("--account", action="append", metavar="JSON", help="a user account, repeatable")
    group.add_argument("--mtproto", action="store_true", help="serve MTProto without accounts, too: bots can log in")
    group.add_argument("--dcs", type=int, default=3, help="how many data centres (default 3)")
    group.add_argument("--api-id", type=int, default=12345)
    group.add_argument("--api-hash", default="0123456789abcdef0123456789abcdef")
    group.add_argument("--proxy-secret", metavar="HEX", help="be an MTProxy with this secret, too")


def make(world: World, arguments: argparse.Namespace) -> Servers | None:
    """- Raises ValueError: an account that is no JSON, or wrong."""
    if not arguments.account and not arguments.mtproto:
        return None
    from mtproto.start import make_servers

    options: dict[str, Any] = {name: getattr(arguments, name) for name in ("dcs", "api_id", "api_hash")}
    secret = bytes.fromhex(arguments.proxy_secret) if arguments.proxy_secret else None
    return make_servers(world, arguments.account or [], proxy_secret=secret, **options)
