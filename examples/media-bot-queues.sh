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
start_owner

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
