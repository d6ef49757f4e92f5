"""The control API's part for accounts: `/control/mtproto/…`."""

from __future__ import annotations

import base64
import dataclasses
import time
from typing import Any

from aiohttp import web

from botapi.control import Answer, Route, read_json, read_order
from botapi.errors import ControlError

from .account import SHARED, Account, Identity
from .acting import Acting
from .core import Address, Core
from .errors import RpcError
from .floods import PRESETS, RandomFloods
from .methods.login_more import accept
from .modes import FAULT_KINDS, HOSTILITIES, CallFault, RateRule
from .seeded.control import SeededControl
from .servers import Servers
from .sessions import authorized_key, describe_sessions
from .tl import LAYER

Json = dict[str, Any]
_IDENTITY = {
    "id": int, "phone": str, "first_name": str, "last_name": str, "username": str, "password": str, "hint": str,
    "code": str, "dc": int, "premium": bool, "token": str,
}  # fmt: skip
_FAULT = {
    "method": str, "kind": str, "error": str, "code": int, "times": int, "seconds": (int, float), "after": bool,
    "account": object, "dc": int,
}  # fmt: skip
_FLOODS = {
    "methods": list, "share": (int, float), "every": int, "shortest": int, "longest": int, "seed": int, "accounts": list,
}  # fmt: skip
# So that a message stays far below the size of a container.
MAX_TOGETHER = 1000


def identity_from(order: Json, core: Core) -> Identity:
    unknown = order.keys() - _IDENTITY.keys()
    if unknown or "id" not in order:
        raise ControlError(f"an account has {', '.join(_IDENTITY)}; id is required")
    if order.get("dc", 2) not in core.centres:
        raise ControlError(f"there is no DC {order['dc']}")
    return Identity(**order)


