#!/usr/bin/env bash
# Settings, checks and the supervisor that media-bot.sh and media-bot-queues.sh share. Each sets `script` to its own name
# and `run` to its folder, and then sources this file.
# shellcheck disable=SC2034,SC2154    # The scripts use these variables, and set $script and $run.

state=${TGPIPE_STATE:-${XDG_STATE_HOME:-${HOME:?}/.local/state}/tgpipe}
# The path of a store must be absolute.
[[ $state = /* ]] || state=$PWD/$state
export TGPIPE_STATE=$state TGPIPE_STORE=${TGPIPE_STORE:-file:$state/store}
PATH=${TGPIPE_BIN:+$TGPIPE_BIN:}$PATH

# All stages write their log lines and spans there, too, and ev-log keeps them. An empty TGPIPE_LOG_DIR turns this off.
if command -v ev-log >/dev/null; then export TGPIPE_LOG_DIR=${TGPIPE_LOG_DIR-$state/logs}; fi

# Further arguments for these stages, for example MEDIA_FETCH_OPTIONS='--concurrency 4 --cookies cookies.txt'.
read -ra gate_options <<<"${TG_GATE_OPTIONS:-}"
read -ra talk_options <<<"${TG_TALK_OPTIONS:-}"
read -ra ask_options <<<"${MEDIA_ASK_OPTIONS:-}"
read -ra expand_options <<<"${MEDIA_EXPAND_OPTIONS:-}"
read -ra limit_options <<<"${RATELIMIT_OPTIONS:---limit 5 --window 60s --on-limit reply}"
read -ra turn_options <<<"${MEDIA_TURNS_OPTIONS:-}"
read -ra fetch_options <<<"${MEDIA_FETCH_OPTIONS:-}"
# OVER_LIMIT=parts: the best picture is fetched, and cut into parts that Telegram takes. OVER_LIMIT=reencode: what has no smaller picture
# is encoded anew so that it fits.
case ${OVER_LIMIT:-} in
parts) fetch_options=(--over-limit best --max-size 2000M "${fetch_options[@]}") ;;
reencode) fetch_options=(--over-limit reencode "${fetch_options[@]}") ;;
esac
read -ra split_options <<<"${MEDIA_SPLIT_OPTIONS:-}"
read -ra put_options <<<"${BLOB_PUT_OPTIONS:-}"
read -ra send_options <<<"${TG_SEND_OPTIONS:-}"

# tg-talk answers messages and strangers, and media-ask takes the presses of buttons.
published=(--subscribe 'commands.#' --subscribe events.telegram.raw --subscribe events.access.denied)

# A copy of standard error, which stays visible while the shell's own messages are hidden.
exec {log}>&2
say() { printf '%s: %s\n' "$script" "$*" >&"$log"; }
die() { say "$1"; exit "${2:-78}"; }

for tool in ${TGPIPE_SESSION:+tg-session} tg-listen tg-gate tg-talk ratelimit media-ask media-expand media-turns ev-route media-fetch blob-put media-split tg-send; do
    command -v "$tool" >/dev/null || die "unable to find $tool: run make install, or set TGPIPE_BIN to the folder of the tools"
done
[ -n "${TG_BOT_TOKEN:-}${TGPIPE_SESSION:-}" ] ||
    die "no bot or account: set TG_BOT_TOKEN to the token from @BotFather, or TGPIPE_SESSION to the name of an account's session"
speaker=(--bot)
[ -z "${TGPIPE_SESSION:-}" ] || speaker=(--session "$TGPIPE_SESSION")

check_admin() { [ -n "${TG_ADMIN_ID:-}" ] || die "no admin: set TG_ADMIN_ID to your own numeric Telegram id"; }

# Makes the folder $run, and prevents a second bot in it. The stages hold the lock too: those of a script that was killed end
# by themselves, and the next one waits for them.
lock_run() {
    (umask 077 && mkdir -p "$run")
    exec 9>>"$run/lock"
    if ! flock -n 9; then
        if [ -s "$run/script.pid" ] && kill -0 "$(<"$run/script.pid")" 2>/dev/null; then
            die "another $script.sh is running in $state: stop it, or set TGPIPE_STATE to another folder" 75
        fi
        say "waiting for the stages of the last run to end"
        flock -w 60 9 || die "stages of the last run are still running in $state: end them first" 75
    fi
    rm -f "$run"/*.pid "$run"/*.fifo
    echo $$ >"$run/script.pid"
}

# --- The supervisor: each stage is a child of this script, which waits for all of them.

declare -A stages=()    # process id -> name
ends=()                 # the ends of pipes, which only the stages at them may keep
kept=()                 # those that the next stage keeps besides its input and output
ending=                 # not empty once the stages have been told to end
failure=                # "name status" of the first stage that failed

# Starts a stage: launch NAME INPUT OUTPUT COMMAND…, where INPUT and OUTPUT are numbers of descriptors, or - for none. A stage
# ends when this script is killed: nobody would start it again, or end it.
launch() {
    local name=$1 input=$2 output=$3
    shift 3
    (
        trap - INT TERM HUP USR1
        if [ "$input" = - ]; then exec </dev/null; else exec <&"$input"; fi
        if [ "$output" = - ]; then exec >/dev/null; else exec >&"$output"; fi
        exec {tick}>&-
        for end in "${ends[@]}"; do [[ " ${kept[*]} " = *" $end "* ]] || exec {end}>&-; done
        exec setpriv --pdeathsig TERM -- "$@" 2>&"$log" {log}>&-
    ) &
    stages[$!]=$name
    echo "$!" >"$run/$name.pid"
}

# Sets `ended` to the names and statuses of the stages that have ended since the last call.
sweep() {
    local pid status
    ended=()
    for pid in "${!stages[@]}"; do
        ! kill -0 "$pid" || continue
        status=0
        wait "$pid" || status=$?
        # A stage that was told to end before it could handle the signal has not failed.
        [ -z "$ending" ] || [ "$status" != 143 ] || status=0
        rm -f "$run/${stages[$pid]}.pid"
        ended+=("${stages[$pid]} $status")
        unset "stages[$pid]"
    done
}

# Waits until stages have ended, and sets `ended`. `wait -n` would miss a stage that ends before it is called.
exec {tick}<> <(:)
await() {
    sweep
    while [ ${#ended[@]} -eq 0 ]; do
        # At the beginning and at the end, several stages may end one after the other.
        if [ -n "$ending" ] || [ $SECONDS -lt 10 ]; then read -r -t 0.1 -u "$tick"; else read -r -t 1 -u "$tick"; fi || true
        sweep
    done
}

# Puts the causes of an end first in `ended`: a stage that has lost its reader ends with status 74 because of another one, which has
# ended before it but may be seen after it.
find_causes() {
    local stage found=("${ended[@]}") causes=() effects=()
    [[ " ${ended[*]} " = *" 74 "* ]] || return 0
    read -r -t 0.1 -u "$tick" || true
    sweep
    for stage in "${found[@]}" "${ended[@]}"; do
        if [ "${stage##* }" = 74 ]; then effects+=("$stage"); else causes+=("$stage"); fi
    done
    ended=("${causes[@]}" "${effects[@]}")
}

# Signals the stages of the given names: signal_stages SIGNAL NAME…
signal_stages() {
    local signal=$1 pid name
    shift
    for pid in "${!stages[@]}"; do
        for name in "$@"; do
            [ "${stages[$pid]}" != "$name" ] || kill "-$signal" "$pid" 2>/dev/null || true
        done
    done
}

# Ends all stages but the account's owner, which is needed until the last of the others has ended. Stages that do not end
# within TGPIPE_KILL_AFTER seconds are killed.
killer=
end_stages() {
    local pid
    for pid in "${!stages[@]}"; do
        case ${stages[$pid]} in tg-session | killer) ;; *) kill -TERM "$pid" 2>/dev/null || true ;; esac
    done
    [ -z "$killer" ] || return 0
    (
        exec 9>&- </dev/null >/dev/null 2>&1 {log}>&- {tick}>&-
        for end in "${ends[@]}"; do exec {end}>&-; done
        exec sleep "${TGPIPE_KILL_AFTER:-120}"
    ) &
    killer=$!
    stages[$killer]=killer
}

# Starts the process that keeps the log. It is no stage: the bot neither needs it nor ends with it.
log_keeper=
start_log() {
    [ -n "${TGPIPE_LOG_DIR:-}" ] && command -v ev-log >/dev/null || return 0
    (
        trap - INT TERM HUP USR1
        exec 9>&- {tick}>&- </dev/null >/dev/null
        exec setpriv --pdeathsig TERM -- ev-log run 2>&"$log" {log}>&-
    ) &
    log_keeper=$!
}

# Starts the stage of the account's owner. A script that starts stages again does so with this one too.
stage_owner() { launch tg-session - - "$@"; }

# Starts the process that owns the account for all stages, unless one is running already, and waits until it is ready.
start_owner() {
    if [ -z "${TGPIPE_SESSION:-}" ] || is_owned; then return; fi
    stage_owner tg-session run "$TGPIPE_SESSION"
    for ((tries = 0; tries < 300; tries++)); do
        if is_owned || ! kill -0 "$(<"$run/tg-session.pid")" 2>/dev/null; then break; fi
        sleep 0.1
    done
}

# Succeeds if a process owns the account and shares it.
is_owned() { tg-session status "$TGPIPE_SESSION" 2>/dev/null | grep -q '"owner":{'; }

# Succeeds if a stage is running, other than the account's owner and the timer.
has_stages() {
    local name
    for name in "${stages[@]}"; do
        case $name in tg-session | killer) ;; *) return 0 ;; esac
    done
    return 1
}

# Kills the stages that are left, if what has ended is the timer: is_timer NAME.
is_timer() {
    [ "$1" = killer ] || return 1
    say "some stages do not end: killing them"
    signal_stages KILL "${stages[@]}"
}

# Ends the account's owner and the timer, and the script with the status of the first stage that failed.
finish_run() {
    while [ ${#stages[@]} -gt 0 ]; do
        signal_stages TERM tg-session killer
        await
    done
    # By now the stages have written everything.
    if [ -n "$log_keeper" ]; then
        kill -TERM "$log_keeper" 2>/dev/null || true
        wait "$log_keeper" || true
    fi
    rm -f "$run/script.pid"
    if [ -n "$failure" ]; then
        die "${failure% *} ended with status ${failure##* }" "${failure##* }"
    fi
}
