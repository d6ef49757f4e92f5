"""Chaos: the bot over queues on three machines, as far as one shows them, with everything killed at random.

TGPIPE_CHAOS=requests,sources,users,kills,restarts says how much; 2000,200,50,100,5 is the whole. Every request must be answered
once. Between Telegram's answer to a send and its acknowledgement a kill makes a double, which no program can avoid: they are counted.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from bench import TOOLS, padded_clip, row, scratch
from chat import Person, Telegram, wait_until

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "123456:CHAOS-token"
REQUESTS, SOURCES, USERS, KILLS, RESTARTS = map(int, os.environ.get("TGPIPE_CHAOS", "300,30,15,30,2").split(","))
PATIENCE_SECONDS = 600
FRONT = ("tg-listen", "tg-gate", "ratelimit", "ev-route", "tg-send")
MEDIA = ("media-fetch", "blob-put")


class Machines:
    """Redis, the emulated Telegram, a site, and three hosts of the bot; ended with the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self.kills = Counter[str]()

    def __enter__(self) -> Machines:
        (self.folder / "www").mkdir()
        padded_clip(self.folder / "clip.mp4", 300_000)
        for number in range(SOURCES):
            shutil.copy(self.folder / "clip.mp4", self.folder / "www" / f"{number}.mp4")
        self.start_redis()
        self.telegram_url = self._server("emulator.py", "--token", TOKEN)
        self.site_url = self._server("site.py", "--root", str(self.folder / "www"))
        for name, role in (("front", "front"), ("media1", "media"), ("media2", "media")):
            self._host(name, role)
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            process.terminate()
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.redis.terminate()
        self.redis.wait()

    def start_redis(self) -> None:
        socket = self.folder / "redis.sock"
        self.redis = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", str(socket), "--dir", str(self.folder), "--save", "",
             "--appendonly", "yes", "--appendfsync", "always", "--logfile", str(self.folder / "redis.log")]
        )  # fmt: skip
        if not wait_until(lambda: self.cli("PING") == "PONG", 20):
            sys.exit("error: redis-server did not start")

    def cli(self, *words: str) -> str:
        command = ["redis-cli", "-s", str(self.folder / "redis.sock"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def _server(self, script: str, *arguments: str) -> str:
        command = [sys.executable, "-B", str(ROOT / "Tests" / "Emulator" / script), *arguments]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self._running.append(server)
        assert server.stdout is not None
        return server.stdout.readline().decode().strip()

    def _host(self, name: str, role: str) -> None:
        environment = os.environ | {
            "TG_BOT_TOKEN": TOKEN, "TG_ADMIN_ID": ",".join(str(person.id) for person in PEOPLE),
            "TG_BOT_API_URL": self.telegram_url, "TGPIPE_REDIS": f"unix:{self.folder / 'redis.sock'}",
            "TGPIPE_STATE": str(self.folder / name), "TGPIPE_STORE": f"file:{self.folder / 'store'}",
            "TGPIPE_BIN": str(TOOLS), "TGPIPE_LOG": "info:json", "TGPIPE_HOST": name,
            "TG_GATE_OPTIONS": "--lease 3s --max-attempts 100",
            "RATELIMIT_OPTIONS": "--limit 100000 --lease 3s --max-attempts 100",
            "MEDIA_FETCH_OPTIONS": "--allow-private --lease 3s --max-attempts 100 --concurrency 4",
            "BLOB_PUT_OPTIONS": "--lease 3s --max-attempts 100",
            "TG_SEND_OPTIONS": "--no-pacing --lease 3s --max-attempts 100",
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        }  # fmt: skip
        log = (self.folder / f"{name}.log").open("wb")
        command = [str(ROOT / "examples" / "media-bot-queues.sh"), role]
        self._running.append(
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, env=environment, start_new_session=True)
        )

    def kill_one(self) -> None:
        """Ends a stage as a crash would."""
        host = random.choice(("front", "media1", "media2"))
        stage = random.choice(FRONT if host == "front" else MEDIA)
        try:
            pid = int((self.folder / host / "run-queues" / f"{stage}.pid").read_text())
            os.kill(pid, signal.SIGKILL)
        except (OSError, ValueError):
            return
        self.kills[stage] += 1

    def restart_redis(self) -> None:
        self.redis.kill()
        self.redis.wait()
        time.sleep(0.1)
        self.start_redis()

    def fault(self, method: str, kind: str, times: int) -> None:
        body = json.dumps({"method": method, "kind": kind, "times": times}).encode()
        request = urllib.request.Request(
            f"{self.telegram_url}/control/fault", body, {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=20).close()


PEOPLE = [Person(1000 + number, f"User {number}", f"user{number}") for number in range(USERS)]


def disturb(machines: Machines, done: threading.Event) -> None:
    """Kills, restarts and faults, spread over the run until there were enough of them."""
    restarts = 0
    while not done.wait(random.uniform(0.05, 0.4)):
        kills = sum(machines.kills.values())
        if kills >= KILLS and restarts >= RESTARTS:
            return
        if kills < KILLS:
            machines.kill_one()
        if restarts < RESTARTS and kills * RESTARTS >= KILLS * (restarts + 0.5):
            machines.restart_redis()
            restarts += 1
        if random.random() < 0.1:
            machines.fault(random.choice(("sendVideo", "editMessageText", "sendMessage")), "502", 2)


def answers(telegram: Telegram) -> dict[int, Counter[int]]:
    """By person: how many media answer which message."""
    found = {}
    for person in PEOPLE:
        replies = [
            entry["message"]["reply_to_message"]["message_id"] for entry in telegram.chat(person)
            if not entry.get("deleted") and entry["message"].get("video") and "reply_to_message" in entry["message"]
        ]  # fmt: skip
        found[person.id] = Counter(replies)
    return found


def leftovers(telegram: Telegram) -> int:
    """Messages of the bot that are no answers and were not removed."""
    return sum(
        1 for person in PEOPLE for entry in telegram.chat(person)
        if entry["message"]["from"]["id"] != person.id and not entry.get("deleted") and not entry["message"].get("video")
    )  # fmt: skip


def fetches(site_url: str) -> Counter[str]:
    with urllib.request.urlopen(f"{site_url}/control/log", timeout=20) as answer:
        visits: list[dict[str, Any]] = json.load(answer)["requests"]
    return Counter(visit["path"] for visit in visits if visit["path"].endswith(".mp4") and visit.get("method") != "HEAD")


def main() -> None:
    with scratch() as folder, Machines(folder) as machines:
        telegram, asked, done = Telegram(machines.telegram_url), dict[int, set[int]](), threading.Event()
        killer = threading.Thread(target=disturb, args=(machines, done))
        started = time.perf_counter()
        killer.start()
        for number in range(REQUESTS):
            person = PEOPLE[number % USERS]
            message = telegram.say(person, f".vdl {machines.site_url}/{random.randrange(SOURCES)}.mp4")
            asked.setdefault(person.id, set()).add(message["message_id"])
            time.sleep(random.uniform(0, 0.04))

        def missing() -> int:
            return sum(len(asked[id] - set(counts)) for id, counts in answers(telegram).items() if id in asked)

        whole = wait_until(lambda: not killer.is_alive() and missing() == 0, PATIENCE_SECONDS, lambda: time.sleep(0.5))
        done.set()
        killer.join()
        seconds = time.perf_counter() - started
        # What is under way after the last answer: progress is removed, leases end.
        wait_until(lambda: leftovers(telegram) == 0, 30, lambda: time.sleep(0.5))
        doubles = sum(count - 1 for counts in answers(telegram).values() for count in counts.values())
        per_source = fetches(machines.site_url)
        files = sum(path.is_file() for host in ("media1", "media2") for path in (folder / host / "media" / "fetch").rglob("*"))
        dead = sum(int(machines.cli("XLEN", f"tgpipe:{{queues}}:{name}:dead") or 0) for name in machines.cli("SMEMBERS", "tgpipe:{queues}:names").split())
        what = f"{REQUESTS:,} requests, {SOURCES} sources, {USERS} users"
        row(f"{what}: answered", f"{REQUESTS - missing():,}", f"in {seconds:,.0f} s", "", f"all of them{'' if whole else ' (given up)'}")
        row("  answered twice", f"{doubles}", f"tg-send was killed {machines.kills['tg-send']} times", "", "0, but for such kills")
        row("  killed", f"{sum(machines.kills.values())}", f"Redis {RESTARTS} times", "", f"{KILLS}")
        extra = sum(per_source.values()) - len(per_source)
        row("  fetches beyond one a source", f"{extra}", f"media-fetch was killed {machines.kills['media-fetch']} times")
        row("  messages, files, dead letters left behind", f"{leftovers(telegram)}, {files}, {dead}", "", "", "0, 0, 0")
        if not whole or os.environ.get("TGPIPE_CHAOS_KEEP"):
            shutil.copytree(folder, os.environ.get("TGPIPE_CHAOS_KEEP", "/tmp/tgpipe-chaos"), dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock", "www", "store"))


if __name__ == "__main__":
    main()
