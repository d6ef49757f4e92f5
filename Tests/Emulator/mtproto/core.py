"""Everything that the data centres of one emulator share."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from botapi.filestore import FileStore

from .ciphers import ServerKey
from .clock import Clock
from .directory import Directory
from .feed import Feed
from .floods import Ledger
from .handshake import DataCentre
from .journal import Journal
from .keys import KeyStore
from .modes import Modes
from .pages import PageCache
from .uploads import Uploads

CDN_DC = 203


@dataclass
class Address:
    """The address at which a data centre listens."""

    host: str
    port: int

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.host


@dataclass
class Settings:
    dcs: int = 3
    api_id: int = 12345
    api_hash: str = "0123456789abcdef0123456789abcdef"
    proxy_secret: bytes | None = None


@dataclass
class LoginToken:
    """The token of a login by QR code."""

    key: object
    dc: int
    expires_at: float
    accepted_by: int | None = None


@dataclass
class Core:
    settings: Settings
    files: FileStore
    clock: Clock = field(default_factory=Clock)
    modes: Modes = field(default_factory=Modes)
    journal: Journal = field(default_factory=Journal)
    login_tokens: dict[bytes, LoginToken] = field(default_factory=dict)
    exported: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """auth.exportAuthorization: bytes → (account, data centre)."""
    answers: dict[bytes, bytes] = field(default_factory=dict)
    """With the habit repeat_answers: calls → their answers."""

    def __post_init__(self) -> None:
        self.keys = KeyStore(self.clock)
        self.ledger = Ledger(self.clock)
        self.pages = PageCache()
        self.directory = Directory(self.files)
        self.feed = Feed(self)
        self.directory.push = self.feed.push
        self.directory.unacknowledged = self.feed.unacknowledged
        self.uploads = Uploads(self.files)
        self.rsa = ServerKey.generate()
        self.cdn_rsa = ServerKey.generate()
        self.centres = {number: DataCentre(number, self.rsa) for number in range(1, self.settings.dcs + 1)}
        self.centres[CDN_DC] = DataCentre(CDN_DC, self.cdn_rsa, is_cdn=True)
        self.addresses: dict[int, list[Address]] = {}
        self.proxy: Address | None = None
        self.cdn_key = secrets.token_bytes(32)
