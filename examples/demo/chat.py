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

    def __init__(self, url: str, account: int | None = None) -> None:
        """- Parameter account: the one that plays the bot, if none of the Bot API does."""
        self._url = url
        self._account = account
        self._whose = "" if account is None else f"?account={account}"

    def say(self, person: Person, text: str) -> Json:
        """Writes to the bot, in private; the message as the chat then has it."""
        whose = {} if self._account is None else {"account": self._account}
        return self._request("message", whose | {"chat_id": person.id, "from": person.user, "text": text})

    def chat(self, person: Person) -> list[Json]:
        """The messages between a person and the bot, removed ones included."""
        return list(self._request(f"chat/{person.id}{self._whose}")["messages"])

    def is_answer(self, message: Json) -> bool:
        """Whether the bot wrote it."""
        sender = message["from"]
        return bool(sender["is_bot"] if self._account is None else sender["id"] == self._account)

    def uploads(self) -> int:
        """How many videos, or parts of files, the bot has sent as bytes so far, instead of as the name of one that Telegram has."""
        if self._account is None:
            return sum(not isinstance(call["params"].get("video"), str) for call in self.calls("sendVideo"))
        methods = ("upload.saveFilePart", "upload.saveBigFilePart")
        return sum(len(self._request(f"mtproto/log?method={method}")["calls"]) for method in methods)

    def calls(self, method: str) -> list[Json]:
        """The calls of a method of the Bot API that the bot has made so far."""
        return list(self._request(f"log?method={method}")["calls"])

    def is_listened_to(self) -> bool:
        """Whether what is said now reaches the bot. What was said before an account first listens stays unheard."""
        return self._account is None or bool(self._request("mtproto/log?method=updates.getState")["calls"])

    def violations(self) -> list[Json]:
        """What the account did that Telegram would not put up with; a session made elsewhere has no salt at first (48)."""
        return [one for one in self._request("mtproto/log")["violations"] if one.get("code") != 48]

    def session(self) -> str:
        """The account's session, as Telethon would write it: secret."""
        return str(self._request("mtproto/session", {"account": self._account})["telethon"])

    def servers(self) -> Json:
        """Where the data centres are, and how they are known."""
        return self._request("mtproto")

    def deliveries(self) -> list[Json]:
        """When each update was handed to the bot."""
        return list(self._request("log")["deliveries"])

    def all_taken(self) -> bool:
        """Whether the bot has fetched and confirmed every message."""
        return bool(self._request(f"pending{self._whose}")["pending"] == 0)

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
