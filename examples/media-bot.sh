#!/usr/bin/env bash
# Runs the media bot over pipes: an authorised user writes `.vdl <url>` or `.adl <url>` in a chat, and gets the video or
# its audio.
#
#     set -a; . ./tgpipe.env; set +a      # see tgpipe.env.example
#     examples/media-bot.sh
#
# If TGPIPE_SESSION is set, an account takes the place of the bot. Make its session first with tg-session login.
#
# The script runs until it is interrupted, or until a stage ends, which ends all other stages. It restarts nothing: to have
# the bot restarted, run the script under a supervisor. The tools are taken from TGPIPE_BIN, then from PATH.
set -euo pipefail

script=media-bot
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$(readlink -f "$0")")/media-bot-common.sh"
run=$state/run

check_admin

lock_run
rm -f "$run"/*.fifo "$run"/*.pid
mkfifo -m 600 "$run/media.fifo" "$run/send.fifo"

# Runs one stage of the pipeline, and signals this script when the stage ends: the other stages would notice only at the
# next event, and lose that event. With TGPIPE_RECORD, the stage's output is also appended to a file in that folder.
stage() {
    exec 9>&-
    local status=0
    if [ -n "${TGPIPE_RECORD:-}" ]; then
        "$@" <&0 > >(exec ev-route -o "#=$TGPIPE_RECORD/$1.ndjson" -o '#=-') &
    else
        "$@" <&0 &
    fi
    echo "$!" >"$run/$1.pid"
    # Hides the shell's own message about a killed stage: this script prints one.
    wait "$!" 2>/dev/null || status=$?
    rm -f "$run/$1.pid"
    [ "$status" = 0 ] || echo "$1 $status" >>"$run/failed"
    kill -USR1 $$ 2>/dev/null || true
    return "$status"
}

# The first request to end stops the source only: the end of input travels down the pipeline, and events in flight are
# delivered. A second request ends all stages, and so does a failed stage, after which nothing can be delivered.
ending=
finish() {
    local stages=("$run"/tg-listen.pid)
    if [ -n "$ending" ] || [ -s "$run/failed" ]; then
        stages=("$run"/*.pid)
    else
        say "finishing the events in flight; interrupt again to end at once"
    fi
    ending=yes
    for file in "${stages[@]}"; do
        if [ -e "$file" ]; then kill -TERM "$(cat "$file")" 2>/dev/null || true; fi
    done
}
trap finish INT TERM HUP
trap '[ -n "$ending" ] || finish' USR1
rm -f "$run/failed"

# Gives each pipeline a process group of its own: Ctrl-C reaches this script only, which ends the stages in order.
set -m

# One process owns the account, and the stages share it. It may already be running.
start_owner

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

# A trapped signal ends `wait`, but not the stages. The account is needed until the last stage has ended.
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
