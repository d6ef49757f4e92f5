#!/usr/bin/env bash
# Runs the media bot over durable queues: killing any process loses no request. docs/queues.md describes the guarantee and
# its limits.
#
#     set -a; . ./tgpipe.env; set +a              # see tgpipe.env.example
#     examples/media-bot-queues.sh                # the whole bot on this machine
#
# It also runs on several machines that share one Redis and one store (TGPIPE_REDIS=redis://…, TGPIPE_STORE=s3://…):
#
#     host1$ media-bot-queues.sh front            # listens, controls access, replies; on exactly one machine
#     host2$ media-bot-queues.sh media            # downloads and stores; on any number of machines
#     host3$ media-bot-queues.sh large            # downloads and stores files over the others' MAX_DIRECT_SIZE, e.g. 50M
#
# If TGPIPE_SESSION is set, an account takes the place of the bot. Its session is on the machine with the role front. The other
# machines have no session, and cannot fetch files of messages.
#
# A stage that fails is started again: it loses no event. A stage that cannot work (wrong settings, refused token) ends the whole
# bot. On an interrupt each stage finishes the events that it holds; the events in the queues wait for the next start.
set -euo pipefail

state=${TGPIPE_STATE:-${XDG_STATE_HOME:-${HOME:?}/.local/state}/tgpipe}
# The path of a store must be absolute.
[[ $state = /* ]] || state=$PWD/$state
run=$state/run-queues
export TGPIPE_STATE=$state TGPIPE_STORE=${TGPIPE_STORE:-file:$state/store}
PATH=${TGPIPE_BIN:+$TGPIPE_BIN:}$PATH

# Further arguments for these stages, for example MEDIA_FETCH_OPTIONS='--concurrency 4 --cookies cookies.txt'.
read -ra gate_options <<<"${TG_GATE_OPTIONS:-}"
read -ra limit_options <<<"${RATELIMIT_OPTIONS:---limit 5 --window 60s --on-limit reply}"
read -ra fetch_options <<<"${MEDIA_FETCH_OPTIONS:-}"
read -ra put_options <<<"${BLOB_PUT_OPTIONS:-}"
read -ra send_options <<<"${TG_SEND_OPTIONS:-}"

say() { printf 'media-bot-queues: %s\n' "$*" >&2; }
die() { say "$1"; exit "${2:-78}"; }

[ $# -gt 0 ] || set -- front media ${MAX_DIRECT_SIZE:+large}
# Downloaded files stay on their machine: the stage that stores a file must run where the file was downloaded.
here=${TGPIPE_HOST:-$(hostname)}
here=${here//[^A-Za-z0-9._-]/-}

for tool in ${TGPIPE_SESSION:+tg-session} tg-listen tg-gate ratelimit ev-route media-fetch blob-put tg-send; do
    command -v "$tool" >/dev/null || die "unable to find $tool: run make install, or set TGPIPE_BIN to the folder of the tools"
done
[ -n "${TG_BOT_TOKEN:-}${TGPIPE_SESSION:-}" ] ||
    die "no bot or account: set TG_BOT_TOKEN to the token from @BotFather, or TGPIPE_SESSION to the name of an account's session"
speaker=(--bot)
[ -z "${TGPIPE_SESSION:-}" ] || speaker=(--session "$TGPIPE_SESSION")
# Checks the roles before anything is started, so that a mistake leaves no process behind.
for role in "$@"; do
    case $role in
    front) [ -n "${TG_ADMIN_ID:-}" ] || die "no admin: set TG_ADMIN_ID to your own numeric Telegram id" ;;
    media | large) ;;
    *) die "unknown role $role: the roles are front, media and large" 64 ;;
    esac
done

(umask 077 && mkdir -p "$run")
exec 9>"$run/lock"
flock -n 9 || die "another media-bot-queues.sh is running in $state: stop it, or set TGPIPE_STATE to another folder" 75
rm -f "$run"/*.pid "$run/failed" "$run/ending"

# Runs one stage, and starts it again when it fails.
stage() { stage_as "$1" "$@"; }

# Does the same under another name, for a tool that is two stages.
stage_as() {
    exec 9>&-
    local name=$1 status
    shift
    while [ ! -e "$run/ending" ]; do
        status=0
        "$@" </dev/null >/dev/null &
        echo "$!" >"$run/$name.pid"
        # Hides the shell's own message about a killed stage: this script prints one.
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

# Ends all stages but the account's owner, which is needed until the last of the other stages has ended.
finish() {
    touch "$run/ending"
    local files=("$run"/*.pid)
    end_stages "${files[@]/$run\/tg-session.pid/}"
}
trap finish INT TERM HUP USR1

[[ " $* " = *" front "* ]] || unset TGPIPE_SESSION

# Gives each stage a process group of its own: Ctrl-C reaches this script only.
set -m

# One process owns the account, and the stages share it. It may already be running.
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
            # Sends downloads over the limit to the role large, and everything else to blob-put.
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

# A trapped signal ends `wait`, but not the stages.
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
