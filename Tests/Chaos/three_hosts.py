"""Boots the hosts of examples/three-hosts with the commands of their units, kills the primary Redis, and checks what they do.

`examples/three-hosts/try.sh` starts it in a network of its own, where 10.0.0.1 to 10.0.0.3 are addresses of this machine.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "three-hosts"
sys.path.insert(0, str(ROOT / "examples" / "demo"))

from account import account_settings, import_session  # noqa: E402
from bot import ADMIN, TOKEN  # noqa: E402
from chat import Telegram, wait_until  # noqa: E402
from servers import S3, spawn_server  # noqa: E402
from stages import Stage  # noqa: E402
from verdict import Verdict, parse, run_folder  # noqa: E402

HOSTS = {"front": "10.0.0.1", "media": "10.0.0.2", "history": "10.0.0.3"}
PASSWORD = "a-password"
# The account that the settings of the host history name its session for.
SESSION = "archive"
ACCOUNT = '{"id": 500, "phone": "15550100500", "first_name": "Archive", "username": "the_archivist"}'
SOURCE = {"chat_id": -1_000_000_000_700, "chat_type": "channel", "title": "Watched", "chat_username": "channel"}
TARGET = {"chat_id": -1_001_234_567_890, "chat_type": "channel", "title": "Target"}
SENTINELS = ",".join(f"{address}:26379" for address in HOSTS.values())
REDIS = f"redis+sentinel://:{PASSWORD}@{SENTINELS}/tgpipe?replicas=1&sentinel-password={PASSWORD}"
STEP_SECONDS = 40


class Host:
    """A host, whose files are below `folder` in place of the root."""

    def __init__(self, role: str, folder: Path, tools: Path) -> None:
        self.role, self.address, self.folder, self._tools = role, HOSTS[role], folder, tools
        for name in ("etc/redis", "etc/tgpipe/credentials", "var/lib/redis", "var/lib/tgpipe", "var/log/redis", "run/tgpipe"):
            (folder / name).mkdir(parents=True)
        # In the order of the README: what all hosts have, then what belongs to the role.
        for part in ("all", role):
            shutil.copytree(EXAMPLE / part / "etc", folder / "etc", dirs_exist_ok=True)
        for path in (folder / "etc" / "redis").iterdir():
            path.write_text(self._moved(path.read_text()))
        self.stages: list[Stage] = []
        self._servers: list[subprocess.Popen[bytes]] = []

    def _moved(self, text: str) -> str:
        """Returns a text of a configuration with the paths of this host."""
        return re.sub(r"(?<![\w.])/(?=(etc/(redis|tgpipe)|var/(lib|log)/(redis|tgpipe)|run/tgpipe)\b)", f"{self.folder}/", text)

    # Redis, as step 3 of the README sets it up.

    def start_redis(self) -> None:
        settings = self.folder / "etc" / "redis"
        (settings / "secret.conf").write_text(f"requirepass {PASSWORD}\nmasterauth {PASSWORD}\n")
        # The hosts share the loopback address, and the kernel would choose the same one of their own for all of them.
        (settings / "host.conf").write_text(f"bind {self.address}\nbind-source-addr {self.address}\n")
        follows = "" if self.role == "front" else f"replicaof {HOSTS['front']} 6379\n"
        data = self.folder / "var" / "lib" / "redis"
        (settings / "redis.conf").write_text(f"port 6379\ndir {data}\ninclude {settings}/tgpipe.conf\n{follows}")
        with (settings / "sentinel.conf").open("a") as file:
            file.write(f"requirepass {PASSWORD}\nsentinel sentinel-pass {PASSWORD}\nsentinel auth-pass tgpipe {PASSWORD}\n")
        self._serve("redis.conf")

    def start_sentinel(self) -> None:
        self._serve("sentinel.conf", "--sentinel")

    def _serve(self, name: str, *more: str) -> None:
        command = ["setpriv", "--pdeathsig", "KILL", "--", "redis-server", str(self.folder / "etc" / "redis" / name), *more]
        with (self.folder / f"{name}.log").open("wb") as log:
            self._servers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def kill_redis(self) -> None:
        self._servers[0].kill()
        self._servers[0].wait()

    def ask(self, port: int, *words: str) -> str:
        command = ["redis-cli", "-h", self.address, "-p", str(port), *words]
        environment = os.environ | {"REDISCLI_AUTH": PASSWORD}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout

    # The units of the host's target.

    def settings(self, secrets: dict[str, str], more: dict[str, str]) -> dict[str, str]:
        """Writes the secrets, and returns the environment that a service gets: of the package's units, of tgpipe.env, of the secrets."""
        for name, value in secrets.items():
            (self.folder / "etc" / "tgpipe" / "credentials" / name).write_text(value)
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        for text in (ROOT / "packaging" / "systemd" / "tgpipe-.service.d").iterdir():
            environment |= self._variables(text.read_text(), "Environment=")
        environment |= self._variables((self.folder / "etc" / "tgpipe" / "tgpipe.env").read_text(), "")
        return environment | secrets | more

    def _variables(self, text: str, start: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in self._moved(text).splitlines():
            if start and line.startswith(start):
                for word in line.removeprefix(start).split():
                    found |= dict([word.split("=", 1)])
            elif not start and "=" in line and not line.startswith("#"):
                found |= dict([line.split("=", 1)])
        return found

    def start_units(self, environment: dict[str, str]) -> None:
        """Starts the services that the target wants."""
        target = (self.folder / "etc" / "systemd" / "system" / "tgpipe.target").read_text()
        wanted = [unit for words in re.findall("^Wants=(.*)$", target, re.MULTILINE) for unit in words.split() if unit.startswith("tgpipe-")]
        names = [unit.removesuffix(".service") for unit in wanted if unit.endswith(".service")]
        # The other services come after the owner of the session, which tells systemd when it is ready.
        for name in sorted(names, key=lambda name: not name.startswith("tgpipe-session@")):
            self.stages.append(Stage(name, ["sh", "-c", f"exec {self._command(name)}"], environment, self.folder / f"{name}.log"))
            self.stages[-1].start()
            socket = self.folder / "var" / "lib" / "tgpipe" / "sessions" / f"{name.partition('@')[2]}.sock"
            if name.startswith("tgpipe-session@") and not wait_until(socket.exists, STEP_SECONDS):
                sys.exit(f"error: {name} is not ready")

    def _command(self, name: str) -> str:
        """Returns the command of a service. systemd splits it, and the variables in it, into words as a shell does."""
        base, _, instance = name.partition("@")
        file = f"{base}@.service" if instance else f"{base}.service"
        folders = (self.folder / "etc" / "systemd" / "system", ROOT / "packaging" / "systemd")
        unit = next(folder / file for folder in folders if (folder / file).exists())
        changes = [path for folder in folders for path in sorted((folder / f"{file}.d").glob("*.conf"))]
        # An empty ExecStart= in a change removes the one before it.
        command = [line for path in [unit, *changes] for line in re.findall("^ExecStart=(.+)$", path.read_text(), re.MULTILINE)][-1]
        return self._moved(str(command).replace("%i", instance).replace("%H", self.role)).replace("/usr/bin/", f"{self._tools}/")

    def end(self) -> dict[str, int | None]:
        return {f"{self.role}: {stage.name}": stage.end() for stage in self.stages}

    def end_redis(self) -> None:
        for server in self._servers:
            server.kill()
            server.wait()


class Trial:
    def __init__(self, tools: Path, folder: Path, stack: ExitStack) -> None:
        self._folder, self._tools, self._stack = folder, tools, stack
        self.hosts = {role: Host(role, folder / role, tools) for role in HOSTS}
        self.verdict = Verdict()

    def run(self) -> Verdict:
        started = time.monotonic()
        self._boot()
        self._use("before")
        for role, host in self.hosts.items():
            print(f"{time.monotonic() - started:.0f} s: {role} runs {len(host.stages)} services", flush=True)
        self.hosts["front"].kill_redis()
        is_elected = wait_until(lambda: HOSTS["front"] not in self._primary(), STEP_SECONDS)
        self.verdict.check(is_elected, f"the primary Redis was killed, and {self._primary() or 'none'} took its place")
        self._use("after")
        statuses = {name: status for host in self.hosts.values() for name, status in host.end().items()}
        wrong = {name: status for name, status in statuses.items() if status != 0}
        self.verdict.check(not wrong, f"asked to, {len(statuses)} services end by themselves {wrong or ''}")
        crashed = {stage.name: stage.own_ends for host in self.hosts.values() for stage in host.stages if set(stage.own_ends) - {69, 75}}
        self.verdict.check(not crashed, f"no service has failed {crashed or ''}")
        print(f"{time.monotonic() - started:.0f} s in all", flush=True)
        return self.verdict

    def _primary(self) -> str:
        words = self.hosts["history"].ask(26379, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "tgpipe").split()
        return words[0] if words else ""

    def _boot(self) -> None:
        www = self._folder / "www"
        www.mkdir()
        for name in ("before", "after"):
            make = ["-f", "lavfi", "-i", f"testsrc2=size=160x120:rate={10 if name == 'before' else 12}", "-t", "1", "-pix_fmt", "yuv420p"]
            subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", *make, str(www / f"{name}.mp4")], check=True)
        enter = self._stack.enter_context
        s3 = enter(S3(self._folder))
        url = enter(spawn_server("emulator.py", "--token", TOKEN, "--account", ACCOUNT))
        self.site = enter(spawn_server("site.py", "--root", str(www)))
        self.bot, self.account = Telegram(url), Telegram(url, 500)
        for chat in (SOURCE, TARGET):
            self.account.request("chat", chat | {"account": 500})
        for host in self.hosts.values():
            host.start_redis()
            self._stack.callback(host.end_redis)
        replicas = (self.hosts["media"], self.hosts["history"])
        if not wait_until(lambda: all("master_link_status:up" in one.ask(6379, "INFO", "replication") for one in replicas), STEP_SECONDS):
            sys.exit("error: the replicas do not follow the primary Redis")
        for host in self.hosts.values():
            host.start_sentinel()
        if not wait_until(lambda: all(self._knows_others(host) for host in self.hosts.values()), STEP_SECONDS):
            sys.exit("error: the sentinels do not know each other")
        store = {"AWS_ACCESS_KEY_ID": S3.access_key, "AWS_SECRET_ACCESS_KEY": S3.secret_key}
        common = {"TGPIPE_S3_ENDPOINT": s3.url, "AWS_REGION": S3.region, "TG_BOT_API_URL": url}
        for role, host in self.hosts.items():
            secrets = {"TGPIPE_REDIS": REDIS} | (store | {"TG_BOT_TOKEN": TOKEN} if role != "history" else {})
            environment = host.settings(secrets, common)
            if role == "media":
                # The site is on this machine, and nobody has made the bucket.
                environment["MEDIA_FETCH_OPTIONS"] += " --allow-private --create-bucket"
            if role == "history":
                # The database of the example needs a server of PostgreSQL.
                environment |= {"TGPIPE_DB": f"sqlite:{host.folder}/archive.sqlite"} | account_settings(self.account, SESSION, host.folder)
                failure = import_session(self._tools, self.account.session(), SESSION, environment)
                if failure is not None:
                    sys.exit(f"error: tg-session import failed:\n{failure}")
            host.start_units(environment)
        if not wait_until(self.account.is_listened_to, STEP_SECONDS):
            sys.exit("error: the account does not listen")

    @staticmethod
    def _knows_others(host: Host) -> bool:
        words = host.ask(26379, "SENTINEL", "MASTER", "tgpipe").split()
        return "num-other-sentinels" in words and words[words.index("num-other-sentinels") + 1] == "2"

    def _use(self, name: str) -> None:
        """Asks for a video, and writes into the watched channel."""
        path = self._folder / "www" / f"{name}.mp4"
        self.bot.say(ADMIN, f".vdl {self.site}/{name}.mp4")
        order = SOURCE | {"account": 500, "path": str(path), "kind": "video", "caption": name, "duration": 1, "width": 160, "height": 120}
        self.account.request("file", order)
        begun = time.monotonic()
        count = 1 if name == "before" else 2
        is_answered = wait_until(lambda: sum("video" in one["message"] for one in self.bot.chat(ADMIN)) == count, STEP_SECONDS)
        self.verdict.check(is_answered, f"{name} the fail-over, the bot sends the video {time.monotonic() - begun:.1f} s after the question")
        is_forwarded = wait_until(lambda: len(self.account.chat_messages(int(str(TARGET["chat_id"])))) == count, STEP_SECONDS)
        self.verdict.check(is_forwarded, f"{name} the fail-over, the account forwards what is new in the watched channel")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=Path, default=Path(os.environ.get("TGPIPE_BIN", ROOT / ".build" / "release")))
    parser.add_argument("--keep", action="store_true", help="leave the folder with its logs")
    options = parse(parser)
    with run_folder("three-hosts", options.keep) as folder, ExitStack() as stack:
        verdict = Trial(options.tools.resolve(), folder, stack).run()
    verdict.show()
    return 0 if verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
