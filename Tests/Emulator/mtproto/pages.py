"""Pages of seeded histories that were read, for those who read them again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from .tl import Written, write

MAX_BYTES = 64 << 20


class PageCache:
    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._pages: OrderedDict[Hashable, Written] = OrderedDict()
        self._max_bytes, self._bytes = max_bytes, 0

    def get(self, key: Hashable, make: Callable[[], Any]) -> Written:
        known = self._pages.get(key)
        if known is not None:
            self._pages.move_to_end(key)
            return known
        made = self._pages[key] = Written(write(make()))
        self._bytes += _held(made)
        while self._bytes > self._max_bytes:
            _, old = self._pages.popitem(last=False)
            self._bytes -= _held(old)
        return made


def _held(page: Written) -> int:
    """The bytes, with those of the compressed form, which may come later."""
    return len(page) * 3 // 2
