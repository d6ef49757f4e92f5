"""The set of ids that exist: one bit for each, and a count for each block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import overload

BLOCK = 4096
_BYTES = BLOCK // 8


class Ids:
    def __init__(self) -> None:
        self._bits = bytearray()
        self._counts: list[int] = []
        self._first_block = 0
        """Blocks below hold nothing and take no memory, since an account's ids may begin late."""
        self.count = 0
        self.end = 0
        """One more than the highest id that was ever added."""

    def __contains__(self, identity: object) -> bool:
        if not isinstance(identity, int):
            return False
        place = identity - self._first_block * BLOCK
        return 0 <= place < len(self._bits) * 8 and bool(self._bits[place >> 3] >> (place & 7) & 1)

    def add(self, identity: int) -> None:
        if not self._counts:
            self._first_block = identity // BLOCK
        block = identity // BLOCK - self._first_block
        if block < 0:
            raise ValueError(f"id {identity} is below those that the history began with")
        while block >= len(self._counts):
            self._counts.append(0)
            self._bits += bytes(_BYTES)
        place = identity - self._first_block * BLOCK
        if not self._bits[place >> 3] >> (place & 7) & 1:
            self._bits[place >> 3] |= 1 << (place & 7)
            self._counts[block] += 1
            self.count += 1
        self.end = max(self.end, identity + 1)

    def put(self, start: int, bits: int) -> None:
        """Adds `start` plus the number of each bit. There may be no ids yet from `start` on, which is a multiple of 8."""
        if not bits:
            return
        self.add(start + bits.bit_length() - 1)
        place = start - self._first_block * BLOCK
        data = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
        self._bits[place >> 3 : (place >> 3) + len(data)] = data
        self._counts[place // BLOCK] += bits.bit_count() - 1
        self.count += bits.bit_count() - 1

    def discard(self, identity: int) -> bool:
        if identity not in self:
            return False
        place = identity - self._first_block * BLOCK
        self._bits[place >> 3] &= ~(1 << (place & 7))
        self._counts[place // BLOCK] -= 1
        self.count -= 1
        return True

    def count_from(self, identity: int) -> int:
        """Returns how many ids are at or above this one."""
        place = max(identity - self._first_block * BLOCK, 0)
        block = place // BLOCK
        if block >= len(self._counts):
            return 0
        end = (block + 1) * _BYTES
        rest = int.from_bytes(self._bits[place >> 3 : end], "little") >> (place & 7)
        return rest.bit_count() + sum(self._counts[block + 1 :])

    def below(self, identity: int, skip: int = 0) -> Iterator[int]:
        """Yields the ids below this one, the highest first, after the first `skip` of them."""
        place = min(identity - self._first_block * BLOCK, len(self._bits) * 8)
        base, bits = self._first_block * BLOCK, self._bits
        while place > 0:
            block = (place - 1) // BLOCK
            low = block * BLOCK
            if place == low + BLOCK and self._counts[block] <= skip:
                skip -= self._counts[block]
                place = low
                continue
            while place > low:
                place -= 1
                byte = bits[place >> 3]
                if not byte:
                    place &= ~7
                elif byte >> (place & 7) & 1:
                    if skip:
                        skip -= 1
                    else:
                        yield base + place

    def above(self, identity: int) -> Iterator[int]:
        """Yields the ids from this one on, the lowest first."""
        place = max(identity - self._first_block * BLOCK, 0)
        base = self._first_block * BLOCK
        while place < len(self._bits) * 8:
            if place % BLOCK == 0 and not self._counts[place // BLOCK]:
                place += BLOCK
                continue
            if self._bits[place >> 3] >> (place & 7) & 1:
                yield base + place
            place += 1


class AllIds:
    """Looks like the list of ids of an ordinary chat, without being one."""

    def __init__(self, ids: Ids, first: int) -> None:
        self._ids, self._first = ids, first
        self.gone = 0
        """How many ids were deleted since the history was made; a list keeps those."""

    def __len__(self) -> int:
        return self._ids.count + self.gone

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> list[int]: ...
    def __getitem__(self, place: int | slice) -> int | list[int]:
        if place == 0:
            return self._first
        if place == -1:
            return self._ids.end - 1
        raise NotImplementedError("only the first and the last id")

    def append(self, identity: int) -> None:
        self._ids.add(identity)
