"""Authorisations created without a login, and the sessions' state for the control API."""

from __future__ import annotations

import base64
import secrets
import socket
import struct
from typing import Any

from .account import Account
from .core import Core
from .keys import AuthKey, Salts, random_long

Json = dict[str, Any]


def authorized_key(core: Core, account: Account, dc: int) -> Json:
    """A key that is logged in already, with the session strings that well-known libraries would have for it."""
    key = AuthKey(secrets.token_bytes(256), dc, Salts(core.clock, random_long()), core.clock.now(), account=account)
    core.keys.add(key)
    address = core.addresses[dc][0]
    packed = struct.pack(">B4sH256s", dc, socket.inet_aton(address.host), address.port, key.data)
    other = struct.pack(">BI?256sQ?", dc, core.settings.api_id, False, key.data, account.id, account.is_bot)
    return {
        "dc": dc, "auth_key": key.data.hex(), "auth_key_id": str(key.id), "user_id": account.id,
        "telethon": "1" + base64.urlsafe_b64encode(packed).decode(),
        "pyrogram": base64.urlsafe_b64encode(other).decode().rstrip("="),
    }  # fmt: skip


def describe_sessions(key: AuthKey) -> list[Json]:
    return [
        {
            "id": str(session.id), "auth_key_id": str(key.id), "dc": key.dc_id, "layer": key.owner.layer,
            "is_temporary": key.expires_at is not None, "is_connected": session.is_connected,
            "is_main": session.is_main, "transport": getattr(session.wire, "transport_name", None),
            "unacknowledged": len(session.unacked),
            "oldest_unacknowledged_seconds": session.oldest_unacknowledged, "counters": vars(session.counters),
        }
        for session in key.sessions.values()
    ]  # fmt: skip
