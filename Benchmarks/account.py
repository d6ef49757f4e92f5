"""Runs the emulator with an account, and makes sessions for tools that use the account."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import ROOT, read_line, running

ALICE = {"id": 42, "phone": "15550100042", "first_name": "Alice", "username": "alice", "dc": 2}
Json = dict[str, Any]


class Emulator:
    def __init__(self, url: str) -> None:
        self._url = url
        self.about = self.control()

    def control(self, path: str = "", body: Json | None = None) -> Json:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self._url}/control/mtproto{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return dict(json.load(answer))

    def address(self, dc: int) -> tuple[str, int]:
        found = next(one for one in self.about["dcs"][str(dc)] if ":" not in one["host"])
        return found["host"], found["port"]

    def key(self) -> bytes:
        return bytes.fromhex(self.control("/session", {"account": 42, "dc": 2})["auth_key"])

    def logged_in(self, state: Path) -> dict[str, str]:
        """Makes the session `alice` in a state folder. Returns the environment for tools that use the session."""
        sessions = state / "sessions"
        sessions.mkdir(mode=0o700, parents=True)
        session = {
            "version": 1, "dc": 2, "test": False, "user_id": 42, "bot": False,
            "keys": {"2": base64.b64encode(self.key()).decode()}, "addresses": {},
        }  # fmt: skip
        path = sessions / "alice.session.json"
        path.touch(0o600)
        path.write_text(json.dumps(session))
        (state / "server.pem").write_text(self.about["public_key"])
        servers = " ".join("{}={}:{}".format(dc, *self.address(dc)) for dc in (1, 2, 3))
        return os.environ | {
            "TGPIPE_SESSION": "alice", "TGPIPE_STATE": str(state), "TGPIPE_LOG": "warning", "TG_SERVERS": servers,
            "TG_API_ID": str(self.about["api_id"]), "TG_SERVER_KEY": str(state / "server.pem"),
        }  # fmt: skip


@contextmanager
def emulated() -> Iterator[Emulator]:
    server = [sys.executable, "-B", str(ROOT / "Tests/Emulator/emulator.py"), "--account", json.dumps(ALICE)]
    with running(server, stdout=subprocess.PIPE) as process:
        yield Emulator(read_line(process))
