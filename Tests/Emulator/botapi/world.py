"""Everything one emulator holds, and the checks that most methods begin with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .errors import bad_request, forbidden, upgraded
from .faults import FaultPlan
from .filestore import FileStore
from .journal import Journal
from .model import GONE, Bot, Chat, Message, View
from .rates import RateLimits
from .request import Upload

CLOUD_UPLOAD_BYTES = 50 * 1024 * 1024
LOCAL_UPLOAD_BYTES = 2000 * 1024 * 1024


@dataclass(frozen=True)
class Options:
    tokens: list[str]
    directory: Path
    local: bool = False
    enforce_rates: bool = False

    @property
    def max_upload_bytes(self) -> int:
        return LOCAL_UPLOAD_BYTES if self.local else CLOUD_UPLOAD_BYTES


class Accounts(Protocol):
    def named(self, value: Any) -> View:
        """An account's view, by id, phone number or username. Raises ControlError."""

    def reflect(self, source: View, chat: Chat, kind: str, message_ids: list[int]) -> None:
        """Show accounts a bot's change in a private chat with one of them: new, edit, delete or reactions."""


class World:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.bots = [Bot(token, serial) for serial, token in enumerate(options.tokens, 1)]
        self.files = FileStore(options.directory, options.local)
        self.rates = RateLimits(options.enforce_rates)
        self.faults = FaultPlan()
        self.journal = Journal()
        self.accounts: Accounts | None = None
        """User accounts, if the emulator was started with some."""

    def reflect(self, bot: Bot, chat: Chat, kind: str, *messages: Message) -> None:
        """Show an account the bot's change in their private chat."""
        if self.accounts is not None:
            self.accounts.reflect(bot, chat, kind, [message.id for message in messages])

    def bot_by_token(self, token: str) -> Bot | None:
        return next((bot for bot in self.bots if bot.token == token), None)

    def is_known_user(self, user_id: int) -> bool:
        return any(user_id in bot.users for bot in self.bots)


@dataclass
class Call:
    """One call of one bot, with its typed parameters."""

    world: World
    bot: Bot
    method: str
    parameters: dict[str, Any]
    uploads: dict[str, Upload] = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        return self.parameters.get(name, default)

    def chat(self, name: str = "chat_id") -> Chat:
        """The chat named by a parameter, if the bot can do something in it."""
        chat = self.readable_chat(name)
        if chat.migrated_to is not None:
            raise upgraded(chat.migrated_to)
        return chat

    def readable_chat(self, name: str = "chat_id") -> Chat:
        """The chat named by a parameter, if the bot can see it."""
        given = self.parameters.get(name)
        if given is None:
            raise bad_request(f"{name} is empty")
        chat = self.bot.chat_named(given) if isinstance(given, str) else self.bot.chats.get(given)
        if chat is None:
            if isinstance(given, int) and given > 0 and self.world.is_known_user(given):
                raise forbidden("bot can't initiate conversation with a user")
            raise bad_request("chat not found")
        if chat.bot_status == "kicked":
            raise forbidden(f"bot was kicked from the {'group' if chat.type == 'group' else chat.type} chat")
        if chat.bot_status in GONE:
            raise forbidden(f"bot is not a member of the {'group' if chat.type == 'group' else chat.type} chat")
        return chat

    def writable_chat(self) -> Chat:
        chat = self.chat()
        if chat.id in self.bot.blocked_by:
            raise forbidden("bot was blocked by the user")
        if self.get("business_connection_id"):
            raise bad_request("business connection not found")
        return chat

    def thread(self, chat: Chat) -> int | None:
        thread_id: int | None = self.get("message_thread_id")
        if thread_id is not None and thread_id not in chat.threads:
            raise bad_request("message thread not found")
        return thread_id

    def message(self, chat: Chat, purpose: str, name: str = "message_id") -> Message:
        message_id = self.get(name)
        if message_id is None:
            raise bad_request("message identifier is not specified")
        message = chat.find(message_id)
        if message is None:
            raise bad_request(f"message to {purpose} not found")
        return message

    def require(self, name: str) -> Any:
        value = self.parameters.get(name)
        if value is None:
            raise bad_request(f'Parameter "{name}" is required')
        return value
