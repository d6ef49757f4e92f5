"""The server's side of making an authorization key: pure exchange of messages, one object a connection."""

from __future__ import annotations

import hashlib
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .ciphers import (
    DH_GENERATOR,
    DH_PRIME,
    ServerKey,
    big_endian,
    handshake_key,
    ige_decrypt,
    ige_encrypt,
    random_prime,
    remove_rsa_pad,
    sha1,
    sha256,
)
from .clock import Clock
from .errors import RpcError, Violation
from .keys import AuthKey, KeyStore, Salts
from .modes import Modes
from .spoiling import spoil_dh, spoil_inner
from .tl import functions, read, types

SAFETY_MARGIN = 1 << (2048 - 64)
MAX_INNER_BYTES = 144
MAX_TEMPORARY_SECONDS = 7 * 86400


@dataclass
class DataCentre:
    """Holds the data centre's values that a handshake needs."""

    id: int
    rsa: ServerKey
    is_cdn: bool = False


@dataclass
class _Exchange:
    nonce: int
    server_nonce: int
    p: int
    q: int
    new_nonce: bytes = b""
    expires_in: int | None = None
    aes: tuple[bytes, bytes] = (b"", b"")
    secret: int = 0
    prime: int = DH_PRIME
    retry_id: int = 0
    refused_aux_hash: int = 0


