"""Runs the whole bot over queues, on two machines as far as it can tell, with what it needs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, Self

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "demo"))

from chat import Person, Telegram, wait_until  # noqa: E402
from redis_servers import Redis  # noqa: E402
from servers import spawn_server  # noqa: E402

TOKEN = "123456:CHAOS-token"
ADMIN = Person(42, "Alice", "alice")
END_SECONDS = 60
# A file without sound fails, if its end comes before the cancellation.
ENDS = ("🚫", "❌")


class Bot:
    """Starts `examples/media-bot-queues.sh`, once for the front and once for the worker."""

    # The role of each machine.
    roles: ClassVar[dict[str, str]] = {"front": "front", "media": "media"}

    def __init__(self, tools: Path, folder: Path) -> None:
        self.tools, self.folder = tools, folder
        self._stack = ExitStack()
        self._scripts: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        www = self.folder / "www"
        www.mkdir()
        self._make_sources(www)
        self.redis = self._stack.enter_context(self._make_redis())
        self._telegram_url = self._within_reach(self._stack.enter_context(spawn_server("emulator.py", "--token", TOKEN)))
        self.site = self._within_reach(self._stack.enter_context(spawn_server("site.py", "--root", str(www))))
        self.telegram = Telegram(self._telegram_url)
        for machine, role in self.roles.items():
            log = (self.folder / f"{machine}.log").open("ab")
            command = [*self._command(machine), str(ROOT / "examples" / "media-bot-queues.sh"), role]
            self._scripts.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, env=self._environment(machine)))
        if not wait_until(self._answers, END_SECONDS):
            self.__exit__()
            sys.exit("error: the bot does not answer")
        return self

    def __exit__(self, *_: object) -> None:
        for script in self._scripts:
            script.send_signal(signal.SIGTERM)
        self.statuses = [script.wait(END_SECONDS) for script in self._scripts]
        self._stack.close()

    def bless(self, people: list[Person]) -> None:
        for person in people:
            self.telegram.say(person, "hello")
            self.telegram.say(ADMIN, f".bless {person.id}")
        if not wait_until(lambda: len(self.telegram.calls("setMessageReaction")) >= len(people), END_SECONDS):
            sys.exit("error: the admin's commands were not answered")

    def link(self, seconds: int) -> str:
        """Returns a link to a clip that takes this long."""
        return f"{self.site}/slow/{max(1, self.clip_bytes // seconds)}/clip.mp4"

    def has_media(self, person: Person) -> bool:
        return any("video" in record["message"] and not record["deleted"] for record in self.telegram.chat(person))

    def control(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Does what a person does in an app: answers a message, presses a button."""
        request = urllib.request.Request(f"{self._telegram_url}/control/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return dict(json.load(answer))

    def state(self, machine: str) -> Path:
        return self.folder / f"state-{machine}"

    def programs(self) -> list[str]:
        """Returns the running programs that work on media."""
        listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        words = str(self.state("media"))
        return [line for line in listing.splitlines() if words in line and ("ffmpeg" in line or "yt-dlp" in line or "ffprobe" in line)]

    # What differs where the machines are real ones.

    def _make_sources(self, www: Path) -> None:
        self.clip_bytes = self._make(www / "clip.mp4", "-pix_fmt", "yuv420p", "-movflags", "+faststart")
        # It must be converted, for about half a minute.
        self._make(www / "old.avi", "-c:v", "mpeg4", "-q:v", "8", size="1280x720", seconds=60)

    def _make_redis(self) -> Redis:
        return Redis(self.folder)

    def _within_reach(self, url: str) -> str:
        """Returns the address at which the machines find a server of this program."""
        return url

    def _command(self, machine: str) -> list[str]:
        """Returns what stands before a command so that it runs on a machine."""
        return []

    def _answers(self) -> bool:
        self.telegram.say(ADMIN, ".whoami")
        return wait_until(lambda: any(self.telegram.is_answer(record["message"]) for record in self.telegram.chat(ADMIN)), 5)

    def _make(self, path: Path, *options: str, size: str = "160x120", seconds: int = 1, sound: bool = False) -> int:
        sources = [f"testsrc2=size={size}:rate=25:duration={seconds}"] + [f"sine=duration={seconds}"] * sound
        inputs = [word for source in sources for word in ("-f", "lavfi", "-i", source)]
        subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", *inputs, *options, str(path)], check=True)
        return path.stat().st_size

    def _environment(self, machine: str) -> dict[str, str]:
        return os.environ | {
            "TGPIPE_REDIS": self.redis.address, "TGPIPE_LOG": "info:json", "TGPIPE_STATE": str(self.state(machine)), "TGPIPE_HOST": machine,
            "TGPIPE_STORE": f"file:{self.folder / 'store'}", "TGPIPE_BIN": str(self.tools), "TG_BOT_TOKEN": TOKEN,
            "TG_ADMIN_ID": str(ADMIN.id), "TG_BOT_API_URL": self._telegram_url, "RATELIMIT_OPTIONS": "--limit 100000",
            "MEDIA_FETCH_OPTIONS": "--allow-private --min-rate 1", "MEDIA_ASK_OPTIONS": "--allow-private", "TG_SEND_OPTIONS": "--no-pacing",
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        }  # fmt: skip
