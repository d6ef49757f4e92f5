"""Long histories: Telethon, which was not written for this emulator, reads from it what the emulator says that it holds."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from telethon import errors, functions, types, utils

from mtclients import CHANNEL, Telegram, run, telethon_as
from mtproto.seeded.ids import Ids

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
    sender, origin = message.sender_id, None
    if sender < 0 and not message.post:
        sender = 1_087_968_824 if sender == message.chat_id else 136_817_688
    values: list[Any] = [message.chat_id, message.id, int(message.date.timestamp())]
    if message.action is not None:
        values += [None, sender, "", *[None] * 9]
    else:
        origin = message.fwd_from
        edited = int(message.edit_date.timestamp()) if message.edit_date else None
        values += [edited, sender, message.message, reply, top or header.reply_to_msg_id if is_topic else None]
        values += [message.grouped_id, message.views, message.forwards]
        values.append(message.replies.replies if message.replies else None)
        values += [int(origin.date.timestamp()), origin.from_id and utils.get_peer_id(origin.from_id),
                   origin.channel_post] if origin else [None] * 3  # fmt: skip
    escapes = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
    return "\t".join("\\N" if value is None else str(value).translate(escapes) for value in values) + "\n"


def digest(found: Iterable[Any]) -> str:
    return hashlib.sha256("".join(line(one) for one in sorted(found, key=lambda one: one.id)).encode()).hexdigest()


@contextlib.contextmanager
def habits(telegram: Telegram, **wanted: Any) -> Iterator[None]:
    before = telegram.mtproto("habits", method="GET")
    telegram.mtproto("habits", wanted)
    try:
        yield
    finally:
        telegram.mtproto("habits", {name: before[name] for name in wanted})


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
    columns = "&columns=message_id,date,edit_date,text,reply_to_id"
    found = [told(telegram, CHANNEL - 20 - place, columns) for place in range(3)]
    assert found[0]["sha256"] == found[1]["sha256"] != found[2]["sha256"]
    assert found[0]["checksum"] == found[1]["checksum"] != found[2]["checksum"]


async def pages(client: Any, chat_id: int, below: int = 0) -> list[Any]:
    """All pages as a client gets them that follows offset_id, and that jumps where a page shows nothing."""
    peer = await client.get_input_entity(chat_id)
    found = []
    while True:
        page = await client(functions.messages.GetHistoryRequest(peer, below, None, 0, 100, 0, 0, 0))
        found.append(page)
        if page.messages:
            below = min(one.id for one in page.messages)
        elif below > 100:
            below -= 100
        else:
            return found


def test_pages_can_be_short_and_repeat_messages(telegram: Telegram) -> None:
    chat_id = CHANNEL - 30
    seeded(telegram, chat_id, 2000, chat_type="channel", holes=0.1)

    async def work() -> None:
        async with telethon_as(telegram) as client:
            await client.get_dialogs()
            with habits(telegram, history_short=40, history_repeat=30):
                found = await pages(client, chat_id)
        shown = [[one.id for one in page.messages] for page in found if page.messages]
        assert any(len(set(ids)) < 100 for ids in shown[:-1])
        assert any(len(set(ids)) < len(ids) for ids in shown)
        assert any(set(one) & set(other) for one, other in zip(shown, shown[1:], strict=False))
        assert len({identity for ids in shown for identity in ids}) == told(telegram, chat_id)["count"]

    run(work)


def test_a_page_without_messages_is_not_the_end(telegram: Telegram) -> None:
    chat_id = CHANNEL - 40
    seeded(telegram, chat_id, 1000, chat_type="channel", ghosts=[[400, 720]])

    async def work() -> None:
        async with telethon_as(telegram) as client:
            await client.get_dialogs()
            found = await pages(client, chat_id)
            with habits(telegram, history_empty=1):
                assert (await pages(client, chat_id, 301))[0].messages == []
        assert all(page.inexact and page.count == 1000 for page in found)
        empty = [page for page in found[:-1] if not page.messages]
        assert [page.offset_id_offset for page in empty] == [280, 380, 480]
        assert sum(len(page.messages) for page in found) == told(telegram, chat_id)["count"] == 1000 - 321
        assert found[1].offset_id_offset == 100 and found[0].offset_id_offset is None

    run(work)


def test_missing_messages_are_empty_in_channels_and_left_out_elsewhere(telegram: Telegram) -> None:
    seeded(telegram, CHANNEL - 50, 50, chat_type="channel", gaps=[[10, 20]])
    first = seeded(telegram, PARTNER + 1, 50, account=42)["first_id"]
    telegram.mtproto("delete", {"account": 42, "chat_id": PARTNER + 1, "message_ids": [first + 3]})

    async def work() -> None:
        async with telethon_as(telegram) as client:
            await client.get_dialogs()
            channel = await client.get_input_entity(CHANNEL - 50)
            asked = [types.InputMessageID(number) for number in (9, 10, 60)]
            shown = (await client(functions.channels.GetMessagesRequest(channel, asked))).messages
            assert [(one.id, isinstance(one, types.MessageEmpty)) for one in shown] == [(9, False), (10, True), (60, True)]
            asked = [types.InputMessageID(first + number) for number in (2, 3, 4)]
            shown = (await client(functions.messages.GetMessagesRequest(asked))).messages
            assert [one.id for one in shown] == [first + 2, first + 4]

    run(work)


def test_comments_are_in_the_linked_group(telegram: Telegram) -> None:
    posts, group = CHANNEL - 60, CHANNEL - 61
    seeded(telegram, posts, 60, chat_type="channel")
    seeded(telegram, group, 1 + 60 * 31, copies_of=posts, comments_each=30)

    async def work() -> None:
        async with telethon_as(telegram) as client:
            await client.get_dialogs()
            full = await client(functions.channels.GetFullChannelRequest(posts))
            assert full.full_chat.linked_chat_id == utils.resolve_id(group)[0]
            everything_there = await everything(client, group)
            assert digest(everything_there) == told(telegram, group)["sha256"]
            assert digest(await everything(client, posts)) == told(telegram, posts)["sha256"]
            for post in (2, 17, 58):
                copied = await client(functions.messages.GetDiscussionMessageRequest(posts, post))
                (top,) = copied.messages
                assert (top.fwd_from.channel_post, top.fwd_from.saved_from_msg_id) == (post, post)
                expected = {
                    one.id for one in everything_there
                    if one.reply_to and top.id in (one.reply_to.reply_to_msg_id, one.reply_to.reply_to_top_id)
                    and one.reply_to.reply_to_top_id in (None, top.id)
                }  # fmt: skip
                assert {one.id for one in await everything(client, posts, reply_to=post)} == expected
                assert {one.id for one in await everything(client, group, reply_to=top.id)} == expected
                assert len(expected) > 10

    run(work)


def test_comments_are_read_through_the_channel_when_the_group_is_hidden(telegram: Telegram) -> None:
    posts, group = CHANNEL - 62, CHANNEL - 63
    seeded(telegram, posts, 10, chat_type="channel")
    seeded(telegram, group, 1 + 10 * 4, copies_of=posts, comments_each=3)
    expected = {}

    async def work() -> None:
        async with telethon_as(telegram) as client:
            await client.get_dialogs()
            copied = await client(functions.messages.GetDiscussionMessageRequest(posts, 5))
            top = copied.messages[0].id
            expected[5] = [one.id for one in await everything(client, group, reply_to=top)]
            telegram.mtproto("hide", {"account": 42, "chat_id": group})
            page = await client(functions.messages.GetRepliesRequest(posts, 5, 0, None, 0, 100, 0, 0, 0))
            assert [one.id for one in page.messages] == expected[5] and page.count == len(expected[5]) > 0
            assert all(utils.get_peer_id(one.peer_id) == group for one in page.messages)
            assert [chat.left for chat in page.chats if utils.get_peer_id(chat) == group] == [True]
            for call in (
                functions.messages.GetRepliesRequest(group, top, 0, None, 0, 100, 0, 0, 0),
                functions.messages.GetHistoryRequest(group, 0, None, 0, 100, 0, 0, 0),
            ):
                with pytest.raises(errors.ChannelPrivateError):
                    await client(call)
            with pytest.raises(errors.MsgIdInvalidError):
                await client(functions.messages.GetRepliesRequest(posts, 4000, 0, None, 0, 100, 0, 0, 0))

    run(work)


def test_a_forum_is_read_by_topic(telegram: Telegram) -> None:
    chat_id = CHANNEL - 70
    seeded(telegram, chat_id, 900, topics=3, holes=0.1)

    async def work() -> None:
        async with telethon_as(telegram) as client:
            await client.get_dialogs()
            peer = await client.get_input_entity(chat_id)
            # Older layers have it elsewhere.
            space = functions.messages if hasattr(functions.messages, "GetForumTopicsRequest") else functions.channels
            listed = await client(space.GetForumTopicsRequest(peer, None, 0, 0, 10))
            assert sorted(topic.id for topic in listed.topics) == [1, 2, 3, 4]
            assert [topic.top_message for topic in listed.topics] == [one.id for one in listed.messages]
            found = {topic: await everything(client, chat_id, reply_to=topic) for topic in (1, 2, 3, 4)}
            page = await client(functions.messages.GetRepliesRequest(peer, 3, 0, None, 0, 10, 0, 0, 0))
        assert page.count == len(found[3])
        assert found[3][-1].id == 3 and isinstance(found[3][-1].action, types.MessageActionTopicCreate)
        assert sorted(one.id for part in found.values() for one in part) == [
            identity for low, high in telegram.mtproto(f"seeded/{chat_id}/ids", method="GET")["ranges"]
            for identity in range(low, high + 1)
        ]  # fmt: skip

    run(work)


def test_a_migrated_group_is_two_histories(telegram: Telegram) -> None:
    old, new = -91, CHANNEL - 80
    last = seeded(telegram, old, 150, account=42, chat_type="group")["last_id"]
    seeded(telegram, new, 200, migrated_from=old)

    async def work() -> None:
        async with telethon_as(telegram) as client:
            before, after = await everything(client, old), await everything(client, new)
            full = (await client(functions.channels.GetFullChannelRequest(new))).full_chat
            assert (full.migrated_from_chat_id, full.migrated_from_max_id) == (-old, last)
            assert before[0].action.channel_id == utils.resolve_id(new)[0] and after[-1].action.chat_id == -old
            group = await client.get_entity(old)
            assert group.deactivated and group.migrated_to.channel_id == utils.resolve_id(new)[0]
        assert (digest(before), digest(after)) == (told(telegram, old)["sha256"], told(telegram, new)["sha256"])

    run(work)


def test_a_takeout_wraps_every_call_and_reads_in_ranges(telegram: Telegram) -> None:
    chat_id = PARTNER + 2
    first = seeded(telegram, chat_id, 400, account=42)["first_id"]

    async def work() -> None:
        async with telethon_as(telegram) as client:
            await client.get_dialogs()
            with habits(telegram, takeout_delay=2, split_ranges=3):
                with pytest.raises(errors.TakeoutInitDelayError) as refused:
                    await client(functions.account.InitTakeoutSessionRequest(message_users=True))
                await asyncio.sleep(refused.value.seconds)
                telegram.mtproto("log", method="DELETE")
                async with client.takeout(users=True) as takeout:
                    found = [one async for one in takeout.iter_messages(chat_id, wait_time=0)]
                    ranges = await takeout(functions.messages.GetSplitRangesRequest())
                    peer = await client.get_input_entity(chat_id)
                    split = []
                    for part in ranges:
                        below = 0
                        while True:
                            query = functions.messages.GetHistoryRequest(peer, below, None, 0, 100, 0, 0, 0)
                            page = await takeout(functions.InvokeWithMessagesRangeRequest(part, query))
                            if not page.messages:
                                break
                            assert all(part.min_id <= one.id <= part.max_id for one in page.messages)
                            split += [one.id for one in page.messages]
                            below = split[-1]
                with pytest.raises(errors.TakeoutRequiredError):
                    await client(functions.messages.GetSplitRangesRequest())
        assert len(ranges) == 3 and sorted(split) == sorted(one.id for one in found) == [*range(first, first + 400)]

    run(work)
    assert all(call["takeout"] for call in telegram.calls("messages.getHistory"))
    report = telegram.mtproto("floods?method=account.initTakeoutSession", method="GET")
    assert (report["refusals"], report["early_calls"]) == (1, 0)


def test_the_oracle_follows_what_changes_while_it_is_read(telegram: Telegram) -> None:
    chat_id = CHANNEL - 90
    seeded(telegram, chat_id, 3000, chat_type="supergroup", holes=0.1)
    order = {"account": 42, "chat_id": chat_id, "steps": 300}
    done = telegram.mtproto("churn", order)
    assert done["delete"] + done["edit"] + done["add"] == 300 and min(done["delete"], done["edit"], done["add"]) > 50
    assert told(telegram, chat_id)["pts"] == 3300

    async def work() -> None:
        heard: list[Any] = []
        async with telethon_as(telegram) as client:
            client.add_event_handler(heard.append)
            assert digest(await everything(client, chat_id)) == told(telegram, chat_id)["sha256"]
            telegram.mtproto("churn", order | {"rate": 200, "steps": 100, "seed": 2})
            await everything(client, chat_id)
            while telegram.mtproto("churn", method="GET")["running"]:
                await asyncio.sleep(0.1)
            after = await everything(client, chat_id)
        assert digest(after) == told(telegram, chat_id)["sha256"]
        kinds = {type(one) for one in heard}
        assert {types.UpdateNewChannelMessage, types.UpdateEditChannelMessage, types.UpdateDeleteChannelMessages} <= kinds

    run(work)
    telegram.mtproto("churn", method="DELETE")


def test_the_same_churn_makes_the_same_history(telegram: Telegram) -> None:
    for place in range(2):
        seeded(telegram, CHANNEL - 100 - place, 500)
        telegram.mtproto("churn", {"account": 42, "chat_id": CHANNEL - 100 - place, "steps": 200, "delete": 3})
    one, other = (told(telegram, CHANNEL - 100 - place, "&columns=message_id,text") for place in range(2))
    assert one["sha256"] == other["sha256"] and one["count"] == other["count"] < 500


def test_written_and_changed_messages_are_in_the_oracle(telegram: Telegram) -> None:
    chat_id = CHANNEL - 110
    seeded(telegram, chat_id, 120)
    said = telegram.writes("new here", chat_id=chat_id)["message_id"]
    text_id = next(
        int(row.split("\t")[1]) for row in lines(telegram, chat_id).decode().splitlines() if "#0" in row.split("\t")[5]
    )
    telegram.control("edit", {"account": 42, "chat_id": chat_id, "message_id": text_id, "text": "changed *text*"})
    telegram.mtproto("delete", {"account": 42, "chat_id": chat_id, "message_ids": [60, 61]})
    telegram.mtproto("react", {"account": 42, "chat_id": chat_id, "message_id": 70, "user_id": 77, "emoji": "🔥"})

    async def work() -> None:
        async with telethon_as(telegram) as client:
            found = {one.id: one for one in await everything(client, chat_id)}
        assert said == 121 and found[121].raw_text == "new here" and found[text_id].raw_text == "changed *text*"
        assert not {60, 61} & found.keys() and found[70].reactions.results[0].reaction.emoticon == "🔥"
        assert digest(found.values()) == told(telegram, chat_id)["sha256"]

    run(work)


def test_calls_before_a_wait_was_over_are_counted(telegram: Telegram) -> None:
    chat_id = CHANNEL - 120
    seeded(telegram, chat_id, 2000)
    telegram.mtproto("floods", method="DELETE")

    async def work() -> None:
        async with telethon_as(telegram) as client:
            await client.get_dialogs()
            order = {"methods": ["messages.getHistory"], "every": 8, "longest": 1, "accounts": ["alice"]}
            telegram.mtproto("floods", order)
            assert len(await everything(client, chat_id)) == 2000
            report = telegram.mtproto("floods?account=alice", method="GET")
            assert report["refusals"] == 2 and report["early_calls"] == 0
            telegram.mtproto("fault", method="DELETE")

            telegram.mtproto("fault", {"method": "messages.getHistory", "error": "FLOOD_WAIT_900"})
            client.flood_sleep_threshold = 0
            with pytest.raises(errors.FloodWaitError):
                await everything(client, chat_id)
            client._flood_waited_requests.clear()  # it would wait by itself
            await asyncio.sleep(0.2)  # the times in its message ids are up to 0.07 s behind
            await client.get_messages(chat_id)
            report = telegram.mtproto("floods?method=messages.getHistory", method="GET")
            assert report["early_calls"] == report["records"][0]["early_calls"] == 1

    run(work)
    telegram.mtproto("floods", method="DELETE")


def test_an_account_is_banned_in_the_middle_of_reading(telegram: Telegram) -> None:
    chat_id, who = CHANNEL - 150, {"id": 44, "phone": "15550100044", "first_name": "Dave"}
    telegram.mtproto("account", who)
    telegram.mtproto("seeded", {"accounts": [44], "chat_id": chat_id, "count": 2000})
    telegram.mtproto("floods", method="DELETE")

    async def work() -> None:
        async with telethon_as(telegram, 44) as client:
            await client.get_dialogs()
            telegram.mtproto("revoke", {"account": 44, "ban": True, "after_calls": 5})
            found = []
            with pytest.raises(errors.UserDeactivatedBanError):
                async for message in client.iter_messages(chat_id, wait_time=0):
                    found.append(message.id)
            assert 0 < len(found) <= 500

    run(work)
    assert telegram.mtproto("floods?account=44&method=messages.getHistory", method="GET")["calls"] <= 6


def test_user_names_have_a_budget_and_channels_can_be_hidden(telegram: Telegram) -> None:
    chat_id = CHANNEL - 130
    seeded(telegram, chat_id, 10, chat_username="hidden_one")
    telegram.mtproto("limit", {"method": "contacts.resolveUsername", "count": 1, "seconds": 86400, "wait": 55000})

    async def work() -> None:
        async with telethon_as(telegram) as client:
            channel = await client.get_input_entity("hidden_one")
            with pytest.raises(errors.FloodWaitError) as refused:
                await client(functions.contacts.ResolveUsernameRequest("someone"))
            assert refused.value.seconds == 55000
            telegram.mtproto("hide", {"account": 42, "chat_id": chat_id})
            with pytest.raises(errors.ChannelPrivateError):
                await client.get_messages(channel)
            telegram.mtproto("hide", {"account": 42, "chat_id": chat_id, "hidden": False})
            assert len(await client.get_messages(channel, limit=10)) == 10

    run(work)
    telegram.mtproto("fault", method="DELETE")
    telegram.mtproto("floods", method="DELETE")


def test_a_search_and_the_counters_of_views(telegram: Telegram) -> None:
    chat_id = CHANNEL - 140
    seeded(telegram, chat_id, 600, chat_type="channel")

    async def work() -> None:
        async with telethon_as(telegram) as client:
            found = await everything(client, chat_id)
            photos = await everything(client, chat_id, filter=types.InputMessagesFilterPhotos())
            some = await everything(client, chat_id, search="0000000123")
            peer = await client.get_input_entity(chat_id)
            views = await client(functions.messages.GetMessagesViewsRequest(peer, [5, 6, 700], True))
        albums = {one.id for one in found if one.photo and one.grouped_id}
        assert {one.id for one in photos} | albums == {one.id for one in found if one.photo}
        assert [one.id for one in some] in ([123], [])
        by_id = {one.id: one for one in found}
        assert [one.views for one in views.views] == [by_id[5].views, by_id[6].views, None]

    run(work)


def test_a_wrong_order_is_refused(telegram: Telegram) -> None:
    chat_id = CHANNEL - 160
    seeded(telegram, chat_id, 5)
    wrong = [
        {"chat_id": chat_id, "accounts": [42], "count": 5}, {"chat_id": 1, "account": 42, "count": 0},
        {"chat_id": 1, "accounts": [42, 43], "count": 5}, {"chat_id": -5, "account": 42, "count": 5},
        {"chat_id": CHANNEL - 161, "count": 5}, {"chat_id": CHANNEL - 161, "account": 42, "count": 5, "gaps": [[5, 1]]},
        {"chat_id": CHANNEL - 161, "account": 42, "count": 5, "copies_of": CHANNEL - 199},
        {"chat_id": CHANNEL - 161, "account": 42, "count": 5, "migrated_from": -199},
        {"chat_id": CHANNEL - 161, "account": 42, "count": 5, "chat_type": "channel", "topics": 2},
    ]  # fmt: skip
    for order in wrong:
        assert telegram.request("POST", "/control/mtproto/seeded", order)[0] == 400, order
    for path in (f"seeded/{chat_id}?columns=nothing", f"seeded/{chat_id}?from=x", "seeded/77", "seeded/77?account=42"):
        assert telegram.request("GET", f"/control/mtproto/{path}")[0] == 400, path
    seeded(telegram, CHANNEL - 161, 5)


@pytest.mark.parametrize("start", [0, 1, 4090, 123_456])
def test_the_set_of_ids_is_like_any_other_set(start: int) -> None:
    chance, ids = random.Random(start), Ids()
    plain: set[int] = set()
    for block in range(start // 128, start // 128 + 80):
        bits = chance.choice([0, chance.getrandbits(128)]) if plain else 1 << 127
        ids.put(block * 128, bits)
        plain |= {block * 128 + place for place in range(128) if bits >> place & 1}
    for _ in range(500):
        identity = start // 4096 * 4096 + chance.randrange(12_000)
        if chance.random() < 0.5:
            assert ids.discard(identity) is (identity in plain)
            plain.discard(identity)
        else:
            ids.add(identity)
            plain.add(identity)
    assert ids.count == len(plain) and ids.end > max(plain)
    assert list(ids.above(0)) == sorted(plain)
    for _ in range(100):
        place, skipped = chance.randrange(start + 20_000), chance.randrange(3000)
        assert ids.count_from(place) == sum(one >= place for one in plain)
        assert list(ids.below(place, skipped)) == sorted((one for one in plain if one < place), reverse=True)[skipped:]
        assert (place in ids) is (place in plain)
