"""What the demo runs: Redis, the emulated Telegram, a web site, and the bot itself; all in one temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from chat import wait_until

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "123456:DEMO-token"
PATIENCE_SECONDS = 30


class Broken(Exception):
    """The demo cannot go on; the text says why."""


class Services:
    """Starts and ends everything; a context manager, so that nothing outlives it."""

    def __init__(self, tools: Path, admin_id: int) -> None:
        """Nothing is started yet. `tools` is the folder of tg-listen and the others."""
        self._tools = tools
        self._admin_id = admin_id
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Services:
        # Short, as the paths of Unix sockets must be.
        self.folder = Path(tempfile.mkdtemp(prefix="tgpipe-demo-", dir="/tmp"))
        self.www, self.log = self.folder / "www", self.folder / "bot.log"
        self.recorded, self.state = self.folder / "recorded", self.folder / "state"
        for folder in (self.www, self.recorded):
            folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        for name, process in reversed(self._running):
            _end(name, process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        self._start_redis()
        self.telegram_url = self._start_server("emulator.py", "--token", TOKEN)
        self.site_url = self._start_server("site.py", "--root", str(self.www))

    def _start_redis(self) -> None:
        socket = self.folder / "redis.sock"
        self._spawn(
            "redis-server", "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "600",
            "--dir", str(self.folder), "--save", "", "--appendonly", "no",
            stdout=(self.folder / "redis.log").open("wb"),
        )  # fmt: skip
        if not wait_until(socket.exists, PATIENCE_SECONDS):
            raise Broken(f"redis-server did not start:\n{(self.folder / 'redis.log').read_text()}")

    def _start_server(self, script: str, *arguments: str) -> str:
        server = self._spawn(
            sys.executable, "-B", str(ROOT / "Tests" / "Emulator" / script), *arguments, stdout=subprocess.PIPE
        )
        assert server.stdout is not None
        url = server.stdout.readline().decode().strip()
        if not url:
            raise Broken(f"{script} did not start: see above")
        return url

    def environment(self) -> dict[str, str]:
        """What makes the tools use these services."""
        return os.environ | {
            "TG_BOT_TOKEN": TOKEN, "TG_ADMIN_ID": str(self._admin_id), "TG_BOT_API_URL": self.telegram_url,
            "TGPIPE_REDIS": f"unix:{self.folder / 'redis.sock'}", "TGPIPE_STATE": str(self.state),
            "TGPIPE_STORE": f"file:{self.folder / 'store'}", "TGPIPE_BIN": str(self._tools), "TGPIPE_LOG": "info:json",
            # The site is on this machine, where a stranger's URL must not lead otherwise.
            "MEDIA_FETCH_OPTIONS": "--allow-private",
            # yt-dlp as pinned for the tests, in the environment that runs this.
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        }  # fmt: skip

    def start_bot(self, **more: str) -> subprocess.Popen[bytes]:
        """Starts examples/media-bot.sh; `more` is for its environment."""
        environment = self.environment() | more
        self._bot = self._spawn(str(ROOT / "examples" / "media-bot.sh"), stderr=self.log.open("wb"), env=environment)
        return self._bot

    def end_bot(self) -> int | None:
        """Interrupts the bot as Ctrl-C would; its exit status, or None when it does not end."""
        self._bot.send_signal(signal.SIGINT)
        try:
            return self._bot.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def is_bot_up(self) -> bool:
        return self._bot.poll() is None

    def _spawn(
        self, *command: str, stdout: IO[bytes] | int = subprocess.DEVNULL, stderr: IO[bytes] | None = None,
        env: dict[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        # In sessions of their own: a Ctrl-C is for the demo, which then ends them in order. If the demo itself is killed,
        # they get the signal.
        command = ("setpriv", "--pdeathsig", "TERM", "--", *command)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=env, start_new_session=True,
            preexec_fn=heed_interrupts,
        )  # fmt: skip
        self._running.append((command[4], process))
        return process


def _end(name: str, process: subprocess.Popen[bytes]) -> None:
    """Ends a service, by force when it has to be."""
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        print(f"{name} did not end by itself: killed", file=sys.stderr)
        # With all that it started: stages of the bot have process groups of their own, but its session.
        for pid in _session(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def _session(leader: int) -> list[int]:
    listing = subprocess.run(["ps", "-s", str(leader), "-o", "pid="], capture_output=True, text=True, check=False)
    return [int(word) for word in listing.stdout.split()]


def heed_interrupts() -> None:
    """A shell that runs this in the background has it ignore interrupts, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
