"""Plays conversations with the bot against an emulated Telegram, and compares what the chats show with golden transcripts.

    play.py                       # all scenes, as a bot
    play.py --short               # those of make test
    play.py --account             # those of an account
    play.py choosing typos        # single scenes
    play.py --update              # writes the golden transcripts anew, to be read before they are committed
    play.py --pictures FOLDER     # also draws the chats, as SVG

The bot is examples/media-bot.sh with the tools in TGPIPE_BIN. It ends with status 1 if a message is unanswered, a progress message is
left over, a text shows its key, or a transcript differs.
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

from drawing import picture
from scenes import ADMIN_ID, LANGUAGES, OPTIONS, SCENES, Scene, make_cookies, make_site
from transcripts import faults_of, transcript
from world import ROOT, Broken, Services, Shown, Stage, wait_until

GOLDEN = Path(__file__).resolve().parent / "golden"
TOGETHER = 4


def main() -> int:
    parser = argparse.ArgumentParser(description="Plays conversations with the bot, and checks what the chats show.")
    parser.add_argument("scenes", nargs="*", help="the names of scenes; all without a name")
    parser.add_argument("--short", action="store_true", help="leave out the scenes that take long")
    parser.add_argument("--account", action="store_true", help="the bot is an account")
    parser.add_argument("--update", action="store_true", help="write the golden transcripts")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw the chats")
    parser.add_argument("--together", type=int, default=TOGETHER, metavar="N", help="the scenes played at the same time")
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
            stage = start(services)
            faults = play(stage, chosen, arguments)
            status = services.end_bot()
            if status != 0:
                faults.append(f"the bot ended with status {status}")
            if faults:
                keep_log(services.log)
    except Broken as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    for fault in faults:
        print(f"FAILED {fault}")
    count = len(chosen) * len(LANGUAGES)
    who = "an account" if arguments.account else "a bot"
    print(f"conversations: {len(faults)} faults in {count} conversations with {who} in {time.monotonic() - started:.0f} s")
    return 1 if faults else 0


def start(services: Services) -> Stage:
    make_site(services.www)
    services.start()
    make_cookies(services.folder)
    services.start_bot(**OPTIONS, TGPIPE_SITES=str(services.folder / "sites.toml"))
    if not wait_until(lambda: services.telegram.is_listened_to() or not services.is_bot_up(), 30):
        raise Broken("the bot did not start to listen")
    return Stage(services, ADMIN_ID)


def play(stage: Stage, scenes: list[Scene], arguments: argparse.Namespace) -> list[str]:
    """Plays all scenes in all languages, and returns what is wrong."""
    pairs = [(scene, language) for scene in scenes for language in LANGUAGES]
    with concurrent.futures.ThreadPoolExecutor(arguments.together) as pool:
        return [fault for faults in pool.map(lambda pair: play_one(stage, pair[0], pair[1], arguments), pairs) for fault in faults]


def play_one(stage: Stage, scene: Scene, language: str, arguments: argparse.Namespace) -> list[str]:
    name = f"{'account-' if arguments.account else ''}{scene.name}.{language}"
    try:
        chats = scene.play(stage, language)
        faults = [fault for chat in chats for fault in chat.finish()]
    except (Broken, AssertionError, StopIteration) as error:
        return [f"{name}: {error}"]
    snapshots = [snapshot for chat in chats for snapshot in chat.snapshots]
    shown = [line for snapshot in snapshots for line in snapshot if isinstance(line, Shown) and line.is_bot]
    faults += [fault for line in shown for fault in faults_of(line)]
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
        (arguments.pictures / f"{name}.svg").write_text(picture(scene.title, snapshots))
    text = transcript(scene.title, snapshots)
    golden = GOLDEN / f"{name}.txt"
    if arguments.update:
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(text)
    elif not golden.exists():
        faults.append(f"there is no {golden.relative_to(ROOT)}: make it with --update")
    elif golden.read_text() != text:
        lines = difflib.unified_diff(golden.read_text().splitlines(), text.splitlines(), "expected", "shown", lineterm="", n=2)
        faults.append("the chat differs:\n" + "\n".join(lines))
    return [f"{name}: {fault}" for fault in faults]


def keep_log(log: Path) -> None:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    print("\nthe last warnings of the bot's log:")
    for line in [line for line in lines if '"level":"info"' not in line][-20:]:
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
