"""Random numbers of each message id: the same for the same seed, in any order, and cheap."""

from __future__ import annotations

import hashlib

BLOCK = 128
WORDS = 4
_REMEMBERED = 64


class Draws:
    """Gives four 32-bit numbers for each id."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._blocks: dict[int, memoryview] = {}

    def block(self, number: int) -> memoryview:
        """Returns the numbers of the ids from `number * BLOCK` on, four for each."""
        known = self._blocks.get(number)
        if known is None:
            if len(self._blocks) >= _REMEMBERED:
                del self._blocks[next(iter(self._blocks))]
            source = hashlib.shake_128(b"%d/%d" % (self._seed, number))
            known = self._blocks[number] = memoryview(source.digest(BLOCK * WORDS * 4)).cast("I")
        return known

    def words(self, message_id: int) -> tuple[int, int, int, int]:
        block, place = self.block(message_id >> 7), (message_id & 127) << 2
        return block[place], block[place + 1], block[place + 2], block[place + 3]
