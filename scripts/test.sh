#!/usr/bin/env bash
# Runs every test: the tools and libraries, the emulator, the schemas and the envelopes that the tests saw, the demo.
# `make test` has installed what that needs.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/tgpipe-test-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/envelopes"
export TGPIPE_TEST_VENV=$root/.venv/bin TGPIPE_TEST_ENVELOPES=$scratch/envelopes
# yt-dlp is the pinned one, whatever the system has.
PATH=$root/.venv/bin:$PATH

note "building"
scripts/swift.sh build --build-tests

# One test after the other: most start servers, and on two cores they would only wait for each other.
note "testing the tools and libraries"
scripts/swift.sh test --skip-build --disable-xctest --no-parallel 2>&1 | tee "$scratch/swift.log" |
    { grep -av '^◇' || true; } ||
    fail "tests failed: 'scripts/swift.sh test --filter NAME' repeats one; what failed:" \
        "$(grep -aE '(failed after|recorded an issue)' "$scratch/swift.log" | grep -v 'Suite\|Test run' | sort -u | head -n 40)"

note "testing the emulator"
.venv/bin/python -B -m pytest -q -p no:cacheprovider Tests/Emulator 2>&1 | tee "$scratch/pytest.log" ||
    fail "the emulator's own tests failed: see above"

note "checking the schemas, and the envelopes that the tests saw"
.venv/bin/python -B Tests/schemas/validate.py --self-check --need-some "$TGPIPE_TEST_ENVELOPES" 2>&1 | tee "$scratch/schemas.log" ||
    fail "envelopes do not fit their schemas: see above; schemas/ and docs/events.md say how they should be"

note "playing the demo as an account"
TGPIPE_BIN=$(scripts/swift.sh build --show-bin-path) BACKEND=account .venv/bin/python -B examples/demo/play.py 2>&1 |
    tee "$scratch/account.log" ||
    fail "the demo as an account failed: see above; 'make demo BACKEND=account' repeats it"

note "playing the demo"
TGPIPE_BIN=$(scripts/swift.sh build --show-bin-path) .venv/bin/python -B examples/demo/play.py 2>&1 | tee "$scratch/demo.log" ||
    fail "the demo failed: see above; 'make demo' repeats it"

note "letting everything fail, for a minute"
TGPIPE_BIN=$(scripts/swift.sh build --show-bin-path) .venv/bin/python -B Tests/Chaos/chaos.py \
    --requests 200 --sources 20 --users 10 --kills 15 --redis-restarts 2 --refusals 2 --seconds 40 2>&1 | tee "$scratch/chaos.log" ||
    fail "the pipeline over queues lost something, or did something twice: see above; 'make chaos' plays a longer one," \
        "and with --keep --seed N, as printed above, Tests/Chaos/chaos.py leaves the logs of one"

note "all passed"
tail -n 1 "$scratch/swift.log"
tail -n 1 "$scratch/pytest.log"
tail -n 1 "$scratch/schemas.log"
tail -n 1 "$scratch/account.log"
tail -n 1 "$scratch/demo.log"
