#!/usr/bin/env bash
# Kills tg-history, msg-store, tg-session and PostgreSQL at 50 random instants each (or as many as the first argument says),
# and checks afterwards that the table equals the messages at Telegram. The tests must be built.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"
export TGPIPE_TEST_KILLS=${1:-50} TGPIPE_TEST_VENV=$root/.venv/bin PATH=$root/.venv/bin:$PATH
scripts/swift.sh test --skip-build --disable-xctest --filter '^IntegrationTests\.History(Crash|Kill)Tests'
