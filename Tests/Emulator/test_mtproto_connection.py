"""Connections and keys, checked by hand: transports, handshakes, envelopes, temporary keys, the CDN."""

from __future__ import annotations

import random
import secrets
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mtclients import BOB, Telegram, raw_client, raw_client_as
from mtproto.ciphers import ctr, derive_v1, ige_encrypt, key_id, sha1, sha256
from mtproto.tl import functions, types
from rawclient import Closed, Pipe, RawClient, factors, fingerprint

PING = functions.PingRequest(7)
DC = functions.help.GetNearestDcRequest()


@pytest.fixture(scope="module")
def telegram() -> Iterator[Telegram]:
    server = Telegram("--proxy-secret", "00112233445566778899aabbccddeeff")
    yield server
    assert server.stop() == 0


TRANSPORTS = [(name, hidden) for name in ("abridged", "intermediate", "padded") for hidden in (False, True)]


@pytest.mark.parametrize(("transport", "obfuscated"), [*TRANSPORTS, ("full", False)])
def test_every_transport_carries_a_handshake_and_calls(telegram: Telegram, transport: str, obfuscated: bool) -> None:
    client = raw_client(telegram, transport=transport, obfuscated=obfuscated)
    assert isinstance(client.handshake(), types.DhGenOk)
    assert client.call(client.init()).this_dc == 2
    assert isinstance(client.call(DC), types.NearestDc)


@pytest.mark.parametrize("secret", ["00112233445566778899aabbccddeeff", "dd00112233445566778899aabbccddeeff"])
def test_a_proxy_connects_to_the_requested_data_centre(telegram: Telegram, secret: str) -> None:
    address = (telegram.about["proxy"]["host"], telegram.about["proxy"]["port"])
    pipe = Pipe(address, "padded", obfuscated=True, secret=bytes.fromhex(secret), dc=3)
    client = RawClient(telegram.about, pipe)
    assert isinstance(client.handshake(3), types.DhGenOk)
    assert client.call(client.init()).this_dc == 3
    wrong = RawClient(telegram.about, Pipe(address, "padded", obfuscated=True, secret=bytes(16), dc=3))
    with pytest.raises(Closed):
        wrong.handshake(3)


def test_the_client_always_finds_both_factors() -> None:
    # With numbers as small as this, one attempt in a hundred or so gives 1 and the product.
    assert {factors(1009 * 1013) for _ in range(2000)} == {(1009, 1013)}


def test_ipv6_is_served(telegram: Telegram) -> None:
    client = RawClient(telegram.about, Pipe(telegram.address(1, ipv6=True)))
    assert isinstance(client.handshake(1), types.DhGenOk)


@pytest.mark.parametrize(
    "wrong",
    [{"p": b"\x01"}, {"inner_p": b"\x01"}, {"inner_nonce": 5}, {"block": bytes(255) + b"\x09"}, {"block": b"x"},
     {"fingerprint": 1}, {"retry_id": 9}, {"g_b": 1}, {"g_b": 1 << 1900}],
)  # fmt: skip
def test_a_wrong_handshake_ends_the_connection(telegram: Telegram, wrong: dict[str, Any]) -> None:
    telegram.mtproto("habits", {"old_rsa": False})
    try:
        with pytest.raises(Closed, match="404"):
            raw_client(telegram).handshake(**wrong)
        with pytest.raises(Closed, match="444"):
            raw_client(telegram).handshake(dc=3)
    finally:
        telegram.mtproto("habits", {"old_rsa": True})


def test_an_unknown_key_is_a_transport_error(telegram: Telegram) -> None:
    client = raw_client(telegram)
    client.key = bytes(range(256))
    client.send(PING)
    with pytest.raises(Closed, match="404"):
        client.receive()
    other = raw_client_as(telegram, None)
    elsewhere = raw_client(telegram, 1)
    elsewhere.key, elsewhere.salt = other.key, other.salt
    elsewhere.send(PING)
    with pytest.raises(Closed, match="404"):
        elsewhere.receive()


@pytest.mark.parametrize(
    "odd", [{"spoil_key": True}, {"padding": 4}, {"padding": 1028}, {"length": 400}, {"length": -4}, {"length": 6}]
)
def test_a_wrong_envelope_ends_the_connection(telegram: Telegram, odd: dict[str, Any]) -> None:
    client = raw_client_as(telegram, None)
    client.send(PING, **odd)
    with pytest.raises(Closed, match="404"):
        client.receive()


def test_quick_acknowledgements(telegram: Telegram) -> None:
    for transport in ("abridged", "intermediate"):
        client = raw_client(telegram, transport=transport)
        client.handshake()
        client.send(client.init(), quick_ack=True)
        token = client.pipe.exactly(4)
        assert (token[0] if transport == "abridged" else token[3]) & 0x80
        assert isinstance(client.until(types.NewSessionCreated), types.NewSessionCreated)


def test_temporary_keys_are_bound_to_a_permanent_one(telegram: Telegram) -> None:
    permanent = raw_client_as(telegram)
    client = raw_client(telegram)
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


def test_a_cdn_serves_encrypted_pieces_and_can_be_caught_tampering(telegram: Telegram, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(secrets.token_bytes(200_000))
    telegram.control("file", {"account": 42, "chat_id": 77, "from": BOB, "path": str(path), "kind": "document"})
    client = raw_client_as(telegram)
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


def test_garbage_does_not_change_the_server(telegram: Telegram, capfd: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(7)
    openings = [b"\xef", b"\xee" * 4, b"\xdd" * 4, b"", b"\x20\0\0\0\0\0\0\0"]
    for _ in range(60):
        with socket.create_connection(telegram.address(2), timeout=5) as plain:
            plain.sendall(chance.choice(openings) + chance.randbytes(chance.choice([1, 8, 64, 500])))
    client = raw_client_as(telegram)
    me = types.InputPeerSelf()
    calls = [
        functions.messages.SendMessageRequest(me, "x", random_id=4),
        functions.updates.GetDifferenceRequest(0, 0, 0),
        functions.messages.GetHistoryRequest(me, 0, None, 0, 10, 0, 0, 0),
        functions.upload.SaveBigFilePartRequest(1, 0, 7, b"xx"),
        functions.messages.GetDialogsRequest(None, 0, types.InputPeerEmpty(), 10, 0),
        functions.users.GetFullUserRequest(types.InputUserSelf()),
    ]
    for _ in range(300):
        body = bytearray(bytes(chance.choice(calls)))
        for _ in range(chance.choice([1, 2, 5])):
            body[chance.randrange(4, len(body))] = chance.randrange(256)
        client.send(bytes(body))
    assert isinstance(client.call(DC), types.NearestDc)
    assert "Traceback" not in capfd.readouterr().err
