"""Logging in with a phone number, a code and a password, or with a bot's token."""

from __future__ import annotations

import secrets
import time
from typing import Any

from botapi.errors import ControlError

from ..account import Account, Identity
from ..errors import RpcError, bad_request, migrate
from ..keys import AuthKey
from ..password import Challenge, Verifier
from ..peers import show_user
from ..rpc import Call, method
from ..tl import functions, types

CODE_SECONDS = 300
MAX_CODES_TRIED = 5
_verifiers: dict[tuple[int, str], Verifier] = {}


def check_api(call: Call, api_id: int, api_hash: str) -> None:
    if (api_id, api_hash) != (call.core.settings.api_id, call.core.settings.api_hash):
        raise bad_request("API_ID_INVALID")


def authorize(call: Call, account: Account) -> Any:
    """The authorization that a login ends with."""
    key: AuthKey = call.key.owner
    key.account, key.awaiting_password, key.refusal = account, None, None
    call.session.is_main = True
    return types.auth.Authorization(show_user(account, account.user()))


def _account(call: Call, phone: str) -> Account | None:
    digits = phone.strip().removeprefix("+").replace(" ", "")
    if not digits.isdigit() or not 7 <= len(digits) <= 15:
        raise bad_request("PHONE_NUMBER_INVALID")
    account = call.core.directory.by_phone(digits)
    if account is not None and account.banned is not None:
        raise bad_request("PHONE_NUMBER_BANNED")
    if account is not None and account.dc != call.dc:
        raise migrate("PHONE", account.dc)
    return account


_strangers: dict[str, tuple[str, float]] = {}


@method(functions.auth.SendCodeRequest, anonymous=True)
def send_code(call: Call, request: Any) -> Any:
    check_api(call, request.api_id, request.api_hash)
    if call.key.owner.account is not None:
        raise RpcError(500, "AUTH_RESTART")
    account = _account(call, request.phone_number)
    proof = secrets.token_hex(9)
    if account is None:
        _strangers[proof] = (request.phone_number, time.time())
    else:
        account.code_hashes[proof] = time.time()
    return types.auth.SentCode(types.auth.SentCodeTypeApp(5), proof, timeout=120)


@method(functions.auth.ResendCodeRequest, anonymous=True)
def resend_code(call: Call, request: Any) -> Any:
    account = _account(call, request.phone_number)
    if account is None or request.phone_code_hash not in account.code_hashes:
        raise bad_request("PHONE_CODE_HASH_EMPTY" if not request.phone_code_hash else "PHONE_CODE_EXPIRED")
    return types.auth.SentCode(types.auth.SentCodeTypeSms(5), request.phone_code_hash, timeout=120)


@method(functions.auth.CancelCodeRequest, anonymous=True)
def cancel_code(call: Call, request: Any) -> bool:
    account = _account(call, request.phone_number)
    return account is not None and account.code_hashes.pop(request.phone_code_hash, None) is not None


def _check_code(account: Account | None, request: Any) -> None:
    if not request.phone_code:
        raise bad_request("PHONE_CODE_EMPTY")
    hashes = account.code_hashes if account is not None else {p: at for p, (_, at) in _strangers.items()}
    sent_at = hashes.get(request.phone_code_hash)
    if sent_at is None or time.time() - sent_at > CODE_SECONDS:
        raise bad_request("PHONE_CODE_EXPIRED")
    if request.phone_code != (account.identity.code if account is not None else "12345"):
        raise bad_request("PHONE_CODE_INVALID")


@method(functions.auth.SignInRequest, anonymous=True)
def sign_in(call: Call, request: Any) -> Any:
    account = _account(call, request.phone_number)
    _check_code(account, request)
    if account is None:
        return types.auth.AuthorizationSignUpRequired()
    if account.identity.password is not None:
        call.key.owner.awaiting_password = account
        raise RpcError(401, "SESSION_PASSWORD_NEEDED")
    account.code_hashes.pop(request.phone_code_hash, None)
    return authorize(call, account)


@method(functions.auth.SignUpRequest, anonymous=True)
def sign_up(call: Call, request: Any) -> Any:
    if _account(call, request.phone_number) is not None:
        raise bad_request("PHONE_NUMBER_OCCUPIED")
    if request.phone_code_hash not in _strangers:
        raise bad_request("PHONE_CODE_EXPIRED")
    if not request.first_name:
        raise bad_request("FIRSTNAME_INVALID")
    digits = request.phone_number.strip().removeprefix("+").replace(" ", "")
    new_id = max(call.core.directory.people, default=1000) + 1
    identity = Identity(new_id, digits, request.first_name, request.last_name or None, dc=call.dc)
    try:
        return authorize(call, call.core.directory.add(identity))
    except ControlError as error:
        raise bad_request("PHONE_NUMBER_INVALID") from error


def _verifier(account: Account) -> Verifier:
    password = account.identity.password or ""
    key = (account.id, password)
    if key not in _verifiers:
        _verifiers[key] = Verifier.of(password)
    return _verifiers[key]


@method(functions.account.GetPasswordRequest, anonymous=True, bots=False)
def get_password(call: Call, request: Any) -> Any:
    key = call.key.owner
    account = key.account or key.awaiting_password
    if account is None:
        raise RpcError(401, "AUTH_KEY_UNREGISTERED")
    fresh = types.PasswordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow(
        secrets.token_bytes(8), secrets.token_bytes(16), 3, _verifier(account).algorithm.p
    )
    common: dict[str, Any] = {
        "new_algo": fresh, "secure_random": secrets.token_bytes(256),
        "new_secure_algo": types.SecurePasswordKdfAlgoPBKDF2HMACSHA512iter100000(secrets.token_bytes(8)),
    }  # fmt: skip
    if account.identity.password is None:
        return types.account.Password(**common)
    challenge = Challenge.make(_verifier(account))
    identity = secrets.randbits(62)
    key.srp = {identity: challenge}
    return types.account.Password(
        **common, has_password=True, current_algo=challenge.verifier.algorithm,
        srp_B=challenge.public.to_bytes(256, "big"), srp_id=identity, hint=account.identity.hint or None,
    )  # fmt: skip


@method(functions.auth.CheckPasswordRequest, anonymous=True, bots=False)
def check_password(call: Call, request: Any) -> Any:
    key = call.key.owner
    account = key.awaiting_password or key.account
    if account is None:
        raise RpcError(401, "AUTH_KEY_UNREGISTERED")
    if not isinstance(request.password, types.InputCheckPasswordSRP):
        raise bad_request("PASSWORD_HASH_INVALID")
    challenge = key.srp.pop(request.password.srp_id, None)
    if challenge is None:
        raise bad_request("SRP_ID_INVALID")
    challenge.check(request.password.A, request.password.M1)
    return authorize(call, account)


@method(functions.auth.ImportBotAuthorizationRequest, anonymous=True)
def import_bot(call: Call, request: Any) -> Any:
    check_api(call, request.api_id, request.api_hash)
    account = call.core.directory.by_token(request.bot_auth_token)
    if account is None:
        expired = request.bot_auth_token.partition(":")[2]
        raise bad_request("ACCESS_TOKEN_EXPIRED" if expired else "ACCESS_TOKEN_INVALID")
    if account.dc != call.dc:
        raise migrate("USER", account.dc)
    return authorize(call, account)


@method(functions.auth.LogOutRequest)
def log_out(call: Call, request: Any) -> Any:
    call.key.owner.sign_out()
    call.session.is_main = False
    return types.auth.LoggedOut()
