"""Decides everything about a seeded message by the seed and its id: its template and the values that are filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import texts
from .draws import Draws
from .templates import (
    ALBUM, COMMENTS, COUNT, DATE, EDITED, FORWARDS, FWD_DATE, FWD_POST, ID, REACTIONS, REPLIED, REPLY, SENDER, TOPIC, VIEWS,
)  # fmt: skip

USERS = 6_000_000_000
"""The senders of seeded messages have ids from here on, the same people in all chats."""
SOURCE = -1_000_000_009_000
"""The channel that seeded messages are forwarded from."""
_POOL = {"plain": 256, "album": 32, "topics": 192, "thread": 192, "copy": 32}
ALBUM_OF = 4
_EDITED_SHARE = 64  # of 2,048


@dataclass
class Script:
    seed: int
    chat_id: int
    kind: str
    """private, group, supergroup, channel"""
    first: int
    count: int
    title: str = ""
    seconds_apart: int = 20
    begun: int = 1_500_000_000
    """The date of the first message."""
    holes: float = 0.0
    """The share of ids that do not exist."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of ids (both ends included) that do not exist either."""
    senders: int = 200
    topics: int = 0
    """How many topics a forum has, besides General."""
    comments_in: int | None = None
    """The group with the comments on the posts of this channel."""
    copies_of: int | None = None
    """The channel whose posts are discussed in this group."""
    comments_each: int = 0
    migrated_from: int | None = None
    migrated_to: int | None = None

    def __post_init__(self) -> None:
        self.draws = Draws(self.seed)
        self.source_id = SOURCE
        self.last = self.first + self.count - 1
        self._limit = int(self.holes * 65536)

    def user(self, number: int) -> int:
        return USERS + number

    def topic_title(self, number: int) -> str:
        return f"{texts.name_of(number)}'s topic {number}"

    def exists(self, message_id: int) -> bool:
        """Returns whether the history begins with this message."""
        if message_id in (self.first, self.last) or self.is_topic(message_id) or self.is_copy(message_id):
            return True
        if self._limit and (self.draws.words(message_id)[3] & 0xFFFF) < self._limit:
            return False
        return not any(low <= message_id <= high for low, high in self.gaps)

    def is_topic(self, message_id: int) -> bool:
        return self.first < message_id <= self.first + self.topics

    def is_copy(self, message_id: int) -> bool:
        return self.copies_of is not None and (message_id - self.first) % (self.comments_each + 1) == 1

    def copy_of(self, post: int) -> int:
        """Returns the id of the message in this group that copies a post of the channel."""
        return self.first + 1 + (post - 1) * (self.comments_each + 1)

    def thread_of(self, message_id: int) -> int | None:
        """Returns the id of the copied post that a comment belongs to: one of the last three before it."""
        if self.copies_of is None or message_id <= self.first:
            return None
        number = (message_id - self.first - 1) // (self.comments_each + 1)
        number = max(number - (self.draws.words(message_id)[0] >> 16) % 3, 0)
        return self.first + 1 + number * (self.comments_each + 1)

    def topic_of(self, message_id: int) -> int | None:
        """Returns the id of the topic's first message; None in General and outside of forums."""
        if not self.topics or message_id <= self.first:
            return None
        if self.is_topic(message_id):
            return message_id
        if self._is_album(message_id):
            return None
        number = (self.draws.words(message_id)[0] >> 16) % (self.topics + 1)
        return self.first + number if number else None

    def _is_album(self, message_id: int) -> bool:
        start = message_id - message_id % ALBUM_OF
        if start <= self.first + self.topics or self.copies_of is not None:
            return False
        return self.draws.words(start)[3] >> 27 == 1

    def date(self, message_id: int) -> int:
        if self._is_album(message_id):
            message_id -= message_id % ALBUM_OF
            return self.begun + (message_id - self.first) * self.seconds_apart
        jitter = (self.draws.words(message_id)[0] >> 8) % max(self.seconds_apart, 1)
        return self.begun + (message_id - self.first) * self.seconds_apart + jitter

    def pool(self, message_id: int) -> tuple[str, int]:
        """Returns the pool of templates of a message, and its number there."""
        if message_id == self.first:
            return ("migrated_from" if self.migrated_from is not None else "created"), 0
        if message_id == self.last and self.migrated_to is not None:
            return "migrated_to", 0
        if self.topics and self.is_topic(message_id):
            return "topic", message_id - self.first
        chosen = self.draws.words(message_id)[0] & 0xFFFF
        if self.copies_of is not None:
            name = "copy" if self.is_copy(message_id) else "thread"
        elif self._is_album(message_id):
            name = "album"
        elif self.topics and self.topic_of(message_id) is not None:
            name = "topics"
        else:
            name = "plain"
        return name, chosen % _POOL[name]

    def values(self, message_id: int) -> tuple[list[int], bool]:
        """Returns the values to fill in, and whether the message was edited once."""
        _, w1, w2, w3 = self.draws.words(message_id)
        date = self.date(message_id)
        values = [0] * COUNT
        values[ID], values[DATE], values[EDITED] = message_id, date, date + 60 + (w2 & 0xFFFF)
        values[REPLY] = values[REPLIED] = max(message_id - 1 - (w2 & 0xFF), self.first)
        values[TOPIC] = (self.thread_of(message_id) if self.copies_of is not None else self.topic_of(message_id)) or 0
        if self.copies_of is not None and values[REPLY] <= values[TOPIC]:
            values[REPLY] = values[TOPIC]
        views = 1 + (w2 >> 12)
        values[VIEWS], values[FORWARDS], values[REACTIONS] = views, views >> 7, 1 + (views >> 9)
        values[COMMENTS] = self.comments_each
        values[FWD_DATE], values[FWD_POST] = date - 3600 - (w2 & 0xFFFF), 1 + (w2 >> 8 & 0xFFFF)
        if self.copies_of is not None and self.is_copy(message_id):
            values[FWD_POST] = (message_id - self.first - 1) // (self.comments_each + 1) + 1
        # The product of two evenly spread numbers: some people write far more than others.
        values[SENDER] = USERS + (((w1 & 0xFFFF) * (w1 >> 16) >> 16) * self.senders >> 16)
        values[ALBUM] = (self.seed & 0xFFFF) << 40 | message_id // ALBUM_OF
        return values, (w3 >> 16 & 0x7FF) < _EDITED_SHARE


def number_of(message_id: int, version: int) -> bytes:
    """Returns the ten digits in a message's text: how often it was edited since, and its id."""
    return b"%02d%08d" % (version % 100, message_id % 100_000_000)


def describe(script: Script) -> dict[str, Any]:
    return {
        "seed": script.seed, "first_id": script.first, "count": script.count, "holes": script.holes, "gaps": script.gaps,
        "topics": script.topics, "senders": script.senders,
    }  # fmt: skip
