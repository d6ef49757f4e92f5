#!/usr/bin/env bash
# Runs the benchmarks: bench.sh [NAME…]. Without names, it runs all of them. They print figures and assert nothing.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

export TGPIPE_BIN=${TGPIPE_BIN:-$root/.build/release}
PATH=$root/.venv/bin:$PATH
[ $# -gt 0 ] || set -- start size idle route spool ratelimit latency cached fetch jail put queue redis_tls interest tl aes_ige session transfer floods ingest replay log
failed=
for name in "$@"; do
    note "$name"
    environment=.venv
    if [ "$name" = ingest ] || [ "$name" = log ]; then
        # The programs that it is compared with are not needed elsewhere.
        environment=.venv-bench
        scripts/venv.sh "$environment" Benchmarks/requirements.lock
    fi
    "$environment/bin/python" -B "Benchmarks/$name.py" || { printf 'error: the benchmark %s failed: see above\n' "$name" >&2; failed=yes; }
done
[ -z "$failed" ]
