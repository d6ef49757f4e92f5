"""Runs the services of the demo in one temporary folder: Redis, the emulated Telegram, a web site, and the bot."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from account import account_settings, import_session
from chat import Telegram, wait_until

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "123456:DEMO-token"
# The account that acts as the bot with BACKEND=account, and the name of its session.
ACCOUNT_ID, PHONE = 500, "15550100500"
ACCOUNT = {"id": ACCOUNT_ID, "phone": PHONE, "first_name": "Media", "last_name": "Desk", "username": "media_desk"}
SESSION = "desk"
PATIENCE_SECONDS = 30


class Broken(Exception):
    """Signals that the demo cannot continue; the text gives the reason."""


class Services:
    """Starts and ends all services. It is a context manager, so no service outlives it."""

    def __init__(self, tools: Path, admin_id: int, is_account: bool = False) -> None:
        """Starts nothing yet. `tools` is the folder that contains tg-listen and the other tools."""
        self.is_account = is_account
        self.secrets = [TOKEN]
        self._tools = tools
        self._admin_id = admin_id
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Services:
        # A short path, because the paths of Unix sockets are limited in length.
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
        speaker = ("--account", json.dumps(ACCOUNT)) if self.is_account else ("--token", TOKEN)
        self.telegram_url = self._start_server("emulator.py", *speaker)
        self.telegram = Telegram(self.telegram_url, ACCOUNT_ID if self.is_account else None)
        if self.is_account:
            self._log_in()
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

    def _log_in(self) -> None:
        """Imports a session of the account, as a user would from another program."""
        session = self.telegram.session()
        self.secrets = [session, PHONE]
        failure = import_session(self._tools, session, SESSION, self.environment())
        if failure is not None:
            raise Broken(f"tg-session import failed:\n{failure}")

    def _speaker(self) -> dict[str, str]:
        """Returns the environment variables that select the bot or the account."""
        if not self.is_account:
            return {"TG_BOT_TOKEN": TOKEN, "TG_BOT_API_URL": self.telegram_url}
        return account_settings(self.telegram, SESSION, self.folder)

    def environment(self) -> dict[str, str]:
        """Returns an environment in which the tools use these services."""
        others = {name: value for name, value in os.environ.items() if name not in ("TG_BOT_TOKEN", "TGPIPE_SESSION")}
        return others | self._speaker() | {
            "TG_ADMIN_ID": str(self._admin_id),
            "TGPIPE_REDIS": f"unix:{self.folder / 'redis.sock'}", "TGPIPE_STATE": str(self.state),
            "TGPIPE_STORE": f"file:{self.folder / 'store'}", "TGPIPE_BIN": str(self._tools), "TGPIPE_LOG": "info:json",
            # The demo's site is on this machine. Other URLs from users must not lead here.
            "MEDIA_FETCH_OPTIONS": "--allow-private", "MEDIA_ASK_OPTIONS": "--allow-private",
            # The pinned yt-dlp from the Python environment that runs the demo.
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        }  # fmt: skip

    def start_bot(self, script: str = "media-bot.sh", **more: str) -> subprocess.Popen[bytes]:
        """Starts a script of examples/ that runs the bot. `more` contains additional environment variables."""
        environment = self.environment() | more
        self._bot = self._spawn(str(ROOT / "examples" / script), stderr=self.log.open("wb"), env=environment)
        return self._bot

    def end_bot(self) -> int | None:
        """Interrupts the bot as Ctrl-C does. Returns its exit status, or None if it does not end in time."""
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
        # Each service has a session of its own, so that Ctrl-C reaches only the demo, which then ends them in order. If
        # the demo is killed, the kernel sends them SIGTERM.
        command = ("setpriv", "--pdeathsig", "TERM", "--", *command)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=env, start_new_session=True,
            preexec_fn=heed_interrupts,
        )  # fmt: skip
        self._running.append((command[4], process))
        return process


def _end(name: str, process: subprocess.Popen[bytes]) -> None:
    """Ends a service, and kills it if it does not end within five seconds."""
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        print(f"{name} did not end within five seconds: killed it", file=sys.stderr)
        # Kill the whole session: the bot's stages have process groups of their own, but share its session.
        for pid in _session(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def _session(leader: int) -> list[int]:
    listing = subprocess.run(["ps", "-s", str(leader), "-o", "pid="], capture_output=True, text=True, check=False)
    return [int(word) for word in listing.stdout.split()]


def heed_interrupts() -> None:
    """Restores the default action of SIGINT. A shell makes background jobs ignore it, and child processes inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
