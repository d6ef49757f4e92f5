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

# The first request to end stops the source only: the end of input travels down the pipeline, and events in flight are
# delivered. A second request ends all stages, and so does a failed stage, after which nothing can be delivered.
finish() {
    if [ -n "$ending" ] || [ -n "$failure" ]; then
        end_stages
    else
        say "finishing the events in flight; interrupt again to end at once"
        signal_stages TERM tg-listen
    fi
    ending=yes
}
trap finish INT TERM HUP

# Gives each stage a process group of its own: Ctrl-C reaches this script only, which ends the stages in order.
set -m
# Hides the shell's own messages about stages that ended by a signal; this script prints one.
exec 2>/dev/null

# Makes a FIFO and opens it: sets `reader` and `writer` to its ends. No stage then waits for another one to open it.
fifo() {
    local both
    mkfifo -m 600 "$1" 2>&"$log"
    # With both ends in one descriptor, no opening waits for the other side.
    # shellcheck disable=SC2094    # It is a FIFO.
    exec {both}<>"$1" {reader}<"$1" {writer}>"$1"
    exec {both}>&-
    ends+=("$reader" "$writer")
}

# Does the same without a name in the file system.
pipe() {
    fifo "$run/pipe.fifo"
    rm -f "$run/pipe.fifo"
}

# Starts one stage of the pipeline: stage INPUT OUTPUT COMMAND…, as for launch, where the words `previous` and `next` stand
# for the stages before and after it. With TGPIPE_RECORD, its output is also appended to a file in that folder.
stage() {
    local input=$1 output=$2 name=$3 source
    shift 2
    [ "$input" != previous ] || input=$previous
    if [ -n "${TGPIPE_RECORD:-}" ]; then
        pipe
        launch "$name" "$input" "$writer" "$@"
        source=$reader
        [ "$output" != next ] || { pipe && output=$writer && previous=$reader; }
        launch "record-$name" "$source" "$output" ev-route -o "#=$TGPIPE_RECORD/$name.ndjson" -o '#=-'
    else
        [ "$output" != next ] || { pipe && output=$writer && previous=$reader; }
        launch "$name" "$input" "$output" "$@"
    fi
}

start_log
# One process owns the account, and the stages share it. It may already be running.
start_owner

stage - next tg-listen "${speaker[@]}"
stage previous next tg-gate "${published[@]}" "${gate_options[@]}"
stage previous next tg-talk "${talk_options[@]}"
stage previous next ratelimit -m 'commands.media.#' "${limit_options[@]}"
stage previous next media-ask "${ask_options[@]}"
stage previous next media-expand "${expand_options[@]}"
stage previous next media-turns "${turn_options[@]}"
fifo "$run/media.fifo"
to_fetch=$writer from_route=$reader
fifo "$run/send.fifo"
to_send=$writer from_all=$reader
# ev-route opens the FIFOs by name. It also keeps the ends until it ends itself, so that their readers wait for it.
kept=("$to_fetch" "$to_send")
# The bot does nothing about what tg-listen reports, such as a wait that Telegram imposes on it.
stage previous - ev-route -o "commands.media.#=$run/media.fifo" -o "commands.telegram.#=$run/send.fifo" \
    -o "events.media.progress=$run/send.fifo" -o "events.dl.#=$run/send.fifo" -o 'events.telegram.#=/dev/null' \
    --dead-letter "$state/dead.ndjson"
kept=()
stage "$from_route" next media-fetch "${fetch_options[@]}"
if [ "${OVER_LIMIT:-}" = parts ]; then
    stage previous next blob-put "${put_options[@]}"
    stage previous "$to_send" media-split "${split_options[@]}"
else
    stage previous "$to_send" blob-put "${put_options[@]}"
fi
stage "$from_all" - tg-send --cancel-buttons "${send_options[@]}"
# An open end here would keep a reader waiting for its writer.
for end in "${ends[@]}"; do exec {end}>&-; done
ends=()
# A signal may have come before its stage.
[ -z "$ending" ] || signal_stages TERM tg-listen

while has_stages; do
    await
    find_causes
    for stage in "${ended[@]}"; do
        ! is_timer "${stage% *}" || continue
        [ "${stage##* }" = 0 ] || [ -n "$failure" ] || failure=$stage
        # A stage that ended by itself ends the bot; one that failed, at once.
        if [ -n "$failure" ] || [ -z "$ending" ]; then finish; fi
    done
done
finish_run
