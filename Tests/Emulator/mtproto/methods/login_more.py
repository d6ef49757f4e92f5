"""Other ways in: QR codes, authorizations for other data centres, temporary keys."""

from __future__ import annotations

import secrets
import struct
import time
from typing import Any

from ..ciphers import derive_v1, ige_decrypt, sha1
from ..core import LoginToken
from ..errors import RpcError, bad_request
from ..keys import AuthKey
from ..peers import show_user
from ..rpc import Call, method
from ..tl import functions, read, types
from .login import authorize, check_api

TOKEN_SECONDS = 30


@method(functions.auth.ExportLoginTokenRequest, anonymous=True)
def export_login_token(call: Call, request: Any) -> Any:
    check_api(call, request.api_id, request.api_hash)
    tokens, key = call.core.login_tokens, call.key.owner
    known = tokens.get(key.login_token or b"")
    if known is not None and known.accepted_by is not None:
        return _conclude(call, key.login_token or b"", known)
    if known is None or known.expires_at - time.time() < TOKEN_SECONDS / 2:
        key.login_token = secrets.token_bytes(32)
        tokens[key.login_token] = known = LoginToken(key, call.dc, time.time() + TOKEN_SECONDS)
    call.session.is_main = True  # the acceptance arrives as an update
    return types.auth.LoginToken(int(known.expires_at), key.login_token)


def _conclude(call: Call, token: bytes, known: LoginToken) -> Any:
    account = call.core.directory.accounts[known.accepted_by or 0]
    if account.dc != call.dc:
        return types.auth.LoginTokenMigrateTo(account.dc, token)
    call.core.login_tokens.pop(token, None)
    call.key.owner.login_token = None
    if account.identity.password is not None:
        call.key.owner.awaiting_password = account
        raise RpcError(401, "SESSION_PASSWORD_NEEDED")
    return types.auth.LoginTokenSuccess(authorize(call, account))


@method(functions.auth.ImportLoginTokenRequest, anonymous=True)
def import_login_token(call: Call, request: Any) -> Any:
    known = call.core.login_tokens.get(request.token)
    if known is None or known.accepted_by is None:
        raise bad_request("AUTH_TOKEN_INVALID" if known is None else "AUTH_TOKEN_EXCEPTION")
    return _conclude(call, request.token, known)


def accept(core: Any, token: bytes, account_id: int) -> AuthKey:
    """Let whoever shows this token log in as the account."""
    known = core.login_tokens.get(token)
    if known is None:
        raise bad_request("AUTH_TOKEN_INVALID")
    if known.expires_at < time.time():
        raise bad_request("AUTH_TOKEN_EXPIRED")
    if known.accepted_by is not None:
        raise bad_request("AUTH_TOKEN_ALREADY_ACCEPTED")
    known.accepted_by = account_id
    key: AuthKey = known.key
    told = types.UpdateShort(types.UpdateLoginToken(), int(core.clock.now()))
    for session in list(key.sessions.values()):
        if session.is_connected:
            session.send(told)
    return key


@method(functions.auth.AcceptLoginTokenRequest, bots=False)
def accept_login_token(call: Call, request: Any) -> Any:
    key = accept(call.core, request.token, call.account.id)
    client = key.client or call.key.owner.client
    assert client is not None
    now = int(time.time())
    return types.Authorization(
        key.identity, client.device_model, "", "", client.api_id, "tests", client.app_version, now, now, "127.0.0.1",
        "", "",
    )  # fmt: skip


@method(functions.auth.ExportAuthorizationRequest)
def export_authorization(call: Call, request: Any) -> Any:
    if request.dc_id not in call.core.centres or request.dc_id == call.dc:
        raise bad_request("DC_ID_INVALID")
    proof = secrets.token_bytes(128)
    call.core.exported[proof] = (call.account.id, request.dc_id)
    return types.auth.ExportedAuthorization(call.account.id, proof)


@method(functions.auth.ImportAuthorizationRequest, anonymous=True)
def import_authorization(call: Call, request: Any) -> Any:
    known = call.core.exported.pop(request.bytes, None)
    if known is None:
        raise bad_request("AUTH_BYTES_INVALID")
    if known != (request.id, call.dc):
        raise bad_request("USER_ID_INVALID" if known[0] != request.id else "AUTH_BYTES_INVALID")
    account = call.core.directory.accounts[known[0]]
    call.key.owner.account, call.key.owner.refusal = account, None
    return types.auth.Authorization(show_user(account, account.user()))


@method(functions.auth.BindTempAuthKeyRequest, anonymous=True)
def bind_temp_auth_key(call: Call, request: Any) -> bool:
    key = call.key
    if key.expires_at is None:
        raise bad_request("TEMP_AUTH_KEY_EMPTY")
    permanent = call.core.keys.find(request.perm_auth_key_id, call.dc)
    if permanent is None or permanent.expires_at is not None:
        raise bad_request("ENCRYPTED_MESSAGE_INVALID")
    expires_at = int(request.expires_at.timestamp())
    if abs(expires_at - key.expires_at) > 2:
        raise bad_request("EXPIRES_AT_INVALID")
    inner = _bind_inner(permanent, request.encrypted_message, call.msg_id)
    wanted = (request.nonce, key.id, permanent.id, call.session.id, expires_at)
    told = (inner.nonce, inner.temp_auth_key_id, inner.perm_auth_key_id, inner.temp_session_id,
            int(inner.expires_at.timestamp()))  # fmt: skip
    if told != wanted:
        raise bad_request("ENCRYPTED_MESSAGE_INVALID")
    if key.permanent is not None and key.permanent is not permanent:
        raise bad_request("TEMP_AUTH_KEY_ALREADY_BOUND")
    key.permanent = permanent
    return True


def _bind_inner(permanent: AuthKey, encrypted: bytes, msg_id: int) -> Any:
    """The bind_auth_key_inner, encrypted as MTProto 1.0 with the permanent key and the msg_id of the call."""
    invalid = bad_request("ENCRYPTED_MESSAGE_INVALID")
    if len(encrypted) < 24 + 32 or (len(encrypted) - 24) % 16 or encrypted[:8] != struct.pack("<q", permanent.id):
        raise invalid
    msg_key = encrypted[8:24]
    plain = ige_decrypt(encrypted[24:], *derive_v1(permanent.data, msg_key))
    told_id, seqno, length = struct.unpack_from("<qii", plain, 16)
    if told_id != msg_id or seqno != 0 or not 0 < length <= len(plain) - 32 or len(plain) - 32 - length > 15:
        raise invalid
    if sha1(plain[: 32 + length])[4:20] != msg_key:
        raise invalid
    try:
        inner = read(plain[32 : 32 + length])
    except RpcError as error:
        raise invalid from error
    if not isinstance(inner, types.BindAuthKeyInner):
        raise invalid
    return inner


@method(functions.auth.DropTempAuthKeysRequest)
def drop_temp_auth_keys(call: Call, request: Any) -> bool:
    for key in call.core.keys.all():
        if key.permanent is call.key.owner and key is not call.key and key.id not in request.except_auth_keys:
            call.core.keys.remove(key)
    return True
