"""The encrypted layer, checked by hand: what is right is answered, what is wrong is refused as Telegram does."""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mtproto.ciphers import ctr, derive_v1, ige_encrypt, key_id, sha1, sha256
from mtproto.tl import container, functions, pack_gzip, types

from mtclients import BOB, Telegram
from rawclient import Closed, Pipe, RawClient, fingerprint

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


def connect(telegram: Telegram, dc: int = 2, **how: Any) -> RawClient:
    return RawClient(telegram.about, Pipe(telegram.address(dc), **how))


def ready(telegram: Telegram, account: int | None = 42, dc: int = 2) -> RawClient:
    """With a key and an initialized connection, logged in if there is an account."""
    client = connect(telegram, dc)
    if account is None:
        assert isinstance(client.handshake(dc), types.DhGenOk)
    else:
        client.key = bytes.fromhex(telegram.mtproto("session", {"account": account, "dc": dc})["auth_key"])
        client.send(client.init())
        client.salt = client.until(types.BadServerSalt).new_server_salt
    assert isinstance(client.call(client.init()), types.Config)
    return client


TRANSPORTS = [(name, hidden) for name in ("abridged", "intermediate", "padded") for hidden in (False, True)]


@pytest.mark.parametrize(("transport", "obfuscated"), [*TRANSPORTS, ("full", False)])
def test_every_transport_carries_a_handshake_and_calls(telegram: Telegram, transport: str, obfuscated: bool) -> None:
    client = connect(telegram, transport=transport, obfuscated=obfuscated)
    assert isinstance(client.handshake(), types.DhGenOk)
    assert client.call(client.init()).this_dc == 2
    assert isinstance(client.call(DC), types.NearestDc)


@pytest.mark.parametrize("secret", ["00112233445566778899aabbccddeeff", "dd00112233445566778899aabbccddeeff"])
def test_a_proxy_leads_to_the_data_centre_that_is_asked_for(telegram: Telegram, secret: str) -> None:
    address = (telegram.about["proxy"]["host"], telegram.about["proxy"]["port"])
    pipe = Pipe(address, "padded", obfuscated=True, secret=bytes.fromhex(secret), dc=3)
    client = RawClient(telegram.about, pipe)
    assert isinstance(client.handshake(3), types.DhGenOk)
    assert client.call(client.init()).this_dc == 3
    wrong = RawClient(telegram.about, Pipe(address, "padded", obfuscated=True, secret=bytes(16), dc=3))
    with pytest.raises(Closed):
        wrong.handshake(3)


def test_ipv6_is_served(telegram: Telegram) -> None:
    client = RawClient(telegram.about, Pipe(telegram.address(1, ipv6=True)))
    assert isinstance(client.handshake(1), types.DhGenOk)


@pytest.mark.parametrize(
    "wrong",
    [{"p": b"\x01"}, {"inner_p": b"\x01"}, {"inner_nonce": 5}, {"block": bytes(255) + b"\x09"}, {"block": b"x"},
     {"fingerprint": 1}, {"retry_id": 9}, {"g_b": 1}, {"g_b": 1 << 1900}],
)  # fmt: skip
def test_a_handshake_that_is_not_exactly_right_ends_the_connection(telegram: Telegram, wrong: dict[str, Any]) -> None:
    telegram.mtproto("habits", {"old_rsa": False})
    try:
        with pytest.raises(Closed, match="404"):
            connect(telegram).handshake(**wrong)
        with pytest.raises(Closed, match="444"):
            connect(telegram).handshake(dc=3)
    finally:
        telegram.mtproto("habits", {"old_rsa": True})


def test_an_unknown_key_is_a_transport_error(telegram: Telegram) -> None:
    client = connect(telegram)
    client.key = bytes(range(256))
    client.send(PING)
    with pytest.raises(Closed, match="404"):
        client.receive()
    other = ready(telegram, None)
    elsewhere = connect(telegram, 1)
    elsewhere.key, elsewhere.salt = other.key, other.salt
    elsewhere.send(PING)
    with pytest.raises(Closed, match="404"):
        elsewhere.receive()


