#!/usr/bin/env bash
# Sends a text to all users whom an admin has let in: broadcast.sh TEXT
# TGPIPE_REDIS names the Redis of the bot, such as unix:/run/tgpipe/redis.sock.
set -euo pipefail
redis-cli -s "${TGPIPE_REDIS#unix:}" --scan --pattern 'tgpipe:{access}:bless:*' | sed 's/.*://' |
    while read -r user; do
        # Who has blocked the bot does not keep the text from the others.
        tg-send -c "$user" "$1" </dev/null || echo "not sent to $user" >&2
    done
