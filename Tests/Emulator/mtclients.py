"""Runs unmodified MTProto clients against the emulator, configured only with its addresses and its key."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import types as modules
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import cryptg
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from telethon import TelegramClient
from telethon.crypto import rsa
from telethon.sessions import StringSession

from conftest import Server
from mtproto.tl import types
from rawclient import Pipe, RawClient

ALICE_PHONE, CAROL_PHONE = "15550100042", "15550100043"
ACCOUNTS: list[dict[str, Any]] = [
    {"id": 42, "phone": ALICE_PHONE, "first_name": "Alice", "username": "alice", "dc": 2},
    {"id": 43, "phone": CAROL_PHONE, "first_name": "Carol", "username": "carol", "password": "hunter2", "dc": 1,
     "hint": "seven"},
]  # fmt: skip
BOB = {"id": 77, "first_name": "Bob", "username": "bobby"}
CHANNEL = -1_000_000_000_500
# More than small files may have.
BIG = 11 * 1024 * 1024 + 777


class Telegram(Server):
    """The emulator with two accounts; Alice is at DC 2, Carol (with a password) at DC 1."""

    def __init__(self, *arguments: str) -> None:
        accounts = [word for account in ACCOUNTS for word in ("--account", json.dumps(account))]
        super().__init__("emulator.py", *accounts, *arguments)
        self.about = self.control("mtproto", method="GET")
        self.control("mtproto/habits", {"old_rsa": True})  # what both libraries still use

    def mtproto(self, path: str, body: Any = None, method: str = "POST") -> Any:
        return self.control(f"mtproto/{path}", body, method)

    def calls(self, method: str) -> list[Any]:
        found: list[Any] = self.control(f"mtproto/log?method={method}", method="GET")["calls"]
        return found

    def violations(self) -> list[Any]:
        found: list[Any] = self.control("mtproto/log", method="GET")["violations"]
        return found

    def address(self, dc: int, *, ipv6: bool = False) -> tuple[str, int]:
        found = next(one for one in self.about["dcs"][str(dc)] if (":" in one["host"]) is ipv6)
        return found["host"], found["port"]

    def writes(self, text: str, account: int = 42, chat_id: int = 77, **more: Any) -> Any:
        order = {"account": account, "chat_id": chat_id, "from": BOB, "text": text}
        return self.control("message", order | more)

    def chat(self, chat_id: int, account: int = 42) -> list[Any]:
        found: list[Any] = self.control(f"chat/{chat_id}?account={account}", method="GET")["messages"]
        return found


def run(work: Callable[[], Awaitable[None]], seconds: float = 90) -> None:
    async def limited() -> None:
        await asyncio.wait_for(work(), seconds)

    asyncio.run(limited())


def telethon_client(telegram: Telegram, dc: int = 2, session: str = "", **more: Any) -> TelegramClient:
    rsa.add_key(telegram.about["public_key"], old=False)
    TelegramClient._config = TelegramClient._cdn_config = None  # remembered from another emulator
    patience = {"request_retries": 3, "connection_retries": 3, "retry_delay": 0.1, "timeout": 5}
    client = TelegramClient(
        StringSession(session),
        telegram.about["api_id"],
        telegram.about["api_hash"],
        device_model="check",
        **(patience | more),
    )
    if not session:
        client.session.set_dc(dc, *telegram.address(dc))
    return client


@contextlib.asynccontextmanager
async def telethon_as(telegram: Telegram, account: int = 42, **more: Any) -> AsyncIterator[TelegramClient]:
    """Provides a client that is logged in already."""
    known = telegram.mtproto("session", {"account": account})
    client = telethon_client(telegram, session=known["telethon"], **more)
    await client.connect()
    try:
        assert (await client.get_me()).id == account
        yield client
    finally:
        await client.disconnect()


def _tgcrypto() -> modules.ModuleType:
    """Kurigram's optional cipher has no wheels for newer Pythons: the same functions by other libraries."""
    module = modules.ModuleType("tgcrypto")

    def ctr256(data: bytes, key: bytes, iv: bytes, state: bytes) -> bytes:
        return Cipher(algorithms.AES(key), modes.CTR(bytes(iv))).encryptor().update(data)

    module.ige256_encrypt = cryptg.encrypt_ige  # type: ignore[attr-defined]
    module.ige256_decrypt = cryptg.decrypt_ige  # type: ignore[attr-defined]
    module.ctr256_encrypt = module.ctr256_decrypt = ctr256  # type: ignore[attr-defined]
    return module


# Before anybody imports Kurigram, which would do with a cipher in plain Python that takes minutes for a large file.
sys.modules.setdefault("tgcrypto", _tgcrypto())


def kurigram_client(telegram: Telegram, session: str | None = None, **more: Any) -> Any:
    import pyrogram
    from pyrogram.connection import Connection
    from pyrogram.crypto import rsa as keys

    fingerprint = int(telegram.about["fingerprint"])
    public = serialization.load_pem_public_key(telegram.about["public_key"].encode())
    assert isinstance(public, RSAPublicKey)
    numbers = public.public_numbers()
    keys.server_public_keys[fingerprint] = keys.PublicKey(numbers.n, numbers.e)

    def connection(**named: Any) -> Any:
        host, port = telegram.address(named["dc_id"])
        return Connection(**(named | {"server_address": host, "port": port}))

    make: Any = pyrogram.Client
    return make(
        "check", telegram.about["api_id"], telegram.about["api_hash"], in_memory=True, session_string=session,
        device_model="check", connection_factory=connection, **more,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def kurigram_as(telegram: Telegram, account: int = 42, **more: Any) -> AsyncIterator[Any]:
    """Provides a client that is logged in already."""
    known = telegram.mtproto("session", {"account": account})
    client = kurigram_client(telegram, known["pyrogram"], **more)
    await client.start()
    try:
        assert client.me.id == account
        yield client
    finally:
        await client.stop()


def raw_client(telegram: Telegram, dc: int = 2, **how: Any) -> RawClient:
    return RawClient(telegram.about, Pipe(telegram.address(dc), **how))


def raw_client_as(telegram: Telegram, account: int | None = 42, dc: int = 2) -> RawClient:
    """With a key and an initialized connection, logged in if there is an account."""
    client = raw_client(telegram, dc)
    if account is None:
        assert isinstance(client.handshake(dc), types.DhGenOk)
    else:
        client.key = bytes.fromhex(telegram.mtproto("session", {"account": account, "dc": dc})["auth_key"])
        client.send(client.init())
        client.salt = client.until(types.BadServerSalt).new_server_salt
    assert isinstance(client.call(client.init()), types.Config)
    return client
