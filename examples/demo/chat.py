"""The people's side of the emulated Telegram: write in a chat, look into it."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Person:
    id: int
    name: str
    username: str

    @property
    def user(self) -> Json:
        return {"id": self.id, "first_name": self.name, "username": self.username}


class Telegram:
    """The emulator's control interface (Tests/Emulator/README.md)."""

    def __init__(self, url: str) -> None:
        self._url = url

    def say(self, person: Person, text: str) -> Json:
        """Writes to the bot, in private; the message as the chat then has it."""
        return self._request("message", {"chat_id": person.id, "from": person.user, "text": text})

    def chat(self, person: Person) -> list[Json]:
        """The messages between a person and the bot, removed ones included."""
        return list(self._request(f"chat/{person.id}")["messages"])

    def calls(self, method: str) -> list[Json]:
        """The calls of a method that the bot has made so far."""
        return list(self._request(f"log?method={method}")["calls"])

    def deliveries(self) -> list[Json]:
        """When each update was handed to the bot."""
        return list(self._request("log")["deliveries"])

    def all_taken(self) -> bool:
        """Whether the bot has fetched and confirmed every message."""
        return bool(self._request("pending")["pending"] == 0)

    def file(self, unique_id: str) -> bytes:
        with urllib.request.urlopen(f"{self._url}/control/file/{unique_id}", timeout=20) as answer:
            return bytes(answer.read())

    def _request(self, path: str, body: Json | None = None) -> Json:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}/control/{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return dict(json.load(answer))


class Site:
    """The web site that is downloaded from."""

    def __init__(self, url: str) -> None:
        self.url = url

    def visits(self, path: str) -> int:
        """How often something below this path was asked for."""
        with urllib.request.urlopen(f"{self.url}/control/log", timeout=20) as answer:
            return sum(visit["path"].startswith(path) for visit in json.load(answer)["requests"])


def wait_until(is_so: Callable[[], bool], seconds: float, meanwhile: Callable[[], None] = lambda: None) -> bool:
    """Looks again and again; false when the time is up."""
    end = time.monotonic() + seconds
    while True:
        done = is_so()
        meanwhile()
        if done or time.monotonic() > end:
            return done
        time.sleep(LOOK_SECONDS)
