"""Plays conversations with the bot against an emulated Telegram, and compares what the chats show with golden transcripts.

    play.py                       # all scenes, as a bot
    play.py --short               # those of make test
    play.py --account             # those of an account
    play.py choosing typos        # single scenes
    play.py --update              # writes the golden transcripts anew, to be read before they are committed
    play.py --pictures FOLDER     # also draws the chats

The bot is examples/media-bot.sh with the tools in TGPIPE_BIN. The status is 1 if a message is unanswered, a progress message is left
over, a text shows its key, a transcript differs, or the bot does not end when it is interrupted.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import difflib
import os
import signal
import sys
import time
from pathlib import Path

from drawing import draw
from scenes import ADMIN_ID, LANGUAGES, OPTIONS, SCENES, Scene, make_cookies, make_site
from transcripts import faults_of, transcript
from world import ROOT, Broken, Services, Shown, Snapshot, Stage, wait_until

GOLDEN = Path(__file__).resolve().parent / "golden"
TOGETHER = 4


def main() -> int:
    parser = argparse.ArgumentParser(description="Plays conversations with the bot, and checks what the chats show.")
    parser.add_argument("scenes", nargs="*", help="the names of scenes; all without a name")
    parser.add_argument("--short", action="store_true", help="play only the scenes of make test")
    parser.add_argument("--account", action="store_true", help="the bot is an account")
    parser.add_argument("--update", action="store_true", help="write the golden transcripts")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw the chats")
    parser.add_argument("--together", type=int, default=TOGETHER, metavar="N", help="the scenes played at the same time")
    parser.add_argument("--times", action="store_true", help="print how long each scene takes")
    arguments = parser.parse_args()
    unknown = set(arguments.scenes) - {scene.name for scene in SCENES}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(scene.name for scene in SCENES)}")
    tools = Path(os.environ.get("TGPIPE_BIN", ROOT / ".build" / "release")).resolve()
    if not (tools / "tg-listen").exists():
        print(f"unable to find the tools in {tools}: run make build", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    chosen = [
        scene for scene in SCENES
        if (not arguments.scenes or scene.name in arguments.scenes) and (scene.is_short or not arguments.short)
        and (scene.for_accounts if arguments.account else scene.for_bots)
    ]  # fmt: skip
    started = time.monotonic()
    try:
        with Services(tools, ADMIN_ID, is_account=arguments.account) as services:
            faults, failed = run(services, chosen, arguments)
            if faults:
                keep_log(services.log)
    except Broken as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    for fault in faults:
        print(f"FAILED {fault}")
    if failed:
        options = " --account" if arguments.account else ""
        print(f"repeat with: TGPIPE_BIN={tools} {sys.executable} -B {Path(__file__).resolve()}{options} {' '.join(failed)}")
        print("the same with --update writes the golden transcripts anew; read their difference before you commit them")
    count = len(chosen) * len(LANGUAGES)
    who = "an account" if arguments.account else "a bot"
    print(f"conversations: {len(faults)} faults in {count} conversations with {who} in {time.monotonic() - started:.0f} s")
    return 1 if faults else 0


def run(services: Services, scenes: list[Scene], arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Plays scenes in all languages, ends the bot, and returns what is wrong, and the names of the scenes in which it is."""
    make_site(services.www)
    services.start()
    make_cookies(services.folder)
    services.start_bot(**OPTIONS, TGPIPE_SITES=str(services.folder / "sites.toml"))
    if not wait_until(lambda: services.telegram.is_listened_to() or not services.is_bot_up(), 30):
        raise Broken("the bot did not start to listen")
    plays = [Play(services, scene, language, arguments) for scene in scenes for language in LANGUAGES]
    pool = concurrent.futures.ThreadPoolExecutor(arguments.together)
    try:
        list(pool.map(Play.act, plays))
    finally:
        # After an interruption, the scenes that are being played end with the bot.
        pool.shutdown(wait=False, cancel_futures=True)
    # Nothing more can change in the chats once the bot has taken all messages and has ended.
    wait_until(services.telegram.all_taken, 30)
    status = services.end_bot()
    found = [(play.scene.name, fault) for play in plays for fault in play.faults()]
    faults = [fault for _, fault in found]
    if status is None:
        faults.append("the bot did not end within 30 s of its interruption")
    elif status != 0:
        faults.append(f"the bot ended with status {status}")
    if arguments.pictures:
        draw(arguments.pictures, {play.name: (play.scene.title, play.snapshots()) for play in plays})
    return faults, list(dict.fromkeys(name for name, _ in found))


class Play:
    """One scene in one language."""

    def __init__(self, services: Services, scene: Scene, language: str, arguments: argparse.Namespace) -> None:
        self.name = f"{'account-' if arguments.account else ''}{scene.name}.{language}"
        self.scene = scene
        self._arguments = arguments
        self._stage = Stage(services, scene.name, language)
        self._failure: str | None = None

    def act(self) -> None:
        started = time.monotonic()
        try:
            self.scene.play(self._stage)
        except (Broken, OSError) as error:
            self._failure = str(error)
            for chat in self._stage.chats:
                chat.cancel()
        if self._arguments.times:
            print(f"{time.monotonic() - started:6.1f} s  {self.name}", flush=True)

    def snapshots(self) -> list[Snapshot]:
        return [snapshot for chat in self._stage.chats for snapshot in chat.snapshots]

    def faults(self) -> list[str]:
        """Returns what is wrong, now that the scene is over."""
        faults = [self._failure] if self._failure else [fault for chat in self._stage.chats for fault in chat.faults()]
        for chat in self._stage.chats:
            chat.look()
        if not self._failure:
            shown = [line for snapshot in self.snapshots() for line in snapshot.lines if isinstance(line, Shown) and line.is_bot]
            faults += dict.fromkeys(fault for line in shown for fault in faults_of(line))
            faults += self._difference()
        return [f"{self.name}: {fault}" for fault in faults]

    def _difference(self) -> list[str]:
        text = transcript(self.scene.title, self.snapshots())
        golden = GOLDEN / f"{self.name}.txt"
        if self._arguments.update:
            GOLDEN.mkdir(exist_ok=True)
            golden.write_text(text)
        elif not golden.exists():
            return [f"there is no {golden.relative_to(ROOT)}: make it with --update"]
        elif golden.read_text() != text:
            expected, shown = golden.read_text().splitlines(), text.splitlines()
            lines = difflib.unified_diff(expected, shown, "expected", "shown", lineterm="", n=2)
            return ["the chat differs:\n" + "\n".join(lines)]
        return []


def keep_log(log: Path) -> None:
    """Prints the end of the bot's log, which goes away with its folder, without what belongs to a refused request."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    print("\nthe last warnings of the bot's log:")
    for line in [line for line in lines if '"level":"info"' not in line and '"level":"notice"' not in line][-20:]:
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
