"""Starts both servers as their users do: as processes, found by the line they print."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mtclients import Telegram

HERE = Path(__file__).parent
TOKEN = "123456:TEST-token"
OTHER_TOKEN = "654321:OTHER-token"
PROXY_SECRET = "00112233445566778899aabbccddeeff"
ALICE = {"id": 42, "first_name": "Alice", "username": "alice"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Add the violations that the emulator noted to the report of a test that failed."""
    report = yield
    telegram: Any = getattr(item, "funcargs", {}).get("telegram")
    if report.failed and hasattr(telegram, "violations"):
        report.sections.append(("violations noted by the emulator", json.dumps(telegram.violations()[-10:], indent=1)))
    return report


class Server:
    def __init__(self, script: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-B", str(HERE / script), *arguments, "--parent-pid", str(os.getpid())],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), "the server did not start"

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def control(self, path: str, body: Any = None, method: str = "POST") -> Any:
        status, answer = self.request(method, f"/control/{path}", body)
        assert status == 200, answer
        return answer

    def call(self, method: str, token: str = TOKEN, **parameters: Any) -> Any:
        """The answer's result, or (code, description) of an error."""
        status, answer = self.request("POST", f"/bot{token}/{method}", parameters)
        assert answer["ok"] is (status == 200)
        return answer["result"] if answer["ok"] else (status, answer["description"])

    def says(self, text: str, **more: Any) -> Any:
        return self.control("message", {"chat_id": ALICE["id"], "from": ALICE, "text": text} | more)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=5)


def running(script: str, *arguments: str) -> Iterator[Server]:
    server = Server(script, *arguments)
    yield server
    assert server.stop() == 0
    if server.process.stdout is not None:
        server.process.stdout.close()


@pytest.fixture
def emulator() -> Iterator[Server]:
    yield from running("emulator.py", "--token", TOKEN, "--token", OTHER_TOKEN)


@pytest.fixture
def local_emulator() -> Iterator[Server]:
    yield from running("emulator.py", "--token", TOKEN, "--local")


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    """Two accounts, a bot, and a proxy."""
    from mtclients import Telegram  # only the tests of accounts need what it imports

    server = Telegram("--token", TOKEN, "--proxy-secret", PROXY_SECRET)
    yield server
    assert server.stop() == 0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Server]:
    root = tmp_path / "www"
    root.mkdir()
    (root / "clip.mp4").write_bytes(bytes(range(256)) * 400)
    (root / "notes.txt").write_text("notes")
    yield from running("site.py", "--root", str(root))


@pytest.fixture
def png(tmp_path: Path) -> Path:
    """A 3 by 2 image, as far as its header goes."""
    path = tmp_path / "dot.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes([0, 0, 0, 3, 0, 0, 0, 2, 8, 2, 0, 0, 0]))
    return path


def sparse_file(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path
