#!/usr/bin/env bash
# The media bot: somebody who may writes `.vdl <url>` or `.adl <url>` in a chat, and gets the video or its sound.
#
#     set -a; . ./tgpipe.env; set +a      # see tgpipe.env.example
#     examples/media-bot.sh
#
# With TGPIPE_SESSION instead of TG_BOT_TOKEN, an account does it: one that tg-session login has made a session for.
#
# Runs until it is interrupted, or until a stage ends by itself, which ends the others too: nothing is restarted behind your
# back. To have that done, let a supervisor restart the whole. The tools are taken from PATH, or from TGPIPE_BIN.
set -euo pipefail

state=${TGPIPE_STATE:-${XDG_STATE_HOME:-${HOME:?}/.local/state}/tgpipe}
# A store's path is an absolute one.
[[ $state = /* ]] || state=$PWD/$state
run=$state/run
export TGPIPE_STATE=$state TGPIPE_STORE=${TGPIPE_STORE:-file:$state/store}
PATH=${TGPIPE_BIN:+$TGPIPE_BIN:}$PATH

# Words for these stages, such as MEDIA_FETCH_OPTIONS='--concurrency 4 --cookies cookies.txt'.
read -ra gate_options <<<"${TG_GATE_OPTIONS:-}"
read -ra limit_options <<<"${RATELIMIT_OPTIONS:---limit 5 --window 60s --on-limit reply}"
read -ra fetch_options <<<"${MEDIA_FETCH_OPTIONS:-}"
read -ra put_options <<<"${BLOB_PUT_OPTIONS:-}"
read -ra send_options <<<"${TG_SEND_OPTIONS:-}"

say() { printf 'media-bot: %s\n' "$*" >&2; }
die() { say "$1"; exit "${2:-78}"; }

for tool in ${TGPIPE_SESSION:+tg-session} tg-listen tg-gate ratelimit ev-route media-fetch blob-put tg-send; do
    command -v "$tool" >/dev/null || die "$tool is not on PATH: make install, or set TGPIPE_BIN to the folder of the tools"
done
[ -n "${TG_BOT_TOKEN:-}${TGPIPE_SESSION:-}" ] ||
    die "set TG_BOT_TOKEN to the token that @BotFather gave you, or TGPIPE_SESSION to an account's session"
speaker=(--bot)
[ -z "${TGPIPE_SESSION:-}" ] || speaker=(--session "$TGPIPE_SESSION")
[ -n "${TG_ADMIN_ID:-}" ] || die "set TG_ADMIN_ID to your own numeric Telegram id"

(umask 077 && mkdir -p "$run")
exec 9>"$run/lock"
flock -n 9 || die "another media-bot runs in $state" 75
rm -f "$run"/*.fifo "$run"/*.pid
mkfifo -m 600 "$run/media.fifo" "$run/send.fifo"

is_owned() { tg-session status "$TGPIPE_SESSION" 2>/dev/null | grep -q '"owner":{'; }

# One stage of the pipeline. Its end is not overlooked: the others would only notice with the next event, and lose it.
# With TGPIPE_RECORD, what it writes is also appended to a file there.
stage() {
    exec 9>&-
    local status=0
    if [ -n "${TGPIPE_RECORD:-}" ]; then
        "$@" <&0 > >(exec ev-route -o "#=$TGPIPE_RECORD/$1.ndjson" -o '#=-') &
    else
        "$@" <&0 &
    fi
    echo "$!" >"$run/$1.pid"
    # Without the shell's own line about a killed stage: one is enough.
    wait "$!" 2>/dev/null || status=$?
    rm -f "$run/$1.pid"
    [ "$status" = 0 ] || echo "$1 $status" >>"$run/failed"
    kill -USR1 $$ 2>/dev/null || true
    return "$status"
}

# Asked to end, it ends the source: the end runs down the pipeline, and what is on its way is delivered. Asked again, or
# when a stage has failed and nothing can be delivered, it ends them all.
ending=
finish() {
    local stages=("$run"/tg-listen.pid)
    if [ -n "$ending" ] || [ -s "$run/failed" ]; then
        stages=("$run"/*.pid)
    else
        say "finishing what is on its way; interrupt again to end at once"
    fi
    ending=yes
    for file in "${stages[@]}"; do
        if [ -e "$file" ]; then kill -TERM "$(cat "$file")" 2>/dev/null || true; fi
    done
}
trap finish INT TERM HUP
trap '[ -n "$ending" ] || finish' USR1
rm -f "$run/failed"

# Each pipeline in a process group of its own: a Ctrl-C is for this script only, and reaches the stages in order.
set -m

# One process owns an account, and the stages share it; it may be running already.
owner=
if [ -n "${TGPIPE_SESSION:-}" ] && ! is_owned; then
    stage tg-session run "$TGPIPE_SESSION" </dev/null &
    owner=$!
    for ((tries = 0; tries < 300; tries++)); do
        if is_owned || [ -s "$run/failed" ]; then break; fi
        sleep 0.1
    done
fi

pipelines=()
stage tg-listen "${speaker[@]}" |
    stage tg-gate "${gate_options[@]}" |
    stage ratelimit -m 'commands.media.#' "${limit_options[@]}" |
    stage ev-route -o "commands.media.#=$run/media.fifo" -o "commands.telegram.#=$run/send.fifo" \
        --dead-letter "$state/dead.ndjson" &
pipelines+=("$!")
stage media-fetch --from "$run/media.fifo" "${fetch_options[@]}" |
    stage blob-put "${put_options[@]}" >"$run/send.fifo" &
pipelines+=("$!")
stage tg-send --from "$run/send.fifo" "${send_options[@]}" >/dev/null &
pipelines+=("$!")

# A trapped signal ends a wait, but not the stages. The account is needed until the last of them has ended.
for pipeline in "${pipelines[@]}"; do
    while kill -0 "$pipeline" 2>/dev/null; do wait "$pipeline" || true; done
done
if [ -n "$owner" ]; then
    if [ -e "$run/tg-session.pid" ]; then kill -TERM "$(cat "$run/tg-session.pid")" 2>/dev/null || true; fi
    while kill -0 "$owner" 2>/dev/null; do wait "$owner" || true; done
fi

if [ -s "$run/failed" ]; then
    read -r name status <"$run/failed"
    die "$name ended with status $status" "$status"
fi
