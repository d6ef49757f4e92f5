"""Kurigram (Pyrogram's successor), the second client not written for this emulator."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from conftest import TOKEN
from mtclients import BIG, BOB, CAROL_PHONE, CHANNEL, Telegram, kurigram_as, kurigram_client, run

def listening(client: Any) -> asyncio.Queue[Any]:
    from pyrogram.handlers import MessageHandler

    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def take(_: Any, message: Any) -> None:
        heard.put_nowait(message)

    client.add_handler(MessageHandler(take))
    return heard


async def next_text(heard: asyncio.Queue[Any]) -> str:
    return str((await asyncio.wait_for(heard.get(), 15)).text)


def test_a_login_with_a_password_follows_the_account(telegram: Telegram) -> None:
    async def work() -> None:
        from pyrogram.errors import PasswordHashInvalid, PhoneCodeInvalid, SessionPasswordNeeded

        client = kurigram_client(telegram, no_updates=True)
        await client.connect()
        sent = await client.send_code(CAROL_PHONE)
        with pytest.raises(PhoneCodeInvalid):
            await client.sign_in(CAROL_PHONE, sent.phone_code_hash, "11111")
        with pytest.raises(SessionPasswordNeeded):
            await client.sign_in(CAROL_PHONE, sent.phone_code_hash, "12345")
        with pytest.raises(PasswordHashInvalid):
            await client.check_password("wrong")
        assert (await client.check_password("hunter2")).id == 43
        await client.disconnect()

    run(work)


def test_a_bot_logs_in_and_speaks(telegram: Telegram) -> None:
    telegram.control("chat", {"account": 123456, "chat_id": CHANNEL, "chat_type": "channel"})

    async def work() -> None:
        client = kurigram_client(telegram, bot_token=TOKEN)
        await client.start()
        assert client.me.is_bot
        assert (await client.send_message(CHANNEL, "from a bot")).text == "from a bot"
        await client.stop()

    run(work)


def test_messages_arrive_and_are_answered_edited_and_deleted(telegram: Telegram) -> None:
    async def work() -> None:
        async with kurigram_as(telegram) as client:
            heard = listening(client)
            for text in ("one", "two"):
                telegram.writes(text)
                assert await next_text(heard) == text
            telegram.control("message", {"account": 42, "chat_id": 77, "from": {"id": 42}, "text": ".vdl http://a.com"})
            own = await asyncio.wait_for(heard.get(), 10)
            assert own.outgoing and own.text == ".vdl http://a.com"
            sent = await client.send_message("bobby", "**bold** http://b.com")
            assert (await sent.edit("second")).text == "second"
            await client.send_reaction(77, own.id, "👍")
            await sent.delete()
            found = [message.text async for message in client.get_chat_history("bobby")]
            assert found == [".vdl http://a.com", "two", "one"]
            assert {dialog.chat.id async for dialog in client.get_dialogs()} == {77}

    run(work)
    _, _, own, sent = telegram.chat(77)
    assert own["reactions"][0]["emoji"] == "👍" and sent["deleted"]


def test_files_are_uploaded_and_downloaded(telegram: Telegram, tmp_path: Path) -> None:
    big, clip = tmp_path / "big.bin", tmp_path / "clip.mp4"
    big.write_bytes(os.urandom(BIG))
    clip.write_bytes(os.urandom(2_500_000))

    async def work() -> None:
        async with kurigram_as(telegram) as client:
            telegram.writes("hi")
            await client.resolve_peer("bobby")
            sent = await client.send_document("bobby", str(big), caption="c")
            assert (sent.document.file_size, sent.document.file_name) == (BIG, "big.bin")
            assert bytes((await client.download_media(sent, in_memory=True)).getbuffer()) == big.read_bytes()
            order = {"account": 42, "chat_id": 77, "from": BOB, "path": str(clip), "kind": "video", "dc": 3}
            telegram.control("file", order)
            (message,) = [one async for one in client.get_chat_history("bobby", limit=1)]
            assert bytes((await client.download_media(message, in_memory=True)).getbuffer()) == clip.read_bytes()

    run(work)
    assert telegram.calls("upload.getFile")


def test_bad_salts_floods_and_lost_connections(telegram: Telegram) -> None:
    async def work() -> None:
        async with kurigram_as(telegram, sleep_threshold=5) as client:
            heard = listening(client)
            telegram.writes("hi")
            assert await next_text(heard) == "hi"
            telegram.mtproto("habits", {"rotate_salt_every": 2})
            for n in range(5):
                await client.send_message("bobby", f"m{n}")
            telegram.mtproto("habits", {"rotate_salt_every": 0})
            telegram.mtproto("fault", {"method": "messages.sendMessage", "error": "FLOOD_WAIT_1"})
            await client.send_message("bobby", "after a flood")
            telegram.mtproto("drop", {"account": 42})
            await asyncio.sleep(0.5)  # it has to see that it is alone: into a closed connection it waits for 15 s
            await client.send_message("bobby", "after a lost connection")

    run(work)
    said = [one["message"]["text"] for one in telegram.chat(77)]
    assert said == ["hi", *(f"m{n}" for n in range(5)), "after a flood", "after a lost connection"]
    assert len([one for one in telegram.violations() if one["code"] == 48]) >= 3
