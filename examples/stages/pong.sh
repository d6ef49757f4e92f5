#!/bin/sh
# Answers each message "ping" with "pong".
jq --unbuffered -c 'select(.payload.message.text == "ping") | {
    type: "commands.telegram.send", correlation_id, causation_id: .id,
    payload: {text: "pong", chat_id: .payload.message.chat.id, reply_to: .payload.message.message_id}
}'
