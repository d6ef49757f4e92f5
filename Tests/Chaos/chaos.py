"""Runs the pipeline over queues while its parts fail, and checks that each request is answered exactly once (see README.md)."""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "demo"))

from chat import Person, Telegram, wait_until  # noqa: E402
from faults import RefusingProxy, Schedule  # noqa: E402
from redis_servers import KINDS  # noqa: E402
from servers import S3, spawn_server  # noqa: E402
from stages import Stage, kill_one, pipeline, queue_stats, say_number  # noqa: E402
from verdict import Answers, Verdict, files_below, judge_fetches, judge_notes, parse, run_folder  # noqa: E402

TOKEN = "123456:CHAOS-token"
ADMIN = Person(42, "Alice", "alice")
BUCKET = "chaos"
REST_SECONDS = 300
SWEEP_SECONDS = 150


class Chaos:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.random = random.Random(options.seed)
        self.people = [Person(1000 + number, f"User {number}", f"user{number}") for number in range(options.users)]
        self.questions: dict[int, set[int]] = {person.id: set() for person in self.people}
        self.notes: Counter[int] = Counter()
        self.verdict = Verdict()

    def run(self) -> Verdict:
        self._make_sources()
        with KINDS[self.options.redis](self.folder) as redis, S3(self.folder) as s3:
            proxy = RefusingProxy(s3.port)
            with (
                spawn_server("emulator.py", "--token", TOKEN) as telegram_url,
                spawn_server("site.py", "--root", str(self.folder / "www")) as site_url,
            ):
                self.redis, self.s3, self.site_url = redis, s3, site_url
                self.telegram = Telegram(telegram_url)
                environment = self._environment(telegram_url, f"http://127.0.0.1:{proxy.port}")
                stages = self._stages(environment)
                for stage in stages:
                    stage.start()
                try:
                    self._play(stages, proxy, telegram_url)
                finally:
                    statuses = {stage.name: stage.end() for stage in stages}
                self._judge(stages, statuses, environment)
        return self.verdict

    # What another run may do in its own way.

    def _stages(self, environment: dict[str, str]) -> list[Stage]:
        return pipeline(self.options.tools, environment, self._folder("logs"), self.options.workers)

    def _add_faults(self, schedule: Schedule, stages: list[Stage]) -> None:
        """Adds further faults to those of every run."""

    # The users and their requests.

    def _make_sources(self) -> None:
        www = self._folder("www")
        clip = www / "clip.mp4"
        subprocess.run(
            ["ffmpeg", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=1",
             "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(clip)], check=True,
        )  # fmt: skip
        clip_bytes = clip.read_bytes()
        for number in range(self.options.sources):
            # A box at the end that players skip makes each file different.
            rest = self.random.randbytes(self.random.randint(10_000, 400_000))
            box = (len(rest) + 8).to_bytes(4, "big") + b"free" + rest
            (www / f"source-{number}.mp4").write_bytes(clip_bytes + box)

    def _bless_everybody(self) -> None:
        for person in self.people:
            self.telegram.say(person, "hello")
        for person in self.people:
            self.telegram.say(ADMIN, f".bless @{person.username}")
        if not wait_until(lambda: len(self.telegram.calls("setMessageReaction")) >= len(self.people), 120):
            sys.exit(f"error: the admin's commands were not answered; see {self.folder}/logs with --keep")

    def _ask(self) -> None:
        person = self.random.choice(self.people)
        number = self.random.randrange(self.options.sources)
        question = self.telegram.say(person, f".vdl {self.site_url}/source-{number}.mp4")
        self.questions[person.id].add(question["message_id"])
        self.asked_sources.add(number)

    def _note(self) -> None:
        """Lets the bot say the next number to somebody. All numbers to one person are to arrive in order."""
        person = self.random.choice(self.people)
        self.notes[person.id] += 1
        say_number(self.options.tools, self._tool_environment, self.random, person.id, self.notes[person.id])

    # The faults.

    def _play(self, stages: list[Stage], proxy: RefusingProxy, telegram_url: str) -> None:
        self.asked_sources: set[int] = set()
        self._bless_everybody()
        options = self.options
        schedule = Schedule(options.seed, options.seconds)
        self.kills = 0

        def kill() -> None:
            self.kills += kill_one(stages, self.random)

        # A few more kills than requested are planned, because some find no running stage.
        schedule.add(options.kills, "a stage is killed", kill)
        schedule.add(options.redis_restarts, "Redis is killed and restarted", self.redis.restart)
        schedule.add(options.refusals, "the S3 server refuses", lambda: proxy.refuse(self.random.uniform(0.5, 2)))
        schedule.add(options.refusals, "Telegram answers 502", lambda: self._fault(telegram_url, kind="502"))
        schedule.add(options.refusals, "Telegram says wait", lambda: self._fault(telegram_url, kind="429", retry_after=1))
        schedule.add(options.refusals, "Telegram hangs up", lambda: self._fault(telegram_url, kind="drop"))
        self._add_faults(schedule, stages)
        schedule.add(options.requests, "somebody asks", self._ask)
        schedule.add(options.notes, "the bot says a number", self._note)
        started = time.monotonic()
        schedule.run(is_over=lambda: False)
        self._progress(started)
        if not wait_until(self._is_at_rest, REST_SECONDS):
            print(f"not at rest after {REST_SECONDS} s", file=sys.stderr)
        self.seconds = time.monotonic() - started
        # A killed worker leaves partial files, which are removed after a minute without use.
        wait_until(lambda: not self._left_over(), SWEEP_SECONDS)

    def _progress(self, started: float) -> None:
        print(f"all asked after {time.monotonic() - started:.0f} s; waiting for the last answers", flush=True)

    def _is_at_rest(self) -> bool:
        """Returns whether all updates are taken and all queues are empty."""
        time.sleep(0.5)
        return self.telegram.all_taken() and all(depth == 0 for depth in self._depths().values())

    def _depths(self) -> dict[str, int]:
        """Returns the number of unfinished events in each queue except that of the results, which has no reader."""
        depths = {}
        for line in self._queue_stats():
            if line["queue"] != "sent":
                depths[line["queue"]] = line["events"]
        return depths

    def _queue_stats(self) -> list[dict[str, Any]]:
        return queue_stats(self.options.tools, self._tool_environment)

    def _fault(self, telegram_url: str, **fault: Any) -> None:
        """Makes every call to Telegram fail for a moment."""
        body = json.dumps({"method": "*", "times": 100_000, **fault}).encode()
        url, head = f"{telegram_url}/control/fault", {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, head), timeout=20).close()
        time.sleep(self.random.uniform(0.2, 1))
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=20).close()

    # The checks at the end.

    def _judge(self, stages: list[Stage], statuses: dict[str, int | None], environment: dict[str, str]) -> None:
        verdict, options = self.verdict, self.options
        verdict.check(self.kills >= options.kills * 0.95, f"{self.kills} kills, {self.redis.restarts} restarts of Redis")
        asked = sum(len(ids) for ids in self.questions.values())
        answers = Answers.of(self.telegram, self.people, self.questions)
        answers.judge(verdict, asked, self.telegram)
        judge_notes(verdict, self.telegram, self.people, self.notes)
        killed_owners = sum(stage.kills for stage in stages if stage.name.startswith("media-fetch"))
        judge_fetches(verdict, self._fetches(), len(self.asked_sources), killed_owners)
        uploads = sum(not isinstance(call["params"].get("video"), str) for call in self.telegram.calls("sendVideo") if call["status"] == 200)
        print(f"{len(self.asked_sources)} sources, {uploads} uploads to Telegram, {self.seconds:.0f} s")
        bad_objects = self.s3.bad_objects(BUCKET)
        verdict.check(not bad_objects, f"no partial object in the store {bad_objects or ''}")
        verdict.check(self.s3.count(BUCKET) == len(self.asked_sources), f"{self.s3.count(BUCKET)} objects in the store")
        locks = self.redis.locks()
        verdict.check(not locks, f"no lock is held {locks or ''}")
        left = self._left_over()
        verdict.check(not left, f"no file of a fetch is left on the disk {left[:5] or ''}")
        dead = [line for line in self._queue_stats() if line.get("dead")]
        verdict.check(not dead, f"no event became a dead letter {dead or ''}")
        ended = {name: status for name, status in statuses.items() if status != 0}
        verdict.check(not ended, f"asked to, every stage ends by itself {ended or ''}")
        self._check_ends(stages)

    def _left_over(self) -> list[str]:
        folders = self.folder.glob("state-*/media/fetch")
        return [str(path.relative_to(self.folder)) for folder in folders for path in files_below(folder)]

    def _check_ends(self, stages: list[Stage]) -> None:
        """Checks that stages ended by themselves only because Redis or Telegram was missing (status 69 or 75)."""
        others = {stage.name: stage.own_ends for stage in stages if set(stage.own_ends) - {69, 75}}
        self.verdict.check(not others, f"no stage crashed {others or ''}")

    def _fetches(self) -> Counter[str]:
        """Returns the number of fetches by path. A resumed download belongs to the fetch that it resumes."""
        with urllib.request.urlopen(f"{self.site_url}/control/log", timeout=20) as answer:
            requests = json.load(answer)["requests"]
        return Counter(
            request["path"] for request in requests
            if request["method"] == "GET" and not request["range"] and request["path"].startswith("/source-")
        )  # fmt: skip

    def _environment(self, telegram_url: str, s3_url: str) -> dict[str, str]:
        self._tool_environment = os.environ | {
            "TGPIPE_REDIS": self.redis.address, "TGPIPE_LOG": "info:json", "TGPIPE_STATE": str(self.folder / "state"),
        }  # fmt: skip
        return self._tool_environment | {
            "TG_BOT_TOKEN": TOKEN, "TG_ADMIN_ID": str(ADMIN.id), "TG_BOT_API_URL": telegram_url,
            "TGPIPE_STORE": f"s3://{BUCKET}", "TGPIPE_S3_ENDPOINT": s3_url, "AWS_ACCESS_KEY_ID": S3.access_key,
            "AWS_SECRET_ACCESS_KEY": S3.secret_key, "AWS_REGION": S3.region,
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        }  # fmt: skip

    def _folder(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(exist_ok=True)
        return path


def run_chaos(name: str, parser: argparse.ArgumentParser, kind: type[Chaos], **defaults: float) -> int:
    """Reads the options that all runs share, besides those of the parser, and does a run. Returns the exit status."""
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--notes", type=int, default=300, help="numbers that the bot says, of which each person's must arrive in order")
    parser.add_argument("--sources", type=int, default=200)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--kills", type=int, default=105)
    parser.add_argument("--redis", choices=KINDS, default="server", help="a server alone, with replicas and sentinels, or a cluster")
    parser.add_argument("--redis-restarts", type=int, default=5)
    parser.add_argument("--refusals", type=int, default=5, help="of the S3 server and of Telegram, each")
    parser.add_argument("--workers", type=int, default=2, help="of each stage that takes long")
    parser.add_argument("--seconds", type=float, default=180, help="in which all that is asked and fails")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="leave the folder with its logs")
    parser.set_defaults(**defaults)
    options = parse(parser)
    options.tools = options.tools.resolve()
    print(f"{name}: seed {options.seed}", flush=True)
    if "check" in options:
        options.check(options)
    with run_folder(name, options.keep) as folder:
        verdict = kind(options, folder).run()
    verdict.show()
    return 0 if verdict.is_good else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=Path, default=Path(os.environ.get("TGPIPE_BIN", ROOT / ".build" / "release")))
    return run_chaos("chaos", parser, Chaos)


if __name__ == "__main__":
    sys.exit(main())
