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
from typing import Any

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
STARTS = ("⏳", "⬇", "🎞", "📦", "⬆")


class Bot:
    """Starts `examples/media-bot-queues.sh`, once for the front and once for the worker."""

    def __init__(self, tools: Path, folder: Path) -> None:
        self.tools, self.folder = tools, folder
        self._stack = ExitStack()
        self._scripts: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Bot:
        www = self.folder / "www"
        www.mkdir()
        self.clip_bytes = self._make(www / "clip.mp4", "-pix_fmt", "yuv420p", "-movflags", "+faststart")
        # It must be converted, for about half a minute.
        self._make(www / "old.avi", "-c:v", "mpeg4", "-q:v", "8", size="1280x720", seconds=60)
        self.redis = self._stack.enter_context(Redis(self.folder))
        self._telegram_url = self._stack.enter_context(spawn_server("emulator.py", "--token", TOKEN))
        self.site = self._stack.enter_context(spawn_server("site.py", "--root", str(www)))
        self.telegram = Telegram(self._telegram_url)
        for role in ("front", "media"):
            log = (self.folder / f"{role}.log").open("ab")
            script = ROOT / "examples" / "media-bot-queues.sh"
            self._scripts.append(subprocess.Popen([str(script), role], stdin=subprocess.DEVNULL, stderr=log, env=self._environment(role)))
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

    def state(self, role: str) -> Path:
        return self.folder / f"state-{role}"

    def programs(self) -> list[str]:
        """Returns the running programs that work on media."""
        listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        words = str(self.state("media"))
        return [line for line in listing.splitlines() if words in line and ("ffmpeg" in line or "yt-dlp" in line or "ffprobe" in line)]

    def _answers(self) -> bool:
        self.telegram.say(ADMIN, ".whoami")
        return wait_until(lambda: any(self.telegram.is_answer(record["message"]) for record in self.telegram.chat(ADMIN)), 5)

    def _make(self, path: Path, *options: str, size: str = "160x120", seconds: int = 1) -> int:
        source = f"testsrc2=size={size}:rate=25:duration={seconds}"
        subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", source, *options, str(path)], check=True)
        return path.stat().st_size

    def _environment(self, role: str) -> dict[str, str]:
        return os.environ | {
            "TGPIPE_REDIS": self.redis.address, "TGPIPE_LOG": "info:json", "TGPIPE_STATE": str(self.state(role)), "TGPIPE_HOST": role,
            "TGPIPE_STORE": f"file:{self.folder / 'store'}", "TGPIPE_BIN": str(self.tools), "TG_BOT_TOKEN": TOKEN,
            "TG_ADMIN_ID": str(ADMIN.id), "TG_BOT_API_URL": self._telegram_url, "RATELIMIT_OPTIONS": "--limit 100000",
            "MEDIA_FETCH_OPTIONS": "--allow-private --min-rate 1", "MEDIA_ASK_OPTIONS": "--allow-private", "TG_SEND_OPTIONS": "--no-pacing",
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        }  # fmt: skip
