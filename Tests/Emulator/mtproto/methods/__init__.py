"""The methods of the API, each registered by its module."""

from __future__ import annotations

from . import cdn, config, discussions, downloads, history, login, login_more, people, sending, updates, uploading

__all__ = [
    "cdn", "config", "discussions", "downloads", "history", "login", "login_more", "people", "sending", "updates", "uploading",
]  # fmt: skip
