"""Tests missed updates: gaps, differences and windows into a history."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from telethon import errors, functions, types

from mtclients import CHANNEL, Telegram, run, telethon_as
from test_mtproto_telethon import listening, texts


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
            # Changes that the server has forgotten still count as changes.
            telegram.mtproto("forget", {"what": "changes", "account": 42, "chat_id": CHANNEL})
            hints = (await client(functions.updates.GetDifferenceRequest(9, 0, 1))).other_updates
            assert any(isinstance(hint, types.UpdateChannelTooLong) for hint in hints)
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
            action = {"_": "messageActionChatEditTitle", "title": "New"}
            telegram.mtproto("service", {"account": 42, "chat_id": 77, "action": action})
            assert await asyncio.wait_for(seen.get(), 5) == "UpdateNewMessage"
            assert (await client.get_messages(77))[0].action.title == "New"
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


def test_windows_into_a_history(telegram: Telegram) -> None:
    millions = {"account": 42, "chat_id": CHANNEL - 1, "count": 5_000_000, "chat_type": "channel"}
    assert telegram.mtproto("history", millions)["last_message_id"] == 5_000_000
    telegram.mtproto("history", {"account": 42, "chat_id": CHANNEL, "count": 50, "chat_type": "channel"})
    telegram.mtproto("delete", {"account": 42, "chat_id": CHANNEL, "message_ids": [39, 41]})

    async def work() -> None:
        async with telethon_as(telegram) as client:
            large, channel = sorted([d.input_entity for d in await client.get_dialogs()], key=lambda d: -d.channel_id)
            assert (await client.get_messages(large, ids=4_000_000)).raw_text == "message 3999999"
            oldest = (await client.get_messages(channel, ids=1)).date

            async def window(offset_id: int, add_offset: int, limit: int, **more: Any) -> list[int]:
                known = {"offset_date": None, "max_id": 0, "min_id": 0} | more
                request = functions.messages.GetHistoryRequest(
                    channel, offset_id, known["offset_date"], add_offset, limit, known["max_id"], known["min_id"], 0
                )
                page = await client(request)
                assert page.count == 48
                return [message.id for message in page.messages]

            assert await window(0, 0, 3) == [50, 49, 48]
            assert await window(42, 0, 3) == [40, 38, 37]
            assert await window(42, 1, 2) == [38, 37]
            assert await window(42, -2, 4) == [43, 42, 40, 38]
            assert await window(49, -5, 6) == [50, 49, 48]
            assert await window(0, 0, 9, max_id=48, min_id=45) == [47, 46]
            assert await window(0, 0, 9, offset_date=oldest + timedelta(minutes=2)) == [2, 1]

    run(work)


def test_held_updates_arrive_together_when_they_are_released(telegram: Telegram) -> None:
    async def work() -> None:
        async with telethon_as(telegram) as client:
            heard = listening(client)
            telegram.writes("before")
            assert await texts(heard, 1) == ["before"]
            differences = len(telegram.calls("updates.getDifference"))
            telegram.mtproto("hold", {"account": 42, "together": 3})
            for n in range(7):
                telegram.writes(f"held {n}")
            await asyncio.sleep(1)
            assert heard.empty()
            assert telegram.mtproto("release", {"account": 42}) == {"released": 7}
            assert sorted(await texts(heard, 7)) == [f"held {n}" for n in range(7)]
            assert len(telegram.calls("updates.getDifference")) == differences
            assert telegram.mtproto("release", {"account": 42}) == {"released": 0}
            telegram.writes("after")
            assert await texts(heard, 1) == ["after"]

    run(work)
