"""Old messages of a chat, made when somebody looks at them: millions cost nothing but their ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from botapi.model import Message


class Backlog(dict[int, Message]):
    """The messages of a chat. Those that were changed or added are kept, the others made anew each time."""

    def __init__(self, ids: range, make: Callable[[int], Message]) -> None:
        super().__init__()
        self._ids, self._make = ids, make

    def __missing__(self, message_id: int) -> Message:
        if message_id not in self._ids:
            raise KeyError(message_id)
        return self._make(message_id)

    def __contains__(self, message_id: object) -> bool:
        return super().__contains__(message_id) or message_id in self._ids

    @overload
    def get(self, key: int, default: None = None, /) -> Message | None: ...
    @overload
    def get(self, key: int, default: Any, /) -> Any: ...
    def get(self, key: int, default: Any = None, /) -> Any:
        return self[key] if key in self else default
