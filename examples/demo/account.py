"""Gives tools the session of an account of the emulated Telegram."""

from __future__ import annotations

import subprocess
from pathlib import Path

from chat import Telegram


def account_settings(telegram: Telegram, session: str, folder: Path) -> dict[str, str]:
    """Returns the environment variables with which tools use the session of an account. Writes the servers' key into the folder."""
    about = telegram.servers()
    key = folder / "server.pem"
    key.write_text(about["public_key"])
    addresses = {dc: next(one for one in known if ":" not in one["host"]) for dc, known in about["dcs"].items() if int(dc) < 10}
    return {
        "TGPIPE_SESSION": session, "TG_API_ID": str(about["api_id"]), "TG_API_HASH": about["api_hash"], "TG_SERVER_KEY": str(key),
        "TG_SERVERS": " ".join(f"{dc}={one['host']}:{one['port']}" for dc, one in addresses.items()),
    }  # fmt: skip


def import_session(tools: Path, secret: str, session: str, environment: dict[str, str]) -> str | None:
    """Imports a session from its string, as a user would from another program. Returns what went wrong, if anything did."""
    command = [str(tools / "tg-session"), "import", session, "--string-file", "-"]
    done = subprocess.run(command, input=secret, env=environment, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode != 0 else None
