#!/usr/bin/env bash
# Kills tg-history at 50 random instants (or as many as the first argument says), and checks that nothing is missing
# afterwards. The tests must be built.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"
export TGPIPE_TEST_KILLS=${1:-50} TGPIPE_TEST_VENV=$root/.venv/bin PATH=$root/.venv/bin:$PATH
scripts/swift.sh test --skip-build --disable-xctest --filter '^IntegrationTests\.HistoryCrashTests'
