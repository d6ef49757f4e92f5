"""Measures AES-256-IGE, which encrypts all traffic with Telegram.

The peers are AES-256-CBC of libcrypto and AES-256-IGE of cryptg.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import cryptg
from bench import MEGABYTE, ROOT, row, scratch
from results import at_least

PIECE = 16384
SECONDS = 1.0
ROUNDS = 3


def library(folder: Path) -> ctypes.CDLL:
    """Builds the project's C library alone, with the compiler that the project uses."""
    swift = Path(subprocess.run([ROOT / "scripts/swift.sh", "--path"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    beside = swift.resolve().with_name("clang")
    compiler = str(beside) if beside.exists() else "cc"
    source, made = ROOT / "Sources/C/CAES", folder / "libcaes.so"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", f"-I{source}/include", *source.glob("*.c"), "-lcrypto", "-o", made], check=True
    )
    return ctypes.CDLL(str(made))


def own(function: Callable[..., None]) -> float:
    key, vector = os.urandom(32), ctypes.create_string_buffer(os.urandom(32), 32)
    piece = ctypes.create_string_buffer(os.urandom(PIECE), PIECE)
    # The figure includes Python's overhead for a call, which is small compared with 16 KiB.
    return rate(lambda: function(key, vector, piece, piece, ctypes.c_size_t(PIECE)))


def peer(function: Callable[[bytes, bytes, bytes], bytes]) -> float:
    key, vector, piece = os.urandom(32), os.urandom(32), os.urandom(PIECE)
    return rate(lambda: function(piece, key, vector))


def rate(work: Callable[[], object]) -> float:
    """Returns megabytes per second of processor time, which is also the unit of `openssl speed`."""
    count, started = 0, time.process_time()
    while (passed := time.process_time() - started) < SECONDS:
        for _ in range(100):
            work()
        count += 100
    return count * PIECE / MEGABYTE / passed


def openssl() -> float:
    command = ["openssl", "speed", "-seconds", str(round(SECONDS)), "-bytes", str(PIECE), "-evp", "aes-256-cbc"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    found = re.search(r"^AES-256-CBC\s+([\d.]+)k", output, re.MULTILINE)
    if not found:
        raise SystemExit("error: unable to parse the output of openssl speed")
    return float(found[1]) * 1000 / MEGABYTE


def main() -> None:
    with scratch() as folder:
        caes = library(folder)
        functions = {
            "encrypting": (caes.tgp_aes_ige_encrypt, cryptg.encrypt_ige), "decrypting": (caes.tgp_aes_ige_decrypt, cryptg.decrypt_ige),
        }  # fmt: skip
        for name, (mine, other) in functions.items():
            # Alternate, so that disturbances affect all candidates equally, and take the best figure of each.
            figures = [(own(mine), openssl(), peer(other)) for _ in range(ROUNDS)]
            best, limit, theirs = (max(column) for column in zip(*figures, strict=True))
            row(f"AES-256-IGE, {name}", best, "MB/s", at_least(0.8, times=True), peer=("openssl speed, CBC", limit))
            row("  the same", best, "MB/s", peer=("cryptg", theirs))


if __name__ == "__main__":
    main()
