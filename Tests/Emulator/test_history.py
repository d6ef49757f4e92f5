"""Long histories: Telethon, which was not written for this emulator, reads from it what the emulator says that it holds."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from telethon import types, utils

from mtclients import CHANNEL, Telegram, run, telethon_as

PARTNER = 7001


@pytest.fixture(scope="module")
def telegram() -> Iterator[Telegram]:
    """One emulator for all tests of this file, each of which uses chats of its own."""
    server = Telegram()
    yield server
    assert server.stop() == 0




def seeded(telegram: Telegram, chat_id: int, count: int, **more: Any) -> Any:
    accounts = {} if "account" in more else {"accounts": [42]}
    return telegram.mtproto("seeded", {"chat_id": chat_id, "count": count, "seed": 5} | accounts | more)


def told(telegram: Telegram, chat_id: int, query: str = "") -> Any:
    return telegram.mtproto(f"seeded/{chat_id}?account=42{query}", method="GET")


def lines(telegram: Telegram, chat_id: int, query: str = "") -> bytes:
    with urllib.request.urlopen(f"{telegram.url}/control/mtproto/seeded/{chat_id}/rows?account=42{query}") as answer:
        return bytes(answer.read())


def line(message: Any) -> str:
    """A message as a line of PostgreSQL's COPY, in the Bot API's sense, made of what Telethon tells."""
    header = message.reply_to
    is_topic = bool(header and header.forum_topic)
    top = header.reply_to_top_id if header else None
    reply = header.reply_to_msg_id if header and (not is_topic or top) and message.action is None else None
    topic = top or (header.reply_to_msg_id if is_topic else None)
    is_message = message.action is None
    values = (
        message.chat_id, message.id, int(message.date.timestamp()),
        int(message.edit_date.timestamp()) if is_message and message.edit_date else None, message.sender_id,
        (message.message if is_message else "") or "", reply, topic,
        message.grouped_id if is_message else None, message.views if is_message else None,
        message.forwards if is_message else None,
    )  # fmt: skip
    escapes = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
    return "\t".join("\\N" if value is None else str(value).translate(escapes) for value in values) + "\n"


def digest(found: Iterable[Any]) -> str:
    return hashlib.sha256("".join(line(one) for one in sorted(found, key=lambda one: one.id)).encode()).hexdigest()


async def everything(client: Any, chat_id: int, **more: Any) -> list[Any]:
    await client.get_dialogs()
    return [message async for message in client.iter_messages(chat_id, wait_time=0, **more)]


HISTORIES: list[tuple[int, dict[str, Any]]] = [
    (CHANNEL - 1, {"chat_type": "channel", "holes": 0.1}),
    (CHANNEL - 2, {"chat_type": "supergroup", "topics": 4, "gaps": [[300, 700]]}),
    (PARTNER, {"account": 42, "holes": 0.3, "first_id": 5000}),
    (-88, {"account": 42, "chat_type": "group", "holes": 0.02}),
]


@pytest.mark.parametrize("chat_id, how", HISTORIES)
def test_telethon_reads_exactly_what_the_oracle_tells(telegram: Telegram, chat_id: int, how: dict[str, Any]) -> None:
    seeded(telegram, chat_id, 1500, **how)
    expected = told(telegram, chat_id)

    async def work() -> None:
        async with telethon_as(telegram) as client:
            found = await everything(client, chat_id)
        assert len(found) == expected["count"] < 1500
        assert [one.id for one in found] == sorted((one.id for one in found), reverse=True)
        assert [one.date for one in found] == sorted((one.date for one in found), reverse=True)
        assert digest(found) == expected["sha256"]
        assert all(one.sender is not None for one in found)

    run(work)
    assert hashlib.sha256(lines(telegram, chat_id)).hexdigest() == expected["sha256"]
    ranges = telegram.mtproto(f"seeded/{chat_id}/ids?account=42", method="GET")["ranges"]
    assert sum(high - low + 1 for low, high in ranges) == expected["count"] == expected["total"]


def test_a_history_holds_messages_of_every_kind(telegram: Telegram) -> None:
    chat_id = CHANNEL - 10
    seeded(telegram, chat_id, 4000, chat_type="supergroup")

    async def work() -> None:
        async with telethon_as(telegram) as client:
            found = await everything(client, chat_id)
            document = next(one for one in found if one.document)
            assert await client.download_media(document, bytes) != b""
        kinds = {type(one.media).__name__ for one in found if one.media}
        assert {"MessageMediaPhoto", "MessageMediaDocument", "MessageMediaPoll", "MessageMediaWebPage"} <= kinds
        assert {type(one.action) for one in found if one.action} >= {types.MessageActionPinMessage}
        assert any(one.fwd_from for one in found) and any(one.edit_date for one in found)
        assert any(one.reactions for one in found) and any(one.entities for one in found)
        albums: dict[int, int] = {}
        for one in found:
            if one.grouped_id:
                albums[one.grouped_id] = albums.get(one.grouped_id, 0) + 1
        assert set(albums.values()) == {4}
        assert all(utils.get_inner_text(one.message, one.entities) for one in found if one.entities)

    run(work)


def test_the_same_seed_gives_the_same_history(telegram: Telegram) -> None:
    for place, seed in enumerate([5, 5, 6]):
        seeded(telegram, CHANNEL - 20 - place, 500, seed=seed, holes=0.2)
    columns = "&columns=message_id,date,edit_date,text,reply"
    found = [told(telegram, CHANNEL - 20 - place, columns) for place in range(3)]
    assert found[0]["sha256"] == found[1]["sha256"] != found[2]["sha256"]
    assert found[0]["checksum"] == found[1]["checksum"] != found[2]["checksum"]
