"""The users' side of the emulated Telegram: writes messages into a chat and reads what the chat contains."""

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
    """Calls the emulator's control interface (Tests/Emulator/README.md)."""

    def __init__(self, url: str, account: int | None = None) -> None:
        """- Parameter account: the id of the account that acts as the bot; None for a bot of the Bot API."""
        self._url = url
        self._account = account
        self._whose = "" if account is None else f"?account={account}"

    def say(self, person: Person, text: str) -> Json:
        """Sends a private message to the bot, and returns the message as it appears in the chat."""
        whose = {} if self._account is None else {"account": self._account}
        return self.request("message", whose | {"chat_id": person.id, "from": person.user, "text": text})

    def chat(self, person: Person) -> list[Json]:
        """Returns the messages between a person and the bot, including deleted ones."""
        return self.chat_messages(person.id)

    def chat_messages(self, chat_id: int) -> list[Json]:
        """Returns the messages of any chat of the bot, including deleted ones."""
        return list(self.request(f"chat/{chat_id}{self._whose}")["messages"])

    def is_answer(self, message: Json) -> bool:
        """Returns whether the bot wrote a message."""
        sender = message["from"]
        return bool(sender["is_bot"] if self._account is None else sender["id"] == self._account)

    def uploads(self) -> int:
        """Returns how many uploads the bot has made so far.

        For a bot, this is the number of videos that were sent as bytes instead of by file_id; for an account, the number
        of file parts.
        """
        if self._account is None:
            return sum(not isinstance(call["params"].get("video"), str) for call in self.calls("sendVideo"))
        methods = ("upload.saveFilePart", "upload.saveBigFilePart")
        return sum(len(self.request(f"mtproto/log?method={method}")["calls"]) for method in methods)

    def calls(self, method: str) -> list[Json]:
        """Returns the calls that the bot has made so far to a method of the Bot API."""
        return list(self.request(f"log?method={method}")["calls"])

    def is_listened_to(self) -> bool:
        """Returns whether the bot receives new messages. An account never receives messages sent before it first listened."""
        return self._account is None or bool(self.request("mtproto/log?method=updates.getState")["calls"])

    def violations(self) -> list[Json]:
        """Returns the account's violations of the protocol.

        Code 48 is ignored, because an imported session has no salt at first.
        """
        return [one for one in self.request("mtproto/log")["violations"] if one.get("code") != 48]

    def session(self) -> str:
        """Returns the account's session as a Telethon session string, which is secret."""
        return str(self.request("mtproto/session", {"account": self._account})["telethon"])

    def servers(self) -> Json:
        """Returns the addresses of the data centres and the public key of the emulated servers."""
        return self.request("mtproto")

    def deliveries(self) -> list[Json]:
        """Returns the time at which each update was delivered to the bot."""
        return list(self.request("log")["deliveries"])

    def all_taken(self) -> bool:
        """Returns whether the bot has fetched and confirmed every message."""
        return bool(self.request(f"pending{self._whose}")["pending"] == 0)

    def file(self, unique_id: str) -> bytes:
        with urllib.request.urlopen(f"{self._url}/control/file/{unique_id}", timeout=20) as answer:
            return bytes(answer.read())

    def request(self, path: str, body: Json | None = None) -> Json:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}/control/{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return dict(json.load(answer))


class Site:
    """Represents the web site that the demo downloads from."""

    def __init__(self, url: str) -> None:
        self.url = url

    def visits(self, path: str) -> int:
        """Returns the number of requests for paths that begin with `path`."""
        with urllib.request.urlopen(f"{self.url}/control/log", timeout=20) as answer:
            return sum(visit["path"].startswith(path) for visit in json.load(answer)["requests"])


def wait_until(is_so: Callable[[], bool], seconds: float, meanwhile: Callable[[], None] = lambda: None) -> bool:
    """Polls until `is_so` returns true. Returns false if that does not happen within `seconds`."""
    end = time.monotonic() + seconds
    while True:
        done = is_so()
        meanwhile()
        if done or time.monotonic() > end:
            return done
        time.sleep(LOOK_SECONDS)
