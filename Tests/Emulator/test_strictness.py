"""Tests that the emulator refuses what Telegram refuses, with Telegram's texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from conftest import ALICE, TOKEN, Server, running

LONG_BUTTON = {"text": "a", "callback_data": "d" * 65}


def bad(reason: str) -> tuple[int, str]:
    return 400, f"Bad Request: {reason}"


@pytest.fixture(scope="module")
def shared_emulator() -> Iterator[Server]:
    """For tests that leave nothing behind."""
    for server in running("emulator.py", "--token", TOKEN):
        server.says("hi")
        yield server


def test_tokens_and_methods(emulator: Server) -> None:
    assert emulator.call("GETME")["username"] == "test_bot"
    assert emulator.call("sendTelepathy") == (404, "Not Found")
    assert emulator.call("getMe", token="1:WRONG") == (401, "Unauthorized")
    assert emulator.call("getMe", token="nonsense") == (404, "Not Found")


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"text": "x"}, "chat_id is empty"),
        ({"chat_id": 42}, "message text is empty"),
        ({"chat_id": 42, "text": " \n"}, "message text is empty"),
        ({"chat_id": 4711, "text": "x"}, "chat not found"),
        ({"chat_id": "@nobody", "text": "x"}, "chat not found"),
        ({"chat_id": 42, "text": "x" * 4097}, "message is too long"),
        ({"chat_id": 42, "text": "😀" * 2049}, "message is too long"),
        ({"chat_id": 42, "text": "x", "reply_to_message_id": 1}, 'unknown parameter "reply_to_message_id"'),
        ({"chat_id": 42, "text": 7}, 'parameter "text" must be a String'),
        ({"chat_id": 42, "text": "x", "disable_notification": "maybe"},
         'parameter "disable_notification" must be a Boolean'),
        ({"chat_id": 42, "text": "x", "reply_parameters": {"message_id": 99}}, "message to be replied not found"),
        ({"chat_id": 42, "text": "x", "reply_parameters": {"mesage_id": 1}},
         'unknown field "mesage_id" in ReplyParameters'),
        ({"chat_id": 42, "text": "x", "reply_parameters": {"message_id": 1, "quote": "no such"}},
         "QUOTE_TEXT_INVALID"),
        ({"chat_id": 42, "text": "x", "message_thread_id": 5}, "message thread not found"),
        ({"chat_id": 42, "text": "x", "reply_markup": "{"}, "can't parse reply keyboard markup JSON object"),
        ({"chat_id": 42, "text": "x", "reply_markup": {"inline_keyboard": [[{"text": "a"}]]}},
         "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"),
        ({"chat_id": 42, "text": "x", "reply_markup": {"inline_keyboard": [[LONG_BUTTON]]}}, "BUTTON_DATA_INVALID"),
        ({"chat_id": 42, "text": "<b>x", "parse_mode": "HTML"},
         "can't parse entities: Can't find end tag corresponding to start tag \"b\""),
        ({"chat_id": 42, "text": "é<blink>", "parse_mode": "HTML"},
         "can't parse entities: Unsupported start tag \"blink\" at byte offset 2"),
        ({"chat_id": 42, "text": "<b>x</i>", "parse_mode": "HTML"},
         "can't parse entities: Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""),
        ({"chat_id": 42, "text": "a.b", "parse_mode": "MarkdownV2"},
         "can't parse entities: Character '.' is reserved and must be escaped with the preceding '\\'"),
        ({"chat_id": 42, "text": "*a", "parse_mode": "MarkdownV2"},
         "can't parse entities: Can't find end of Bold entity at byte offset 0"),
        ({"chat_id": 42, "text": "x", "parse_mode": "BBCode"}, "unsupported parse_mode"),
    ],
)  # fmt: skip
def test_a_message_is_refused(shared_emulator: Server, parameters: dict[str, Any], reason: str) -> None:
    assert shared_emulator.call("sendMessage", **parameters) == bad(reason)


def test_a_reply_may_be_sent_without_its_original_message(emulator: Server) -> None:
    emulator.says("hi")
    reply = {"message_id": 99, "allow_sending_without_reply": True}
    assert "reply_to_message" not in emulator.call("sendMessage", chat_id=42, text="x", reply_parameters=reply)


def test_offsets_count_utf16_units(emulator: Server) -> None:
    emulator.says("hi")
    sent = emulator.call("sendMessage", chat_id=42, text="  😀 <i>a &amp; b</i> https://a.com/x.", parse_mode="HTML")
    assert sent["text"] == "😀 a & b https://a.com/x."
    assert sent["entities"] == [
        {"type": "italic", "offset": 3, "length": 5},
        {"type": "url", "offset": 9, "length": 15},
    ]


def test_a_bot_cannot_write_first(emulator: Server) -> None:
    emulator.control("message", {"chat_id": -100123, "from": ALICE, "text": "in a group", "title": "G"})
    forbidden = (403, "Forbidden: bot can't initiate conversation with a user")
    assert emulator.call("sendMessage", chat_id=42, text="x") == forbidden
    assert emulator.call("sendMessage", chat_id=-100123, text="x")["chat"]["type"] == "supergroup"
    emulator.control("block", {"user_id": -100123, "blocked": True})
    kicked = (403, "Forbidden: bot was kicked from the supergroup chat")
    assert emulator.call("sendMessage", chat_id=-100123, text="x") == kicked


def test_a_group_that_became_a_supergroup(emulator: Server) -> None:
    emulator.control("message", {"chat_id": -5, "from": ALICE, "text": "in a group", "chat_type": "group"})
    mine = emulator.call("sendMessage", chat_id=-5, text="x")["message_id"]
    new = emulator.control("migrate", {"chat_id": -5, "from": ALICE})
    assert new["type"] == "supergroup" and new["id"] == -1000000000005
    for method, more in (("sendMessage", {"text": "x"}), ("editMessageText", {"text": "y", "message_id": mine})):
        status, answer = emulator.request("POST", f"/bot{TOKEN}/{method}", {"chat_id": -5} | more)
        assert status == 400 and answer["parameters"] == {"migrate_to_chat_id": new["id"]}
        assert answer["description"] == "Bad Request: group chat was upgraded to a supergroup chat"
    assert emulator.call("getChat", chat_id=-5)["type"] == "group"
    assert emulator.call("sendMessage", chat_id=new["id"], text="x")["message_id"] == 2
    notes = [update["message"] for update in emulator.call("getUpdates")][1:]
    assert [note.get("migrate_to_chat_id") for note in notes] == [new["id"], None]
    assert [note.get("migrate_from_chat_id") for note in notes] == [None, -5]
    assert emulator.request("POST", "/control/migrate", {"chat_id": new["id"], "from": ALICE})[0] == 400
    said = {"chat_id": -5, "from": ALICE, "text": "too late"}
    assert emulator.request("POST", "/control/message", said)[0] == 400


def test_edits(emulator: Server) -> None:
    said = emulator.says("hi")["message_id"]
    mine = emulator.call("sendMessage", chat_id=42, text="x")["message_id"]
    assert emulator.call("editMessageText", chat_id=42, message_id=99, text="y") == bad("message to edit not found")
    assert emulator.call("editMessageText", chat_id=42, text="y") == bad("message identifier is not specified")
    assert emulator.call("editMessageText", chat_id=42, message_id=said, text="y") == bad("message can't be edited")
    code, description = emulator.call("editMessageText", chat_id=42, message_id=mine, text=" x ")
    assert code == 400 and description.startswith("Bad Request: message is not modified: specified new message")
    caption = emulator.call("editMessageCaption", chat_id=42, message_id=mine, caption="c")
    assert caption == bad("there is no caption in the message to edit")
    assert emulator.call("editMessageText", chat_id=42, message_id=mine, text="y")["edit_date"]


def test_deletion(emulator: Server) -> None:
    old = emulator.says("old", date=1_000_000)["message_id"]
    new = emulator.says("new")["message_id"]
    assert emulator.call("deleteMessage", chat_id=42, message_id=old) == bad("message can't be deleted")
    assert emulator.call("deleteMessage", chat_id=42, message_id=new) is True
    assert emulator.call("deleteMessage", chat_id=42, message_id=new) == bad("message to delete not found")
    assert emulator.call("deleteMessages", chat_id=42, message_ids=[old, new]) is True
    theirs = emulator.control("message", {"chat_id": -5, "from": ALICE, "text": "t", "chat_type": "group"})
    refused = emulator.call("deleteMessage", chat_id=-5, message_id=theirs["message_id"])
    assert refused == bad("message can't be deleted")


def test_reactions(emulator: Server) -> None:
    said = emulator.says("hi")["message_id"]

    def react(*emoji: str) -> object:
        reaction = [{"type": "emoji", "emoji": e} for e in emoji]
        return emulator.call("setMessageReaction", chat_id=42, message_id=said, reaction=reaction)

    assert react("🤷‍♂️") is True
    assert react("🦖") == bad("REACTION_INVALID")
    assert react("👍", "👎") == bad("REACTIONS_TOO_MANY")
    assert react() is True
    gone = emulator.call("setMessageReaction", chat_id=42, message_id=99, reaction=[])
    assert gone == bad("message to react not found")


def test_rates_when_enforced(emulator: Server) -> None:
    emulator.control("rates", {"enforce": True})
    emulator.says("hi")
    answers = [emulator.call("sendMessage", chat_id=42, text=str(n)) for n in range(5)]
    assert [isinstance(answer, dict) for answer in answers[:3]] == [True] * 3
    assert answers[4] == (429, "Too Many Requests: retry after 1")
    status, body = emulator.request("POST", f"/bot{TOKEN}/sendMessage", {"chat_id": 42, "text": "x"})
    assert status == 429 and body["parameters"] == {"retry_after": 1}


def test_control_errors_are_clear(emulator: Server) -> None:
    status, answer = emulator.request("POST", "/control/message", {"chat_id": 42, "txt": "x"})
    assert status == 400 and "txt" in answer["error"]
    assert emulator.request("POST", "/control/fault", {"method": "*", "kind": "sulk"})[0] == 400


def test_a_press_is_a_callback_query_of_a_button_that_is_there(emulator: Server) -> None:
    asked = emulator.says("which one?")
    rows = [[{"text": "720p", "callback_data": "a"}, {"text": "480p", "callback_data": "b"}]]
    sent = emulator.call(
        "sendMessage", chat_id=42, text="?", reply_markup={"inline_keyboard": rows},
        reply_parameters={"message_id": asked["message_id"]},
    )  # fmt: skip
    order = {"chat_id": 42, "message_id": sent["message_id"]}
    assert emulator.request("POST", "/control/press", order | {"text": "1080p"})[0] == 400
    pressed = emulator.control("press", order | {"text": "480"})
    query = emulator.call("getUpdates")[-1]["callback_query"]
    assert (query["id"], query["data"], query["from"]["id"]) == (pressed["id"], "b", 42)
    assert query["message"]["reply_to_message"]["message_id"] == asked["message_id"]
    assert emulator.call("answerCallbackQuery", callback_query_id=query["id"], text="x") is True
    # An edit without a keyboard removes the buttons.
    emulator.call("editMessageText", chat_id=42, message_id=sent["message_id"], text="over")
    assert emulator.request("POST", "/control/press", order | {"text": "480"})[0] == 400