class Control:
    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._core = servers.core

    def _account(self, named: Any) -> Account | None:
        return None if named is None else self._core.directory.named(named)

    async def about(self, request: web.Request) -> Answer:
        core = self._core

        def shown(addresses: list[Address]) -> list[Json]:
            return [{"host": one.host, "port": one.port} for one in addresses]

        return {
            "layer": LAYER, "api_id": core.settings.api_id, "api_hash": core.settings.api_hash,
            "public_key": core.rsa.pem, "fingerprint": str(core.rsa.fingerprint),
            "dcs": {str(number): shown(addresses) for number, addresses in core.addresses.items()},
            "proxy": None if core.proxy is None else shown([core.proxy])[0] | {
                "secret": (core.settings.proxy_secret or b"").hex()},
        }  # fmt: skip

    async def add_account(self, request: web.Request) -> Answer:
        order = await read_order(request, _IDENTITY, "id")
        return self._core.directory.add(identity_from(order, self._core)).user()

    async def account(self, request: web.Request) -> Answer:
        account = self._core.directory.named(request.match_info["account"])
        keys = self._core.keys.of(account)
        return {
            "user": account.user(), "pts": account.log.pts, "qts": account.qts, "seq": account.seq,
            "channels": {str(c.id): account.log_of(c).pts for c in account.chats.values() if c.type in SHARED},
            "code": account.identity.code, "authorizations": sum(key.permanent is None for key in keys),
            "sessions": [one for key in keys for one in describe_sessions(key)],
        }  # fmt: skip

    async def make_session(self, request: web.Request) -> Answer:
        order = await read_order(request, {"account": object, "dc": int}, "account")
        account = self._core.directory.named(order["account"])
        return authorized_key(self._core, account, order.get("dc", account.dc))

    async def habits(self, request: web.Request) -> Answer:
        if request.method == "POST":
            self._core.modes.habits.set(await read_json(request))
        return dataclasses.asdict(self._core.modes.habits)

    async def fault(self, request: web.Request) -> Answer:
        order = await read_order(request, _FAULT, "method")
        if order.get("kind", "error") not in FAULT_KINDS:
            raise ControlError(f"kind must be one of {', '.join(sorted(FAULT_KINDS))}")
        account = self._account(order.pop("account", None))
        self._core.modes.faults.append(CallFault(**order, account=account.id if account else None))
        return {"ok": True}

    async def clear_faults(self, request: web.Request) -> Answer:
        self._core.modes.clear()
        return {"ok": True}

    async def limit(self, request: web.Request) -> Answer:
        known = {"method": str, "count": int, "seconds": (int, float), "wait": int}
        order = await read_order(request, known, "method", "count", "seconds")
        self._core.modes.rates[order["method"]] = RateRule(**order)
        return {"ok": True}

    async def limits(self, request: web.Request) -> Answer:
        """A set of usual limits."""
        order = await read_order(request, {"preset": str}, "preset")
        if order["preset"] not in PRESETS:
            raise ControlError(f"preset must be one of {', '.join(PRESETS)}")
        rules = [RateRule(*rule) for rule in PRESETS[order["preset"]]]
        self._core.modes.rates |= {rule.method: rule for rule in rules}
        return {"methods": [rule.method for rule in rules]}

    async def floods(self, request: web.Request) -> Answer:
        order = await read_order(request, _FLOODS, "methods")
        accounts = order.pop("accounts", None)
        if accounts is not None:
            accounts = [self._core.directory.named(name).id for name in accounts]
        self._core.modes.floods.append(RandomFloods(**order, accounts=accounts))
        return {"ok": True}

    async def flood_report(self, request: web.Request) -> Answer:
        account = self._account(request.query.get("account"))
        return self._core.ledger.report(account.id if account else None, request.query.get("method"))

    async def clear_floods(self, request: web.Request) -> Answer:
        self._core.ledger.clear()
        return {"ok": True}

    async def hostile(self, request: web.Request) -> Answer:
        order = await read_order(request, {"kind": str, "times": int}, "kind")
        if order["kind"] not in HOSTILITIES:
            raise ControlError(f"kind must be one of {', '.join(sorted(HOSTILITIES))}")
        self._core.modes.hostilities += [order["kind"]] * order.get("times", 1)
        return {"waiting": self._core.modes.hostilities}

    async def pending_hostility(self, request: web.Request) -> Answer:
        return {"waiting": self._core.modes.hostilities}

    async def clock(self, request: web.Request) -> Answer:
        order = await read_order(request, {"skew": (int, float)}, "skew")
        self._core.clock.skew = float(order["skew"])
        return {"now": self._core.clock.now()}

    async def hold(self, request: web.Request) -> Answer:
        order = await read_order(request, {"account": object, "together": int}, "account")
        together = order.get("together", 1)
        if not 1 <= together <= MAX_TOGETHER:
            raise ControlError(f"together must be 1 to {MAX_TOGETHER}")
        self._core.feed.hold(self._core.directory.named(order["account"]), together)
        return {"ok": True}

    async def release(self, request: web.Request) -> Answer:
        order = await read_order(request, {"account": object}, "account")
        return {"released": self._core.feed.release(self._core.directory.named(order["account"]))}

    async def drop(self, request: web.Request) -> Answer:
        order = await read_order(request, {"account": object, "dc": int})
        account = self._account(order.get("account"))
        return {"dropped": self._servers.drop(account.id if account else None, order.get("dc"))}

    async def forget(self, request: web.Request) -> Answer:
        """Salts, sessions, keys or changes, of one account or of all."""
        order = await read_order(request, {"what": str, "account": object, "chat_id": int}, "what")
        account, core = self._account(order.get("account")), self._core
        keys = core.keys.all() if account is None else core.keys.of(account)
        if order["what"] == "changes":
            if account is None:
                raise ControlError("account is missing")
            chat_id = order.get("chat_id")
            (account.log if chat_id is None else core.directory.channel_log(chat_id)).forget()
            return {"forgotten": 1}
        if order["what"] not in ("salts", "sessions", "keys"):
            raise ControlError("what must be salts, sessions, keys or changes")
        for key in keys:
            if order["what"] == "salts":
                key.salts.replace()
            elif order["what"] == "sessions":
                for session in list(key.sessions.values()):
                    del key.sessions[session.id]
            else:
                core.keys.remove(key)
        return {"forgotten": len(keys)}

    async def revoke(self, request: web.Request) -> Answer:
        """End the authorizations of an account, or (with `ban`) of its owner."""
        order = await read_order(request, {"account": object, "error": str, "ban": bool, "after_calls": int}, "account")
        account = self._core.directory.named(order["account"])
        error = order.get("error", "USER_DEACTIVATED_BAN" if order.get("ban") else "SESSION_REVOKED")
        keys = [key for key in self._core.keys.of(account) if key.permanent is None]
        if order.get("ban") and "after_calls" in order:
            account.ban_after = (order["after_calls"], error)
        elif order.get("ban"):
            account.banned = error
        else:
            for key in keys:
                key.sign_out(error)
        return {"revoked": len(keys)}

    async def expire(self, request: web.Request) -> Answer:
        return {"expired": self._core.directory.media.expire()}

    async def lose_parts(self, request: web.Request) -> Answer:
        order = await read_order(request, {"parts": list})
        return {"lost": self._core.uploads.lose(order.get("parts"))}

    async def accept_login(self, request: web.Request) -> Answer:
        order = await read_order(request, {"account": object, "token": str}, "account", "token")
        text = order["token"].rpartition("token=")[2]
        token = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        try:
            accept(self._core, token, self._core.directory.named(order["account"]).id)
        except RpcError as error:
            raise ControlError(error.text) from error
        return {"ok": True}

    async def log(self, request: web.Request) -> Answer:
        account = self._account(request.query.get("account"))
        return self._core.journal.record(request.query.get("method"), account.id if account else None)

    async def clear_log(self, request: web.Request) -> Answer:
        self._core.journal.clear()
        return {"ok": True, "at": time.time()}


def routes(servers: Servers) -> list[Route]:
    control, acting = Control(servers), Acting(servers.core)
    known: list[Route] = [
        ("GET", "", control.about), ("POST", "/account", control.add_account),
        ("GET", "/account/{account}", control.account), ("POST", "/session", control.make_session),
        ("GET", "/habits", control.habits), ("POST", "/habits", control.habits), ("POST", "/fault", control.fault),
        ("DELETE", "/fault", control.clear_faults), ("POST", "/limit", control.limit),
        ("POST", "/limits", control.limits), ("POST", "/floods", control.floods),
        ("GET", "/floods", control.flood_report), ("DELETE", "/floods", control.clear_floods),
        ("POST", "/hostile", control.hostile), ("GET", "/hostile", control.pending_hostility),
        ("POST", "/clock", control.clock), ("POST", "/hold", control.hold), ("POST", "/release", control.release),
        ("POST", "/drop", control.drop), ("POST", "/forget", control.forget),
        ("POST", "/revoke", control.revoke), ("POST", "/expire", control.expire),
        ("POST", "/lose_parts", control.lose_parts), ("POST", "/accept_login", control.accept_login),
        ("GET", "/log", control.log), ("DELETE", "/log", control.clear_log), *acting.routes(),
        *SeededControl(servers.core).routes(),
    ]  # fmt: skip
    return [(method, f"mtproto{path}", handler) for method, path, handler in known]
