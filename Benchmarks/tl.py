"""Measures the TL codec: a page of history, with 100 messages and their 100 authors, to JSON.

The peer is Telethon, which decodes the page to objects.
"""

from __future__ import annotations

import random
import subprocess
import time
from datetime import datetime, timezone

from bench import row, scratch, sized, tool
from results import at_least, at_most
from telethon.extensions import BinaryReader
from telethon.tl import types

COUNT = 100
SECONDS = 2.0
ROUNDS = sized(3, 1)
WORDS = "the quick brown fox jumps over a lazy dog while räksmörgås and 漢字 are served at noon, и ещё немного слов".split()


def page() -> bytes:
    """Returns an answer of messages.getHistory for a group.

    The messages have text, links, formatting, replies and reactions; every tenth has a photo.
    """
    chance = random.Random(1)
    users = [user(number, chance) for number in range(COUNT)]
    messages = [message(number, chance) for number in range(COUNT)]
    return bytes(types.messages.MessagesSlice(count=50_000, messages=messages, topics=[], chats=[], users=users))


def user(number: int, chance: random.Random) -> types.User:
    photo = types.UserProfilePhoto(photo_id=chance.getrandbits(62), dc_id=2, stripped_thumb=chance.randbytes(40))
    return types.User(
        id=1_000_000_000 + number, access_hash=chance.getrandbits(63), first_name=chance.choice(WORDS), last_name=chance.choice(WORDS),
        username=f"someone_{number}", photo=photo, status=types.UserStatusRecently(),
    )  # fmt: skip


def message(number: int, chance: random.Random) -> types.Message:
    text = " ".join(chance.choices(WORDS, k=chance.randint(3, 25)))
    reply = types.MessageReplyHeader(reply_to_msg_id=number) if number % 3 == 0 else None
    return types.Message(
        id=number + 1, peer_id=types.PeerChannel(1_234_567_890), from_id=types.PeerUser(1_000_000_000 + number),
        date=datetime.fromtimestamp(1_795_262_400 + number, timezone.utc), message=text, reply_to=reply,
        entities=[types.MessageEntityBold(0, 3), types.MessageEntityUrl(5, 20)] if number % 4 == 0 else None,
        media=photo(chance) if number % 10 == 0 else None, reactions=reactions() if number % 5 == 0 else None,
        views=chance.randint(1, 9999) if number % 2 else None, forwards=7 if number % 2 else None,
    )  # fmt: skip


def photo(chance: random.Random) -> types.MessageMediaPhoto:
    sizes = [types.PhotoStrippedSize("i", chance.randbytes(300)), types.PhotoSize("x", 800, 600, 84_211)]
    made = types.Photo(
        id=chance.getrandbits(62), access_hash=chance.getrandbits(63), file_reference=chance.randbytes(25),
        date=datetime.fromtimestamp(1_795_262_400, timezone.utc), sizes=sizes, dc_id=2,
    )  # fmt: skip
    return types.MessageMediaPhoto(photo=made)


def reactions() -> types.MessageReactions:
    return types.MessageReactions(results=[types.ReactionCount(reaction=types.ReactionEmoji("👍"), count=3)])


def telethon(data: bytes) -> float:
    """Returns the shortest time of many rounds, in microseconds."""
    best = float("inf")
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        started = time.perf_counter()
        BinaryReader(data).tgread_object()
        best = min(best, time.perf_counter() - started)
    return best * 1e6


def main() -> None:
    data = page()
    with scratch() as folder:
        file = folder / "page"
        file.write_bytes(data)
        command = [tool("tl-check"), "decode", str(file), str(SECONDS)]
        # Alternate, so that disturbances affect both candidates equally.
        pairs = [
            (float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout), telethon(data)) for _ in range(ROUNDS)
        ]
        json_bytes = len(subprocess.run([tool("tl-check"), "json", str(file)], check=True, stdout=subprocess.PIPE).stdout)
    own, peer = (min(column) for column in zip(*pairs, strict=True))
    row(
        f"TL to JSON, {COUNT} messages and {COUNT} users, {len(data):,} bytes", own, "µs", at_most(25), at_least(100, times=True),
        peer=("Telethon, to objects", peer), headline=True,
    )  # fmt: skip
    row(f"  the same, {json_bytes:,} bytes of JSON", len(data) / own, "MB/s")


if __name__ == "__main__":
    main()