def signed(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def raw(number: int, length: int) -> bytes:
    return number.to_bytes(length, "little", signed=True)


class Handshake:
    def __init__(self, centre: DataCentre, keys: KeyStore, clock: Clock, modes: Modes) -> None:
        self._centre, self._keys, self._clock, self._modes = centre, keys, clock, modes
        self._exchange: _Exchange | None = None
        self._steps: dict[type, Callable[[Any], Any]] = {
            functions.ReqPqRequest: self._start, functions.ReqPqMultiRequest: self._start,
            functions.ReqDHParamsRequest: self._parameters, functions.SetClientDHParamsRequest: self._complete,
        }  # fmt: skip

    def answer(self, body: bytes) -> bytes:
        """Answer one message of the handshake. Raise Violation for any deviation from the protocol."""
        try:
            request = read(body)
        except RpcError as error:
            raise Violation(f"an unreadable message in the clear: {error.text}") from error
        step = self._steps.get(type(request))
        if step is None:
            raise Violation(f"{type(request).__name__} may not be sent in the clear")
        return bytes(step(request))

    def _start(self, request: Any) -> Any:
        if self._modes.is_hostile("pq_prime"):
            p, q = random_prime(1 << 61, 1 << 62), 1
        elif self._modes.is_hostile("pq_one"):
            p, q = 1, 1
        else:
            p, q = sorted((random_prime(1 << 30, 1 << 31), random_prime(1 << 30, 1 << 31)))
            while p == q:
                p, q = sorted((p, random_prime(1 << 30, 1 << 31)))
        self._exchange = _Exchange(request.nonce, signed(secrets.token_bytes(16)), p, q)
        nonce = request.nonce ^ 1 if self._modes.is_hostile("pq_nonce") else request.nonce
        strange = signed(secrets.token_bytes(8))
        known = [] if self._modes.is_hostile("fingerprint") else [self._centre.rsa.fingerprint]
        return types.ResPQ(nonce, self._exchange.server_nonce, big_endian(p * q), [strange, *known])

    def _same(self, request: Any, what: str) -> _Exchange:
        exchange = self._exchange
        if exchange is None or (request.nonce, request.server_nonce) != (exchange.nonce, exchange.server_nonce):
            raise Violation(f"{what}: the nonces are not those of this exchange")
        return exchange

    def _parameters(self, request: Any) -> Any:
        exchange = self._same(request, "req_DH_params")
        if request.public_key_fingerprint != self._centre.rsa.fingerprint:
            raise Violation("req_DH_params: a fingerprint of some other key")
        p, q = big_endian(exchange.p), big_endian(exchange.q)
        if (request.p, request.q) != (p, q):
            raise Violation("req_DH_params: p and q are not the factors, the smaller one first")
        inner = self._inner_data(request.encrypted_data)
        if (inner.pq, inner.p, inner.q) != (big_endian(exchange.p * exchange.q), p, q):
            raise Violation("p_q_inner_data: other factors than outside")
        if (inner.nonce, inner.server_nonce) != (exchange.nonce, exchange.server_nonce):
            raise Violation("p_q_inner_data: the nonces are not those of this exchange")
        self._check_dc(inner)
        exchange.expires_in = getattr(inner, "expires_in", None)
        if exchange.expires_in is not None and not 0 < exchange.expires_in <= MAX_TEMPORARY_SECONDS:
            raise Violation("p_q_inner_data_temp: expires_in is out of bounds")
        exchange.new_nonce = raw(inner.new_nonce, 32)
        exchange.aes = handshake_key(raw(exchange.server_nonce, 16), exchange.new_nonce)
        if self._modes.is_hostile("dh_fail"):
            proof = signed(sha1(exchange.new_nonce)[4:20])
            return types.ServerDHParamsFail(exchange.nonce, exchange.server_nonce, proof)
        return self._dh_answer(exchange)

    def _inner_data(self, encrypted: bytes) -> Any:
        if len(encrypted) != 256:
            raise Violation("req_DH_params: encrypted_data is not 256 bytes")
        try:
            block = self._centre.rsa.decrypt(encrypted)
        except ValueError as error:
            raise Violation(f"req_DH_params: {error}") from error
        data = remove_rsa_pad(block)
        if data is None and self._modes.habits.old_rsa:
            return self._old_inner_data(block)
        if data is None:
            raise Violation("req_DH_params: the hash inside RSA_PAD is wrong")
        inner = self._read_inner(data)
        if len(bytes(inner)) > MAX_INNER_BYTES:
            raise Violation("req_DH_params: more than 144 bytes of data")
        return inner

    def _old_inner_data(self, block: bytes) -> Any:
        inner = self._read_inner(block[21:])
        if block[0] != 0 or sha1(bytes(inner)) != block[1:21]:
            raise Violation("req_DH_params: neither RSA_PAD nor what was before it")
        return inner

    def _read_inner(self, data: bytes) -> Any:
        try:
            inner = read(data, exact=False)
        except RpcError as error:
            raise Violation("req_DH_params: unreadable inner data") from error
        known = (types.PQInnerDataDc, types.PQInnerDataTempDc)
        old = (types.PQInnerData, types.PQInnerDataTemp) if self._modes.habits.old_rsa else ()
        if not isinstance(inner, known + old):
            raise Violation(f"req_DH_params: {type(inner).__name__} inside")
        return inner

    def _check_dc(self, inner: Any) -> None:
        # Test servers are told apart by 10000, media servers by the sign.
        named = getattr(inner, "dc", None)
        if named is not None and abs(named) % 10000 != self._centre.id:
            raise Violation(f"p_q_inner_data: this is DC {self._centre.id}, not {named}", 444)

    def _dh_answer(self, exchange: _Exchange) -> Any:
        exchange.secret = secrets.randbits(2048)
        exchange.prime, generator, g_a = spoil_dh(self._modes, DH_PRIME, DH_GENERATOR, exchange.secret)
        inner = types.ServerDHInnerData(
            exchange.nonce, exchange.server_nonce, generator, big_endian(exchange.prime, 256),
            big_endian(g_a, 256 if g_a.bit_length() <= 2048 else None), int(self._clock.now()),
        )  # fmt: skip
        written = spoil_inner(self._modes, inner)
        digest = sha1(b"other", written) if self._modes.is_hostile("dh_answer_hash") else sha1(written)
        plain = digest + written
        plain += secrets.token_bytes(-len(plain) % 16)
        encrypted = ige_encrypt(plain, *exchange.aes)
        if self._modes.is_hostile("dh_answer_length"):
            encrypted = encrypted[:-4]
        nonce = exchange.nonce ^ 1 if self._modes.is_hostile("dh_nonce") else exchange.nonce
        other = exchange.server_nonce ^ 1 if self._modes.is_hostile("dh_server_nonce") else exchange.server_nonce
        return types.ServerDHParamsOk(nonce, other, encrypted)

    def _complete(self, request: Any) -> Any:
        exchange = self._same(request, "set_client_DH_params")
        if not exchange.secret:
            raise Violation("set_client_DH_params before req_DH_params")
        inner = self._client_inner(request.encrypted_data, exchange)
        if (inner.nonce, inner.server_nonce) != (exchange.nonce, exchange.server_nonce):
            raise Violation("client_DH_inner_data: the nonces are not those of this exchange")
        if inner.retry_id != exchange.retry_id:
            raise Violation("client_DH_inner_data: retry_id is not what the last answer demands")
        g_b = int.from_bytes(inner.g_b, "big")
        if not SAFETY_MARGIN <= g_b <= exchange.prime - SAFETY_MARGIN:
            raise Violation("client_DH_inner_data: g_b is out of its range")
        data = big_endian(pow(g_b, exchange.secret, exchange.prime), 256)
        salt = bytes(a ^ b for a, b in zip(exchange.new_nonce[:8], raw(exchange.server_nonce, 16)[:8], strict=True))
        now = self._clock.now()
        expires_at = None if exchange.expires_in is None else now + exchange.expires_in
        salts = Salts(self._clock, int(struct.unpack("<q", salt)[0]))
        key = AuthKey(data, self._centre.id, salts, now, expires_at, is_cdn=self._centre.is_cdn)
        return self._conclude(exchange, key)

    def _client_inner(self, encrypted: bytes, exchange: _Exchange) -> Any:
        if not encrypted or len(encrypted) % 16:
            raise Violation("set_client_DH_params: encrypted_data is no whole number of blocks")
        plain = ige_decrypt(encrypted, *exchange.aes)
        try:
            inner = read(plain[20:], exact=False)
        except RpcError as error:
            raise Violation("set_client_DH_params: unreadable inner data") from error
        written = bytes(inner)
        if not isinstance(inner, types.ClientDHInnerData) or hashlib.sha1(written).digest() != plain[:20]:
            raise Violation("set_client_DH_params: the hash of the inner data is wrong")
        if len(plain) - 20 - len(written) > 15:
            raise Violation("set_client_DH_params: more padding than a block")
        return inner

    def _conclude(self, exchange: _Exchange, key: AuthKey) -> Any:
        kinds = (types.DhGenOk, types.DhGenRetry, types.DhGenFail)
        number = 1
        if self._modes.is_hostile("gen_retry") or self._keys.knows(key.aux_hash):
            number, exchange.retry_id = 2, struct.unpack("<q", key.aux_hash)[0]
        elif self._modes.is_hostile("gen_fail"):
            number = 3
        else:
            self._keys.add(key)
        proof = sha1(exchange.new_nonce, bytes([number]), key.aux_hash)[-16:]
        if self._modes.is_hostile("gen_hash"):
            proof = sha256(proof)[:16]
        nonce = exchange.nonce ^ 1 if self._modes.is_hostile("gen_nonce") else exchange.nonce
        other = exchange.server_nonce ^ 1 if self._modes.is_hostile("gen_server_nonce") else exchange.server_nonce
        if number != 2:
            self._exchange = None
        return kinds[number - 1](nonce, other, signed(proof))
