"""The rules of getUpdates."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from conftest import OTHER_TOKEN, Server

CONFLICT = (409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")


def ids(updates: Any) -> list[int]:
    return [update["update_id"] for update in updates]


def test_unconfirmed_updates_come_again_and_confirmed_ones_never(emulator: Server) -> None:
    burst = emulator.control("burst", {"chat_id": 42, "text": "n{n}", "count": 5})
    first = burst["first_update_id"]
    every = list(range(first, first + 5))
    assert burst["last_update_id"] == first + 4
    assert ids(emulator.call("getUpdates")) == every
    assert ids(emulator.call("getUpdates")) == every
    assert ids(emulator.call("getUpdates", offset=first + 2)) == every[2:]
    assert ids(emulator.call("getUpdates", offset=first)) == every[2:]
    assert emulator.control("pending", method="GET") == {"pending": 3, "confirmed_to": first + 2}
    assert emulator.call("getUpdates", offset=first + 5) == []
    emulator.says("later")
    assert ids(emulator.call("getUpdates")) == [first + 5]


def test_a_negative_offset_keeps_only_the_end(emulator: Server) -> None:
    first = emulator.control("burst", {"chat_id": 42, "text": "{n}", "count": 4})["first_update_id"]
    assert ids(emulator.call("getUpdates", offset=-2)) == [first + 2, first + 3]
    assert ids(emulator.call("getUpdates")) == [first + 2, first + 3]
    assert ids(emulator.call("getUpdates", offset=-100)) == [first + 2, first + 3]


def test_an_offset_far_in_the_future_confirms_nothing(emulator: Server) -> None:
    first = emulator.control("burst", {"chat_id": 42, "text": "{n}", "count": 2})["first_update_id"]
    assert ids(emulator.call("getUpdates", offset=first + 1000)) == [first, first + 1]
    assert emulator.call("getUpdates", offset=first + 3) == []


def test_the_limit_is_clamped(emulator: Server) -> None:
    emulator.control("burst", {"chat_id": 42, "text": "{n}", "count": 120})
    assert len(emulator.call("getUpdates", limit=1000)) == 100
    assert len(emulator.call("getUpdates", limit=0)) == 1


def test_a_long_poll_ends_with_the_update(emulator: Server) -> None:
    with ThreadPoolExecutor() as pool:
        poll = pool.submit(emulator.call, "getUpdates", timeout=10)
        time.sleep(0.3)
        begun = time.monotonic()
        emulator.says("wake up")
        (update,) = poll.result()
    assert time.monotonic() - begun < 1
    assert update["message"]["text"] == "wake up"
    begun = time.monotonic()
    assert emulator.call("getUpdates", offset=update["update_id"] + 1, timeout=1) == []
    assert 0.9 < time.monotonic() - begun < 2
    (delivery,) = emulator.control("log", method="GET")["deliveries"]
    assert delivery["update_id"] == update["update_id"]


def test_the_older_of_two_polls_loses(emulator: Server) -> None:
    with ThreadPoolExecutor() as pool:
        older = pool.submit(emulator.call, "getUpdates", timeout=10)
        time.sleep(0.3)
        newer = pool.submit(emulator.call, "getUpdates", timeout=10)
        assert older.result() == CONFLICT
        emulator.says("for the newer")
        assert len(newer.result()) == 1


def test_a_webhook_excludes_polling(emulator: Server) -> None:
    assert emulator.call("setWebhook", url="http://a.example")[0] == 400
    assert emulator.call("setWebhook", url="https://a.example/hook") is True
    code, description = emulator.call("getUpdates")
    assert code == 409 and "while webhook is active" in description
    assert emulator.call("getWebhookInfo")["url"] == "https://a.example/hook"
    assert emulator.call("deleteWebhook", drop_pending_updates=True) is True
    assert emulator.call("getUpdates") == []


def test_allowed_updates_are_remembered_and_count_when_an_update_is_made(emulator: Server) -> None:
    reaction = {"message_reaction": {"chat": {"id": 42}, "message_id": 1}}
    assert emulator.control("update", reaction) == {"update_id": None}
    emulator.says("before")
    assert len(emulator.call("getUpdates", allowed_updates=["message_reaction"])) == 1
    emulator.says("not asked for")
    assert emulator.control("update", reaction)["update_id"] is not None
    assert [list(update)[1] for update in emulator.call("getUpdates")] == ["message", "message_reaction"]
    assert emulator.call("getUpdates", allowed_updates=["mesage"])[0] == 400


def test_bots_have_queues_of_their_own(emulator: Server) -> None:
    emulator.says("to the second", bot=OTHER_TOKEN)
    assert emulator.call("getUpdates") == []
    assert len(emulator.call("getUpdates", token=OTHER_TOKEN)) == 1


def test_edits_and_replies_of_people(emulator: Server) -> None:
    one = emulator.says("one")
    two = emulator.says("two", reply_to=one["message_id"])
    three = emulator.says("three", reply_to=two["message_id"])
    assert "reply_to_message" not in three["reply_to_message"]
    emulator.control("edit", {"chat_id": 42, "message_id": one["message_id"], "text": "ONE"})
    updates = emulator.call("getUpdates")
    assert updates[0]["message"]["text"] == "one"
    assert updates[3]["edited_message"]["text"] == "ONE"


def test_callback_queries_can_be_answered_after_they_are_sent(emulator: Server) -> None:
    stale = (400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
    assert emulator.call("answerCallbackQuery", callback_query_id="7") == stale
    emulator.control("update", {"callback_query": {"id": "7", "from": {"id": 42}, "data": "x"}})
    assert emulator.call("answerCallbackQuery", callback_query_id="7", text="done") is True
