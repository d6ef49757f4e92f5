"""Runs the emulator with accounts, and makes sessions for tools that use them."""

from __future__ import annotations

import base64
import hashlib
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
    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid = url, pid
        self.about = self.control()

    def control(self, path: str = "", body: Json | None = None, method: str | None = None) -> Json:
        """Calls the part of the control interface that concerns accounts."""
        return self.request(f"mtproto{path}", body, method)

    def request(self, path: str, body: Json | None = None, method: str | None = None) -> Json:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/control/{path}", data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.load(answer))

    def rows_digest(self, chat_id: int) -> str:
        """Returns the SHA-256 of what a reader of a seeded history must have stored."""
        hashed = hashlib.sha256()
        with urllib.request.urlopen(f"{self.url}/control/mtproto/seeded/{chat_id}/rows", timeout=60) as answer:
            while piece := answer.read(1 << 20):
                hashed.update(piece)
        return hashed.hexdigest()

    def address(self, dc: int) -> tuple[str, int]:
        found = next(one for one in self.about["dcs"][str(dc)] if ":" not in one["host"])
        return found["host"], found["port"]

    def key(self, account: int = 42) -> bytes:
        return bytes.fromhex(self.control("/session", {"account": account, "dc": 2})["auth_key"])

    def logged_in(self, state: Path, accounts: dict[str, int] | None = None) -> dict[str, str]:
        """Makes sessions in a state folder: `alice`, or those named, by account. Returns the environment for tools that use
        them."""
        sessions = state / "sessions"
        sessions.mkdir(mode=0o700, parents=True)
        for name, account in (accounts or {"alice": 42}).items():
            session = {
                "version": 1, "dc": 2, "test": False, "user_id": account, "bot": False,
                "keys": {"2": base64.b64encode(self.key(account)).decode()}, "addresses": {},
            }  # fmt: skip
            path = sessions / f"{name}.session.json"
            path.touch(0o600)
            path.write_text(json.dumps(session))
        (state / "server.pem").write_text(self.about["public_key"])
        servers = " ".join("{}={}:{}".format(dc, *self.address(dc)) for dc in (1, 2, 3))
        return os.environ | {
            "TGPIPE_SESSION": " ".join(accounts or ["alice"]), "TGPIPE_STATE": str(state), "TGPIPE_LOG": "warning", "TG_SERVERS": servers,
            "TG_API_ID": str(self.about["api_id"]), "TG_SERVER_KEY": str(state / "server.pem"),
        }  # fmt: skip


@contextmanager
def emulated(accounts: list[Json] | None = None) -> Iterator[Emulator]:
    server = [sys.executable, "-B", str(ROOT / "Tests/Emulator/emulator.py")]
    for account in accounts or [ALICE]:
        server += ["--account", json.dumps(account)]
    with running(server, stdout=subprocess.PIPE) as process:
        yield Emulator(read_line(process), process.pid)
