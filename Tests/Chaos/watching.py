"""Watches chats as an account and as a bot while stages are killed, and checks what was forwarded and stored (see README.md)."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "demo"))

from account import account_settings, import_session  # noqa: E402
from chat import Telegram, wait_until  # noqa: E402
from faults import Schedule  # noqa: E402
from redis_servers import KINDS  # noqa: E402
from servers import S3, spawn_server  # noqa: E402
from stages import Stage, kill_one, queue_stats, queued  # noqa: E402
from verdict import Verdict, files_below, parse, run_folder  # noqa: E402

TOKEN = "123456:CHAOS-token"
ACCOUNT = {"id": 500, "phone": "15550100500", "first_name": "Watch", "last_name": "Man", "username": "watch_man"}
ROLES = {
    "account": "an account",
    "bot": "a bot with a session",
    "bot-token": "a bot with its token alone",
}
SESSION = "watcher"
BUCKET = "watched"
TARGET = -1_000_000_009_999
AUTHORS = 40
REST_SECONDS = 400
SWEEP_SECONDS = 150
LEASE_SECONDS = 5
# Smaller files do not count.
LEAST_BYTES = 8_000
Json = dict[str, Any]


@dataclass(frozen=True)
class Chat:
    """A chat whose messages the program writes."""

    id: int
    kind: str
    title: str
    username: str | None
    is_protected: bool
    is_watched: bool

    @property
    def place(self) -> Json:
        place = {"chat_id": self.id, "chat_type": self.kind, "title": self.title}
        return place | ({"chat_username": self.username} if self.username else {}) | ({"protected": True} if self.is_protected else {})

    def link(self, message_id: int) -> str:
        return f"https://t.me/{self.username or f'c/{str(self.id)[4:]}'}/{message_id}"


@dataclass(frozen=True)
class Match:
    """A message that must be forwarded and stored."""

    chat: Chat
    message_id: int
    caption: str
    sha256: str
    author: int | None
    album: str | None


@dataclass(frozen=True)
class Post:
    """A message to write."""

    chat: Chat
    kind: str
    text: str
    is_match: bool
    album: str | None = None


@dataclass
class Found:
    """What the target chat and the store have."""

    # When each message was forwarded, in seconds since 1970.
    forwarded: dict[str, list[float]] = field(default_factory=dict)
    strangers: int = 0
    wrong_origins: list[str] = field(default_factory=list)
    albums: dict[str, set[str]] = field(default_factory=dict)


class Watching:
    def __init__(self, options: argparse.Namespace, folder: Path, role: str) -> None:
        self.options, self.folder = options, folder
        # The id of what has a session: an account, or a bot.
        self.speaker = {"account": int(str(ACCOUNT["id"])), "bot": int(TOKEN.partition(":")[0])}.get(role)
        self.has_session = self.speaker is not None
        self.server_arguments = ("--account", json.dumps(ACCOUNT)) if role == "account" else ("--mtproto", "--token", TOKEN)
        self.random = random.Random(options.seed)
        self.verdict = Verdict()
        self.matches: list[Match] = []
        self.asides = 0
        self.kills = 0

    def run(self) -> Verdict:
        self._make_chats()
        units = self._plan()
        with (
            KINDS[self.options.redis](self.folder) as redis, S3(self.folder) as s3,
            spawn_server("emulator.py", *self.server_arguments) as url,
        ):  # fmt: skip
            self.redis, self.s3 = redis, s3
            self.telegram = Telegram(url, self.speaker)
            self._open_chats()
            stages = self._stages(self._environment(url))
            for stage in stages:
                stage.start()
                if stage.name == "owner":
                    # A stage that finds no owner takes the session for itself, and then nobody else can use it.
                    wait_until(self._is_session_shared, 60)
            try:
                self._play(stages, units)
            finally:
                statuses = {stage.name: stage.end() for stage in stages}
            self._judge(stages, statuses)
        return self.verdict

    # The chats, and what is written in them.

    def _make_chats(self) -> None:
        self.chats = []
        for number in range(self.options.chats + 5):
            # Three of ten have no user name, and every tenth channel forbids forwarding.
            is_channel = number % 2 == 0
            self.chats.append(
                Chat(
                    -1_000_000_001_000 - number, "channel" if is_channel else "supergroup", f"Chat {number}",
                    None if number % 10 in (3, 4, 7) else f"the_chat_{number}", is_channel and number % 10 == 2,
                    number < self.options.chats,
                )
            )  # fmt: skip

    def _plan(self) -> list[list[Post]]:
        """Returns the messages in the order in which they are written; those of an album come together."""
        options, chance = self.options, self.random
        watched = [chat for chat in self.chats if chat.is_watched]
        units: list[list[Post]] = []
        left = options.matches
        while left > 0:
            # One message in three of those that count is part of an album.
            size = min(left, chance.randint(2, 5)) if chance.random() < 0.15 else 1
            chat = chance.choice(watched)
            album = str(10_000 + len(units)) if size > 1 else None
            kinds = [chance.choice(["photo", "video"]) for _ in range(size)]
            units.append([Post(chat, kind, f"release {len(units)}.{index} of {chat.title}", True, album) for index, kind in enumerate(kinds)])
            left -= size
        for number in range(options.messages - options.matches):
            units.append([self._aside(number, watched)])
        chance.shuffle(units)
        return units

    def _aside(self, number: int, watched: list[Chat]) -> Post:
        """Returns a message that does not meet a condition: mostly a text."""
        chance = self.random
        chat = chance.choice(watched)
        match chance.randrange(40):
            case 0:
                return Post(chat, "document", f"release note {number}", False)
            case 1:
                return Post(chat, "small", f"a release of little size {number}", False)
            case 2:
                return Post(chat, "photo", f"a DRAFT of a release {number}", False)
            case 3:
                return Post(chance.choice([one for one in self.chats if not one.is_watched]), "video", f"release elsewhere {number}", False)
            case _:
                return Post(chat, "text", f"release talk {number}", False)

    def _open_chats(self) -> None:
        target = {"chat_id": TARGET, "chat_type": "channel", "title": "Archive", "chat_username": "the_archive"}
        if self.has_session:
            for chat in self.chats:
                self._order("chat", {name: value for name, value in chat.place.items() if name != "protected"})
            self._order("chat", target)
            return
        self._order("privacy", {"enabled": False})
        for chat in self.chats:
            self._order("chat", {name: value for name, value in chat.place.items() if name != "protected"} | {"bot_status": "administrator"})
        self._order("chat", target | {"bot_status": "administrator"})

    def _write(self, post: Post) -> None:
        body = post.chat.place
        author = None
        if post.chat.kind != "channel":
            author = self.random.randrange(1000, 1000 + AUTHORS)
            body |= {"from": {"id": author, "first_name": f"Author {author}"}}
        if post.kind == "text":
            self._order("message", body | {"text": post.text})
            self.asides += 1
            return
        path = self._file(post)
        kind = "photo" if post.kind == "small" else post.kind
        more = {"duration": 1, "width": 160, "height": 120, "file_name": path.name} if kind == "video" else {}
        message = self._order(
            "file", body | {"path": str(path), "kind": kind, "caption": post.text} | more | ({"album": post.album} if post.album else {})
        )
        if post.is_match:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            self.matches.append(Match(post.chat, message["message_id"], post.text, digest, author, post.album))
        else:
            self.asides += 1
        path.unlink()

    def _file(self, post: Post) -> Path:
        """Makes a file that no other message has: behind the end of a real one stand bytes that players skip."""
        suffix, head = {"video": (".mp4", self.clip), "document": (".txt", b"")}.get(post.kind, (".jpg", self.picture))
        size = 0 if post.kind == "small" else self.random.randint(LEAST_BYTES, 60_000)
        rest = self.random.randbytes(size) + post.text.encode()
        if post.kind == "video":
            rest = (len(rest) + 8).to_bytes(4, "big") + b"free" + rest
        path = self.folder / f"file-{len(self.matches)}-{self.asides}{suffix}"
        path.write_bytes(head + rest)
        return path

    def _order(self, path: str, body: Json) -> Json:
        whose = {"account": self.speaker} if self.has_session and path != "privacy" else {}
        return self.telegram.request(path, whose | body)

    # The stages.

    def _environment(self, url: str) -> dict[str, str]:
        for name, options in (("clip.mp4", ["-t", "1", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]), ("picture.jpg", ["-frames:v", "1"])):
            subprocess.run(
                ["ffmpeg", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10", *options,
                 str(self.folder / name)], check=True,
            )  # fmt: skip
        self.clip, self.picture = (self.folder / "clip.mp4").read_bytes(), (self.folder / "picture.jpg").read_bytes()
        others = {name: value for name, value in os.environ.items() if name not in ("TG_BOT_TOKEN", "TGPIPE_SESSION")}
        self._tool_environment = others | {
            "TGPIPE_REDIS": self.redis.address, "TGPIPE_LOG": "info:json", "TGPIPE_STATE": str(self.folder / "state"),
            "TGPIPE_STORE": f"s3://{BUCKET}", "TGPIPE_S3_ENDPOINT": self.s3.url, "AWS_ACCESS_KEY_ID": S3.access_key,
            "AWS_SECRET_ACCESS_KEY": S3.secret_key, "AWS_REGION": S3.region,
        }  # fmt: skip
        if not self.has_session:
            return self._tool_environment | {"TG_BOT_TOKEN": TOKEN, "TG_BOT_API_URL": url}
        environment = self._tool_environment | account_settings(self.telegram, SESSION, self.folder)
        failure = import_session(self.options.tools, self.telegram.session(), SESSION, environment)
        if failure is not None:
            sys.exit(f"error: tg-session import failed:\n{failure}")
        return environment

    def _stages(self, environment: dict[str, str]) -> list[Stage]:
        logs = self.folder / "logs"
        logs.mkdir()

        def stage(name: str, tool: str, *arguments: str) -> Stage:
            return Stage(name, [str(self.options.tools / tool), *arguments], environment, logs / f"{name}.log")

        lease = ["--lease", f"{LEASE_SECONDS}s"]
        conditions = ["--media", "photo,video", "--min-size", str(LEAST_BYTES), "--text", "release", "--without", "draft"]
        for number, chat in enumerate(chat for chat in self.chats if chat.is_watched):
            conditions += ["--chat", f"@{chat.username}" if chat.username and number % 2 else str(chat.id)]
        stages = [stage("owner", "tg-session", "run", SESSION)] if self.has_session else []
        stages += [
            stage("listen", "tg-listen", *(["--session", SESSION] if self.has_session else ["--bot"]), "--to", "queue:updates"),
            stage(
                "download", "tg-watch", "--from", "queue:updates", "--group", "download", "--to", "queue:media", "--download",
                *conditions, *lease,
            ),
            stage("fetch", "media-fetch", "--from", "queue:media", "--to", "queue:fetched", "--concurrency", "4", *lease),
            stage(
                "put", "blob-put", "--from", "queue:fetched", "--to", "queue:stored", "--create-bucket",
                "--key", "{chat}/{date}/{message_id}-{name}", *lease,
            ),
        ]  # fmt: skip
        for number in range(self.options.workers):
            stages += [
                stage(
                    f"forward.{number}", "tg-watch", "--from", "queue:updates", "--group", "forward", "--to", "queue:send",
                    "--forward", str(TARGET), *conditions, *lease,
                ),
                stage(f"send.{number}", "tg-send", "--from", "queue:send", "--to", "queue:sent", "--no-pacing", *lease),
            ]  # fmt: skip
        return stages

    def _is_session_shared(self) -> bool:
        log = self.folder / "logs" / "owner.log"
        return log.exists() and "is shared at" in log.read_text()

    # The run.

    def _play(self, stages: list[Stage], units: list[list[Post]]) -> None:
        if not wait_until(self.telegram.is_listened_to, 60):
            sys.exit("error: the account does not listen")
        options = self.options
        schedule = Schedule(options.seed, options.seconds)
        remaining = iter(units)

        def write() -> None:
            for post in next(remaining):
                self._write(post)

        def kill() -> None:
            self.kills += kill_one(stages, self.random)

        schedule.add(options.kills, "a stage is killed", kill)
        schedule.add(options.redis_restarts, "Redis is killed and restarted", self.redis.restart)
        schedule.add(len(units), "something is written", write)
        started = time.monotonic()
        schedule.run(is_over=lambda: False)
        print(f"all written after {time.monotonic() - started:.0f} s; waiting for the last ones", flush=True)
        if not wait_until(self._is_at_rest, REST_SECONDS):
            print(f"not at rest after {REST_SECONDS} s: {self._depths()}", file=sys.stderr)
        self.seconds = time.monotonic() - started
        wait_until(lambda: not self._left_over(), SWEEP_SECONDS)

    def _is_at_rest(self) -> bool:
        time.sleep(0.5)
        return self.telegram.all_taken() and not self._depths()

    def _depths(self) -> dict[str, int]:
        """Returns the numbers of unfinished events in the queues that have a reader."""
        lines = queue_stats(self.options.tools, self._tool_environment)
        return {line["queue"]: line["events"] for line in lines if line["queue"] not in ("sent", "stored") and line["events"]}

    def _left_over(self) -> list[str]:
        return [str(path.relative_to(self.folder)) for path in files_below(self.folder / "state" / "media" / "fetch")]

    # The checks at the end.

    def _judge(self, stages: list[Stage], statuses: dict[str, int | None]) -> None:
        verdict = self.verdict
        killed = {stage.name: stage.kills for stage in stages}
        verdict.check(self.kills >= self.options.kills * 0.9, f"{self.kills} kills {killed}, {self.redis.restarts} restarts of Redis")
        written = len(self.matches) + self.asides
        verdict.check(written == self.options.messages, f"{written} messages in {self.options.chats} chats, {len(self.matches)} that count")
        self._judge_forwards(self._look_at_target(), [at for stage in stages if stage.name.startswith("send") for at in stage.killed_at])
        self._judge_objects()
        locks = self.redis.locks()
        verdict.check(not locks, f"no lock is held {locks[:3] or ''}")
        left = self._left_over()
        verdict.check(not left, f"no file of a fetch is left on the disk {left[:5] or ''}")
        stats = queue_stats(self.options.tools, self._tool_environment)
        dead = [line for line in stats if line.get("dead")]
        verdict.check(not dead, f"no event became a dead letter {dead or ''}")
        results = Counter(event["type"] for event in queued(self.options.tools, self._tool_environment, "stored"))
        ready = sum(count for kind, count in results.items() if kind.startswith("events.dl."))
        verdict.check(ready == len(self.matches), f"{ready} results of blob-put {dict(results)}")
        if self.has_session:
            violations = self.telegram.violations()
            verdict.check(not violations, f"no violation of the protocol {violations[:2] or ''}")
        ended = {name: status for name, status in statuses.items() if status != 0}
        verdict.check(not ended, f"asked to, every stage ends by itself {ended or ''}")
        others = {stage.name: stage.own_ends for stage in stages if set(stage.own_ends) - {69, 75}}
        verdict.check(not others, f"no stage crashed {others or ''}")
        print(f"{written / self.seconds:.0f} messages/s, {self.seconds:.0f} s from the first message to rest")

    def _look_at_target(self) -> Found:
        found = Found()
        known = {match.caption: match for match in self.matches}
        for record in self.telegram.chat_messages(TARGET):
            message = record["message"]
            caption = message.get("caption", "")
            match = known.get(caption.partition("\n\n")[0])
            if match is None:
                found.strangers += 1
                continue
            found.forwarded.setdefault(match.caption, []).append(record["sent_at"])
            if not self._has_origin(message, match):
                found.wrong_origins.append(f"{match.chat.id}/{match.message_id}: {caption!r} {message.get('forward_origin')}")
            if message.get("media_group_id"):
                found.albums.setdefault(message["media_group_id"], set()).add(match.caption)
            elif match.album:
                found.albums.setdefault(f"alone {match.caption}", set()).add(match.caption)
        return found

    @staticmethod
    def _has_origin(message: Json, match: Match) -> bool:
        origin, chat = message.get("forward_origin"), match.chat
        if chat.is_protected:
            return origin is None and message.get("caption") == f"{match.caption}\n\n{chat.title} — {chat.link(match.message_id)}"
        if origin is None or message.get("caption") != match.caption:
            return False
        if chat.kind == "channel":
            return origin["type"] == "channel" and (origin["chat"]["id"], origin["message_id"]) == (chat.id, match.message_id)
        return origin["type"] == "user" and origin["sender_user"]["id"] == match.author

    def _judge_forwards(self, found: Found, kills: list[float]) -> None:
        """- Parameter kills: the times at which a tg-send was killed."""
        verdict = self.verdict
        missing = [match.caption for match in self.matches if match.caption not in found.forwarded]
        verdict.check(not missing, f"{len(found.forwarded)} forwarded, {len(missing)} missing {missing[:3] or ''}")
        doubles = {caption: sorted(times) for caption, times in found.forwarded.items() if len(times) > 1}
        # The Bot API has no key by which Telegram would know a repeated call, as it has for sessions: one that was carried out just
        # before the kill is carried out again.
        excused = [
            caption for caption, times in doubles.items()
            if not self.has_session and len(times) == 2 and any(at - 2 <= times[0] <= at + 1 for at in kills)
        ]  # fmt: skip
        lost = len(excused)
        verdict.check(len(doubles) == lost, f"{len(doubles)} forwarded twice, {lost} of them as tg-send was killed right after the first time")
        verdict.check(found.strangers == 0, f"{found.strangers} forwarded that do not count")
        verdict.check(not found.wrong_origins, f"captions and origins are right {found.wrong_origins[:3] or ''}")
        albums: dict[str, set[str]] = {}
        for match in self.matches:
            if match.album:
                albums.setdefault(match.album, set()).add(match.caption)
        whole = [album for album in albums.values() if album in found.albums.values()]
        extra = len(found.albums) - len(albums)
        torn = [sorted(album) for album in albums.values() if album not in whole]
        verdict.check(not torn and extra <= lost, f"{len(whole)} of {len(albums)} albums whole {torn[:2] or ''}")

    def _judge_objects(self) -> None:
        verdict = self.verdict
        wanted = {f"{match.chat.id}/{match.message_id}": match.sha256 for match in self.matches}
        stored: Counter[str] = Counter()
        wrong = []
        for key, digest in self.s3.digests(BUCKET).items():
            chat, _, name = key.split("/")
            message = f"{chat}/{name.partition('-')[0]}"
            stored[message] += 1
            if wanted.get(message) != digest:
                wrong.append(key)
        missing = [message for message in wanted if message not in stored]
        doubles = [message for message, count in stored.items() if count > 1]
        verdict.check(not missing, f"{len(stored)} stored, {len(missing)} missing {missing[:3] or ''}")
        verdict.check(not doubles, f"none stored twice {doubles[:3] or ''}")
        verdict.check(not wrong, f"no object that should not be there, or differs from its message {wrong[:3] or ''}")
        bad = self.s3.bad_objects(BUCKET)
        verdict.check(not bad, f"no partial object in the store {bad or ''}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=Path, default=Path(os.environ.get("TGPIPE_BIN", ROOT / ".build" / "release")))
    parser.add_argument("--as", dest="roles", choices=(*ROLES, "all"), default="all", help="who watches; a bot by its session, or by its token alone")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--matches", type=int, default=500, help="the messages that count")
    parser.add_argument("--chats", type=int, default=50)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--redis", choices=KINDS, default="server", help="a server alone, with replicas and sentinels, or a cluster")
    parser.add_argument("--redis-restarts", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="of the stages that forward and send")
    parser.add_argument("--seconds", type=float, default=300, help="in which all is written and fails")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="leave the folders with their logs")
    options = parse(parser)
    options.tools = options.tools.resolve()
    print(f"watching: seed {options.seed}", flush=True)
    is_good = True
    for role in ROLES if options.roles == "all" else (options.roles,):
        print(f"as {ROLES[role]}", flush=True)
        with run_folder("watch", options.keep) as folder:
            verdict = Watching(options, folder, role).run()
        verdict.show()
        is_good = is_good and verdict.is_good
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
