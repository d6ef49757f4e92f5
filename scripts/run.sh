#!/usr/bin/env bash
# Runs the media bot from this checkout, with the settings in tgpipe.env if that file exists.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

if [ -f tgpipe.env ]; then
    set -a
    # shellcheck source=/dev/null
    . ./tgpipe.env
    set +a
fi
if [ -z "${TG_BOT_TOKEN:-}${TGPIPE_SESSION:-}" ] || [ -z "${TG_ADMIN_ID:-}" ]; then
    fail "TG_BOT_TOKEN (or TGPIPE_SESSION, for an account) and TG_ADMIN_ID are not set." \
        "Copy examples/tgpipe.env.example to tgpipe.env and fill them in; the file explains where to get them." \
        "Without them, 'make demo' runs the bot against an emulator of Telegram."
fi
PATH=$root/.venv/bin:$PATH exec examples/media-bot.sh
