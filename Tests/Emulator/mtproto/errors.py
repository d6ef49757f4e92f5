"""The errors between a client and the server, with Telegram's own texts."""

from __future__ import annotations


class RpcError(Exception):
    """An error answer to one call, such as 420 FLOOD_WAIT_3."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Violation(Exception):
    """The client broke the protocol; the connection ends with a transport error."""

    def __init__(self, reason: str, transport_code: int = 404) -> None:
        super().__init__(reason)
        self.transport_code = transport_code


class BadMessage(Exception):
    """A message that is answered with bad_msg_notification (or, for code 48, bad_server_salt)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class SilentDrop(Exception):
    """The connection is to be closed without an answer, because a test asked for it."""

    def __init__(self, kind: str = "drop", result: object = None) -> None:
        """- Parameter result: of the call, if it was performed; None otherwise."""
        super().__init__(kind)
        self.kind = kind
        self.result = result


def bad_request(text: str) -> RpcError:
    return RpcError(400, text)


def migrate(kind: str, dc_id: int) -> RpcError:
    """`kind` is PHONE, USER, FILE, NETWORK or STATS."""
    return RpcError(303, f"{kind}_MIGRATE_{dc_id}")


def error_code(text: str) -> int:
    """The code that belongs to a well-known error text."""
    heads = {
        "FLOOD_": 420, "SLOWMODE_": 420, "TAKEOUT_INIT_DELAY": 420, "AUTH_KEY_DUPLICATED": 406, "AUTH_KEY_": 401,
        "SESSION_": 401, "USER_DEACTIVATED": 401, "ACTIVE_USER_REQUIRED": 401, "RANDOM_ID_DUPLICATE": 500,
        "INTERNAL": 500, "RPC_CALL_FAIL": 500, "Timeout": -503, "CHAT_WRITE_FORBIDDEN": 403, "CHAT_ADMIN_REQUIRED": 400,
    }  # fmt: skip
    if "_MIGRATE_" in text:
        return 303
    return next((code for head, code in heads.items() if text.startswith(head)), 400)
