"""Tests hostile answers: each one is really sent, and real clients refuse those that they check."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mtclients import Telegram, raw_client_as, run, telethon_client
from mtproto.ciphers import DH_PRIME, derive, ige_decrypt, is_prime, key_id, msg_key_large, sha1
from mtproto.errors import RpcError
from mtproto.modes import HANDSHAKE_HOSTILITIES, MESSAGE_HOSTILITIES, TRANSPORT_HOSTILITIES
from mtproto.tl import functions, types
from rawclient import Closed, Pipe, RawClient

Seen = dict[str, Any]
DC = functions.help.GetNearestDcRequest()


@pytest.fixture(scope="module")
def telegram() -> Iterator[Telegram]:
    server = Telegram()
    yield server
    assert server.stop() == 0


def _prime(seen: Seen) -> int:
    return int.from_bytes(seen["inner"].dh_prime, "big")


def _g_a(seen: Seen) -> int:
    return int.from_bytes(seen["inner"].g_a, "big")


def _proof(seen: Seen, number: int) -> int:
    """Returns the correct new_nonce_hash, computed with the server's key."""
    return int(getattr(seen["done"], f"new_nonce_hash{number}"))


HANDSHAKES: dict[str, Callable[[Seen], bool]] = {
    "pq_nonce": lambda seen: seen["res"].nonce != seen["nonce"],
    "pq_prime": lambda seen: is_prime(seen["pq"]),
    "pq_one": lambda seen: seen["pq"] == 1,
    "fingerprint": lambda seen: len(seen["res"].server_public_key_fingerprints) == 1,
    "dh_nonce": lambda seen: seen["dh"].nonce != seen["nonce"],
    "dh_server_nonce": lambda seen: seen["dh"].server_nonce != seen["res"].server_nonce,
    "dh_answer_hash": lambda seen: not seen["hash_is_right"],
    "dh_answer_length": lambda seen: len(seen["dh"].encrypted_answer) % 16 != 0,
    "dh_inner_nonce": lambda seen: seen["inner"].nonce != seen["nonce"] and seen["hash_is_right"],
    "dh_inner_server_nonce": lambda seen: seen["inner"].server_nonce != seen["res"].server_nonce,
    "dh_composite": lambda seen: _prime(seen).bit_length() == 2048 and not is_prime(_prime(seen)),
    "dh_unsafe_prime": lambda seen: is_prime(_prime(seen), 2) and not is_prime((_prime(seen) - 1) // 2, 2),
    "dh_small_prime": lambda seen: _prime(seen).bit_length() == 1024,
    "dh_generator": lambda seen: seen["inner"].g == 2 and _prime(seen) % 8 != 7,
    "dh_generator_one": lambda seen: seen["inner"].g == 1,
    "g_a_zero": lambda seen: _g_a(seen) == 0,
    "g_a_one": lambda seen: _g_a(seen) == 1,
    "g_a_minus_one": lambda seen: _g_a(seen) == DH_PRIME - 1,
    "g_a_small": lambda seen: _g_a(seen) < 1 << 1984,
    "g_a_large": lambda seen: _g_a(seen) > DH_PRIME - (1 << 1984),
    "gen_nonce": lambda seen: seen["done"].nonce != seen["nonce"],
    "gen_server_nonce": lambda seen: seen["done"].server_nonce != seen["res"].server_nonce,
    "gen_hash": lambda seen: isinstance(seen["done"], types.DhGenOk),
    "gen_retry": lambda seen: isinstance(seen["done"], types.DhGenRetry) and _proof(seen, 2) != 0,
    "gen_fail": lambda seen: isinstance(seen["done"], types.DhGenFail) and _proof(seen, 3) != 0,
    "dh_fail": lambda seen: isinstance(seen["dh"], types.ServerDHParamsFail),
}


def test_every_hostility_of_the_handshake_is_listed() -> None:
    assert HANDSHAKES.keys() == HANDSHAKE_HOSTILITIES


@pytest.mark.parametrize("kind", sorted(HANDSHAKES))
def test_a_hostile_handshake(telegram: Telegram, kind: str) -> None:
    telegram.mtproto("hostile", {"kind": kind})
    client = RawClient(telegram.about, Pipe(telegram.address(2)))
    with contextlib.suppress(Closed, ValueError, RpcError):  # this client does its sums with whatever it is given
        client.handshake()
    assert HANDSHAKES[kind](client.seen)
    assert telegram.mtproto("hostile", method="GET")["waiting"] == []


def test_the_hash_of_the_new_nonce_is_right_unless_a_fault_is_requested(telegram: Telegram) -> None:
    for kind, is_right in ((None, True), ("gen_hash", False)):
        if kind is not None:
            telegram.mtproto("hostile", {"kind": kind})
        client = RawClient(telegram.about, Pipe(telegram.address(2)))
        done = client.handshake()
        proof = sha1(client.seen["new_nonce"], b"\x01", sha1(client.key)[:8])[4:]
        assert (done.new_nonce_hash1 == int.from_bytes(proof, "little", signed=True)) is is_right


def opened(client: RawClient) -> dict[str, Any]:
    """The next packet with a result, without any check."""
    while True:
        packet = client.pipe.receive()
        identity, msg_key = struct.unpack_from("<q", packet)[0], packet[8:24]
        plain = ige_decrypt(packet[24:], *derive(client.key, msg_key, from_client=False))
        _, session, msg_id, _, length = struct.unpack_from("<qqqii", plain)
        right = msg_key_large(client.key, plain, from_client=False)[8:24] == msg_key
        padding = len(plain) - 32 - length
        found = {"identity": identity, "right": right, "session": session, "msg_id": msg_id, "length": length,
                 "padding": padding, "body": plain[32 : 32 + max(length, 0)]}  # fmt: skip
        if not right or found["body"][:4] != struct.pack("<I", 0x62D6B459):
            return found


def _age(got: dict[str, Any]) -> float:
    return time.time() - float(got["msg_id"] >> 32)


MESSAGES: dict[str, Callable[[RawClient, dict[str, Any]], bool]] = {
    "auth_key_id": lambda client, got: got["identity"] != key_id(client.key),
    "msg_key": lambda client, got: not got["right"],
    "ciphertext": lambda client, got: not got["right"],
    "session_id": lambda client, got: got["session"] != client.session,
    "short_padding": lambda client, got: got["padding"] < 12,
    "long_padding": lambda client, got: got["padding"] > 1024,
    "length_beyond": lambda client, got: got["padding"] < 0,
    "length_negative": lambda client, got: got["length"] < 0,
    "length_unaligned": lambda client, got: got["length"] % 4 != 0,
    "msg_id_parity": lambda client, got: got["msg_id"] % 2 == 0,
    "msg_id_stale": lambda client, got: _age(got) > 300,
    "msg_id_future": lambda client, got: _age(got) < -30,
    "msg_id_replay": lambda client, got: opened(client)["msg_id"] == got["msg_id"],
    "truncated_result": lambda client, got: got["right"] and len(got["body"]) < 24,
    "unknown_constructor": lambda client, got: got["body"][12:16] == b"\xef\xbe\xad\xde",
    "gzip_bomb": lambda client, got: len(got["body"]) > 1000 and got["body"][12:16] == b"\xa1\xcf\x72\x30",
    "gzip_garbage": lambda client, got: got["body"][12:16] == b"\xa1\xcf\x72\x30",
    "container_count": lambda client, got: got["body"][4:8] == b"\xff\xff\xff\x7f",
    "container_length": lambda client, got: got["body"][20:24] == b"\xf0\xff\xff\x7f",
}


def test_every_hostility_of_messages_is_listed() -> None:
    assert MESSAGES.keys() == MESSAGE_HOSTILITIES


@pytest.mark.parametrize("kind", sorted(MESSAGES))
def test_a_hostile_message(telegram: Telegram, kind: str) -> None:
    client = raw_client_as(telegram, None)
    telegram.mtproto("hostile", {"kind": kind})
    client.send(DC)
    got = opened(client)
    assert MESSAGES[kind](client, got)
    assert got["identity"] == key_id(client.key) or kind == "auth_key_id"


@pytest.mark.parametrize("kind", sorted(TRANSPORT_HOSTILITIES))
def test_a_hostile_transport(telegram: Telegram, kind: str) -> None:
    client = raw_client_as(telegram, None)
    telegram.mtproto("hostile", {"kind": kind})
    client.pipe.socket.settimeout(1)
    client.send(DC)
    with pytest.raises((Closed, AssertionError, TimeoutError)):
        client.until(types.NearestDc)


@pytest.mark.parametrize("kind", ["pq_nonce", "dh_nonce", "dh_inner_nonce", "g_a_one", "g_a_small", "gen_hash"])
def test_telethon_refuses_a_hostile_handshake(telegram: Telegram, kind: str) -> None:
    telegram.mtproto("hostile", {"kind": kind, "times": 10})

    async def work() -> None:
        client = telethon_client(telegram)
        with pytest.raises(ConnectionError):
            await client.connect()
        await client.disconnect()

    try:
        run(work)
    finally:
        telegram.mtproto("fault", method="DELETE")
