"""The control API of seeded histories: `/control/mtproto/seeded…`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web

from botapi.control import Answer, Route, read_order
from botapi.errors import ControlError
from botapi.model import Chat

from ..account import CHANNEL_BASE, SHARED, Account
from ..core import Core
from . import oracle, texts
from .churn import Churn
from .history import SeededChat
from .media import Library
from .script import SOURCE, Script, describe

MAX_COUNT = 50_000_000
MAX_TOPICS = 1000
_NUMBERS = (int, float)
_ORDER = {
    "account": object, "accounts": list, "chat_id": int, "seed": int, "count": int, "chat_type": str, "title": str,
    "chat_username": str, "holes": _NUMBERS, "gaps": list, "ghosts": list, "senders": int, "topics": int,
    "seconds_apart": int, "begun": int, "first_id": int, "copies_of": int, "comments_each": int, "migrated_from": int,
}  # fmt: skip
_CHURN = {
    "account": object, "chat_id": int, "steps": int, "rate": _NUMBERS, "seed": int, "delete": _NUMBERS, "edit": _NUMBERS,
    "add": _NUMBERS,
}  # fmt: skip
_SCRIPT = ("seed", "holes", "senders", "topics", "seconds_apart", "begun", "copies_of", "comments_each", "migrated_from")


class SeededControl:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._library = Library(core.directory)
        self._churns: list[Churn] = []

    def routes(self) -> list[Route]:
        chat = r"/seeded/{chat_id:-?\d+}"
        return [
            ("POST", "/seeded", self.make), ("GET", chat, self.digest), ("GET", f"{chat}/rows", self.rows),
            ("GET", f"{chat}/ids", self.ids), ("POST", "/churn", self.churn), ("GET", "/churn", self.churns),
            ("DELETE", "/churn", self.end_churn),
        ]  # fmt: skip

    async def make(self, request: web.Request) -> Answer:
        """Gives chats that have no messages yet a history, without updates."""
        order = await read_order(request, _ORDER, "chat_id", "count")
        named = order.get("accounts", [order["account"]] if "account" in order else [])
        accounts = [self._core.directory.named(name) for name in named]
        if not accounts:
            raise ControlError("account or accounts is missing")
        if not 1 <= order["count"] <= MAX_COUNT:
            raise ControlError(f"count must be from 1 to {MAX_COUNT}")
        chat = self._chat(accounts, order)
        started = time.monotonic()
        for _ in chat.grow():
            await asyncio.sleep(0)
        chat.haunt(_ranges(order.get("ghosts", [])))
        self._admit(accounts, chat)
        return describe(chat.script) | {
            "chat_id": chat.id, "last_id": chat.script.last, "alive": chat.alive.count,
            "seconds": round(time.monotonic() - started, 3),
        }  # fmt: skip

    def _chat(self, accounts: list[Account], order: dict[str, Any]) -> SeededChat:
        directory, chat_id = self._core.directory, order["chat_id"]
        kind = order.get("chat_type", "private" if chat_id > 0 else "supergroup")
        is_shared = kind in SHARED
        if kind not in ("private", "group", *SHARED) or (kind == "private") is not (chat_id > 0):
            raise ControlError(f"chat_type {kind!r} does not fit chat_id {chat_id}")
        if is_shared is not (chat_id < CHANNEL_BASE):
            raise ControlError("channels and supergroups, and only they, are below -10^12")
        if not is_shared and len(accounts) > 1:
            raise ControlError("private chats and basic groups belong to one account each: ask for each account")
        before = directory.find_shared(chat_id) if is_shared else accounts[0].chats.get(chat_id)
        if before is not None and before.ids:
            raise ControlError(f"chat {chat_id} has messages already")
        count = order["count"]
        if order.get("topics", 0) and (kind != "supergroup" or not 0 < order["topics"] <= MAX_TOPICS):
            raise ControlError(f"only supergroups have topics, and at most {MAX_TOPICS}")
        if "copies_of" in order and not isinstance(directory.find_shared(order["copies_of"]), SeededChat):
            raise ControlError("copies_of: there is no seeded channel of this id")
        if "migrated_from" in order:
            old = accounts[0].chats.get(order["migrated_from"])
            if not isinstance(old, SeededChat) or old.type != "group":
                raise ControlError("migrated_from: the account has no seeded basic group of this id")
        first = 1 if is_shared else accounts[0].next_message_id(Chat(chat_id, kind), count)
        if "first_id" in order:
            if order["first_id"] < first:
                raise ControlError(f"first_id is below {first}, the next id of this chat")
            if not is_shared:
                accounts[0].next_message_id(Chat(chat_id, kind), order["first_id"] - first)
            first = order["first_id"]
        title = order.get("title", before.title if before is not None else f"Chat {chat_id}")
        known = {name: order[name] for name in _SCRIPT if name in order}
        script = Script(chat_id=chat_id, kind=kind, first=first, count=count, title=title,
                        gaps=_ranges(order.get("gaps", [])), **({"seed": 1} | known))  # fmt: skip
        chat = SeededChat(script, self._library)
        chat.username = order.get("chat_username", before.username if before is not None else None)
        if before is not None:
            chat.members |= before.members
        return chat

    def _admit(self, accounts: list[Account], chat: SeededChat) -> None:
        """Makes the chat known to the accounts, with the people who write in it."""
        directory, script = self._core.directory, chat.script
        for number in range(script.senders):
            user: dict[str, Any] = {"id": script.user(number), "is_bot": False, "first_name": texts.name_of(number)}
            if number % 3 == 0:
                user["username"] = f"seeded_{number}"
            directory.people.setdefault(script.user(number), user)
        directory.shared_chat(SOURCE, "channel").title = "Source"
        if chat.type in SHARED:
            directory.adopt(chat, script.count)
            accounts = accounts + [account for account in directory.accounts.values() if chat.id in account.chats]
        for account in accounts:
            account.chats[chat.id] = chat
            chat.members.add(account.id)
            if chat.type == "private":
                partner = {"id": chat.id, "is_bot": False, "first_name": texts.name_of(chat.id)}
                chat.first_name = account.users.setdefault(chat.id, partner)["first_name"]
        owner = accounts[0]
        chat.viewers = lambda: iter([owner])
        self._link(owner, chat)

    def _link(self, owner: Account, chat: SeededChat) -> None:
        script = chat.script
        posts = self._core.directory.find_shared(script.copies_of or 0)
        if isinstance(posts, SeededChat):
            posts.is_linked = chat.is_linked = True
            posts.script.comments_in, posts.script.comments_each = chat.id, script.comments_each
        old = owner.chats.get(script.migrated_from or 0)
        if isinstance(old, SeededChat):
            old.script.migrated_to = old.migrated_to = chat.id

    def _asked(self, request: web.Request) -> tuple[SeededChat, Account, int, int]:
        directory, chat_id = self._core.directory, int(request.match_info["chat_id"])
        named = request.query.get("account")
        chat: Chat | None = directory.find_shared(chat_id)
        if chat is None and named is None:
            raise ControlError("account is missing, whose private chat or basic group it is")
        account = directory.named(named) if named is not None else None
        if chat is None and account is not None:
            chat = account.chats.get(chat_id)
        if not isinstance(chat, SeededChat):
            raise ControlError(f"there is no seeded chat {chat_id}")
        viewer = account or next(chat.viewers())
        try:
            low = int(request.query.get("from", chat.script.first))
            high = int(request.query.get("to", chat.end))
        except ValueError as error:
            raise ControlError("from and to must be ids") from error
        return chat, viewer, low, high

    async def digest(self, request: web.Request) -> Answer:
        chat, account, low, high = self._asked(request)
        places = oracle.places_of(request.query.get("columns"))
        found = await oracle.digest(chat, account, low, high, places)
        is_shared = chat.type in SHARED
        return found | {
            "chat_id": chat.id, "owner_id": 0 if is_shared else account.id, "newest_id": chat.end - 1,
            "total": chat.listed_count, "pts": account.log_of(chat).pts, "version": chat.version,
        }  # fmt: skip

    async def rows(self, request: web.Request) -> Answer:
        """The hashed lines themselves, as text."""
        chat, account, low, high = self._asked(request)
        places = oracle.places_of(request.query.get("columns"))
        answer = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await answer.prepare(request)
        gathered: list[str] = []
        async for line in oracle.lines(chat, account, low, high, places):
            gathered.append(line)
            if len(gathered) >= 1000:
                await answer.write("".join(gathered).encode())
                gathered.clear()
        await answer.write("".join(gathered).encode())
        await answer.write_eof()
        return answer

    async def ids(self, request: web.Request) -> Answer:
        chat, _, low, high = self._asked(request)
        return {"ranges": oracle.runs(chat, low, high)}

    async def churn(self, request: web.Request) -> Answer:
        """Changes a history from now on; with `rate` 0, before this call returns."""
        order = await read_order(request, _CHURN, "account", "chat_id", "steps")
        account = self._core.directory.named(order["account"])
        chat = account.chats.get(order["chat_id"])
        if not isinstance(chat, SeededChat):
            raise ControlError(f"account {account.id} has no seeded chat {order['chat_id']}")
        shares = {kind: float(order.get(kind, 1)) for kind in ("delete", "edit", "add")}
        if min(shares.values()) < 0 or not any(shares.values()):
            raise ControlError("delete, edit and add are weights, one of them above 0")
        churn = Churn(self._core, account, chat, order["steps"], float(order.get("rate", 0)), order.get("seed", 1), shares)
        self._churns.append(churn)
        if churn.rate:
            churn.task = asyncio.get_running_loop().create_task(churn.run())
        else:
            await churn.run()
        return churn.describe()

    async def churns(self, request: web.Request) -> Answer:
        found = [churn.describe() for churn in self._churns]
        return {"churns": found, "running": any(one["running"] for one in found)}

    async def end_churn(self, request: web.Request) -> Answer:
        """Ends all changes; the answer tells what was done."""
        for churn in self._churns:
            if churn.task is not None:
                churn.task.cancel()
                await asyncio.wait([churn.task])
        found = [churn.describe() for churn in self._churns]
        self._churns.clear()
        return {"churns": found}


def _ranges(given: list[Any]) -> list[tuple[int, int]]:
    found = []
    for one in given:
        if not isinstance(one, list) or len(one) != 2 or not all(isinstance(end, int) for end in one) or one[0] > one[1]:
            raise ControlError("a range is a list of two ids, the lower first")
        found.append((one[0], one[1]))
    return found
