"""Tests the encrypted layer with a raw client: valid messages are answered, invalid ones are refused as Telegram refuses them."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from mtclients import Telegram, raw_client, raw_client_as
from mtproto.tl import container, functions, pack_gzip, types
from rawclient import Closed, Pipe, RawClient

PING = functions.PingRequest(7)
DC = functions.help.GetNearestDcRequest()


@pytest.fixture(scope="module")
def telegram() -> Iterator[Telegram]:
    server = Telegram("--proxy-secret", "00112233445566778899aabbccddeeff")
    yield server
    assert server.stop() == 0


@pytest.fixture(autouse=True)
def tidy(telegram: Telegram) -> Iterator[None]:
    yield
    telegram.mtproto("fault", method="DELETE")


def test_the_first_message_of_a_session_is_announced(telegram: Telegram) -> None:
    client = raw_client(telegram)
    client.handshake()
    first = client.send(client.init())
    created = client.until(types.NewSessionCreated)
    assert created.first_msg_id == first and created.server_salt == client.salt
    assert isinstance(client.until(first), types.Config)


def bad_code(client: RawClient, **odd: Any) -> int:
    value = odd.pop("value", DC)
    msg_id = client.send(value, **odd)
    bad = client.until(types.BadMsgNotification)
    assert bad.bad_msg_id == msg_id
    return int(bad.error_code)


def test_message_ids_must_be_a_clients_and_of_now(telegram: Telegram) -> None:
    client = raw_client_as(telegram, None)
    assert bad_code(client, msg_id=client.msg_id(-400), seqno=1) == 16
    assert bad_code(client, msg_id=client.msg_id(60), seqno=1) == 17
    assert bad_code(client, msg_id=client.msg_id() + 1, seqno=1) == 18
    codes = {one["code"] for one in telegram.violations()}
    assert {16, 17, 18} <= codes


def test_sequence_numbers_must_fit(telegram: Telegram) -> None:
    client = raw_client_as(telegram, None)
    early = client.msg_id()
    assert isinstance(client.call(DC), types.NearestDc)
    assert bad_code(client, seqno=1) == 32
    assert bad_code(client, msg_id=early, seqno=99) == 33
    assert bad_code(client, seqno=101, value=types.MsgsAck([1])) == 34
    assert bad_code(client, seqno=102) == 35


def test_containers_must_be_well_formed(telegram: Telegram) -> None:
    client = raw_client_as(telegram, None)
    body = bytes(DC)
    first, second = client.msg_id(), client.msg_id()
    client.send(container([(first, client.seqno(), body), (second, client.seqno(), body)]), content=False)
    assert isinstance(client.until(first), types.NearestDc) and isinstance(client.until(second), types.NearestDc)
    late = client.msg_id() + (1 << 32)
    assert bad_code(client, value=container([(late, client.seqno(), body)]), content=False) == 64
    nested = container([(client.msg_id(), 0, container([]))])
    assert bad_code(client, value=nested, content=False) == 64
    assert bad_code(client, value=struct.pack("<Ii", 0x73F1F8DC, 5000), content=False) == 64


def test_a_wrong_salt_is_corrected_and_its_message_is_not_carried_out(telegram: Telegram) -> None:
    client = raw_client_as(telegram, None)
    msg_id = client.send(DC, salt=client.salt ^ 1)
    bad = client.until(types.BadServerSalt)
    assert (bad.bad_msg_id, bad.error_code) == (msg_id, 48)
    telegram.mtproto("forget", {"what": "salts"})
    client.send(DC)
    client.salt = client.until(types.BadServerSalt).new_server_salt
    assert isinstance(client.call(DC), types.NearestDc)
    client.send(functions.GetFutureSaltsRequest(3), content=False)
    while True:
        value = client.next().value
        if isinstance(value, tuple) and value[0] == "future_salts":
            break
    assert value[1][2] == 3 and len(value[2]) == 48
    assert struct.unpack_from("<q", value[2], 8)[0] == client.salt


def test_pings_states_and_forgotten_sessions(telegram: Telegram) -> None:
    client = raw_client_as(telegram, None)
    client.send(PING, content=False)
    assert client.until(types.Pong).ping_id == 7
    done = client.send(DC)
    client.until(done)
    client.send(types.MsgsStateReq([done, client.msg_id() + 4 * 10**9]), content=False)
    info = client.until(types.MsgsStateInfo).info
    assert [ord(state) & 7 for state in info] == [4, 3]
    client.send(functions.DestroySessionRequest(99), content=False)
    assert isinstance(client.until(types.DestroySessionNone), types.DestroySessionNone)
    client.send(functions.PingDelayDisconnectRequest(8, 0))
    with pytest.raises(Closed):
        while True:
            client.next()


def test_only_another_ping_delay_disconnect_renews_the_delay(telegram: Telegram) -> None:
    client = raw_client_as(telegram, None)
    client.send(functions.PingDelayDisconnectRequest(8, 1), content=False)
    client.send(functions.PingDelayDisconnectRequest(9, 30), content=False)
    time.sleep(1.5)
    client.send(PING, content=False)
    while client.until(types.Pong).ping_id != PING.ping_id:
        pass
    client.send(functions.PingDelayDisconnectRequest(10, 1), content=False)
    with pytest.raises(Closed):
        while True:  # a busy connection
            client.send(PING, content=False)
            client.next()


def test_a_repeated_message_is_carried_out_once_and_answered_twice(telegram: Telegram) -> None:
    client = raw_client_as(telegram)
    peer = types.InputPeerSelf()
    request = functions.messages.SendMessageRequest(peer, "once", random_id=5)
    msg_id, seqno = client.msg_id(), client.seqno()
    client.send(request, msg_id=msg_id, seqno=seqno)
    first = client.until(msg_id)
    client.send(request, msg_id=msg_id, seqno=seqno)
    assert client.until(msg_id) == first
    error = client.call(request)
    assert (error.error_code, error.error_message) == (500, "RANDOM_ID_DUPLICATE")
    assert len([m for m in telegram.chat(42) if m["message"]["text"] == "once"]) == 1


def test_unacknowledged_messages_are_resent_on_a_new_connection(telegram: Telegram) -> None:
    client = raw_client_as(telegram, None)
    msg_id = client.send(DC)
    answer = None
    while answer is None:
        got = client.next()
        if isinstance(got.value, tuple) and got.value[0] == msg_id:
            answer = got
    again = RawClient(telegram.about, Pipe(telegram.address(2)), client.key, client.salt, client.session,
                      client.content, client.last_msg_id)  # fmt: skip
    again.send(PING, content=False)
    repeated = again.next()
    while repeated.msg_id != answer.msg_id:
        repeated = again.next()
    again.send(types.MsgsAck([answer.msg_id]), content=False)
    third = RawClient(telegram.about, Pipe(telegram.address(2)), client.key, client.salt, client.session,
                      again.content, again.last_msg_id)  # fmt: skip
    third.send(functions.PingRequest(9), content=False)
    seen = [third.next()]
    while not (isinstance(seen[-1].value, types.Pong) and seen[-1].value.ping_id == 9):
        seen.append(third.next())
    assert answer.msg_id not in [one.msg_id for one in seen]


def test_a_lost_connection_loses_either_the_call_or_only_the_answer(telegram: Telegram) -> None:
    client = raw_client_as(telegram)
    for is_done, text in ((False, "lost call"), (True, "lost answer")):
        telegram.mtproto("fault", {"method": "messages.sendMessage", "kind": "drop", "after": is_done})
        msg_id, seqno = client.msg_id(), client.seqno()
        request = functions.messages.SendMessageRequest(types.InputPeerSelf(), text, random_id=len(text))
        client.send(request, msg_id=msg_id, seqno=seqno)
        with pytest.raises(Closed):
            client.until(msg_id)
        client.pipe, client.inbox = Pipe(telegram.address(2)), []
        if is_done:
            client.send(PING, content=False)
        else:
            client.send(request, msg_id=msg_id, seqno=seqno)
        assert isinstance(client.until(msg_id), types.Updates)
        assert [one["message"]["text"] for one in telegram.chat(42)].count(text) == 1


def test_gzip_both_ways_and_requests_that_cannot_be_read(telegram: Telegram) -> None:
    client = raw_client_as(telegram, None)
    assert isinstance(client.call(pack_gzip(bytes(DC))), types.NearestDc)
    telegram.mtproto("habits", {"gzip": "always", "containers": "always"})
    msg_id = client.send(DC)
    got = client.next()
    while not isinstance(got.value, tuple):
        got = client.next()
    assert got.container is not None and got.value[0] == msg_id
    telegram.mtproto("habits", {"gzip": "auto", "containers": "auto"})
    assert client.call(bytes(DC) + bytes(4)).error_message == "INPUT_REQUEST_TOO_LONG"
    assert client.call(bytes(client.init())[:40]).error_message == "INPUT_FETCH_ERROR"
    assert client.call(b"\xef\xbe\xad\xde").error_message.startswith("INPUT_CONSTRUCTOR_INVALID")


def test_the_server_asks_for_resends_and_states_and_announces_answers(telegram: Telegram) -> None:
    client = raw_client_as(telegram, None)
    telegram.mtproto("habits", {"ask_resend": 1})
    msg_id, seqno = client.msg_id(), client.seqno()
    client.send(DC, msg_id=msg_id, seqno=seqno)
    assert client.until(types.MsgResendReq).msg_ids == [msg_id]
    client.send(DC, msg_id=msg_id, seqno=seqno)
    assert isinstance(client.until(msg_id), types.NearestDc)
    telegram.mtproto("habits", {"detailed_info": 1})
    msg_id = client.send(DC)
    info = client.until(types.MsgDetailedInfo)
    assert info.msg_id == msg_id
    client.send(types.MsgResendReq([info.answer_msg_id]), content=False)
    assert isinstance(client.until(msg_id), types.NearestDc)


def test_answers_can_be_dropped_and_calls_can_wait_for_others(telegram: Telegram) -> None:
    client = raw_client_as(telegram, None)
    telegram.mtproto("fault", {"method": "help.getNearestDc", "kind": "slow", "seconds": 0.4})
    slow = client.send(DC)
    dropped = client.call(functions.RpcDropAnswerRequest(slow))
    assert isinstance(dropped, types.RpcAnswerDroppedRunning)
    telegram.mtproto("fault", {"method": "help.getNearestDc", "kind": "slow", "seconds": 0.3})
    slow = client.send(DC)
    after = client.send(functions.InvokeAfterMsgRequest(slow, functions.help.GetConfigRequest()))
    assert isinstance(client.until(slow), types.NearestDc)
    assert isinstance(client.until(after), types.Config)
    failed = client.call(functions.InvokeAfterMsgRequest(client.msg_id(), DC))
    assert failed.error_message == "MSG_WAIT_FAILED"


def test_a_key_with_two_main_connections_is_signed_out(telegram: Telegram) -> None:
    first = raw_client_as(telegram)
    me = functions.users.GetUsersRequest([types.InputUserSelf()])
    assert first.call(functions.updates.GetStateRequest()).pts >= 0
    second = RawClient(telegram.about, Pipe(telegram.address(2)), first.key, first.salt)
    error = second.call(functions.updates.GetStateRequest())
    assert (error.error_code, error.error_message) == (406, "AUTH_KEY_DUPLICATED")
    assert first.call(me).error_message == "AUTH_KEY_UNREGISTERED"


def test_an_unknown_layer_and_calls_before_init_connection_are_refused(telegram: Telegram) -> None:
    client = raw_client(telegram)
    client.handshake()
    assert client.call(DC).error_message == "CONNECTION_NOT_INITED"
    client.layer = 9999
    assert client.call(client.init()).error_message == "CONNECTION_LAYER_INVALID"


def test_takeout_must_be_started(telegram: Telegram) -> None:
    client = raw_client_as(telegram)
    me = functions.users.GetUsersRequest([types.InputUserSelf()])
    assert client.call(functions.InvokeWithTakeoutRequest(7, me)).error_message == "TAKEOUT_INVALID"
    takeout = client.call(functions.account.InitTakeoutSessionRequest(message_users=True))
    assert client.call(functions.InvokeWithTakeoutRequest(takeout.id, me))[0].id == 42
    finish = functions.account.FinishTakeoutSessionRequest(success=True)
    assert client.call(finish).error_message == "TAKEOUT_REQUIRED"
    assert client.call(functions.InvokeWithTakeoutRequest(takeout.id, finish)) is True
