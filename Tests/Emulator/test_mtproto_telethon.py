"""Telethon, a client not written for this emulator, does with it what userbots do."""

from __future__ import annotations

import asyncio
import hashlib
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from telethon import errors, events, functions, types

from conftest import TOKEN, Server
from mtclients import ALICE_PHONE, BIG, BOB, CAROL_PHONE, CHANNEL, Telegram, run, telethon_as, telethon_client

def listening(client: Any) -> asyncio.Queue[Any]:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    client.add_event_handler(heard.put, events.NewMessage())
    return heard


async def texts(heard: asyncio.Queue[Any], count: int) -> list[str]:
    return [(await asyncio.wait_for(heard.get(), 15)).raw_text for _ in range(count)]


def test_a_login_by_code_follows_the_account_to_its_data_centre(telegram: Telegram) -> None:
    async def work() -> None:
        client = telethon_client(telegram, dc=3)
        await client.connect()
        await client.send_code_request(ALICE_PHONE)
        with pytest.raises(errors.PhoneCodeInvalidError):
            await client.sign_in(ALICE_PHONE, "99999")
        me = await client.sign_in(ALICE_PHONE, "12345")
        assert (me.id, me.username, me.phone, client.session.dc_id) == (42, "alice", ALICE_PHONE, 2)
        assert await client.log_out()

    run(work)
    assert [call["error"] for call in telegram.calls("auth.sendCode")] == ["PHONE_MIGRATE_2", None]
    assert "15550100042" not in str(telegram.calls("auth.sendCode")) + str(telegram.calls("auth.signIn"))


def test_a_login_with_a_password_and_wrong_ones(telegram: Telegram) -> None:
    async def work() -> None:
        client = telethon_client(telegram, dc=1)
        await client.connect()
        with pytest.raises(errors.PhoneNumberInvalidError):
            await client.send_code_request("12")
        await client.send_code_request(CAROL_PHONE)
        with pytest.raises(errors.SessionPasswordNeededError):
            await client.sign_in(CAROL_PHONE, "12345")
        with pytest.raises(errors.PasswordHashInvalidError):
            await client.sign_in(password="wrong")
        assert (await client.sign_in(password="hunter2")).id == 43
        await client.disconnect()

    run(work)


def test_a_bot_logs_in_with_its_token_and_a_wrong_api_id_does_not(telegram: Telegram) -> None:
    async def work() -> None:
        client = telethon_client(telegram, dc=1)
        await client.start(bot_token=TOKEN)
        assert (await client.get_me()).bot
        await client.disconnect()
        client = telethon_client(telegram)
        client.api_hash = "0" * 32
        await client.connect()
        with pytest.raises(errors.ApiIdInvalidError):
            await client.send_code_request(ALICE_PHONE)
        await client.disconnect()

    run(work)


def test_a_login_by_qr_code(telegram: Telegram) -> None:
    async def work() -> None:
        client = telethon_client(telegram, dc=3)
        await client.connect()
        login = await client.qr_login()
        waiting = asyncio.ensure_future(login.wait(10))
        await asyncio.sleep(0.2)
        telegram.mtproto("accept_login", {"account": 42, "token": login.url})
        assert (await waiting).id == 42
        await client.disconnect()

    run(work)


def test_messages_arrive_and_are_answered_edited_and_deleted(telegram: Telegram) -> None:
    async def work() -> None:
        async with telethon_as(telegram) as client:
            heard = listening(client)
            telegram.writes("one")
            telegram.writes("two")  # in the short form
            telegram.control("message", {"account": 42, "chat_id": 77, "from": {"id": 42}, "text": ".vdl http://a.com"})
            first, _, own = [await asyncio.wait_for(heard.get(), 10) for _ in range(3)]
            assert (first.raw_text, first.out, first.sender_id) == ("one", False, 77)
            assert (own.raw_text, own.out, own.chat_id) == (".vdl http://a.com", True, 77)
            sent = await client.send_message("bobby", "**bold** http://b.com", reply_to=first.id)
            asked = functions.messages.GetMessagesRequest([types.InputMessageReplyTo(sent.id)])
            assert (await client(asked)).messages[0].message == "one"
            await sent.edit("second")
            with pytest.raises(errors.MessageNotModifiedError):
                await sent.edit("second")
            await client(functions.messages.SendReactionRequest(77, own.id, reaction=[types.ReactionEmoji("👍")]))
            await sent.delete()
            with pytest.raises(errors.MessageEmptyError):
                await client(functions.messages.SendMessageRequest("bobby", " ", random_id=1))

    run(work)
    _, _, own, sent = telegram.chat(77)
    assert sent["deleted"] and sent["message"]["reply_to_message"]["text"] == "one"
    assert [edit["text"] for edit in sent["edits"]] == ["second"] and own["reactions"][0]["emoji"] == "👍"


