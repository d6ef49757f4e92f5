"""The people's side of the emulated Telegram: they write, answer, send files and press buttons, and see what the chat shows."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "demo"))

from chat import Telegram, wait_until  # noqa: E402
from services import Broken, Services  # noqa: E402
from transcript import describe  # noqa: E402

Json = dict[str, Any]
PATIENCE_SECONDS = 60
# How long the chat must stay as it is before a scene is over.
QUIET_SECONDS = 0.4
PROGRESS = re.compile(r"^(\d+/\d+ )?(⏳|⬇️|🎞|⬆️|📦 (?!.*(Telegram|تلگرام|تيليجرام)))")


@dataclass(frozen=True)
class Person:
    id: int
    name: str
    language: str
    username: str | None = None

    @property
    def user(self) -> Json:
        name = {} if self.username is None else {"username": self.username}
        return {"id": self.id, "first_name": self.name, "language_code": self.language, "is_bot": False} | name


@dataclass
class Shown:
    """A message as the chat shows it."""

    id: int
    who: str
    is_bot: bool
    text: str = ""
    media: str | None = None
    entities: list[Json] = field(default_factory=list)
    buttons: list[list[str]] = field(default_factory=list)
    reactions: list[str] = field(default_factory=list)
    answers: int | None = None
    """The id of the message that this one answers."""

    @property
    def is_progress(self) -> bool:
        return self.is_bot and (bool(self.buttons) or bool(PROGRESS.match(self.text)))


@dataclass
class Toast:
    """The note that appears for a moment after a press."""

    who: str
    button: str
    text: str


class Chat:
    """One chat, private or a group, in which the bot is."""

    def __init__(self, stage: Stage, chat_id: int, title: str | None = None) -> None:
        self.stage, self.id, self.title = stage, chat_id, title
        self.snapshots: list[list[Shown | Toast]] = []
        self._toasts: list[tuple[int, Toast]] = []
        self._silent: set[int] = set()
        self._is_over = False
        self._faults: list[str] = []
        # What was said before is no part of this scene.
        self._since = 0
        self._since = max((message.id for message in self.messages()), default=0) if chat_id == stage.admin else 0

    def say(self, person: Person, text: str, to: Shown | int | None = None, silent: bool = False) -> int:
        """Writes a message, and waits until it is answered. `silent` means that the bot should not answer."""
        number = self.write(person, text, to)
        if silent:
            self._silent.add(number)
        else:
            self.wait(lambda: self.is_answered(number), f"no answer to {text!r}")
        return number

    def write(self, person: Person, text: str, to: Shown | int | None = None) -> int:
        """Writes a message, and waits for nothing."""
        order = self._order(person, to) | {"text": text}
        return int(self.stage.request("message", order)["message_id"])

    def send_file(self, person: Person, path: Path, caption: str | None = None, kind: str = "document", **facts: Any) -> int:
        order = self._order(person, None) | {"path": str(path), "kind": kind} | facts
        return int(self.stage.request("file", order | ({"caption": caption} if caption else {}))["message_id"])

    def send_cookies(self, person: Person, path: Path, is_deleted: bool = True) -> None:
        """Sends a file of cookies, and waits for the answer, and until the message is deleted if it is to be."""
        number = self.send_file(person, path, ".cookies", file_name="cookies.txt")
        self.wait(lambda: any(m.is_bot and m.id > number for m in self.messages()), "no answer to the file")
        if is_deleted:
            self.wait(lambda: all(m.id != number for m in self.messages()), "the file is not deleted")

    def expect_silence(self, number: int) -> None:
        self._silent.add(number)

    def _order(self, person: Person, to: Shown | int | None) -> Json:
        order = self.stage.whose | {"chat_id": self.id, "from": person.user}
        if self.title:
            order["title"] = self.title
        if to is not None:
            order["reply_to"] = to.id if isinstance(to, Shown) else to
        return order

    def press(self, person: Person, words: str, message: Shown) -> str:
        """Presses a button, and waits for the note."""
        button = next(button for row in message.buttons for button in row if words in button)
        order = {"chat_id": self.id, "message_id": message.id, "text": words, "from": person.user}
        query = self.stage.request("press", order)["id"]

        def note() -> str | None:
            calls = self.stage.telegram.calls("answerCallbackQuery")
            return next((call["params"].get("text", "") for call in calls if call["params"]["callback_query_id"] == query), None)

        self.wait(lambda: note() is not None, f"no answer to the press of {button!r}")
        shown = note() or ""
        self._toasts.append((message.id, Toast(person.name, button, shown)))
        return shown

    def messages(self) -> list[Shown]:
        """Returns the messages that the chat shows now."""
        shown = []
        for record in self.stage.request(f"chat/{self.id}{self.stage.query}")["messages"]:
            message = record["message"]
            if record["deleted"] or message["message_id"] <= self._since:
                continue
            is_bot = self.stage.is_answer(message)
            last = record["edits"][-1] if record["edits"] else message
            text = last.get("text") or last.get("caption") or message.get("text") or message.get("caption") or ""
            markup = message.get("reply_markup", {}).get("inline_keyboard", [])
            shown.append(
                Shown(
                    message["message_id"], "Bot" if is_bot else message["from"]["first_name"], is_bot, text,
                    describe(message), message.get("entities") or message.get("caption_entities") or [],
                    [[button["text"] for button in row] for row in markup],
                    [reaction.get("emoji", "?") for reaction in record["reactions"]],
                    message.get("reply_to_message", {}).get("message_id"),
                )  # fmt: skip
            )
        return shown

    def answers(self, number: int) -> list[Shown]:
        return [message for message in self.messages() if message.is_bot and message.answers == number]

    def is_answered(self, number: int) -> bool:
        messages = self.messages()
        answers = [message for message in messages if message.is_bot and message.answers == number]
        if answers:
            return not any(answer.is_progress for answer in answers)
        return any(message.id == number and message.reactions for message in messages)

    def question(self, number: int) -> Shown:
        """Waits for an answer with a keyboard of forms."""
        return self._await(number, lambda answer: sum(map(len, answer.buttons)) > 1, "keyboard")

    def progress(self, number: int) -> Shown:
        """Waits for an answer that shows progress of a download, with its button."""
        return self._await(number, lambda answer: "⬇️" in answer.text and len(answer.buttons) == 1, "progress")

    def _await(self, number: int, is_it: Callable[[Shown], bool], what: str) -> Shown:
        found: list[Shown] = []

        def look() -> bool:
            found[:] = [answer for answer in self.answers(number) if is_it(answer)]
            return bool(found)

        self.wait(look, f"no {what}")
        return found[0]

    def wait(self, is_so: Callable[[], bool], trouble: str, seconds: float = PATIENCE_SECONDS) -> None:
        if not wait_until(is_so, seconds):
            state = "\n".join(f"  {message.who}: {message.text or message.media}" for message in self.messages())
            raise Broken(f"{trouble} within {seconds:.0f} s; the chat shows:\n{state}")

    def look(self) -> None:
        """Keeps what the chat shows now."""
        self.snapshots.append(self._state())

    def _state(self) -> list[Shown | Toast]:
        lines: list[Shown | Toast] = []
        for message in self.messages():
            lines.append(message)
        # A note belongs to a message that may be gone by now, so the notes come last.
        lines += [toast for _, toast in self._toasts]
        return lines

    def close(self) -> None:
        """Ends the scene in this chat early, because another scene goes on there."""
        self._faults = self.finish()
        self._is_over = True

    def finish(self) -> list[str]:
        """Waits until the chat stays as it is, keeps it, and returns what is wrong with it."""
        if self._is_over:
            return self._faults
        states: list[tuple[float, str]] = []

        def is_quiet() -> bool:
            now, state = time.monotonic(), repr(self.messages())
            if not states or states[-1][1] != state:
                states[:] = [(now, state)]
            return now - states[-1][0] >= QUIET_SECONDS and self.stage.telegram.all_taken()

        self.wait(is_quiet, "the chat goes on changing")
        self.look()
        faults = []
        messages = self.messages()
        for message in messages:
            if message.is_progress:
                faults.append(f"left over: {message.text!r} {message.buttons}")
            if not message.is_bot:
                is_answered = any(other.is_bot and other.answers == message.id for other in messages)
                expects = message.id not in self._silent
                if expects and not is_answered and not message.reactions:
                    faults.append(f"unanswered: {message.text or message.media!r}")
                if not expects and is_answered:
                    faults.append(f"answered, and should not be: {message.text or message.media!r}")
        return faults


class Stage:
    """The running bot, and all that the scenes need."""

    def __init__(self, services: Services, admin: int) -> None:
        self.services, self.admin = services, admin
        self.telegram: Telegram = services.telegram
        account = 500 if services.is_account else None
        self.whose: Json = {} if account is None else {"account": account}
        self.query = "" if account is None else f"?account={account}"
        self.site = services.site_url
        self._last = 1000

    def request(self, path: str, body: Json | None = None) -> Json:
        return self.telegram.request(path, body)

    def is_answer(self, message: Json) -> bool:
        return self.telegram.is_answer(message)

    def person(self, name: str, language: str, username: str | None = None, is_let_in: bool = True) -> Person:
        """Makes somebody whom no other scene knows."""
        self._last += 1
        person = Person(self._last, name, language, username)
        if is_let_in:
            self.redis("SET", f"tgpipe:{{access}}:bless:{person.id}", "{}")
        return person

    def private(self, person: Person) -> Chat:
        return Chat(self, person.id)

    def group(self, title: str, isGraced: bool = True) -> Chat:
        self._last += 1
        chat = Chat(self, -(10**12) - self._last, title)
        if isGraced:
            self.redis("SET", f"tgpipe:{{access}}:grace:{chat.id}", "{}")
        return chat

    def redis(self, *command: str) -> str:
        socket = str(self.services.folder / "redis.sock")
        done = subprocess.run(["redis-cli", "-s", socket, *command], capture_output=True, text=True, check=True)
        return done.stdout.strip()
