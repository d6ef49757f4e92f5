"""Keys, key derivation and encryption of MTProto 2.0 (and the part of 1.0 that binding a temporary key uses)."""

from __future__ import annotations

import hashlib
import secrets
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from telethon.crypto import AES

from .tl import TLObject

# The 2048-bit safe prime that Telegram's servers use, published with the description of the protocol; clients know it.
DH_PRIME = int(
    "C71CAEB9C6B1C9048E6C522F70F13F73980D40238E3E21C14934D037563D930F48198A0AA7C14058229493D22530F4DBFA336F6E0AC92513"
    "9543AED44CCE7C3720FD51F69458705AC68CD4FE6B6B13ABDC9746512969328454F18FAF8C595F642477FE96BB2A941D5BCD1D4AC8CC4988"
    "0708FA9B378E3C4F3A9060BEE67CF9A4A4A695811051907E162753B56B0F6B410DBA74D8A84B2A14B3144E0EF1284754FD17ED950D5965B4"
    "B9DD46582DB1178D169C6BC465B0D6FF9CA3928FEF5B9AE4E418FC15E83EBEA0F87FA9FF5EED70050DED2849F47BF959D956850CE929851F"
    "0D8115F635B105EE2E4E15D04B2454BF6F4FADF034B10403119CD8E3B92FCC5B",
    16,
)
DH_GENERATOR = 3


def sha1(*parts: bytes) -> bytes:
    return hashlib.sha1(b"".join(parts)).digest()


def sha256(*parts: bytes) -> bytes:
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(part)  # a joined copy would cost as much as half the hash
    return hashed.digest()


def big_endian(number: int, length: int | None = None) -> bytes:
    return number.to_bytes(length or max((number.bit_length() + 7) // 8, 1), "big")


def ige_encrypt(data: bytes, key: bytes, iv: bytes) -> bytes:
    return bytes(AES.encrypt_ige(data, key, iv))


def ige_decrypt(data: bytes, key: bytes, iv: bytes) -> bytes:
    return bytes(AES.decrypt_ige(data, key, iv))


def ctr(key: bytes, iv: bytes) -> CipherContext:
    """Return a CTR cipher, which encrypts and decrypts in the same way."""
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()


def key_id(auth_key: bytes) -> int:
    return int(struct.unpack("<q", sha1(auth_key)[-8:])[0])


def derive(auth_key: bytes, msg_key: bytes, *, from_client: bool) -> tuple[bytes, bytes]:
    """AES key and IV of one message."""
    x = 0 if from_client else 8
    a = sha256(msg_key, auth_key[x : x + 36])
    b = sha256(auth_key[40 + x : 76 + x], msg_key)
    return a[:8] + b[8:24] + a[24:32], b[:8] + a[8:24] + b[24:32]


def msg_key_large(auth_key: bytes, padded: bytes, *, from_client: bool) -> bytes:
    x = 0 if from_client else 8
    return sha256(auth_key[88 + x : 120 + x], padded)


def derive_v1(auth_key: bytes, msg_key: bytes) -> tuple[bytes, bytes]:
    """AES key and IV of MTProto 1.0, for a message from the client."""
    a = sha1(msg_key, auth_key[:32])
    b = sha1(auth_key[32:48], msg_key, auth_key[48:64])
    c = sha1(auth_key[64:96], msg_key)
    d = sha1(msg_key, auth_key[96:128])
    return a[:8] + b[8:20] + c[4:16], a[8:20] + b[:8] + c[16:20] + d[:8]


def handshake_key(server_nonce: bytes, new_nonce: bytes) -> tuple[bytes, bytes]:
    a, b = sha1(new_nonce, server_nonce), sha1(server_nonce, new_nonce)
    return a + b[:12], b[12:] + sha1(new_nonce, new_nonce) + new_nonce[:4]


@dataclass(frozen=True)
class ServerKey:
    """The RSA key by which clients know the server."""

    private: rsa.RSAPrivateKey

    @classmethod
    def generate(cls) -> ServerKey:
        return cls(rsa.generate_private_key(65537, 2048))

    @property
    def pem(self) -> str:
        """PKCS #1, as clients hold Telegram's keys."""
        encoded = self.private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)
        return encoded.decode()

    @property
    def fingerprint(self) -> int:
        numbers = self.private.public_key().public_numbers()
        written = (TLObject.serialize_bytes(big_endian(number)) for number in (numbers.n, numbers.e))
        return int(struct.unpack("<q", sha1(*written)[-8:])[0])

    def decrypt(self, data: bytes) -> bytes:
        """The bare RSA operation."""
        numbers = self.private.private_numbers()
        number = int.from_bytes(data, "big")
        if number >= numbers.public_numbers.n:
            raise ValueError("a number that is not smaller than the modulus")
        p = pow(number, numbers.dmp1, numbers.p)
        q = pow(number, numbers.dmq1, numbers.q)
        return big_endian(q + (p - q) * numbers.iqmp % numbers.p * numbers.q, 256)


def remove_rsa_pad(block: bytes) -> bytes | None:
    """The 192 padded bytes of RSA_PAD, or None if the hash in it is wrong."""
    temp_key = bytes(a ^ b for a, b in zip(block[:32], sha256(block[32:]), strict=True))
    with_hash = ige_decrypt(block[32:], temp_key, bytes(32))
    padded = with_hash[:192][::-1]
    return padded if sha256(temp_key, padded) == with_hash[192:] else None


def random_prime(low: int, high: int) -> int:
    while True:
        number = secrets.randbelow(high - low) + low | 1
        if is_prime(number):
            return number


def is_prime(number: int, rounds: int = 24) -> bool:
    small = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    if number < 2 or any(number % p == 0 for p in small):
        return number in small
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(rounds):
        x = pow(secrets.randbelow(number - 3) + 2, odd, number)
        if x in (1, number - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % number
            if x == number - 1:
                break
        else:
            return False
    return True
