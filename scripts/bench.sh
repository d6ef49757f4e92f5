#!/usr/bin/env bash
# Runs the benchmarks: bench.sh [--quick] [NAME…]. Without names, it runs all of them. They print figures and assert nothing.
# The figures are kept in .build/bench (with --quick in .build/bench-quick), or in the folder that TGPIPE_BENCH_RESULTS names.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

export TGPIPE_BIN=${TGPIPE_BIN:-$root/.build/release}
PATH=$root/.venv/bin:$PATH
names=(start size idle route filter spool ratelimit gate latency cached listen fetch jail put queues redis_tls interest tl aes_ige session
    transfer floods ingest replay log)
results=$root/.build/bench
if [ "${1:-}" = --quick ]; then
    shift
    export TGPIPE_BENCH_QUICK=1
    results=$root/.build/bench-quick
    # Those with a headline figure.
    names=(route ratelimit gate latency cached listen fetch queues tl transfer)
fi
export TGPIPE_BENCH_RESULTS=${TGPIPE_BENCH_RESULTS:-$results}
[ $# -gt 0 ] || set -- "${names[@]}"
failed=()
for name in "$@"; do
    note "$name"
    environment=.venv
    if [ "$name" = ingest ] || [ "$name" = log ]; then
        # The programs that it is compared with are not needed elsewhere.
        environment=.venv-bench
        scripts/venv.sh "$environment" Benchmarks/requirements.lock
    fi
    "$environment/bin/python" -B "Benchmarks/$name.py" || failed+=("$name")
done
.venv/bin/python -B Benchmarks/results.py "$@"
[ ${#failed[@]} -eq 0 ] || fail "these benchmarks failed, see above: ${failed[*]}"
