"""Methods about the bot itself."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from ..entities import utf16_length
from ..errors import bad_request
from ..world import Call

Json = dict[str, Any]
_SCOPES: dict[str, set[str]] = {
    "default": set(), "all_private_chats": set(), "all_group_chats": set(), "all_chat_administrators": set(),
    "chat": {"chat_id"}, "chat_administrators": {"chat_id"}, "chat_member": {"chat_id", "user_id"},
}  # fmt: skip
_COMMAND = re.compile(r"/?[a-z0-9_]{1,32}\Z")
MAX_COMMANDS = 100
CALLBACK_SECONDS = 150
STALE_QUERY = "query is too old and response timeout expired or query ID is invalid"


async def get_me(call: Call) -> Json:
    return call.bot.profile()


async def log_out(call: Call) -> bool:
    call.bot.logged_out = True
    call.bot.updates.interrupt("terminated by logOut request")
    return True


async def close(call: Call) -> bool:
    return True


def _scope_key(call: Call) -> tuple[str, str]:
    scope = call.get("scope") or {"type": "default"}
    kind = scope.get("type")
    if kind not in _SCOPES:
        raise bad_request("can't parse BotCommandScope: Unsupported type specified")
    if set(scope) != {"type"} | _SCOPES[kind]:
        raise bad_request(f"can't parse BotCommandScope: \"{kind}\" takes {sorted(_SCOPES[kind]) or 'no fields'}")
    language = call.get("language_code", "")
    if language and not re.fullmatch("[a-z]{2}", language):
        raise bad_request("invalid language code specified")
    return json.dumps(scope, sort_keys=True), language


def _command(item: Any) -> Json:
    if not isinstance(item, dict):
        raise bad_request("can't parse BotCommand: expected an Object")
    if set(item) - {"command", "description"}:
        raise bad_request("unknown field in BotCommand")
    for name in ("command", "description"):
        if not isinstance(item.get(name), str):
            raise bad_request(f"can't parse BotCommand: Can't find field \"{name}\"")
    if not _COMMAND.match(item["command"]):
        raise bad_request("BOT_COMMAND_INVALID")
    if not 1 <= utf16_length(item["description"].strip()) <= 256:
        raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return {"command": item["command"].removeprefix("/"), "description": item["description"].strip()}


async def set_my_commands(call: Call) -> bool:
    commands = [_command(item) for item in call.require("commands")]
    if len(commands) > MAX_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    call.bot.commands[_scope_key(call)] = commands
    return True


async def get_my_commands(call: Call) -> list[Json]:
    return call.bot.commands.get(_scope_key(call), [])


async def answer_callback_query(call: Call) -> bool:
    asked_at = call.bot.callback_queries.get(call.get("callback_query_id", ""))
    if asked_at is None or time.time() - asked_at > CALLBACK_SECONDS:
        raise bad_request(STALE_QUERY)
    if utf16_length(call.get("text", "")) > 200:
        raise bad_request("MESSAGE_TOO_LONG")
    return True