def test_names_histories_and_dialogs(telegram: Telegram) -> None:
    telegram.mtproto("history", {"account": 42, "chat_id": CHANNEL, "count": 250, "chat_type": "channel",
                                 "chat_username": "news", "title": "News"})  # fmt: skip
    telegram.writes("hello")

    async def work() -> None:
        async with telethon_as(telegram) as client:
            channel = await client.get_entity("news")
            assert (channel.id, channel.title, channel.broadcast) == (500, "News", True)
            with pytest.raises(ValueError, match="No user has"):
                await client.get_entity("nobody_here")
            found = [message.raw_text async for message in client.iter_messages(channel, wait_time=0)]
            assert found == [f"message {n}" for n in reversed(range(250))]
            some = await client.get_messages(channel, ids=[3, 999])
            assert some[0].raw_text == "message 2" and some[1] is None
            assert {dialog.id async for dialog in client.iter_dialogs()} == {77, CHANNEL}
            full = await client(functions.users.GetFullUserRequest("bobby"))
            assert full.users[0].first_name == "Bob"
            wrong = types.InputPeerUser(77, 1)
            with pytest.raises(errors.PeerIdInvalidError):
                await client.send_message(wrong, "x")

    run(work)


def test_messages_are_scheduled_and_pinned(telegram: Telegram) -> None:
    async def work() -> None:
        telegram.writes("hello")
        async with telethon_as(telegram) as client:
            await client.get_dialogs()
            now = datetime.now(timezone.utc)
            later = await client.send_message("bobby", "later", schedule=now + timedelta(hours=2))
            assert later.date > now and not [one async for one in client.iter_messages("bobby") if one.raw_text == "later"]
            waiting = await client.get_messages("bobby", scheduled=True)
            assert [one.raw_text for one in waiting] == ["later"]
            for when in (now - timedelta(hours=1), now + timedelta(days=400)):
                with pytest.raises(errors.BadRequestError):
                    await client.send_message("bobby", "never", schedule=when)
            sent = await client.send_message("bobby", "important")
            await client.pin_message("bobby", sent)
            with pytest.raises(errors.MessageIdInvalidError):
                await client.pin_message("bobby", sent.id + 100)

    run(work)


def test_accounts_share_chats(telegram: Telegram) -> None:
    for account in (42, 43):
        telegram.control("chat", {"account": account, "chat_id": CHANNEL, "chat_type": "supergroup", "title": "Club"})

    async def work() -> None:
        async with telethon_as(telegram) as alice, telethon_as(telegram, 43) as carol:
            heard = listening(carol)
            await alice.get_dialogs()
            club = await alice.get_entity(types.PeerChannel(500))
            sent = await alice.send_message(club, "to the club")
            assert await texts(heard, 1) == ["to the club"]
            private = await alice.send_message("carol", "to carol")
            assert await texts(heard, 1) == ["to carol"]
            assert (await carol.get_messages("alice"))[0].raw_text == "to carol"
            await private.delete()
            assert await carol.get_messages("alice") == []
            with pytest.raises(errors.MessageDeleteForbiddenError):
                await carol.delete_messages(await carol.get_entity(CHANNEL), [sent.id])

    run(work)


def test_large_and_small_files_are_uploaded_and_downloaded(telegram: Telegram, tmp_path: Path, png: Path) -> None:
    big, small = tmp_path / "big.bin", tmp_path / "clip.mp4"
    big.write_bytes(os.urandom(BIG))
    small.write_bytes(os.urandom(300_000))

    async def work() -> None:
        async with telethon_as(telegram) as client:
            telegram.writes("hi")
            await client.get_entity("bobby")
            video = [types.DocumentAttributeVideo(3, 64, 48)]
            for path, attributes in ((big, None), (small, video)):
                sent = await client.send_file("bobby", path, caption="c", attributes=attributes)
                assert await sent.download_media(bytes) == path.read_bytes()
            sent = await client.send_file("bobby", png)
            assert sent.photo is not None and await sent.download_media(bytes) == png.read_bytes()
            # Another data centre's file, and one that a person sent.
            order = {"account": 42, "chat_id": 77, "from": BOB, "path": str(big), "kind": "document", "dc": 3}
            telegram.control("file", order)
            (message,) = await client.get_messages("bobby")
            assert await message.download_media(bytes) == big.read_bytes()

    run(work)
    kinds = ("document", "video", "photo")
    names = [next(kind for kind in kinds if kind in one["message"]) for one in telegram.chat(77)[1:]]
    assert names == ["document", "video", "photo", "document"]
    assert any(call["error"] == "FILE_MIGRATE_3" for call in telegram.calls("upload.getFile"))