@pytest.mark.parametrize(
    "odd", [{"spoil_key": True}, {"padding": 4}, {"padding": 1028}, {"length": 400}, {"length": -4}, {"length": 6}]
)
def test_an_envelope_that_is_not_exactly_right_ends_the_connection(telegram: Telegram, odd: dict[str, Any]) -> None:
    client = ready(telegram, None)
    client.send(PING, **odd)
    with pytest.raises(Closed, match="404"):
        client.receive()


def test_the_first_message_of_a_session_is_announced(telegram: Telegram) -> None:
    client = connect(telegram)
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
    client = ready(telegram, None)
    assert bad_code(client, msg_id=client.msg_id(-400), seqno=1) == 16
    assert bad_code(client, msg_id=client.msg_id(60), seqno=1) == 17
    assert bad_code(client, msg_id=client.msg_id() + 1, seqno=1) == 18
    codes = {one["code"] for one in telegram.violations()}
    assert {16, 17, 18} <= codes


def test_sequence_numbers_must_fit(telegram: Telegram) -> None:
    client = ready(telegram, None)
    early = client.msg_id()
    assert isinstance(client.call(DC), types.NearestDc)
    assert bad_code(client, seqno=1) == 32
    assert bad_code(client, msg_id=early, seqno=99) == 33
    assert bad_code(client, seqno=101, value=types.MsgsAck([1])) == 34
    assert bad_code(client, seqno=102) == 35


def test_containers_must_be_well_formed(telegram: Telegram) -> None:
    client = ready(telegram, None)
    body = bytes(DC)
    first, second = client.msg_id(), client.msg_id()
    client.send(container([(first, client.seqno(), body), (second, client.seqno(), body)]), content=False)
    assert isinstance(client.until(first), types.NearestDc) and isinstance(client.until(second), types.NearestDc)
    late = client.msg_id() + (1 << 32)
    assert bad_code(client, value=container([(late, client.seqno(), body)]), content=False) == 64
    nested = container([(client.msg_id(), 0, container([]))])
    assert bad_code(client, value=nested, content=False) == 64
    assert bad_code(client, value=struct.pack("<Ii", 0x73F1F8DC, 5000), content=False) == 64


def test_a_wrong_salt_is_corrected_and_the_message_not_done(telegram: Telegram) -> None:
    client = ready(telegram, None)
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
    client = ready(telegram, None)
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


def test_quick_acknowledgements(telegram: Telegram) -> None:
    for transport in ("abridged", "intermediate"):
        client = connect(telegram, transport=transport)
        client.handshake()
        client.send(client.init(), quick_ack=True)
        token = client.pipe.exactly(4)
        assert (token[0] if transport == "abridged" else token[3]) & 0x80
        assert isinstance(client.until(types.NewSessionCreated), types.NewSessionCreated)


def test_a_message_sent_twice_is_done_once_and_answered_twice(telegram: Telegram) -> None:
    client = ready(telegram)
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


def test_what_is_not_acknowledged_comes_again_on_a_new_connection(telegram: Telegram) -> None:
    client = ready(telegram, None)
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


def test_gzip_both_ways_and_requests_that_cannot_be_read(telegram: Telegram) -> None:
    client = ready(telegram, None)
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
    client = ready(telegram, None)
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
    client = ready(telegram, None)
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


def test_temporary_keys_are_bound_to_a_permanent_one(telegram: Telegram) -> None:
    permanent = ready(telegram)
    client = connect(telegram)
    client.handshake(expires_in=3600)
    assert client.call(client.init(functions.users.GetUsersRequest([]))).error_message == "AUTH_KEY_PERM_EMPTY"
    expires = int(time.time()) + 3600
    told = types.BindAuthKeyInner(5, key_id(client.key), key_id(permanent.key), client.session, expires)
    for good in (False, True):
        msg_id = client.msg_id()
        head = bytes(16) + struct.pack("<qii", msg_id if good else msg_id + 4, 0, 40)
        inner = head + bytes(told)
        msg_key = sha1(inner)[4:20]
        padded = inner + bytes(-len(inner) % 16)
        encrypted = struct.pack("<q", key_id(permanent.key)) + msg_key
        encrypted += ige_encrypt(padded, *derive_v1(permanent.key, msg_key))
        request = functions.auth.BindTempAuthKeyRequest(key_id(permanent.key), 5, expires, encrypted)
        answer = client.call(request, msg_id=msg_id)
        assert answer is True if good else answer.error_message == "ENCRYPTED_MESSAGE_INVALID"
    user = client.call(client.init(functions.users.GetUsersRequest([types.InputUserSelf()])))[0]
    assert user.id == 42


