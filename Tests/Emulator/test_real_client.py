"""Tests the emulator with python-telegram-bot, a client that was not written for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from telegram import (
    Bot,
    BotCommand,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    ReactionTypeEmoji,
    Update,
)
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, RetryAfter
from telegram.ext import Application, CommandHandler, ContextTypes

from conftest import ALICE, OTHER_TOKEN, TOKEN, Server


def with_bot(emulator: Server, work: Callable[[Bot], Awaitable[None]], token: str = TOKEN) -> None:
    async def run() -> None:
        async with Bot(token, base_url=f"{emulator.url}/bot", base_file_url=f"{emulator.url}/file/bot") as bot:
            await work(bot)

    asyncio.run(run())


def test_an_application_polls_and_replies(emulator: Server) -> None:
    replied = asyncio.Event()

    async def start(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.message is not None
        await update.message.reply_html("<b>hello</b>", do_quote=True)
        replied.set()

    async def run() -> None:
        builder = Application.builder().token(TOKEN)
        app = builder.base_url(f"{emulator.url}/bot").base_file_url(f"{emulator.url}/file/bot").build()
        app.add_handler(CommandHandler("start", start))
        async with app:
            assert app.updater is not None
            await app.start()
            await app.updater.start_polling()
            await asyncio.to_thread(emulator.says, "/start now")
            await asyncio.wait_for(replied.wait(), 10)
            await app.updater.stop()
            await app.stop()

    asyncio.run(run())
    question, answer = emulator.control("chat/42", method="GET")["messages"]
    assert question["message"]["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]
    assert answer["message"]["text"] == "hello"
    assert answer["message"]["entities"] == [{"type": "bold", "offset": 0, "length": 5}]
    assert answer["message"]["reply_to_message"]["message_id"] == question["message"]["message_id"]
    assert emulator.control("pending", method="GET")["pending"] == 0


def test_albums_and_pins(emulator: Server, tmp_path: Path, png: Path) -> None:
    emulator.says("hi")
    note = tmp_path / "note.txt"
    note.write_bytes(b"note")

    async def work(bot: Bot) -> None:
        photos = [InputMediaPhoto(png.read_bytes(), caption="both", filename="a.png"), InputMediaPhoto(png.read_bytes())]
        sent = await bot.send_media_group(42, photos)
        assert [message.caption for message in sent] == ["both", None]
        assert len({message.media_group_id for message in sent}) == 1 and all(message.photo for message in sent)
        with pytest.raises(BadRequest, match="from 2 to 10"):
            await bot.send_media_group(42, photos[:1])
        with pytest.raises(BadRequest, match="one album"):
            await bot.send_media_group(42, [photos[0], InputMediaDocument(note.read_bytes())])
        assert await bot.pin_chat_message(42, sent[0].message_id)
        pinned = (await bot.get_chat(42)).pinned_message
        assert pinned is not None and pinned.message_id == sent[0].message_id
        with pytest.raises(BadRequest, match="essage to pin not found"):
            await bot.pin_chat_message(42, 999)

    with_bot(emulator, work)


def test_edits_reactions_and_deletion(emulator: Server) -> None:
    said = emulator.says("hi")

    async def work(bot: Bot) -> None:
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Stop", callback_data="stop")]])
        message = await bot.send_message(42, "one", reply_markup=keyboard)
        edited = await bot.edit_message_text("two", 42, message.message_id)
        assert not isinstance(edited, bool) and edited.text == "two" and edited.reply_markup is None
        assert await bot.set_message_reaction(42, said["message_id"], ReactionTypeEmoji("👍"))
        assert await bot.set_message_reaction(42, said["message_id"], ReactionTypeEmoji("❤️"))
        assert await bot.delete_message(42, message.message_id)
        assert await bot.send_chat_action(42, "upload_video")
        assert await bot.set_my_commands([BotCommand("start", "Begin")])
        assert [command.command for command in await bot.get_my_commands()] == ["start"]
        assert (await bot.get_chat(42)).first_name == "Alice"
        assert (await bot.get_chat_member(42, 42)).status == "member"

    with_bot(emulator, work)
    first, second = emulator.control("chat/42", method="GET")["messages"]
    assert first["reactions"] == [{"type": "emoji", "emoji": "❤"}]
    assert second["deleted"] and [edit["text"] for edit in second["edits"]] == ["two"]


def test_files_are_uploaded_and_downloaded(emulator: Server, tmp_path: Path, png: Path) -> None:
    emulator.says("hi")
    clip = tmp_path / "ölig \"clip\".mp4"
    clip.write_bytes(b"\r\n--video\r\n" * 5000)

    async def work(bot: Bot) -> None:
        with clip.open("rb") as file, png.open("rb") as thumbnail:
            sent = await bot.send_video(42, file, duration=3, width=64, height=48, caption="c", thumbnail=thumbnail)
        assert sent.video is not None and sent.video.file_name == clip.name and sent.video.mime_type == "video/mp4"
        assert (sent.video.duration, sent.video.width, sent.video.height) == (3, 64, 48)
        assert sent.video.thumbnail is not None and sent.video.thumbnail.width == 3
        again = await bot.send_video(42, sent.video.file_id)
        assert again.video == sent.video
        got = await (await bot.get_file(sent.video.file_id)).download_as_bytearray()
        assert bytes(got) == clip.read_bytes()
        audio = await bot.send_audio(42, b"ID3", title="T", performer="P", duration=9, filename="a.mp3")
        assert audio.audio is not None and (audio.audio.title, audio.audio.performer) == ("T", "P")
        photo = await bot.send_photo(42, png.read_bytes())
        assert (photo.photo[0].width, photo.photo[0].height) == (3, 2)
        copied = await bot.copy_message(42, 42, sent.message_id, caption="new")
        assert copied.message_id > photo.message_id
        forwarded = await bot.forward_message(42, 42, sent.message_id)
        assert forwarded.forward_origin is not None and forwarded.caption == "c"

    with_bot(emulator, work)


def test_a_persons_file_arrives(emulator: Server, tmp_path: Path) -> None:
    path = tmp_path / "doc.pdf"
    path.write_bytes(b"%PDF-")
    order = {"chat_id": 42, "from": ALICE, "path": str(path), "kind": "document", "caption": "see http://a.com"}
    emulator.control("file", order)

    async def work(bot: Bot) -> None:
        (update,) = await bot.get_updates(timeout=1)
        assert update.message is not None and update.message.document is not None
        assert update.message.document.mime_type == "application/pdf"
        assert update.message.caption_entities[0].type == "url"
        file = await bot.get_file(update.message.document.file_id)
        assert bytes(await file.download_as_bytearray()) == b"%PDF-"

    with_bot(emulator, work)


def test_errors_have_the_types_of_the_library(emulator: Server) -> None:
    emulator.says("hi")

    async def refused(bot: Bot, kind: type[Exception], text: str) -> None:
        try:
            await bot.send_message(42, text)
        except kind as error:
            assert type(error) is kind
        else:
            raise AssertionError(f"{kind.__name__} expected")

    async def work(bot: Bot) -> None:
        emulator.control("fault", {"method": "sendMessage", "kind": "429", "retry_after": 7})
        await refused(bot, RetryAfter, "x")
        emulator.control("fault", {"method": "*", "kind": "409"})
        await refused(bot, Conflict, "x")
        await refused(bot, BadRequest, " ")
        emulator.control("block", {"user_id": 42, "blocked": True})
        await refused(bot, Forbidden, "x")

    with_bot(emulator, work)

    async def other(bot: Bot) -> None:
        raise AssertionError("a wrong token was accepted")

    with pytest.raises(InvalidToken):
        with_bot(emulator, other, "999:WRONG")
    with_bot(emulator, lambda bot: refused(bot, Forbidden, "x"), OTHER_TOKEN)