def test_only_a_client_that_supports_cdns_is_redirected_to_one(telegram: Telegram, tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(300_000))
    telegram.control("file", {"account": 42, "chat_id": 77, "from": BOB, "path": str(path), "kind": "document"})

    async def work() -> None:
        async with telethon_as(telegram) as client:
            (message,) = await client.get_messages((await client.get_dialogs())[0].entity)
            document = message.document
            location = types.InputDocumentFileLocation(document.id, document.access_hash, document.file_reference, "")
            telegram.mtproto("habits", {"cdn": "auto"})
            assert isinstance(await client(functions.upload.GetFileRequest(location, 0, 4096)), types.upload.File)
            redirect = await client(functions.upload.GetFileRequest(location, 0, 4096, cdn_supported=True))
            assert isinstance(redirect, types.upload.FileCdnRedirect) and redirect.dc_id == 203
            hashes = await client(functions.upload.GetCdnFileHashesRequest(redirect.file_token, 131072))
            assert [(one.offset, one.limit) for one in hashes] == [(131072, 131072), (262144, 37856)]
            assert hashes[0].hash == hashlib.sha256(path.read_bytes()[131072:262144]).digest()

    run(work)


def test_a_stale_file_reference_is_refused(telegram: Telegram, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    telegram.control("file", {"account": 42, "chat_id": 77, "from": BOB, "path": str(path), "kind": "document"})

    async def work() -> None:
        async with telethon_as(telegram) as client:
            peer = (await client.get_dialogs())[0].entity
            (old,) = await client.get_messages(peer)
            telegram.mtproto("expire", {})
            with pytest.raises(errors.FileReferenceExpiredError):
                await client.send_file(peer, old.document)
            (fresh,) = await client.get_messages(peer)
            assert (await client.send_file(peer, fresh.document)).document.id == old.document.id

    run(work)


def test_a_file_by_its_url(telegram: Telegram, site: Server) -> None:
    async def work() -> None:
        async with telethon_as(telegram) as client:
            sent = await client.send_file("me", f"{site.url}/clip.mp4")
            assert sent.video is not None and sent.file.size == 256 * 400
            with pytest.raises(errors.WebpageCurlFailedError):
                await client.send_file("me", f"{site.url}/gone.mp4")

    run(work)


def test_an_account_talks_with_a_bot_of_the_bot_api(telegram: Telegram, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc" * 1000)

    async def work() -> None:
        async with telethon_as(telegram) as client:
            heard = listening(client)
            said = await client.send_message("test_bot", "/start")
            await client.send_file("test_bot", path)
            first, second = telegram.call("getUpdates")
            assert first["message"]["from"] == {"id": 42, "is_bot": False, "first_name": "Alice", "username": "alice"}
            assert first["message"]["text"] == "/start"
            file = telegram.call("getFile", file_id=second["message"]["document"]["file_id"])
            assert file["file_size"] == 3000
            reply = {"message_id": first["message"]["message_id"]}
            answer = telegram.call("sendMessage", chat_id=42, text="hello", reply_parameters=reply)
            event = await asyncio.wait_for(heard.get(), 10)
            while event.out:
                event = await asyncio.wait_for(heard.get(), 10)
            assert (event.raw_text, event.sender_id, event.reply_to_msg_id) == ("hello", 123456, said.id)
            telegram.call("editMessageText", chat_id=42, message_id=answer["message_id"], text="goodbye")
            assert (await client.get_messages("test_bot", ids=event.id)).raw_text == "goodbye"
            telegram.call("setMessageReaction", chat_id=42, message_id=reply["message_id"],
                          reaction=[{"type": "emoji", "emoji": "👍"}])  # fmt: skip
            assert (await client.get_messages("test_bot", ids=said.id)).reactions.results[0].count == 1
            telegram.call("deleteMessage", chat_id=42, message_id=answer["message_id"])
            assert len(await client.get_messages("test_bot", limit=9)) == 2
            await said.edit("/help")
            assert telegram.call("getUpdates", offset=second["update_id"] + 1)[0]["edited_message"]["text"] == "/help"

    run(work)
