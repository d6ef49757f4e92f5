"""Sets up the data centres beside a Bot API emulator."""

from __future__ import annotations

import json
from typing import Any

from botapi.errors import ControlError
from botapi.world import World

from .account import Identity
from .control import identity_from
from .core import Core, Settings
from .servers import Servers

BOTS_DC = 2


def make_servers(world: World, accounts: list[str], **settings: Any) -> Servers:
    """- Raises ValueError: an account that is no JSON, or wrong."""
    core = Core(Settings(**settings), world.files)
    world.accounts = core.directory
    try:
        for text in accounts:
            order: dict[str, Any] = json.loads(text)
            core.directory.add(identity_from(order, core))
        core.directory.bots = world.bots
        for bot in world.bots:
            home = min(BOTS_DC, core.settings.dcs)
            core.directory.add(
                Identity(bot.id, first_name=bot.first_name, username=bot.username, dc=home, token=bot.token)
            )
    except (ControlError, TypeError) as error:
        raise ValueError(str(error)) from error
    return Servers(core)
