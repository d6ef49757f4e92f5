"""What goes wrong on request, and that a real client comes through it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from telethon import errors, functions, types

from conftest import ALICE
from mtclients import CHANNEL, Telegram, run, telethon_as
from test_mtproto_telethon import listening, texts

ME = functions.users.GetUsersRequest([types.InputUserSelf()])


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    server = Telegram()
    yield server
    assert server.stop() == 0


@pytest.mark.parametrize(
    "habits",
    [{"containers": "always", "gzip": "always"}, {"containers": "never", "gzip": "never"}, {"rotate_salt_every": 3},
     {"short_updates": False}, {"min_users": True}],
)  # fmt: skip
def test_conversations_survive_the_servers_habits(telegram: Telegram, habits: dict[str, Any]) -> None:
    telegram.mtproto("habits", habits)

    async def work() -> None:
        async with telethon_as(telegram) as client:
            heard = listening(client)
            for n in range(8):
                telegram.writes(f"in {n}")
            assert await texts(heard, 8) == [f"in {n}" for n in range(8)]
            for n in range(8):
                await client.send_message("bobby", f"out {n}")

    run(work)
    assert [m["message"]["text"] for m in telegram.chat(77)[8:]] == [f"out {n}" for n in range(8)]


def test_dropped_connections_lose_nothing(telegram: Telegram) -> None:
    async def work() -> None:
        async with telethon_as(telegram, request_retries=1) as client:
            heard = listening(client)
            telegram.writes("before")
            assert await texts(heard, 1) == ["before"]
            assert telegram.mtproto("drop", {"account": 42})["dropped"] == 1
            telegram.writes("meanwhile")
            assert (await client.get_me()).id == 42
            telegram.writes("after")
            assert await texts(heard, 2) == ["meanwhile", "after"]
            telegram.mtproto("fault", {"method": "messages.sendMessage", "kind": "drop", "after": True})
            with pytest.raises(ValueError, match="unsuccessful"):  # Telethon repeats it, and is told that it is there
                await client(functions.messages.SendMessageRequest("bobby", "once", random_id=4))

    run(work)
    assert [m["message"]["text"] for m in telegram.chat(77)].count("once") == 1
    first, *others = telegram.calls("messages.sendMessage")
    assert first["outcome"] == "dropped" and {call["error"] for call in others} == {"RANDOM_ID_DUPLICATE"}


def test_floods_are_waited_for(telegram: Telegram) -> None:
    telegram.mtproto("fault", {"method": "users.getUsers", "kind": "flood", "seconds": 2, "account": 43})

    async def work() -> None:
        async with telethon_as(telegram) as client:
            telegram.mtproto("fault", {"method": "users.getUsers", "kind": "flood", "seconds": 2})
            begun = time.monotonic()
            assert (await client(ME))[0].id == 42
            assert time.monotonic() - begun >= 1.5
            telegram.mtproto("fault", {"method": "help.getNearestDc", "error": "FLOOD_WAIT_333"})
            with pytest.raises(errors.FloodWaitError) as caught:
                await client(functions.help.GetNearestDcRequest())
            assert caught.value.seconds == 333
            telegram.mtproto("limit", {"method": "help.getConfig", "count": 3, "seconds": 60, "wait": 100})
            for _ in range(3):
                await client(functions.help.GetConfigRequest())
            with pytest.raises(errors.FloodWaitError):
                await client(functions.help.GetConfigRequest())

    run(work)


def test_gaps_slices_and_too_long_differences(telegram: Telegram) -> None:
    telegram.mtproto("habits", {"difference_limit": 4})

    async def work() -> None:
        async with telethon_as(telegram) as client:
            heard = listening(client)
            telegram.writes("first")
            assert await texts(heard, 1) == ["first"]
            telegram.mtproto("habits", {"drop_updates": 10})
            for n in range(10):
                telegram.writes(f"lost {n}")
            telegram.writes("seen")
            got = await texts(heard, 11)
            assert sorted(got) == sorted([f"lost {n}" for n in range(10)] + ["seen"])
            assert len(telegram.calls("updates.getDifference")) >= 3

    run(work)


def test_gaps_in_channels(telegram: Telegram) -> None:
    post = {"account": 42, "chat_id": CHANNEL, "chat_type": "channel", "title": "News"}

    async def work() -> None:
        async with telethon_as(telegram) as client:
            heard = listening(client)
            telegram.control("message", post | {"text": "p0"})
            assert await texts(heard, 1) == ["p0"]
            telegram.mtproto("habits", {"drop_updates": 5})
            for n in range(1, 7):
                telegram.control("message", post | {"text": f"p{n}"})
            assert sorted(await texts(heard, 6)) == [f"p{n}" for n in range(1, 7)]
            assert telegram.calls("updates.getChannelDifference")
            telegram.mtproto("habits", {"reorder_updates": True})
            for n in range(7, 11):
                telegram.control("message", post | {"text": f"p{n:02}"})
            assert sorted(await texts(heard, 4)) == ["p07", "p08", "p09", "p10"]

    run(work)


def test_differences_in_all_their_forms(telegram: Telegram) -> None:
    for n in range(6):
        telegram.writes(f"m{n}")
        telegram.control("message", {"account": 42, "chat_id": CHANNEL, "chat_type": "channel", "text": f"c{n}"})
    telegram.control("edit", {"account": 42, "chat_id": 77, "message_id": 2, "text": "edited"})
    telegram.mtproto("delete", {"account": 42, "chat_id": 77, "message_ids": [1, 3]})
    telegram.mtproto("secret", {"account": 42})

    async def work() -> None:
        async with telethon_as(telegram, receive_updates=False) as client:

            def since(pts: int, **more: Any) -> Any:
                return functions.updates.GetDifferenceRequest(pts, 0, 0, **more)

            state = await client(functions.updates.GetStateRequest())
            assert (state.pts, state.qts) == (9, 1)
            all_of_it = await client(since(0))
            assert [m.message for m in all_of_it.new_messages] == ["edited", "m3", "m4", "m5"]
            kinds = {type(update).__name__ for update in all_of_it.other_updates}
            assert kinds == {"UpdateEditMessage", "UpdateDeleteMessages", "UpdateChannelTooLong"}
            assert len(all_of_it.new_encrypted_messages) == 1 and all_of_it.state.pts == 9
            part = await client(since(0, pts_limit=2))
            assert isinstance(part, types.updates.DifferenceSlice) and part.intermediate_state.pts == 2
            assert isinstance(await client(functions.updates.GetDifferenceRequest(9, 2**31 - 1, 1)),
                              types.updates.DifferenceEmpty)  # fmt: skip
            assert isinstance(await client(since(0, pts_total_limit=3)), types.updates.DifferenceTooLong)
            telegram.mtproto("forget", {"what": "changes", "account": 42})
            assert isinstance(await client(since(3)), types.updates.DifferenceTooLong)

            channel = next(d.input_entity for d in await client.get_dialogs() if d.is_channel)
            every = types.ChannelMessagesFilterEmpty()

            def channel_since(pts: int, limit: int = 100) -> Any:
                return functions.updates.GetChannelDifferenceRequest(channel, every, pts, limit)

            part = await client(channel_since(1, 4))
            assert [m.message for m in part.new_messages] == ["c0", "c1", "c2", "c3"] and not part.final
            rest = await client(channel_since(part.pts))
            assert [m.message for m in rest.new_messages] == ["c4", "c5"] and rest.final
            assert isinstance(await client(channel_since(rest.pts)), types.updates.ChannelDifferenceEmpty)
            with pytest.raises(errors.PersistentTimestampEmptyError):
                await client(channel_since(0))
            telegram.mtproto("habits", {"channel_too_long": 1})
            assert isinstance(await client(channel_since(1)), types.updates.ChannelDifferenceTooLong)

    run(work)


def test_updates_without_numbers_and_with_a_sequence(telegram: Telegram) -> None:
    async def work() -> None:
        async with telethon_as(telegram) as client:
            seen: asyncio.Queue[Any] = asyncio.Queue()

            async def take(update: Any) -> None:
                seen.put_nowait(type(update).__name__)

            client.add_event_handler(take)
            telegram.writes("hi")
            assert await asyncio.wait_for(seen.get(), 5) == "UpdateNewMessage"
            typing = {"_": "updateUserTyping", "user_id": 77, "action": {"_": "sendMessageTypingAction"}}
            assert telegram.mtproto("update", {"account": 42, "update": typing, "seq": True})["seq"] == 2
            assert await asyncio.wait_for(seen.get(), 5) == "UpdateUserTyping"
            telegram.mtproto("react", {"account": 42, "chat_id": 77, "message_id": 1, "user_id": 77, "emoji": "👍"})
            assert await asyncio.wait_for(seen.get(), 5) == "UpdateMessageReactions"
            telegram.mtproto("read", {"account": 42, "chat_id": 77, "max_id": 1})
            assert await asyncio.wait_for(seen.get(), 5) == "UpdateReadHistoryOutbox"
            telegram.mtproto("delete", {"account": 42, "chat_id": 77, "message_ids": [1]})
            assert await asyncio.wait_for(seen.get(), 5) == "UpdateDeleteMessages"

    run(work)


def test_sessions_end_in_all_the_ways_they_can(telegram: Telegram) -> None:
    async def refused(kind: type[Exception], order: dict[str, Any]) -> None:
        async with telethon_as(telegram) as client:
            telegram.mtproto("revoke", {"account": 42} | order)
            with pytest.raises(kind):
                await client(ME)

    async def work() -> None:
        await refused(errors.SessionRevokedError, {})
        await refused(errors.AuthKeyUnregisteredError, {"error": "AUTH_KEY_UNREGISTERED"})
        await refused(errors.UserDeactivatedBanError, {"ban": True})

    run(work)


def test_a_clock_that_is_wrong_by_an_hour(telegram: Telegram) -> None:
    telegram.mtproto("clock", {"skew": 3600})

    async def work() -> None:
        async with telethon_as(telegram) as client:
            assert (await client(ME))[0].id == 42

    run(work)
    assert {17, 16} & {one["code"] for one in telegram.violations()}


def test_parts_and_ranges_have_rules(telegram: Telegram) -> None:
    save, big = functions.upload.SaveFilePartRequest, functions.upload.SaveBigFilePartRequest

    async def work() -> None:
        async with telethon_as(telegram) as client:

            async def refused(request: Any, error: str) -> None:
                with pytest.raises(errors.RPCError):
                    await client(request)
                assert telegram.mtproto("log", method="GET")["calls"][-1]["error"] == error

            await refused(save(1, 0, b""), "FILE_PART_EMPTY")
            await refused(save(1, 4000, b"x"), "FILE_PART_INVALID")
            await refused(save(1, 0, bytes(524289)), "FILE_PART_TOO_BIG")
            await refused(big(2, 0, 5, bytes(1000)), "FILE_PART_SIZE_INVALID")
            await refused(big(2, 5, 5, bytes(1024)), "FILE_PART_INVALID")
            await refused(big(2, 0, 4001, bytes(1024)), "FILE_PARTS_INVALID")
            assert await client(big(2, 0, 40, bytes(524288)))
            await refused(big(2, 1, 40, bytes(262144)), "FILE_PART_SIZE_CHANGED")

            def media(file: Any) -> Any:
                document = types.InputMediaUploadedDocument(file, "a/b", [])
                return functions.messages.SendMediaRequest(types.InputPeerSelf(), document, "", random_id=8)

            await refused(media(types.InputFileBig(2, 40, "n")), "FILE_PART_1_MISSING")
            assert await client(save(3, 0, bytes(1024))) and await client(save(3, 1, bytes(10)))
            await refused(media(types.InputFile(3, 2, "n", "0" * 32)), "MD5_CHECKSUM_INVALID")
            sent = await client(media(types.InputFile(3, 2, "n", "")))
            document = sent.updates[-1].message.media.document
            location = types.InputDocumentFileLocation(document.id, document.access_hash, document.file_reference, "")
            wrong = ((1, 4096, "OFFSET"), (0, 1000, "LIMIT"), (0, 12288, "LIMIT"), (1040384, 16384, "LIMIT"))
            for offset, limit, error in wrong:
                await refused(functions.upload.GetFileRequest(location, offset, limit), f"{error}_INVALID")
            assert len((await client(functions.upload.GetFileRequest(location, 0, 4096))).bytes) == 1034
            whole = await client(functions.upload.GetFileHashesRequest(location, 0))
            assert whole[0].limit == 1034
            telegram.mtproto("lose_parts", {})

    run(work)


def test_orders_that_make_no_sense(telegram: Telegram) -> None:
    for path, body in (
        ("habits", {"typo": 1}), ("habits", {"gzip": "maybe"}), ("hostile", {"kind": "typo"}),
        ("fault", {"method": "x", "kind": "typo"}),
        ("account", {"id": 42}), ("revoke", {"account": 999}), ("forget", {"what": "typo"}),
        ("update", {"account": 42, "update": {"_": "typo"}}), ("accept_login", {"account": 42, "token": "AAAA"}),
    ):  # fmt: skip
        assert telegram.request("POST", f"/control/mtproto/{path}", body)[0] == 400, path
    nobody = {"account": 999, "chat_id": 1, "from": ALICE, "text": "x"}
    assert telegram.request("POST", "/control/message", nobody)[0] == 400
