"""Run the commands of README.md and docs/other-tools.md against the emulator, as a new user would: walkthrough.py BIN

BIN is the folder of the tools. The walk-through to the first answered message, every one-liner and every command beside another
program's are run as they are written, in a folder of their own and with an empty environment. Only names of other people's servers are replaced: the site by a local one, and the
bucket by a folder.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "demo"))

from chat import Person, wait_until  # noqa: E402
from scenario import make_site  # noqa: E402
from services import ACCOUNT, TOKEN, Services  # noqa: E402

ALICE = Person(42, "Alice", "alice")
PATIENCE_SECONDS = 30
CHANNELS = {"some_channel": -1_000_000_000_007, "durov": -1_000_000_000_008}


class World(Services):
    """The services of the demo with a bot and an account, and a home folder for the user."""

    def start(self) -> None:
        self.telegram_url = self._start_server("emulator.py", "--token", TOKEN, "--account", json.dumps(ACCOUNT))
        make_site(self.www)
        self.site_url = self._start_server("site.py", "--root", str(self.www))
        self.home = self.folder / "home"
        (self.home / "bin").mkdir(parents=True)
        program = (self._tools / "tgpipe").resolve()
        names = subprocess.run([program, "--tools"], check=True, capture_output=True, text=True).stdout.split()
        for name in ["tgpipe", *names]:
            (self.home / "bin" / name).symlink_to(program)
        # The local site has an address that no link of a stranger may lead to.
        fetch = self.home / "bin" / "media-fetch"
        fetch.unlink()
        fetch.write_text(f'#!/bin/sh\nexec {self._tools / "media-fetch"} --allow-private "$@"\n')
        fetch.chmod(0o755)
        (self.home / "examples").symlink_to(ROOT / "examples")
        self._log_in_account()
        for name, chat in CHANNELS.items():
            self.control("chat", {"chat_id": chat, "chat_type": "channel", "title": name, "chat_username": name, "bot_status": "administrator"})
        self.control("mtproto/history", {"account": ACCOUNT["id"], "chat_id": CHANNELS["durov"], "chat_type": "channel", "title": "Durov",
                                 "chat_username": "durov", "count": 250, "text": "post {n}"})  # fmt: skip
        self.say("hello")

    def __exit__(self, *reason: object) -> None:
        # The tools leave their private Redis to the next ones, and here there are none.
        socket = self.folder / "home/.local/state/tgpipe/redis/redis.sock"
        if socket.exists():
            subprocess.run(["redis-cli", "-s", socket, "shutdown", "nosave"], capture_output=True, check=False)
        super().__exit__(*reason)

    def _log_in_account(self) -> None:
        about = self.control("mtproto")
        self.account = {
            "TG_API_ID": str(about["api_id"]), "TG_API_HASH": about["api_hash"], "TG_SERVER_KEY": str(self.folder / "server.pem"),
            "TG_SERVERS": " ".join(
                f"{dc}={next(one for one in known if ':' not in one['host'])['host']}:{known[0]['port']}"
                for dc, known in about["dcs"].items() if int(dc) < 10),
        }  # fmt: skip
        (self.folder / "server.pem").write_text(about["public_key"])
        session = self.control("mtproto/session", {"account": ACCOUNT["id"]})["telethon"]
        done = self.run("tg-session import me --string-file -", given=session)
        if done.returncode != 0:
            sys.exit(f"error: the session cannot be imported: {done.stderr}")

    def control(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.telegram_url}/control/{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)

    def say(self, text: str, account: bool = False) -> None:
        whose = {"account": ACCOUNT["id"]} if account else {}
        self.control("message", whose | {"chat_id": ALICE.id, "from": ALICE.user, "text": text, "chat_type": "private"})

    def answers(self) -> list[str]:
        messages = self.control(f"chat/{ALICE.id}")["messages"]
        return [one["message"].get("text", "") for one in messages if one["message"]["from"]["is_bot"]]

    def variables(self) -> dict[str, str]:
        python = Path(sys.executable).parent
        return {
            "HOME": str(self.home), "PATH": f"{self.home / 'bin'}:{python}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8",
            "TG_BOT_TOKEN": TOKEN, "TG_BOT_API_URL": self.telegram_url, **self.account,
        }  # fmt: skip

    def open(self, command: str, variables: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", command], cwd=self.home, env=variables or self.variables(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def run(self, command: str, given: str = "", variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        program = self.open(command, variables)
        try:
            output, errors = program.communicate(given, timeout=2 * PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)
            output, errors = program.communicate()
            errors += "\nthe command did not end"
        return subprocess.CompletedProcess(command, program.returncode, output, errors)

    def watch(self, command: str, act: Callable[[], None], is_done: Callable[[], bool]) -> str:
        """Run a command that goes on for ever, act while it runs, and return what it wrote to standard error if nothing came of it."""
        program = self.open(command)
        try:
            time.sleep(1.5)
            act()
            good = wait_until(is_done, PATIENCE_SECONDS)
        finally:
            os.killpg(program.pid, signal.SIGTERM)
            try:
                _, errors = program.communicate(timeout=PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
                _, errors = program.communicate()
                return f"it did not end after a signal: {errors}"
        return "" if good else f"nothing came of it: {errors}"


def code_blocks(section: str) -> list[list[str]]:
    """Return the lines of each block of code in a section of the README."""
    text = (ROOT / "README.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if re.match(r" {4,}\S", line):
            blocks[-1].append(line.strip())
        elif blocks[-1] and line.strip():
            blocks.append([])
    return [block for block in blocks if block]


def table(section: str) -> list[tuple[str, str]]:
    """Return the two commands, the other program's and tgpipe's, of each row of a table in docs/other-tools.md."""
    text = (ROOT / "docs" / "other-tools.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[2:4] for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip().replace("\\|", "|") for cell in row] for row in rows]
    return [(other[1:-1], own[1:-1]) for other, own in cells if other.startswith("`") and own.startswith("`")]


class Walk:
    def __init__(self, world: World) -> None:
        self.world = world
        self.faults: list[str] = []
        self.count = 0

    def check(self, command: str, good: bool, why: str) -> None:
        self.count += 1
        if not good:
            self.faults.append(f"{command}: {why.strip()[-600:]}")

    def first_answer(self) -> None:
        """Follow the steps from the token to the first answered message."""
        world, home = self.world, self.world.home
        text = (ROOT / "README.md").read_text()
        for command in re.findall(r"`((?:cp|chmod) [^`]*tgpipe\.env[^`]*)`", text):
            done = world.run(command)
            self.check(command, done.returncode == 0, done.stderr)
        settings = home / "tgpipe.env"
        if not settings.exists():
            self.check("cp examples/tgpipe.env.example tgpipe.env", False, "README.md has no such step any more")
            return
        filled = settings.read_text().replace("TG_BOT_TOKEN=\n", f"TG_BOT_TOKEN={TOKEN}\n")
        settings.write_text(f"{filled}\nTG_BOT_API_URL={world.telegram_url}\n")
        bare = {name: value for name, value in world.variables().items() if not name.startswith("TG_")}
        (block,) = code_blocks("Three minutes to the first answered message")
        done = world.run("\n".join(block), variables=bare)
        self.check(block[-1], done.stdout.splitlines()[-1:] == ["42"], done.stdout + done.stderr)
        settings.write_text(settings.read_text().replace("TG_ADMIN_ID=\n", "TG_ADMIN_ID=42\n"))
        load = "set -a; . ./tgpipe.env; set +a; "
        done = world.run(f"{load}tgpipe doctor", variables=bare)
        self.check("tgpipe doctor", done.returncode == 0, done.stdout + done.stderr)
        bot = world.open(f"{load}exec examples/media-bot.sh", bare)
        world.say(".whoami")
        good = wait_until(lambda: any("42" in answer for answer in world.answers()), PATIENCE_SECONDS)
        os.kill(bot.pid, signal.SIGINT)
        _, errors = bot.communicate(timeout=2 * PATIENCE_SECONDS)
        self.check("make run", good and bot.returncode == 0, errors)

    def one_liners(self) -> None:
        """Run every one-liner of the README. What needs something prepared, or goes on for ever, is listed here."""
        world, home = self.world, self.world.home
        (home / "report.pdf").write_bytes(b"%PDF-1.4\n")
        (home / "my-program").write_text("#!/bin/sh\nexec cat\n")
        (home / "my-program").chmod(0o755)
        (home / "clip.mp4").write_bytes(next(path for path in world.www.rglob("*.mp4")).read_bytes())
        site = f"{world.site_url}/{next(path for path in world.www.rglob('*.mp4')).relative_to(world.www)}"
        event = '{"type":"commands.test.job","correlation_id":"01930b7a-4f00-7abc-8def-0123456789ab","payload":{}}'
        endless: dict[str, tuple[Callable[[], None], Callable[[], bool]]] = {
            "tg-listen --bot": (lambda: world.say("for the listener"), lambda: self.has(home / "out", "for the listener")),
            "tg-listen --session": (
                lambda: world.say("for the account", account=True), lambda: self.has(home / "private.ndjson", "for the account")),
            "ev-queue work": (
                lambda: self.given(f"echo '{event}' | ev-queue push jobs"),
                lambda: '"events":1' in world.run("ev-queue stats results").stdout),
        }  # fmt: skip
        for block in code_blocks("Ten one-liners"):
            for line in block:
                if line.startswith("#"):
                    continue
                command = re.sub(r"https://example\.com/watch/42", site, line).replace("s3://media", f"file:{home}/objects")
                watched = next((watch for start, watch in endless.items() if command.startswith(start)), None)
                if watched is None:
                    done = world.run(command)
                    self.check(line, done.returncode == 0, done.stdout + done.stderr)
                else:
                    # On a terminal, jq writes each line at once.
                    shown = command.replace("| jq", "| stdbuf -oL jq") + " > out"
                    failure = world.watch(command if ">>" in command else shown, *watched)
                    self.check(line, not failure, failure)
        for name in ("the backup took", "Filesystem"):
            self.check("tg-send", any(name in answer for answer in world.answers()), f"no message has the text '{name}'")

    def other_tools(self) -> None:
        """Run tgpipe's command of each row beside one of another program's, which is nearly as short or longer."""
        world, home = self.world, self.world.home
        clip = next(path for path in world.www.rglob("*.mp4"))
        for name, options in {"a.jpg": ["-frames:v", "1"], "b.jpg": ["-ss", "0.5", "-frames:v", "1"], "song.mp3": ["-vn"]}.items():
            subprocess.run(["ffmpeg", "-loglevel", "error", "-i", clip, *options, home / name], check=True)
        files = [
            world.control("file", {
                "account": ACCOUNT["id"], "chat_id": CHANNELS["durov"], "from": ALICE.user, "path": str(home / name), "kind": "document",
            })["message_id"] for name in ("a.jpg", "b.jpg")]  # fmt: skip
        # Only tdl, whose name has three letters, may be shorter, and only by these keystrokes.
        for section, setting, advantage in [
            ("telegram-send", {"TG_CHAT": "42"}, 0), ("curl", {}, 0),
            ("tdl", {"TGPIPE_SESSION": "me", "TG_CHAT": "me", "TG_BOT_TOKEN": ""}, 2),
        ]:  # fmt: skip
            rows = table(section)
            self.check(f"docs/other-tools.md: {section}", len(rows) == 10, f"{len(rows)} rows")
            for other, own in rows:
                sent = world.run("tg-send --chat 42 --print json 'a message to change'").stdout
                message = json.loads(sent)["payload"]["message_id"]
                command = own.replace("durov/3", f"durov/{files[0]}").replace("durov/4", f"durov/{files[1]}")
                done = world.run(f"ID={message}; {command}", variables=world.variables() | setting)
                self.check(own, done.returncode == 0, done.stdout + done.stderr)
                self.check(own, len(own) <= len(other) + advantage, f"{len(own)} keystrokes, and '{other}' has {len(other)}")
        for path in ("a.jpg", "files/a.jpg"):
            self.check("media-fetch", (home / path).exists(), f"there is no {path}")

    @staticmethod
    def has(path: Path, text: str) -> bool:
        return path.exists() and text in path.read_text()

    def given(self, command: str) -> None:
        done = self.world.run(command)
        self.check(command, done.returncode == 0, done.stderr)


def main() -> None:
    tools = Path(sys.argv[1]).resolve()
    # A shell without job control lets programs in the background ignore Ctrl-C, which ends the bot here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with World(tools, ALICE.id) as world:
        world.start()
        walk = Walk(world)
        walk.first_answer()
        walk.one_liners()
        walk.other_tools()
    for fault in walk.faults:
        print(f"error: {fault}", file=sys.stderr)
    if walk.faults:
        sys.exit(1)
    if walk.count < 75:
        sys.exit(f"error: only {walk.count} checks of README.md and docs/other-tools.md were made")
    print(f"{walk.count} checks of the commands in README.md and docs/other-tools.md: all do what they say")


if __name__ == "__main__":
    main()
