"""A client that does everything by hand, so that it can do anything wrong: for the checks of the strictness."""

from __future__ import annotations

import secrets
import socket
import struct
import time
import zlib
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import CipherContext
from telethon.crypto import Factorization

from mtproto.ciphers import (
    big_endian,
    ctr,
    derive,
    handshake_key,
    ige_decrypt,
    ige_encrypt,
    is_prime,
    key_id,
    msg_key_large,
    sha1,
    sha256,
)  # fmt: skip
from mtproto.tl import TLObject, functions, read, types, unpack_gzip

TAGS = {"abridged": b"\xef", "intermediate": b"\xee" * 4, "padded": b"\xdd" * 4, "full": b""}


class Closed(Exception):
    """The server ended the connection, or sent a transport error (then with its code)."""


def public_numbers(pem: str) -> tuple[int, int]:
    public = serialization.load_pem_public_key(pem.encode())
    assert isinstance(public, RSAPublicKey)
    numbers = public.public_numbers()
    return numbers.n, numbers.e


def fingerprint(pem: str) -> int:
    written = (TLObject.serialize_bytes(big_endian(number)) for number in public_numbers(pem))
    return int(struct.unpack("<q", sha1(*written)[-8:])[0])


def factors(product: int) -> tuple[int, int]:
    """Return the two prime factors, the smaller one first. Telethon's method starts at random and finds 1 at times."""
    while True:
        p, q = sorted(Factorization.factorize(product))
        if p > 1:
            return p, q


@dataclass
class Answer:
    msg_id: int
    seqno: int
    value: Any
    container: int | None = None


