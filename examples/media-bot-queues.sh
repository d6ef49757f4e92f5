#!/usr/bin/env bash
# The media bot over durable queues: whatever is killed, no request is lost, and none is worked on twice.
#
#     set -a; . ./tgpipe.env; set +a              # see tgpipe.env.example
#     examples/media-bot-queues.sh                # all of it on this machine
#
# Or on several, with one Redis and one store for all (TGPIPE_REDIS=redis://…, TGPIPE_STORE=s3://…):
#
#     host1$ media-bot-queues.sh front            # listens, decides, speaks; on one machine
#     host2$ media-bot-queues.sh media            # fetches and stores; on as many as there should be
#     host3$ media-bot-queues.sh large            # the same with what is over MAX_DIRECT_SIZE=50M, say, of the others
#
# With TGPIPE_SESSION instead of TG_BOT_TOKEN, an account does it. Its session is on the machine with the role front; the others have
# none, and cannot fetch the files of messages.
#
# A stage that fails is started again, since nothing is lost by it; one that cannot work (wrong settings, refused token) ends all.
# An interrupt ends all: each stage finishes what it has, and what is in the queues waits for the next start.
set -euo pipefail

state=${TGPIPE_STATE:-${XDG_STATE_HOME:-${HOME:?}/.local/state}/tgpipe}
# A store's path is an absolute one.
[[ $state = /* ]] || state=$PWD/$state
run=$state/run-queues
export TGPIPE_STATE=$state TGPIPE_STORE=${TGPIPE_STORE:-file:$state/store}
PATH=${TGPIPE_BIN:+$TGPIPE_BIN:}$PATH

# Words for these stages, such as MEDIA_FETCH_OPTIONS='--concurrency 4 --cookies cookies.txt'.
read -ra gate_options <<<"${TG_GATE_OPTIONS:-}"
read -ra limit_options <<<"${RATELIMIT_OPTIONS:---limit 5 --window 60s --on-limit reply}"
read -ra fetch_options <<<"${MEDIA_FETCH_OPTIONS:-}"
read -ra put_options <<<"${BLOB_PUT_OPTIONS:-}"
read -ra send_options <<<"${TG_SEND_OPTIONS:-}"

say() { printf 'media-bot-queues: %s\n' "$*" >&2; }
die() { say "$1"; exit "${2:-78}"; }

[ $# -gt 0 ] || set -- front media ${MAX_DIRECT_SIZE:+large}
# Files stay where they are: what stores them has to be on the machine that fetched them.
here=${TGPIPE_HOST:-$(hostname)}
here=${here//[^A-Za-z0-9._-]/-}

for tool in ${TGPIPE_SESSION:+tg-session} tg-listen tg-gate ratelimit ev-route media-fetch blob-put tg-send; do
    command -v "$tool" >/dev/null || die "$tool is not on PATH: make install, or set TGPIPE_BIN to the folder of the tools"
done
[ -n "${TG_BOT_TOKEN:-}${TGPIPE_SESSION:-}" ] ||
    die "set TG_BOT_TOKEN to the token that @BotFather gave you, or TGPIPE_SESSION to an account's session"
speaker=(--bot)
[ -z "${TGPIPE_SESSION:-}" ] || speaker=(--session "$TGPIPE_SESSION")
# Before anything is started: what dies here leaves nothing behind.
for role in "$@"; do
    case $role in
    front) [ -n "${TG_ADMIN_ID:-}" ] || die "set TG_ADMIN_ID to your own numeric Telegram id" ;;
    media | large) ;;
    *) die "there is no role $role: front, media and large" 64 ;;
    esac
done

(umask 077 && mkdir -p "$run")
exec 9>"$run/lock"
flock -n 9 || die "another media-bot-queues runs in $state" 75
rm -f "$run"/*.pid "$run/failed" "$run/ending"

# One stage, started again when it fails.
stage() { stage_as "$1" "$@"; }

# Likewise, under a name of its own, where one tool is two stages.
stage_as() {
    exec 9>&-
    local name=$1 status
    shift
    while [ ! -e "$run/ending" ]; do
        status=0
        "$@" </dev/null >/dev/null &
        echo "$!" >"$run/$name.pid"
        # Without the shell's own line about a killed stage: one is enough.
        wait "$!" 2>/dev/null || status=$?
        rm -f "$run/$name.pid"
        case $status in
        0) return ;;
        64 | 77 | 78)
            echo "$name $status" >"$run/failed"
            kill -USR1 $$ 2>/dev/null || true
            return
            ;;
        esac
        [ -e "$run/ending" ] || { say "$name ended with status $status: starting it again"; sleep 1; }
    done
}

end_stages() {
    local file
    for file in "$@"; do
        if [ -e "$file" ]; then kill -TERM "$(cat "$file")" 2>/dev/null || true; fi
    done
}

# The account is needed until the last of the others has ended.
finish() {
    touch "$run/ending"
    local files=("$run"/*.pid)
    end_stages "${files[@]/$run\/tg-session.pid/}"
}
trap finish INT TERM HUP USR1

[[ " $* " = *" front "* ]] || unset TGPIPE_SESSION

# Each stage in a process group of its own: a Ctrl-C is for this script only.
set -m

# One process owns an account, and the stages share it; it may be running already.
is_owned() { tg-session status "$TGPIPE_SESSION" 2>/dev/null | grep -q '"owner":{'; }
owner=
if [ -n "${TGPIPE_SESSION:-}" ] && ! is_owned; then
    stage tg-session run "$TGPIPE_SESSION" &
    owner=$!
    for ((tries = 0; tries < 300; tries++)); do
        if is_owned || [ -s "$run/failed" ]; then break; fi
        sleep 0.1
    done
fi

stages=()
start() {
    "$@" &
    stages+=("$!")
}
for role in "$@"; do
    case $role in
    front)
        start stage tg-listen "${speaker[@]}" --to queue:raw
        start stage tg-gate --from queue:raw --to queue:allowed "${gate_options[@]}"
        start stage ratelimit --from queue:allowed --to queue:commands -m 'commands.media.#' "${limit_options[@]}"
        start stage ev-route --from queue:commands -o 'commands.media.#=queue:media' -o 'commands.telegram.#=queue:send'
        start stage tg-send --from queue:send "${send_options[@]}"
        ;;
    media)
        direct=()
        fetched=fetched.$here
        if [ -n "${MAX_DIRECT_SIZE:-}" ]; then
            direct=(--max-direct-size "$MAX_DIRECT_SIZE")
            fetched=done.$here
            # What is too large to be fetched here goes elsewhere, and all else to blob-put.
            start stage_as large-route ev-route --from "queue:$fetched" \
                -o 'commands.media.large_download=queue:large' -o "events.#=queue:fetched.$here"
        fi
        start stage media-fetch --from queue:media --to "queue:$fetched" "${direct[@]}" "${fetch_options[@]}"
        start stage blob-put --from "queue:fetched.$here" --to queue:send "${put_options[@]}"
        ;;
    large)
        start stage_as large-fetch media-fetch --from queue:large --to "queue:large.$here" --timeout 12h "${fetch_options[@]}"
        start stage_as large-put blob-put --from "queue:large.$here" --to queue:send "${put_options[@]}"
        ;;
    esac
done

# A trapped signal ends a wait, but not the stages.
for stage in "${stages[@]}"; do
    while kill -0 "$stage" 2>/dev/null; do wait "$stage" || true; done
done
if [ -n "$owner" ]; then
    touch "$run/ending"
    end_stages "$run/tg-session.pid"
    while kill -0 "$owner" 2>/dev/null; do wait "$owner" || true; done
fi

if [ -s "$run/failed" ]; then
    read -r name status <"$run/failed"
    die "$name ended with status $status" "$status"
fi
