#!/usr/bin/env bash
# Settings and checks that media-bot.sh and media-bot-queues.sh share. Each sets `script` to its own
# name, and then sources this file.
# shellcheck disable=SC2034,SC2154    # The scripts use these variables, and set $script and $run.

state=${TGPIPE_STATE:-${XDG_STATE_HOME:-${HOME:?}/.local/state}/tgpipe}
# The path of a store must be absolute.
[[ $state = /* ]] || state=$PWD/$state
export TGPIPE_STATE=$state TGPIPE_STORE=${TGPIPE_STORE:-file:$state/store}
PATH=${TGPIPE_BIN:+$TGPIPE_BIN:}$PATH

# Further arguments for these stages, for example MEDIA_FETCH_OPTIONS='--concurrency 4 --cookies cookies.txt'.
read -ra gate_options <<<"${TG_GATE_OPTIONS:-}"
read -ra limit_options <<<"${RATELIMIT_OPTIONS:---limit 5 --window 60s --on-limit reply}"
read -ra fetch_options <<<"${MEDIA_FETCH_OPTIONS:-}"
read -ra put_options <<<"${BLOB_PUT_OPTIONS:-}"
read -ra send_options <<<"${TG_SEND_OPTIONS:-}"

say() { printf '%s: %s\n' "$script" "$*" >&2; }
die() { say "$1"; exit "${2:-78}"; }

for tool in ${TGPIPE_SESSION:+tg-session} tg-listen tg-gate ratelimit ev-route media-fetch blob-put tg-send; do
    command -v "$tool" >/dev/null || die "unable to find $tool: run make install, or set TGPIPE_BIN to the folder of the tools"
done
[ -n "${TG_BOT_TOKEN:-}${TGPIPE_SESSION:-}" ] ||
    die "no bot or account: set TG_BOT_TOKEN to the token from @BotFather, or TGPIPE_SESSION to the name of an account's session"
speaker=(--bot)
[ -z "${TGPIPE_SESSION:-}" ] || speaker=(--session "$TGPIPE_SESSION")

check_admin() { [ -n "${TG_ADMIN_ID:-}" ] || die "no admin: set TG_ADMIN_ID to your own numeric Telegram id"; }

# Makes the folder $run, and prevents a second bot in it.
lock_run() {
    (umask 077 && mkdir -p "$run")
    exec 9>"$run/lock"
    flock -n 9 || die "another $script.sh is running in $state: stop it, or set TGPIPE_STATE to another folder" 75
}

# Succeeds if a process owns the account and shares it.
is_owned() { tg-session status "$TGPIPE_SESSION" 2>/dev/null | grep -q '"owner":{'; }

# Starts the process that owns the account for all stages, unless one is running already, and waits until it is ready.
start_owner() {
    owner=
    if [ -z "${TGPIPE_SESSION:-}" ] || is_owned; then return; fi
    stage tg-session run "$TGPIPE_SESSION" </dev/null &
    owner=$!
    for ((tries = 0; tries < 300; tries++)); do
        if is_owned || [ -s "$run/failed" ]; then break; fi
        sleep 0.1
    done
}
