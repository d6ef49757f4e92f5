"""The people's side of the emulated Telegram: they write, answer, send files and press buttons, and see what the chat shows."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import zlib
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
PATIENCE_SECONDS = 120
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
    is_deleted: bool = False

    @property
    def is_progress(self) -> bool:
        return self.is_bot and (bool(self.buttons) or bool(PROGRESS.match(self.text)))


@dataclass
class Toast:
    """The note that appears for a moment after a press."""

    who: str
    button: str
    text: str


@dataclass
class Snapshot:
    """What a chat shows at a moment."""

    chat: str
    lines: list[Shown | Toast]


class Chat:
    """One chat, private or a group, in which the bot is."""

    def __init__(self, stage: Stage, chat_id: int, title: str | None = None) -> None:
        self.stage, self.id, self.title = stage, chat_id, title
        self.snapshots: list[Snapshot] = []
        self._toasts: list[Toast] = []
        self._writers: dict[int, Person] = {}
        self._silent: set[int] = set()
        # Another scene may have gone on in the admin's chat, and another one may follow.
        self._first, self._last = 1, sys.maxsize
        self._first = max((message.id for message in self.messages()), default=0) + 1

    def say(self, person: Person, *texts: str, to: Shown | int | None = None) -> int:
        """Writes messages, each after the answer to the one before, and returns the number of the last one."""
        number = 0
        for text in texts:
            number = self.write(person, text, to)
            self.wait(lambda: self.is_answered(number), f"no answer to {text!r}")
        return number

    def mention(self, person: Person, text: str) -> int:
        """Writes a message that the bot should not answer."""
        number = self.write(person, text)
        self._silent.add(number)
        return number

    def write(self, person: Person, text: str, to: Shown | int | None = None) -> int:
        """Writes a message, and waits for nothing."""
        reply = {} if to is None else {"reply_to": to.id if isinstance(to, Shown) else to}
        return self._post("message", person, reply | {"text": text})

    def show(self, person: Person, path: Path, kind: str, **facts: Any) -> int:
        """Sends a file that is not meant for the bot."""
        number = self._post("file", person, {"path": str(path), "kind": kind} | facts)
        self._silent.add(number)
        return number

    def send_cookies(self, person: Person, path: Path, is_deleted: bool = True) -> None:
        """Sends a file of cookies, and waits for the answer, and until the message is deleted if it is to be."""
        file = {"path": str(path), "kind": "document", "caption": ".cookies", "file_name": "cookies.txt"}
        number = self._post("file", person, file)
        self.wait(lambda: self.is_answered(number), "no answer to the file")
        if is_deleted:
            self.wait(lambda: any(m.is_deleted for m in self.messages() if m.id == number), "the file is not deleted")

    def _post(self, path: str, person: Person, content: Json) -> int:
        order = self.stage.whose | {"chat_id": self.id, "from": person.user} | content
        number = int(self.stage.request(path, order | ({"title": self.title} if self.title else {}))["message_id"])
        self._writers[number] = person
        return number

    def press(self, person: Person, words: str, message: Shown) -> None:
        """Presses a button, and waits for the note."""
        button = next((button for row in message.buttons for button in row if words in button), None)
        if button is None:
            raise Broken(f"there is no button {words!r}, but {message.buttons}")
        order = {"chat_id": self.id, "message_id": message.id, "text": words, "from": person.user}
        query = self.stage.request("press", order)["id"]

        def note() -> str | None:
            calls = self.stage.telegram.calls("answerCallbackQuery")
            return next((call["params"].get("text", "") for call in calls if call["params"]["callback_query_id"] == query), None)

        self.wait(lambda: note() is not None, f"no answer to the press of {button!r}")
        self._toasts.append(Toast(person.name, button, note() or ""))

    def messages(self) -> list[Shown]:
        """Returns the messages that the chat shows now, and those of people that are deleted."""
        shown = []
        for record in self.stage.request(f"chat/{self.id}{self.stage.query}")["messages"]:
            message = record["message"]
            is_bot = self.stage.telegram.is_answer(message)
            if record["deleted"] and is_bot or not self._first <= message["message_id"] <= self._last:
                continue
            last = record["edits"][-1] if record["edits"] else message
            text = last.get("text") or last.get("caption") or message.get("text") or message.get("caption") or ""
            markup = message.get("reply_markup", {}).get("inline_keyboard", [])
            shown.append(
                Shown(
                    message["message_id"], "Bot" if is_bot else message["from"]["first_name"], is_bot, text,
                    describe(message), message.get("entities") or message.get("caption_entities") or [],
                    [[button["text"] for button in row] for row in markup],
                    [reaction.get("emoji", "?") for reaction in record["reactions"]],
                    message.get("reply_to_message", {}).get("message_id"), bool(record["deleted"]),
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

    def progress(self, number: int, sign: str = "⬇️") -> Shown:
        """Waits for an answer that shows progress, by default of a download."""
        return self._await(number, lambda answer: answer.is_progress and sign in answer.text, f"progress {sign}")

    def result(self, number: int) -> Shown:
        """Waits for an answer with a file."""
        return self._await(number, lambda answer: answer.media is not None, "file")

    def note(self, *words: str) -> Shown:
        """Waits for a message of the bot with all these words, whatever it answers."""
        return self._await(None, lambda message: all(word in message.text for word in words), f"message with {words}")

    def _await(self, number: int | None, is_it: Callable[[Shown], bool], what: str) -> Shown:
        found: list[Shown] = []

        def look() -> bool:
            messages = [message for message in self.messages() if message.is_bot] if number is None else self.answers(number)
            found[:] = [message for message in messages if is_it(message)]
            return bool(found)

        self.wait(look, f"no {what}")
        return found[-1]

    def wait(self, is_so: Callable[[], bool], trouble: str) -> None:
        is_up = self.stage.services.is_bot_up
        if wait_until(lambda: is_so() or not is_up(), PATIENCE_SECONDS) and (is_up() or is_so()):
            return
        reason = f"{trouble} within {PATIENCE_SECONDS} s" if is_up() else f"{trouble}, because the bot has ended"
        state = "\n".join(f"  {message.who}: {message.text or message.media}" for message in self.messages())
        raise Broken(f"{reason}; the chat shows:\n{state}")

    def await_day(self) -> None:
        """Waits for midnight if it is near: the scene counts on what it has had today."""
        self.wait(lambda: time.gmtime()[3:5] < (23, 59), "no midnight")

    def look(self) -> None:
        """Keeps what the chat shows now. Notes that appeared for a moment come last: their message may be gone by now."""
        chat = f"In the group {self.title}" if self.title else "In private"
        self.snapshots.append(Snapshot(chat, [*self.messages(), *self._toasts]))

    def close(self) -> None:
        """Ends the scene in this chat, because another scene goes on there."""
        self._last = max(message.id for message in self.messages())

    def cancel(self) -> None:
        """Cancels what a scene that has failed has left, so that the bot can end."""
        for message in self.messages():
            if not message.is_deleted and message.id in self._writers and not self.is_answered(message.id):
                self.write(self._writers[message.id], ".stop", message)

    def faults(self) -> list[str]:
        """Returns what is wrong with the chat when all is over."""
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
    """The people and the chats of one scene in one language."""

    def __init__(self, services: Services, name: str, language: str) -> None:
        self.services, self.name, self.language = services, name, language
        self.telegram: Telegram = services.telegram
        account = 500 if services.is_account else None
        self.whose: Json = {} if account is None else {"account": account}
        self.query = "" if account is None else f"?account={account}"
        self.site = services.site_url
        self.chats: list[Chat] = []
        self._count = 0

    def request(self, path: str, body: Json | None = None) -> Json:
        return self.telegram.request(path, body)

    def either(self, english: str, persian: str) -> str:
        return english if self.language == "en" else persian

    def person(self, name: str, username: str | None = None, language: str | None = None, is_let_in: bool = True) -> Person:
        """Makes somebody whom no other scene knows."""
        person = Person(self._new_id(), name, language or self.language, username)
        if is_let_in:
            self.redis("SET", f"tgpipe:{{access}}:bless:{person.id}", "{}")
        if self.services.is_account:
            # Telegram tells only bots the language of a person's app: these have chosen theirs with /lang.
            self.redis("SET", f"tgpipe:{{access}}:language:{person.id}", person.language)
        return person

    def private(self, person: Person) -> Chat:
        return self._chat(person.id)

    def group(self, title: str, is_graced: bool = True) -> Chat:
        chat_id = -(10**12) - self._new_id()
        if is_graced:
            self.redis("SET", f"tgpipe:{{access}}:grace:{chat_id}", "{}")
        return self._chat(chat_id, title)

    def _chat(self, chat_id: int, title: str | None = None) -> Chat:
        self.chats.append(Chat(self, chat_id, title))
        return self.chats[-1]

    def _new_id(self) -> int:
        """Returns an id that depends on nothing but this scene: transcripts contain ids."""
        self._count += 1
        return 10**8 + zlib.crc32(f"{self.name}.{self.language}".encode()) % 10**7 * 10 + self._count

    def redis(self, *command: str) -> str:
        socket = str(self.services.folder / "redis.sock")
        done = subprocess.run(["redis-cli", "-s", socket, *command], capture_output=True, text=True, check=True)
        return done.stdout.strip()
