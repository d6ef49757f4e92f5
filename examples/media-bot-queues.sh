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

script=media-bot-queues
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$(readlink -f "$0")")/media-bot-common.sh"
run=$state/run-queues

[ $# -gt 0 ] || set -- front media ${MAX_DIRECT_SIZE:+large}
# Downloaded files stay on their machine: the stage that stores a file must run where the file was downloaded.
here=${TGPIPE_HOST:-$(hostname)}
here=${here//[^A-Za-z0-9._-]/-}

# Checks the roles before anything is started, so that a mistake leaves no process behind.
for role in "$@"; do
    case $role in
    front) check_admin ;;
    media | large) ;;
    *) die "unknown role $role: the roles are front, media and large" 64 ;;
    esac
done

lock_run

declare -A commands=()  # name -> the stage's command, quoted for the shell

# Starts a stage, which is started again when it fails.
stage() { stage_as "$1" "$@"; }

# Does the same under another name, for a tool that is two stages.
stage_as() {
    commands[$1]=$(printf '%q ' "${@:2}")
    begin "$1"
}

stage_owner() { stage "$@"; }

begin() {
    local -a words
    eval "words=(${commands[$1]})"
    launch "$1" - - "${words[@]}"
}

finish() {
    ending=yes
    end_stages
}
trap finish INT TERM HUP

[[ " $* " = *" front "* ]] || unset TGPIPE_SESSION

# Gives each stage a process group of its own: Ctrl-C reaches this script only.
set -m
# Hides the shell's own messages about stages that ended by a signal; this script prints one.
exec 2>/dev/null

start_log
# One process owns the account, and the stages share it. It may already be running.
start_owner

# With OVER_LIMIT=parts, what was stored is cut before it is sent.
stored=send
[ "${OVER_LIMIT:-}" != parts ] || stored=stored.$here

for role in "$@"; do
    case $role in
    front)
        stage tg-listen "${speaker[@]}" --to queue:raw
        stage tg-gate --from queue:raw --to queue:allowed "${published[@]}" "${gate_options[@]}"
        stage tg-talk --from queue:allowed --to queue:talked "${talk_options[@]}"
        stage ratelimit --from queue:talked --to queue:limited -m 'commands.media.#' "${limit_options[@]}"
        stage media-ask --from queue:limited --to queue:asked "${ask_options[@]}"
        stage media-expand --from queue:asked --to queue:expanded "${expand_options[@]}"
        stage media-turns --from queue:expanded --to queue:commands "${turn_options[@]}"
        # The bot does nothing about what tg-listen reports, such as a wait that Telegram imposes on it.
        stage ev-route --from queue:commands -o 'commands.media.#=queue:media' -o 'commands.media.cancel=queue:cancel' \
            -o 'commands.telegram.#=queue:send' -o 'events.media.progress=queue:send' -o 'events.dl.#=queue:send' \
            -o 'events.telegram.#=/dev/null'
        # The workers of the queue media take a cancellation only when they have a place for it.
        stage_as cancel media-fetch --from queue:cancel "${fetch_options[@]}"
        stage tg-send --from queue:send --cancel-buttons "${send_options[@]}"
        ;;
    media)
        direct=()
        fetched=fetched.$here
        if [ -n "${MAX_DIRECT_SIZE:-}" ]; then
            direct=(--max-direct-size "$MAX_DIRECT_SIZE")
            fetched=done.$here
            # Sends downloads over the limit to the role large, and everything else to blob-put.
            stage_as large-route ev-route --from "queue:$fetched" \
                -o 'commands.media.large_download=queue:large' -o "events.#=queue:fetched.$here" \
                -o "commands.telegram.#=queue:fetched.$here"
        fi
        stage media-fetch --from queue:media --to "queue:$fetched" "${direct[@]}" "${fetch_options[@]}"
        stage blob-put --from "queue:fetched.$here" --to "queue:$stored" "${put_options[@]}"
        [ "$stored" = send ] || stage media-split --from "queue:$stored" --to queue:send "${split_options[@]}"
        ;;
    large)
        stage_as large-fetch media-fetch --from queue:large --to "queue:large.$here" --timeout 12h "${fetch_options[@]}"
        stage_as large-put blob-put --from "queue:large.$here" --to "queue:$stored" "${put_options[@]}"
        [ "$stored" = send ] || stage_as large-split media-split --from "queue:$stored" --to queue:send "${split_options[@]}"
        ;;
    esac
done

# A signal may have come before its stages.
[ -z "$ending" ] || end_stages

while has_stages; do
    await
    again=()
    for stage in "${ended[@]}"; do
        name=${stage% *} status=${stage##* }
        ! is_timer "$name" || continue
        case $status in
        0) continue ;;
        64 | 77 | 78)
            [ -n "$failure" ] || failure=$stage
            finish
            continue
            ;;
        esac
        [ -n "$ending" ] || again+=("$name")
        [ -n "$ending" ] || say "$name ended with status $status: starting it again"
    done
    if [ ${#again[@]} -gt 0 ]; then
        sleep 1
        # A signal may have come meanwhile.
        for name in "${again[@]}"; do [ -n "$ending" ] || begin "$name"; done
    fi
done
finish_run
