"""Decides everything about a seeded message by the seed and its id: its template and the values that are filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..peers import SEEDED_USERS
from . import texts
from .draws import BLOCK, Draws
from .templates import DATE, POOLS, TOPIC

SOURCE = -1_000_000_009_000
"""The channel that seeded messages are forwarded from."""
ALBUM_OF = 4
_EDITED_SHARE = 64  # of 2,048
_PLAIN, _ALBUM, _TOPICS, _THREAD, _COPY, _CREATED, _TOPIC, _MIGRATED_TO, _MIGRATED_FROM = range(len(POOLS))
_SIZES = [size for _, size in POOLS]
Fate = tuple[int, int, list[Any], bool]


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
        self.seconds_apart = max(self.seconds_apart, 1)
        self._limit = int(self.holes * 65536)

    def user(self, number: int) -> int:
        return SEEDED_USERS + number

    def topic_title(self, number: int) -> str:
        return f"{texts.name_of(number)}'s topic {number}"

    def existing(self, number: int) -> int:
        """Returns which ids of a block the history begins with, as bits: the lowest bit is `number * BLOCK`."""
        start = number * BLOCK
        if self._limit:
            low, draws = self._limit, self.draws.block(number)[3::4].tolist()
            bits = int("".join(["0" if draw & 0xFFFF < low else "1" for draw in reversed(draws)]), 2)
        else:
            bits = (1 << BLOCK) - 1
        for low, high in self.gaps:
            bits &= ~_mask(low - start, high - start)
        always = [(self.first, self.first + self.topics), (self.last, self.last)]
        for low, high in always:
            bits |= _mask(low - start, high - start)
        if self.copies_of is not None:
            for copy in range(self.copy_of(1) + -(self.copy_of(1) - start) % (self.comments_each + 1), start + BLOCK,
                              self.comments_each + 1):  # fmt: skip
                bits |= _mask(copy - start, copy - start)
        return bits & _mask(self.first - start, self.last - start)

    def is_topic(self, message_id: int) -> bool:
        return self.first < message_id <= self.first + self.topics

    def is_copy(self, message_id: int) -> bool:
        return self.copies_of is not None and self.place_in_thread(message_id)[1] == 0

    def place_in_thread(self, message_id: int) -> tuple[int, int]:
        """Returns the number of the last copied post, from 0, and how far after it the message is."""
        return divmod(message_id - self.first - 1, self.comments_each + 1)

    def copy_of(self, post: int) -> int:
        """Returns the id of the message in this group that copies a post of the channel."""
        return self.first + 1 + (post - 1) * (self.comments_each + 1)

    def date(self, message_id: int) -> int:
        return int(self.fate(message_id)[2][DATE])

    def thread_of(self, message_id: int) -> int | None:
        """Returns the id of the message that opened the topic, or of the copied post; None in General and elsewhere."""
        return int(self.fate(message_id)[2][TOPIC]) or None

    def fate(self, message_id: int) -> Fate:
        """Returns the pool of templates of a message, its number there, the values to fill in, and whether the
        message was edited once.

        This runs for each message of each page, so it does without further calls.
        """
        block, at = self.draws.block(message_id >> 7), (message_id & 127) << 2
        w0, w1, w2, w3 = block[at], block[at + 1], block[at + 2], block[at + 3]
        place, first = message_id - self.first, self.first
        start = at & ~15
        if block[start | 3] >> 27 == 1 and place - (message_id & 3) > self.topics and self.copies_of is None:
            pool, number = _ALBUM, (w0 & 0xFFFF) % 32
            date = self.begun + (place - (message_id & 3)) * self.seconds_apart
        else:
            pool, number = _PLAIN, w0 & 0xFF
            date = self.begun + place * self.seconds_apart + (w0 >> 8) % self.seconds_apart
        topic, post = 0, 1 + (w2 >> 8 & 0xFFFF)
        reply = message_id - 1 - (w2 & 0xFF)
        if reply < first:
            reply = first
        if place == 0 or self.topics or self.copies_of is not None or message_id == self.last:
            pool, number, topic, post = self._placed(message_id, w0, (pool, number, post))
            reply = max(reply, topic)
        views = 1 + (w2 >> 12)
        # The sender is the product of two evenly spread numbers: some people write far more than others.
        values = [
            message_id, date, date + 60 + (w2 & 0xFFFF), reply, topic, views, views >> 7, 1 + (views >> 9),
            self.comments_each, date - 3600 - (w2 & 0xFFFF), post, reply,
            SEEDED_USERS + (((w1 & 0xFFFF) * (w1 >> 16) >> 16) * self.senders >> 16),
            (self.seed & 0xFFFF) << 40 | message_id >> 2, b"%010d" % (message_id % 100_000_000),
        ]  # fmt: skip
        return pool, number, values, (w3 >> 16 & 0x7FF) < _EDITED_SHARE

    def _placed(self, message_id: int, w0: int, usual: tuple[int, int, int]) -> tuple[int, int, int, int]:
        """Returns pool, number, topic and forwarded post of a message whose place in the history matters."""
        pool, number, post = usual
        if message_id == self.first:
            return (_MIGRATED_FROM if self.migrated_from is not None else _CREATED), 0, 0, post
        if message_id == self.last and self.migrated_to is not None:
            return _MIGRATED_TO, 0, 0, post
        if self.copies_of is not None:
            around, after = self.place_in_thread(message_id)
            if after == 0:
                return _COPY, number % _SIZES[_COPY], message_id, around + 1
            # Comments are on the last three posts.
            return _THREAD, number % _SIZES[_THREAD], self.copy_of(max(around - (w0 >> 16) % 3, 0) + 1), post
        if self.is_topic(message_id):
            return _TOPIC, message_id - self.first, message_id, post
        chosen = (w0 >> 16) % (self.topics + 1) if pool == _PLAIN else 0
        if chosen:
            return _TOPICS, number % _SIZES[_TOPICS], self.first + chosen, post
        return pool, number, 0, post


def _mask(low: int, high: int) -> int:
    """Returns the bits from `low` to `high`, both included, as far as they are in a block."""
    low, high = max(low, 0), min(high, BLOCK - 1)
    return (1 << high + 1) - (1 << low) if low <= high else 0


def number_of(message_id: int, version: int) -> bytes:
    """Returns the ten digits in a message's text: how often it was edited since, and its id."""
    return b"%02d%08d" % (version % 100, message_id % 100_000_000)


def describe(script: Script) -> dict[str, Any]:
    return {
        "seed": script.seed, "first_id": script.first, "count": script.count, "holes": script.holes, "gaps": script.gaps,
        "topics": script.topics, "senders": script.senders,
    }  # fmt: skip