def test_a_key_with_two_main_connections_is_signed_out(telegram: Telegram) -> None:
    first = ready(telegram)
    me = functions.users.GetUsersRequest([types.InputUserSelf()])
    assert first.call(functions.updates.GetStateRequest()).pts >= 0
    second = RawClient(telegram.about, Pipe(telegram.address(2)), first.key, first.salt)
    error = second.call(functions.updates.GetStateRequest())
    assert (error.error_code, error.error_message) == (406, "AUTH_KEY_DUPLICATED")
    assert first.call(me).error_message == "AUTH_KEY_UNREGISTERED"


def test_a_layer_nobody_knows_is_refused_and_so_are_calls_before_the_introduction(telegram: Telegram) -> None:
    client = connect(telegram)
    client.handshake()
    assert client.call(DC).error_message == "CONNECTION_NOT_INITED"
    client.layer = 9999
    assert client.call(client.init()).error_message == "CONNECTION_LAYER_INVALID"


def test_takeout_has_to_be_begun(telegram: Telegram) -> None:
    client = ready(telegram)
    me = functions.users.GetUsersRequest([types.InputUserSelf()])
    assert client.call(functions.InvokeWithTakeoutRequest(7, me)).error_message == "TAKEOUT_INVALID"
    takeout = client.call(functions.account.InitTakeoutSessionRequest(message_users=True))
    assert client.call(functions.InvokeWithTakeoutRequest(takeout.id, me))[0].id == 42
    finish = functions.account.FinishTakeoutSessionRequest(success=True)
    assert client.call(finish).error_message == "TAKEOUT_REQUIRED"
    assert client.call(functions.InvokeWithTakeoutRequest(takeout.id, finish)) is True


def test_a_cdn_serves_encrypted_pieces_and_can_be_caught_tampering(telegram: Telegram, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(secrets.token_bytes(200_000))
    telegram.control("file", {"account": 42, "chat_id": 77, "from": BOB, "path": str(path), "kind": "document"})
    client = ready(telegram)
    found = client.call(functions.messages.GetDialogsRequest(None, 0, types.InputPeerEmpty(), 10, 0))
    document = next(message for message in found.messages if message.media).media.document
    location = types.InputDocumentFileLocation(document.id, document.access_hash, document.file_reference, "")
    telegram.mtproto("habits", {"cdn": "auto", "cdn_reupload": 1})
    redirect = client.call(functions.upload.GetFileRequest(location, 0, 4096, cdn_supported=True))
    keys = client.call(functions.help.GetCdnConfigRequest()).public_keys
    assert redirect.dc_id == keys[0].dc_id == 203

    cdn = RawClient(
        telegram.about | {"public_key": keys[0].public_key, "fingerprint": fingerprint(keys[0].public_key)},
        Pipe(telegram.address(203)),
    )  # fmt: skip
    assert isinstance(cdn.handshake(203), types.DhGenOk)
    piece = functions.upload.GetCdnFileRequest(redirect.file_token, 131072, 131072)
    wanted = cdn.call(piece).request_token
    hashes = client.call(functions.upload.ReuploadCdnFileRequest(redirect.file_token, wanted))
    data = cdn.call(piece).bytes
    iv = redirect.encryption_iv[:-4] + (131072 // 16).to_bytes(4, "big")
    plain = ctr(redirect.encryption_key, iv).update(data)
    assert plain == path.read_bytes()[131072:] and sha256(plain) == hashes[1].hash
    telegram.mtproto("habits", {"cdn_tamper": 1})
    assert cdn.call(piece).bytes != data
    telegram.mtproto("habits", {"cdn": "never"})
    assert cdn.call(functions.users.GetUsersRequest([])).error_message == "AUTH_KEY_UNREGISTERED"
