#!/usr/bin/env bash
# Runs all tests: the tools and libraries, the emulator, the schemas, the envelopes that the tests wrote, the demo, and a
# pipeline with injected failures. `make test` installs the requirements first.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/tgpipe-test-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/envelopes"
export TGPIPE_TEST_VENV=$root/.venv/bin TGPIPE_TEST_ENVELOPES=$scratch/envelopes
# The tests use the pinned yt-dlp instead of the system's.
PATH=$root/.venv/bin:$PATH

note "building"
scripts/swift.sh build --build-tests
scripts/links.sh "$(scripts/swift.sh build --show-bin-path)"

# One test at a time: most tests start servers, and on two cores parallel tests would only wait for each other.
note "testing the tools and libraries"
scripts/swift.sh test --skip-build --disable-xctest --no-parallel 2>&1 | tee "$scratch/swift.log" |
    { grep -av '^◇' || true; } ||
    fail "tests failed: repeat one with 'scripts/swift.sh test --filter NAME'; the failures are:" \
        "$(grep -aE '(failed after|recorded an issue)' "$scratch/swift.log" | grep -v 'Suite\|Test run' | sort -u | head -n 40)"

note "testing the emulator"
.venv/bin/python -B -m pytest -q -p no:cacheprovider Tests/Emulator 2>&1 | tee "$scratch/pytest.log" ||
    fail "the emulator's own tests failed: see above"

note "checking the schemas, and the envelopes that the tests wrote"
.venv/bin/python -B Tests/schemas/validate.py --self-check --need-some "$TGPIPE_TEST_ENVELOPES" 2>&1 | tee "$scratch/schemas.log" ||
    fail "envelopes do not match their schemas: see above; schemas/ and docs/events.md define the format"

note "running the demo as an account"
TGPIPE_BIN=$(scripts/swift.sh build --show-bin-path) BACKEND=account .venv/bin/python -B examples/demo/play.py 2>&1 |
    tee "$scratch/account.log" ||
    fail "the demo as an account failed: see above; 'make demo BACKEND=account' repeats it"

note "running the demo"
TGPIPE_BIN=$(scripts/swift.sh build --show-bin-path) .venv/bin/python -B examples/demo/play.py 2>&1 | tee "$scratch/demo.log" ||
    fail "the demo failed: see above; 'make demo' repeats it"

note "running the pipeline with injected failures, for a minute"
TGPIPE_BIN=$(scripts/swift.sh build --show-bin-path) .venv/bin/python -B Tests/Chaos/chaos.py \
    --requests 200 --sources 20 --users 10 --kills 15 --redis-restarts 2 --refusals 2 --seconds 40 2>&1 | tee "$scratch/chaos.log" ||
    fail "the pipeline over queues lost or repeated an event: see above; 'make chaos' runs a longer test," \
        "and Tests/Chaos/chaos.py --keep --seed N, with the number printed above, repeats this one and keeps its logs"

note "all passed"
tail -n 1 "$scratch/swift.log"
tail -n 1 "$scratch/pytest.log"
tail -n 1 "$scratch/schemas.log"
tail -n 1 "$scratch/account.log"
tail -n 1 "$scratch/demo.log"
