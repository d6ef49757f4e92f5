"""Tests the faults that the emulator injects on request, and that a real client survives them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from telethon import errors, functions, types

from conftest import ALICE
from mtclients import Telegram, run, telethon_as
from test_mtproto_telethon import listening, texts

ME = functions.users.GetUsersRequest([types.InputUserSelf()])


@pytest.mark.parametrize(
    "habits",
    [{"containers": "always", "gzip": "always"}, {"containers": "never", "gzip": "never"}, {"rotate_salt_every": 3},
     {"short_updates": False}, {"min_users": True}],
)  # fmt: skip
def test_conversations_survive_unusual_server_behaviour(telegram: Telegram, habits: dict[str, Any]) -> None:
    telegram.mtproto("habits", habits)

    async def work() -> None:
        async with telethon_as(telegram) as client:
            heard = listening(client)
            for n in range(8):
                telegram.writes(f"in {n}")
            assert await texts(heard, 8) == [f"in {n}" for n in range(8)]
            told = telegram.mtproto("log?account=42", method="GET")["deliveries"]
            assert [(one["kind"], one["how"], one["pts"]) for one in told] == [("new", "live", n) for n in range(1, 9)]
            for n in range(8):
                await client.send_message("bobby", f"out {n}")

    run(work)
    assert [m["message"]["text"] for m in telegram.chat(77)[8:]] == [f"out {n}" for n in range(8)]


def test_a_repeated_call_gets_the_same_answer_unlogged(telegram: Telegram) -> None:
    async def work() -> None:
        async with telethon_as(telegram) as client:
            first = await client(functions.help.GetNearestDcRequest())
            telegram.mtproto("habits", {"repeat_answers": True})
            for _ in range(3):
                assert await client(functions.help.GetNearestDcRequest()) == first
            assert len(telegram.calls("help.getNearestDc")) == 2
            assert [user.id for user in await client(ME)] == [42]
            telegram.mtproto("habits", {"repeat_answers": False})
            assert await client(functions.help.GetNearestDcRequest()) == first
            assert len(telegram.calls("help.getNearestDc")) == 3

    run(work)


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


def test_sessions_end_in_every_possible_way(telegram: Telegram) -> None:
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


def test_invalid_control_requests_are_refused(telegram: Telegram) -> None:
    for path, body in (
        ("habits", {"typo": 1}), ("habits", {"gzip": "maybe"}), ("hostile", {"kind": "typo"}),
        ("fault", {"method": "x", "kind": "typo"}),
        ("account", {"id": 42}), ("revoke", {"account": 999}), ("forget", {"what": "typo"}),
        ("update", {"account": 42, "update": {"_": "typo"}}), ("accept_login", {"account": 42, "token": "AAAA"}),
    ):  # fmt: skip
        assert telegram.request("POST", f"/control/mtproto/{path}", body)[0] == 400, path
    nobody = {"account": 999, "chat_id": 1, "from": ALICE, "text": "x"}
    assert telegram.request("POST", "/control/message", nobody)[0] == 400
