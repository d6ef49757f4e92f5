#!/usr/bin/env python3
"""Answers each message "ping" with "pong"."""

import json
import sys

for line in sys.stdin:
    event = json.loads(line)
    message = event["payload"].get("message", {})
    if message.get("text") == "ping":
        reply = {"text": "pong", "chat_id": message["chat"]["id"], "reply_to": message["message_id"]}
        same = {"correlation_id": event["correlation_id"], "causation_id": event["id"]}
        print(json.dumps({"type": "commands.telegram.send", "payload": reply} | same), flush=True)
