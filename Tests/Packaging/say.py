"""Write to the bot at the emulator as Alice, and wait for an answer: say.py TEXT ANSWER"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from typing import Any

CONTROL = "http://127.0.0.1:9999/control"
PATIENCE_SECONDS = 60


def call(path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{CONTROL}/{path}", data, {"Content-Type": "application/json"})
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            # The emulator may be starting.
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def main() -> None:
    text, wanted = sys.argv[1:]
    alice = {"id": 42, "first_name": "Alice"}
    sent = call("message", {"chat_id": 42, "text": text, "from": alice, "chat_type": "private"})
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        later = [found["message"] for found in call("chat/42")["messages"] if found["message"]["message_id"] > sent["message_id"]]
        if any(found.get("text") == wanted for found in later):
            return
        time.sleep(0.1)
    sys.exit(f"no answer within {PATIENCE_SECONDS} seconds; the chat has {later}")


if __name__ == "__main__":
    main()
