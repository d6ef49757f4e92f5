"""Measures a `.vdl` for a video that Telegram already has: from the update's delivery to the sendVideo request.

The bot runs over pipes and over queues. The peer is a minimal Python bot, which answers each message with a file_id that it keeps in
memory.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench import QUICK, ROOT, TOOLS, padded_clip, read_line, row, running, sized
from chat import Person, Telegram, wait_until
from results import at_most
from services import TOKEN, Services

TIMES = sized(300, 60)
# The emulator answers nothing else in this time after a request, so that looking for the answer does not delay it.
QUIET_SECONDS = 0.03
ADMIN = Person(42, "Alice", "alice")
TIMEOUT_SECONDS = 60
PEER = """
import sys
from telegram.ext import Application, MessageHandler, filters
held = []
async def answer(update, context):
    sent = await update.message.reply_video(held[0] if held else open(sys.argv[2], "rb"), do_quote=True)
    held[:] = [sent.video.file_id]
application = Application.builder().token(sys.argv[3]).base_url(sys.argv[1] + "/bot").build()
application.add_handler(MessageHandler(filters.TEXT, answer))
application.run_polling()
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        padded_clip(clip, 1_000_000)
        peer = peer_answering(clip)
        own = own_answering(clip, "media-bot.sh")
        tell("cached .vdl over pipes, from update to sendVideo", own, peer, 3, headline=True)
        if QUICK:
            return
        tell("cached .vdl over queues, from update to sendVideo", own_answering(clip, "media-bot-queues.sh"), peer, 5)
        unlogged = own_answering(clip, "media-bot.sh", TGPIPE_LOG_DIR="")
    row("cached .vdl over pipes, time that the log and traces add", own.median - unlogged.median, "ms", at_most(1))


def tell(what: str, own: Times, peer: Times, limit: float, *, headline: bool = False) -> None:
    name = "python-telegram-bot"
    row(what, own.median, "ms", at_most(limit), peer=(name, peer.median), headline=headline)
    row("  99th percentile", own.slow, "ms", at_most(2 * limit), peer=(name, peer.slow))


def own_answering(clip: Path, script: str, **variables: str) -> Times:
    """Measures the bot that a script of examples/ runs, with further environment variables."""
    with Services(TOOLS, admin_id=ADMIN.id) as services:
        shutil.copy(clip, services.www / "clip.mp4")
        services.start()
        services.start_bot(script, TG_SEND_OPTIONS="--no-pacing", TGPIPE_LOG="warning", **variables)
        times = answering(Telegram(services.telegram_url), f".vdl {services.site_url}/clip.mp4")
        services.end_bot()
        return times


class Times:
    def __init__(self, seconds: list[float]) -> None:
        ordered = sorted(seconds)
        self.median = statistics.median(ordered) * 1000
        self.slow = ordered[len(ordered) * 99 // 100] * 1000


def answering(telegram: Telegram, text: str) -> Times:
    """Sends requests one after another. Ignores the first answer, which is an upload, and nine that follow it."""
    for number in range(TIMES + 10):
        telegram.say(ADMIN, text)
        time.sleep(QUIET_SECONDS)
        if not wait_until(partial(has_answered, telegram, number + 1), TIMEOUT_SECONDS):
            sys.exit("error: the bot did not answer")
    calls = telegram.calls("sendVideo")
    deliveries = telegram.deliveries()
    pairs = zip(deliveries, calls, strict=True)
    return Times([call["started_at"] - delivery["at"] for delivery, call in pairs][10:])


def has_answered(telegram: Telegram, times: int) -> bool:
    answers = [call for call in telegram.calls("sendVideo") if call["status"] == 200]
    return len(answers) >= times


def peer_answering(clip: Path) -> Times:
    emulator = [sys.executable, "-B", str(ROOT / "Tests/Emulator/emulator.py"), "--token", TOKEN]
    with running(emulator, stdout=subprocess.PIPE) as server:
        url = read_line(server)
        with running([sys.executable, "-c", PEER, url, str(clip), TOKEN]):
            return answering(Telegram(url), "hello")


if __name__ == "__main__":
    main()
