#!/usr/bin/env bash
# Asks for what is new on channels, whenever a timer runs it: new-videos.sh SUBSCRIPTIONS SEEN
# A line of SUBSCRIPTIONS is a chat, the message there that the videos answer, and a link: 42 7 https://…/@someone/videos
# SEEN is a file that remembers what was asked for.
set -euo pipefail
touch "$2"
while read -r chat message link; do
    yt-dlp --flat-playlist --playlist-items 1-5 --print url -- "$link" </dev/null | while read -r url; do
        ! grep -qxF -- "$chat $url" "$2" || continue
        jq -nc --argjson chat "$chat" --argjson message "$message" --arg url "$url" '{
            type: "commands.media.video_download", payload: {url: $url},
            meta: {origin: {chat_id: $chat, message_id: $message}}
        }' | ev-queue push limited --stamp
        echo "$chat $url" >>"$2"
    done
done <"$1"
