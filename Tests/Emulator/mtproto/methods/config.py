"""help.* and account.* that every client calls at the start, and takeout."""

from __future__ import annotations

import secrets
from typing import Any

from ..core import CDN_DC
from ..errors import RpcError
from ..rpc import Call, method
from ..tl import functions, types


def _options(call: Call) -> list[Any]:
    found = []
    for number, addresses in call.core.addresses.items():
        for address in addresses:
            found.append(types.DcOption(
                number, address.host, address.port, ipv6=address.is_ipv6 or None, cdn=number == CDN_DC or None,
                this_port_only=True,
            ))  # fmt: skip
    return found


@method(functions.help.GetConfigRequest, anonymous=True)
def get_config(call: Call, request: Any) -> Any:
    now = int(call.core.clock.now())
    return types.Config(
        date=now, expires=now + 3600, test_mode=False, this_dc=call.dc, dc_options=_options(call),
        dc_txt_domain_name="", chat_size_max=200, megagroup_size_max=200_000, forwarded_count_max=100,
        online_update_period_ms=210_000, offline_blur_timeout_ms=5000, offline_idle_timeout_ms=30_000,
        online_cloud_timeout_ms=300_000, notify_cloud_delay_ms=30_000, notify_default_delay_ms=1500,
        push_chat_period_ms=60_000, push_chat_limit=2, edit_time_limit=172_800, revoke_time_limit=0x7FFFFFFF,
        revoke_pm_time_limit=0x7FFFFFFF, rating_e_decay=2_419_200, stickers_recent_limit=200,
        channels_read_media_period=604_800, call_receive_timeout_ms=20_000, call_ring_timeout_ms=90_000,
        call_connect_timeout_ms=30_000, call_packet_timeout_ms=10_000, me_url_prefix="https://t.me/",
        caption_length_max=1024, message_length_max=4096, webfile_dc_id=call.dc,
    )  # fmt: skip


@method(functions.help.GetNearestDcRequest, anonymous=True)
def get_nearest_dc(call: Call, request: Any) -> Any:
    return types.NearestDc("DE", call.dc, 2 if 2 in call.core.centres else 1)


@method(functions.help.GetAppConfigRequest, anonymous=True)
def get_app_config(call: Call, request: Any) -> Any:
    limits = {"upload_max_fileparts_default": 4000, "upload_max_fileparts_premium": 8000}
    values = [types.JsonObjectValue(name, types.JsonNumber(float(value))) for name, value in limits.items()]
    return types.help.AppConfig(1, types.JsonObject(values))


@method(functions.help.GetCdnConfigRequest, anonymous=True)
def get_cdn_config(call: Call, request: Any) -> Any:
    return types.CdnConfig([types.CdnPublicKey(CDN_DC, call.core.cdn_rsa.pem)])


@method(functions.account.UpdateStatusRequest, bots=False)
def update_status(call: Call, request: Any) -> bool:
    return True


@method(functions.account.InitTakeoutSessionRequest, bots=False)
def init_takeout(call: Call, request: Any) -> Any:
    account, now = call.account, call.core.clock.now()
    if account.takeout_at is None:
        account.takeout_at = now + call.core.modes.habits.takeout_delay
    if now < account.takeout_at:
        raise RpcError(420, f"TAKEOUT_INIT_DELAY_{max(int(account.takeout_at - now + 0.999), 1)}")
    identity = secrets.randbits(62)
    call.key.owner.takeouts.add(identity)
    return types.account.Takeout(identity)


@method(functions.account.FinishTakeoutSessionRequest, bots=False)
def finish_takeout(call: Call, request: Any) -> bool:
    if call.takeout is None:
        raise RpcError(403, "TAKEOUT_REQUIRED")
    call.key.owner.takeouts.discard(call.takeout)
    return True


@method(functions.account.GetAuthorizationsRequest, bots=False)
def get_authorizations(call: Call, request: Any) -> Any:
    found = []
    for key in call.core.keys.of(call.account):
        client = key.owner.client
        if key.permanent is not None or client is None:
            continue
        found.append(types.Authorization(
            key.identity, client.device_model, "", "", client.api_id, "tests", client.app_version,
            int(key.created_at), int(client.at), "127.0.0.1", "", "", current=key is call.key.owner or None,
        ))  # fmt: skip
    return types.account.Authorizations(180, found)


@method(functions.account.ResetAuthorizationRequest, bots=False)
def reset_authorization(call: Call, request: Any) -> bool:
    for key in call.core.keys.of(call.account):
        if key.identity == request.hash and key is not call.key.owner:
            key.sign_out("SESSION_REVOKED")
            return True
    raise RpcError(400, "HASH_INVALID")
