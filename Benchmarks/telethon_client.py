"""Makes clients of Telethon that are logged in at the emulator."""

from __future__ import annotations

from accounts import Emulator
from telethon import TelegramClient
from telethon.crypto import AuthKey, rsa
from telethon.network import ConnectionTcpAbridged
from telethon.sessions import MemorySession


def telethon_client(emulator: Emulator, account: int = 42) -> TelegramClient:
    rsa.add_key(emulator.about["public_key"], old=False)
    session = MemorySession()
    session.set_dc(2, *emulator.address(2))
    session.auth_key = AuthKey(emulator.key(account))
    return TelegramClient(session, emulator.about["api_id"], emulator.about["api_hash"], connection=ConnectionTcpAbridged)
