"""Measures a `.vdl` for a video that Telegram already has: from the update's delivery to the sendVideo request.

The peer is a minimal Python bot, which answers each message with a file_id that it keeps in memory.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from bench import ROOT, TOOLS, padded_clip, read_line, row, running
from chat import Person, Telegram, wait_until
from services import TOKEN, Services

TIMES = 60
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
        own, unlogged = own_answering(clip), own_answering(clip, TGPIPE_LOG_DIR="")
        peer = peer_answering(clip)
    row(
        "cached .vdl: update to sendVideo", f"median {own.median:.1f} ms", f"python-telegram-bot {peer.median:.1f} ms",
        f"{own.median / peer.median:.2f} ×", "under 20 ms",
    )  # fmt: skip
    row("  95th percentile", f"{own.slow:.1f} ms", f"python-telegram-bot {peer.slow:.1f} ms")
    row(
        "  with the log and traces on", f"median {own.median:.1f} ms", f"off {unlogged.median:.1f} ms",
        f"{own.median - unlogged.median:+.1f} ms", "at most 1 ms more",
    )  # fmt: skip


def own_answering(clip: Path, **variables: str) -> Times:
    """Measures the bot, with further environment variables."""
    with Services(TOOLS, admin_id=ADMIN.id) as services:
        shutil.copy(clip, services.www / "clip.mp4")
        services.start()
        services.start_bot(TG_SEND_OPTIONS="--no-pacing", TGPIPE_LOG="warning", **variables)
        times = answering(Telegram(services.telegram_url), f".vdl {services.site_url}/clip.mp4")
        services.end_bot()
        return times


class Times:
    def __init__(self, seconds: list[float]) -> None:
        ordered = sorted(seconds)
        self.median = statistics.median(ordered) * 1000
        self.slow = ordered[len(ordered) * 19 // 20] * 1000


def answering(telegram: Telegram, text: str) -> Times:
    """Sends requests one after another. Ignores the first answer, which is an upload."""
    for number in range(1, TIMES + 2):
        telegram.say(ADMIN, text)
        if not wait_until(partial(has_answered, telegram, number), TIMEOUT_SECONDS):
            sys.exit("error: the bot did not answer")
    calls = telegram.calls("sendVideo")
    deliveries = telegram.deliveries()
    pairs = zip(deliveries, calls, strict=True)
    return Times([call["started_at"] - delivery["at"] for delivery, call in pairs][1:])


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
