#!/usr/bin/env bash
# Lets only members of a channel ask for media: members-only.sh @CHANNEL
# It is a stage behind tg-gate, for one bot, which has to be an administrator of the channel.
set -euo pipefail
channel=$1
url=${TG_BOT_API_URL:-https://api.telegram.org}/bot$TG_BOT_TOKEN/getChatMember
declare -A known

# The token is in the URL, which other users could read among the arguments.
is_member() {
    printf 'url = "%s"\n' "$url" |
        curl -fsS -m 20 -K - --data-urlencode "chat_id=$channel" --data-urlencode "user_id=$1" |
        jq -e '.result | .status as $s | ["creator", "administrator", "member"] | any(. == $s)' >/dev/null
}

while IFS= read -r event; do
    user=$(jq -r 'select(.type | test("^commands\\.media\\..*_download$")) | .meta.actor.id // empty' <<<"$event")
    # Who is found to be a member stays one for an hour.
    if [ -z "$user" ] || [ "${known[$user]:-0}" -gt "$EPOCHSECONDS" ] || is_member "$user"; then
        [ -z "$user" ] || [ "${known[$user]:-0}" -gt "$EPOCHSECONDS" ] || known[$user]=$((EPOCHSECONDS + 3600))
        printf '%s\n' "$event"
    else
        jq -c --arg channel "$channel" '{
            type: "commands.telegram.reply", correlation_id, causation_id: .id, meta,
            payload: {text: "This bot is for members of \($channel)."}
        }' <<<"$event"
    fi
done
