"""Runs the demo: the whole media bot against an emulated Telegram.

The demo starts Redis, the emulator, a web site and examples/media-bot.sh. It writes to the bot as its admin and as an
unauthorised user, prints the chat as it develops, and then how many checks have passed; with V=1 it lists them. It exits with
status 0 only if all checks pass. With BACKEND=account, the bot is an account that uses MTProto.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from chat import wait_until
from scenario import ADMIN, Scenario, make_site
from services import PATIENCE_SECONDS, ROOT, Broken, Services


class Checks:
    def __init__(self) -> None:
        self._lines: list[tuple[bool, str]] = []

    def add(self, good: bool, what: str) -> None:
        self._lines.append((good, what))

    @property
    def are_good(self) -> bool:
        return bool(self._lines) and all(good for good, _ in self._lines)

    def print(self, all_of_them: bool) -> None:
        """Prints the checks that failed, or all of them."""
        shown = [line for line in self._lines if all_of_them or not line[0]]
        if shown:
            print()
        for good, what in shown:
            print(f"{'ok' if good else 'FAILED':7}{what}")

    def summary(self) -> str:
        failed = sum(not good for good, _ in self._lines)
        return f"{failed} of {len(self._lines)} checks failed" if failed else f"all {len(self._lines)} checks passed"


def main() -> int:
    tools = Path(os.environ.get("TGPIPE_BIN", ROOT / ".build" / "release")).resolve()
    if not (tools / "tg-listen").exists():
        print(f"unable to find the tools in {tools}: run make build", file=sys.stderr)
        return 1
    backend = os.environ.get("BACKEND") or "bot"
    if backend not in ("bot", "account"):
        print(f"BACKEND={backend} is unknown: use bot or account", file=sys.stderr)
        return 64
    # Every signal leads to a clean-up, even if a shell started the demo in the background, where it ignores Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    checks, started = Checks(), time.monotonic()
    try:
        with Services(tools, ADMIN.id, is_account=backend == "account") as services:
            _play(services, checks)
            checks.print(all_of_them=bool(os.environ.get("V")))
            if not checks.are_good:
                _show_log(services.log)
    except Broken as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    print(f"\ndemo: {checks.summary()} in {time.monotonic() - started:.0f} s")
    return 0 if checks.are_good else 1


def _play(services: Services, checks: Checks) -> None:
    make_site(services.www)
    services.start()
    bot = services.start_bot(TGPIPE_RECORD=str(services.recorded))
    try:
        if not wait_until(lambda: services.telegram.is_listened_to() or not services.is_bot_up(), PATIENCE_SECONDS):
            raise Broken("the bot did not start to listen")
        Scenario(services, checks.add).play()
    except Broken as error:
        checks.add(False, str(error))
    status = services.end_bot()
    checks.add(status == 0, "after an interrupt, the bot ends with status 0")
    checks.add(wait_until(lambda: not _left_over(bot.pid), 2), "no process of the bot is left")
    dead = services.state / "dead.ndjson"
    checks.add(not dead.exists() or not dead.read_text(), "no event became a dead letter")
    checks.add(_fit_schemas(services.recorded), "every event matches its schema")
    told = any(_tells(secret, services) for secret in services.secrets)
    checks.add(not told, f"{'the session and the phone number are' if services.is_account else 'the token is'} in no log and in no event")
    if services.is_account:
        checks.add(not services.telegram.violations(), "the emulated server found no violation of the protocol")


def _left_over(session: int) -> bool:
    return subprocess.run(["ps", "-s", str(session)], stdout=subprocess.DEVNULL, check=False).returncode == 0


def _fit_schemas(recorded: Path) -> bool:
    validator = ROOT / "Tests" / "schemas" / "validate.py"
    run = subprocess.run(
        [sys.executable, "-B", str(validator), "--need-some", str(recorded)], capture_output=True, text=True, check=False
    )
    print(run.stdout, end="")
    return run.returncode == 0


def _tells(secret: str, services: Services) -> bool:
    files = [services.log, *services.recorded.iterdir()]
    return any(secret.encode() in file.read_bytes() for file in files)


def _show_log(log: Path) -> None:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    print("\nthe last lines of the bot's log:")
    for line in lines[-30:]:
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
