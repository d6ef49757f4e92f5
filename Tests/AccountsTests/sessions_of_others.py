"""Makes sessions with Telethon and Kurigram as they are, in a folder: sessions_of_others.py FOLDER KEY. KEY has 512 hexadecimal digits.

Prints the strings that they export. With `read telethon|pyrogram STRING` it prints what they make of a string.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from pyrogram.storage.sqlite_storage import SQLiteStorage
from telethon.crypto import AuthKey
from telethon.sessions import SQLiteSession, StringSession

USER = 5_000_000_042


def telethon(folder: Path, key: bytes) -> dict[str, str]:
    session = SQLiteSession(str(folder / "telethon"))
    session.set_dc(4, "149.154.167.91", 443)
    session.auth_key = AuthKey(key)
    session.save()
    session.close()
    string = StringSession()
    string.set_dc(4, "149.154.167.91", 443)
    string.auth_key = AuthKey(key)
    six = StringSession()
    six.set_dc(4, "2001:67c:4e8:f004::a", 443)
    six.auth_key = AuthKey(key)
    return {"telethon": string.save(), "telethon6": six.save()}


async def pyrogram(folder: Path, key: bytes) -> dict[str, str]:
    storage = SQLiteStorage(name="pyrogram", workdir=folder)
    await storage.open()
    await storage.dc_id(1)
    await storage.server_address("149.154.175.53")
    await storage.port(443)
    await storage.api_id(12345)
    await storage.test_mode(False)
    await storage.auth_key(key)
    await storage.user_id(USER)
    await storage.is_bot(True)
    await storage.save()
    exported = await storage.export_session_string()
    await storage.close()
    return {"pyrogram": exported}


async def read_pyrogram(string: str) -> dict[str, Any]:
    storage = SQLiteStorage(name="x", workdir=Path(), session_string=string, in_memory=True)
    await storage.open()
    return {
        "dc": await storage.dc_id(), "key": (await storage.auth_key()).hex(), "user_id": await storage.user_id(),
        "bot": bool(await storage.is_bot()), "api_id": await storage.api_id(),
    }  # fmt: skip


def read_telethon(string: str) -> dict[str, Any]:
    session = StringSession(string)
    return {"dc": session.dc_id, "key": session.auth_key.key.hex(), "host": session.server_address, "port": session.port}


def main() -> None:
    if sys.argv[1] == "read":
        string = sys.argv[3]
        found = read_telethon(string) if sys.argv[2] == "telethon" else asyncio.run(read_pyrogram(string))
    else:
        folder, key = Path(sys.argv[1]), bytes.fromhex(sys.argv[2])
        found = telethon(folder, key) | asyncio.run(pyrogram(folder, key))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