class Pipe:
    """Frames over a socket, in any transport, obfuscated or not."""

    def __init__(self, address: tuple[str, int], transport: str = "abridged", obfuscated: bool = False,
                 secret: bytes | None = None, dc: int = 0) -> None:  # fmt: skip
        self.socket = socket.create_connection(address, timeout=10)
        self.transport = transport
        self._sent = 0
        self._out: CipherContext | None = None
        self._in: CipherContext | None = None
        tag = TAGS[transport]
        if obfuscated:
            self._open_obfuscated(tag * (4 // len(tag)), secret, dc)
        else:
            self.socket.sendall(tag)

    def _open_obfuscated(self, tag: bytes, secret: bytes | None, dc: int) -> None:
        header = bytearray(b"\x01" * 4 + secrets.token_bytes(52) + tag + struct.pack("<h", dc) + b"ab")
        reverse = bytes(header[8:56])[::-1]
        keys = [bytes(header[8:40]), reverse[:32]]
        if secret is not None:
            keys = [sha256(key, secret[-16:]) for key in keys]
        outgoing = ctr(keys[0], bytes(header[40:56]))
        self._out, self._in = outgoing, ctr(keys[1], reverse[32:])
        header[56:] = outgoing.update(bytes(header))[56:]
        self.socket.sendall(bytes(header))

    def write(self, data: bytes) -> None:
        try:
            self.socket.sendall(self._out.update(data) if self._out else data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed("reset") from error

    def send(self, payload: bytes, quick_ack: bool = False) -> None:
        if self.transport == "abridged":
            words, bit = len(payload) // 4, 0x80 if quick_ack else 0
            head = bytes([words | bit]) if words < 0x7F else bytes([0x7F | bit]) + words.to_bytes(3, "little")
            self.write(head + payload)
        elif self.transport == "full":
            head = struct.pack("<Ii", len(payload) + 12, self._sent)
            self._sent += 1
            self.write(head + payload + struct.pack("<I", zlib.crc32(head + payload)))
        else:
            padding = secrets.token_bytes(5) if self.transport == "padded" else b""
            length = len(payload) + len(padding) | (0x80000000 if quick_ack else 0)
            self.write(struct.pack("<I", length) + payload + padding)

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                piece = self.socket.recv(count - len(data))
            except ConnectionError as error:
                raise Closed("reset") from error
            if not piece:
                raise Closed("end")
            data += piece
        return self._in.update(data) if self._in else data

    def receive(self) -> bytes:
        if self.transport == "abridged":
            first = self.exactly(1)[0]
            words = first if first < 0x7F else int.from_bytes(self.exactly(3), "little")
            payload = self.exactly(words * 4)
        elif self.transport == "full":
            length = struct.unpack("<I", self.exactly(4))[0]
            payload = self.exactly(length - 4)[4:-4]
        else:
            payload = self.exactly(struct.unpack("<I", self.exactly(4))[0])
        if len(payload) == 4:
            raise Closed(str(-struct.unpack("<i", payload)[0]))
        return payload

    def close(self) -> None:
        self.socket.close()


@dataclass
class RawClient:
    about: dict[str, Any]
    pipe: Pipe
    key: bytes = b""
    salt: int = 0
    session: int = field(default_factory=lambda: struct.unpack("<q", secrets.token_bytes(8))[0])
    content: int = 0
    last_msg_id: int = 0
    inbox: list[Answer] = field(default_factory=list)
    layer: int = 229
    seen: dict[str, Any] = field(default_factory=dict)
    """Holds the server's values from the handshake."""

    def msg_id(self, offset: float = 0) -> int:
        fresh = int((time.time() + offset) * (1 << 32)) & ~3
        if offset:
            return fresh
        self.last_msg_id = max(fresh, self.last_msg_id + 4)
        return self.last_msg_id

    def plain(self, request: Any) -> Any:
        body = bytes(request)
        self.pipe.send(struct.pack("<qqi", 0, self.msg_id(), len(body)) + body)
        packet = self.pipe.receive()
        if self.pipe.transport == "padded":
            packet = packet[: 20 + struct.unpack_from("<i", packet, 16)[0]]
        return read(packet[20:])

    def rsa_pad(self, data: bytes) -> bytes:
        n, e = public_numbers(self.about["public_key"])
        padded = data + secrets.token_bytes(192 - len(data))
        while True:
            temp = secrets.token_bytes(32)
            encrypted = ige_encrypt(padded[::-1] + sha256(temp, padded), temp, bytes(32))
            block = bytes(a ^ b for a, b in zip(temp, sha256(encrypted), strict=True)) + encrypted
            if int.from_bytes(block, "big") < n:
                return big_endian(pow(int.from_bytes(block, "big"), e, n), 256)

    def handshake(self, dc: int = 2, expires_in: int | None = None, **wrong: Any) -> Any:
        """Make a key. `wrong` replaces values on their way: p, q, inner_nonce, retry_id, block, g_b."""
        nonce = int.from_bytes(secrets.token_bytes(16), "little", signed=True)
        res = self.plain(functions.ReqPqMultiRequest(nonce))
        self.seen |= {"nonce": nonce, "res": res, "pq": int.from_bytes(res.pq, "big")}
        if self.seen["pq"] < 4 or is_prime(self.seen["pq"]):
            return None
        p, q = (big_endian(n) for n in factors(self.seen["pq"]))
        new_nonce = secrets.token_bytes(32)
        number = int.from_bytes(new_nonce, "little", signed=True)
        common = (res.pq, wrong.get("inner_p", p), q, wrong.get("inner_nonce", nonce), res.server_nonce, number)
        inner: Any = types.PQInnerDataDc(*common, dc)
        if expires_in is not None:
            inner = types.PQInnerDataTempDc(*common, dc, expires_in)
        block = wrong.get("block") or self.rsa_pad(bytes(inner))
        key = wrong.get("fingerprint", int(self.about["fingerprint"]))
        answer = self.plain(functions.ReqDHParamsRequest(nonce, res.server_nonce, wrong.get("p", p), q, key, block))
        self.seen["dh"] = answer
        if not isinstance(answer, types.ServerDHParamsOk):
            return answer
        server_nonce = res.server_nonce.to_bytes(16, "little", signed=True)
        aes = handshake_key(server_nonce, new_nonce)
        encrypted = answer.encrypted_answer
        plain = ige_decrypt(encrypted[: len(encrypted) // 16 * 16], *aes)
        told = read(plain[20:], exact=False)
        self.seen |= {"inner": told, "hash_is_right": sha1(bytes(told)) == plain[:20], "new_nonce": new_nonce}
        prime, b = int.from_bytes(told.dh_prime, "big"), secrets.randbits(2048)
        g_b = wrong.get("g_b", pow(told.g, b, prime))
        mine = bytes(types.ClientDHInnerData(nonce, res.server_nonce, wrong.get("retry_id", 0), big_endian(g_b)))
        hashed = sha1(mine) + mine
        hashed += secrets.token_bytes(-len(hashed) % 16)
        done = self.plain(functions.SetClientDHParamsRequest(nonce, res.server_nonce, ige_encrypt(hashed, *aes)))
        self.seen["done"] = done
        self.key = big_endian(pow(int.from_bytes(told.g_a, "big"), b, prime), 256)
        self.salt = struct.unpack("<q", bytes(a ^ b for a, b in zip(new_nonce[:8], server_nonce[:8], strict=True)))[0]
        return done

    def seqno(self, content: bool = True) -> int:
        self.content += content
        return self.content * 2 - (1 if content else 0)

    def send(self, value: Any, *, msg_id: int | None = None, seqno: int | None = None, **odd: Any) -> int:
        """`odd`: salt, session, padding, length, spoil_key, quick_ack, content."""
        body = value if isinstance(value, bytes) else bytes(value)
        msg_id = self.msg_id() if msg_id is None else msg_id
        seqno = self.seqno(odd.get("content", True)) if seqno is None else seqno
        head = struct.pack("<qqqii", odd.get("salt", self.salt), odd.get("session", self.session), msg_id, seqno,
                           odd.get("length", len(body)))  # fmt: skip
        plain = head + body
        plain += secrets.token_bytes(odd.get("padding", 12 + -(len(plain) + 12) % 16))
        msg_key = msg_key_large(self.key, plain, from_client=True)[8:24]
        if odd.get("spoil_key"):
            msg_key = bytes([msg_key[0] ^ 1]) + msg_key[1:]
        packet = ige_encrypt(plain, *derive(self.key, msg_key, from_client=True))
        self.pipe.send(struct.pack("<q", key_id(self.key)) + msg_key + packet, odd.get("quick_ack", False))
        return msg_id

    def receive(self) -> list[Answer]:
        packet = self.pipe.receive()
        if self.pipe.transport == "padded":
            packet = packet[: len(packet) - (len(packet) - 24) % 16]
        assert struct.unpack_from("<q", packet)[0] == key_id(self.key)
        plain = ige_decrypt(packet[24:], *derive(self.key, packet[8:24], from_client=False))
        assert msg_key_large(self.key, plain, from_client=False)[8:24] == packet[8:24]
        msg_id, seqno, length = struct.unpack_from("<qii", plain, 16)
        assert 12 <= len(plain) - 32 - length <= 1024 and msg_id & 1
        body = plain[32 : 32 + length]
        if struct.unpack_from("<I", body)[0] != 0x73F1F8DC:
            return [Answer(msg_id, seqno, body)]
        found, place = [], 8
        for _ in range(struct.unpack_from("<i", body, 4)[0]):
            inner_id, inner_seqno, size = struct.unpack_from("<qii", body, place)
            assert inner_id < msg_id and inner_seqno <= seqno
            found.append(Answer(inner_id, inner_seqno, body[place + 16 : place + 16 + size], msg_id))
            place += 16 + size
        return found

    def next(self) -> Answer:
        """The next message; an rpc_result as (req_msg_id, result)."""
        while not self.inbox:
            self.inbox = self.receive()
        answer = self.inbox.pop(0)
        body = answer.value
        kind = struct.unpack_from("<I", body)[0]
        if kind == 0xF35C6D01:
            inner = body[12:]
            inner = unpack_gzip(inner) if inner[:4] == b"\xa1\xcf\x72\x30" else inner
            answer.value = (struct.unpack_from("<q", body, 4)[0], read(inner))
        elif kind == 0xAE500895:
            answer.value = ("future_salts", struct.unpack_from("<qii", body, 4), body[20:])
        else:
            answer.value = read(body)
        return answer

    def until(self, kind: type | int) -> Any:
        """The next message of a type, or the result of a call."""
        while True:
            value = self.next().value
            if isinstance(kind, int) and isinstance(value, tuple) and value[0] == kind:
                return value[1]
            if isinstance(kind, type) and isinstance(value, kind):
                return value

    def call(self, request: Any, **odd: Any) -> Any:
        return self.until(self.send(request, **odd))

    def init(self, query: Any = None) -> Any:
        query = query or functions.help.GetConfigRequest()
        wrapped = functions.InitConnectionRequest(self.about["api_id"], "raw", "1", "1", "en", "", "en", query)
        return functions.InvokeWithLayerRequest(self.layer, wrapped)
