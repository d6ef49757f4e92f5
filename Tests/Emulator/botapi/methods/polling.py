"""Getting updates, and webhooks, which are only remembered: nothing is ever delivered to one."""

from __future__ import annotations

import re
from typing import Any

from ..errors import bad_request, conflict
from ..updates import WEBHOOK_ACTIVE, WEBHOOK_SET
from ..world import Call

Json = dict[str, Any]
UPDATE_TYPES = frozenset({
    "message", "edited_message", "channel_post", "edited_channel_post", "business_connection", "business_message",
    "edited_business_message", "deleted_business_messages", "message_reaction", "message_reaction_count",
    "inline_query", "chosen_inline_result", "callback_query", "shipping_query", "pre_checkout_query",
    "purchased_paid_media", "poll", "poll_answer", "my_chat_member", "chat_member", "chat_join_request",
    "chat_boost", "removed_chat_boost", "managed_bot", "guest_message",
})  # fmt: skip


def _remember_allowed(call: Call) -> None:
    types = call.get("allowed_updates")
    if types is None:
        return
    for kind in types:
        if not isinstance(kind, str):
            raise bad_request("expected an Array of update types")
        if kind not in UPDATE_TYPES:
            # The server skips names that it does not know.
            raise bad_request(f'unknown update type "{kind}"')
    call.bot.updates.set_allowed(types)


async def get_updates(call: Call) -> list[Json]:
    if call.bot.webhook:
        raise conflict(WEBHOOK_ACTIVE)
    _remember_allowed(call)
    # Out of range means the nearest bound, as the server does it.
    return await call.bot.updates.get(call.get("offset", 0), call.get("limit", 100), call.get("timeout", 0))


async def set_webhook(call: Call) -> tuple[bool, str]:
    url = call.get("url", "")
    if not url:
        return await delete_webhook(call)
    if not url.startswith("https://"):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    secret = call.get("secret_token", "")
    if secret and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
        raise bad_request("secret token contains unallowed characters")
    _remember_allowed(call)
    if call.get("drop_pending_updates"):
        call.bot.updates.drop_all()
    already = call.bot.webhook.get("url") == url
    call.bot.webhook = {
        "url": url,
        "has_custom_certificate": "certificate" in call.uploads,
        "max_connections": min(max(call.get("max_connections", 40), 1), 100),
    }
    if call.get("ip_address"):
        call.bot.webhook["ip_address"] = call.get("ip_address")
    call.bot.updates.interrupt(WEBHOOK_SET)
    return True, "Webhook is already set" if already else "Webhook was set"


async def delete_webhook(call: Call) -> tuple[bool, str]:
    if call.get("drop_pending_updates"):
        call.bot.updates.drop_all()
    was_set = bool(call.bot.webhook)
    call.bot.webhook = {}
    return True, "Webhook was deleted" if was_set else "Webhook is already deleted"


async def get_webhook_info(call: Call) -> Json:
    info = call.bot.webhook or {"url": "", "has_custom_certificate": False}
    info = info | {"pending_update_count": len(call.bot.updates)}
    if call.bot.updates.allowed is not None:
        info["allowed_updates"] = sorted(call.bot.updates.allowed)
    return info
