#!/usr/bin/env bash
# Runs all tests: the tools and libraries, the emulator, the schemas, the envelopes that the tests wrote, the demo,
# conversations with the bot, and a pipeline with injected failures. `make test` installs the requirements first.
#
# Tests start servers of their own on free ports and in temporary folders, so independent parts run side by side, two at a
# time. The last lines printed are those of the test runners.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/tgpipe-test-XXXXXX")
parts=()
cleanup() {
    # After an interruption or a failure, the other parts must not go on.
    for part in "${parts[@]}"; do pkill -TERM -P "$part" || kill "$part" 2>/dev/null || true; done
    rm -rf "$scratch"
}
trap cleanup EXIT
mkdir "$scratch/envelopes"
export TGPIPE_TEST_VENV=$root/.venv/bin TGPIPE_TEST_ENVELOPES=$scratch/envelopes
# The tests use the pinned yt-dlp instead of the system's.
PATH=$root/.venv/bin:$PATH

note "building"
scripts/swift.sh build --build-tests
bin=$(scripts/swift.sh build --show-bin-path)
scripts/links.sh "$bin"

# These suites and the emulator's tests take about as long as all other suites.
half='^IntegrationTests\.(Session|SendTool|Call|Listen|Large|Outage|Route|Store|History|Talk|Ask)'

# Runs a part of the Swift tests, one test at a time: most tests start servers, and on two cores more would only wait for
# each other. `swift test` would lock the build folder, so that the parts could not run side by side.
swift_tests() { # NAME ARGUMENT…
    local name=$1
    shift
    NO_COLOR=1 "$bin/tgpipePackageTests.xctest" --testing-library swift-testing --no-parallel \
        --event-stream-output-path "$scratch/$name.jsonl" --event-stream-version 0 "$@" >>"$scratch/$name.log" 2>&1
}

emulator_tests() { # ARGUMENT…
    .venv/bin/python -B -m pytest -q -o cache_dir="$scratch/pytest-cache" "$@" Tests/Emulator >>"$scratch/pytest.log" 2>&1
}

# Repeats the failed tests of a part once, now that nothing else runs: two busy cores can starve a test that waits for a
# program. Only tests that pass then are forgiven, and the last lines name them, because one that fails often has a cause.
# A part that crashed, or in which many tests failed, is not repeated.
repeat_failed() { # NAME
    local name=$1 tests pattern
    case $name in
    emulator) tests=$(sed -nE 's/^(FAILED|ERROR) ([^ ]*).*/\2/p' "$scratch/pytest.log") ;;
    *) tests=$(scripts/failed-tests.py "$scratch/$name.jsonl") ;;
    esac
    [ -n "$tests" ] && [ "$(wc -l <<<"$tests")" -le 5 ] || return 1
    note "repeating the tests of the part $name that failed:" "$tests"
    case $name in
    emulator) emulator_tests --last-failed --last-failed-no-failures none || return 1 ;;
    *)
        # Characters of a name that have a meaning in a pattern stand for themselves.
        pattern=$(sed 's/[][\\.*^$+?(){}|/]/\\&/g' <<<"$tests" | paste -sd '|')
        swift_tests "$name-again" --filter "^($pattern)\$" || return 1
        [ "$(grep -c '"kind":"function"' "$scratch/$name-again.jsonl")" -ge "$(wc -l <<<"$tests")" ] || return 1
        ;;
    esac
    printf '%s\n' "$tests" >>"$scratch/unsteady"
    touch "$scratch/$name-passed"
}

demo() { # NAME VARIABLE=VALUE…
    local name=$1
    shift
    env TGPIPE_BIN="$bin" "$@" .venv/bin/python -B examples/demo/play.py >"$scratch/$name.log" 2>&1
}

# Lists the failures in the logs of the Swift tests. Here and below, sed reads to the end: a program that stopped reading early,
# as head does, could end the one before it with SIGPIPE, and with it this script.
failures() {
    cat "$scratch"/swift-*.log | grep -aE '(failed after|recorded an issue)' | grep -av 'Suite\|Test run' | sort -u | sed -n 1,40p
}

# Lists the suites that took the longest.
slowest() {
    cat "$scratch"/swift-*.log | sed -nE 's/.*Suite (.*) (passed|failed) after ([0-9.]+) seconds.*/\3 s  \1/p' | sort -rn | sed -n 1,12p
}

note "testing the tools and libraries in two parts, and the emulator"
{
    swift_tests swift-1 --filter "$half" && touch "$scratch/swift-1-passed"
    emulator_tests && touch "$scratch/emulator-passed"
} &
first=$!
{ swift_tests swift-2 --skip "$half" && touch "$scratch/swift-2-passed"; } &
second=$!
# Shows how far the tests are, as the runners print it.
touch "$scratch/swift-1.log" "$scratch/swift-2.log"
tail -q -n +1 -f "$scratch/swift-1.log" "$scratch/swift-2.log" > >(grep -av --line-buffered '^◇\|^$') &
shown=$!
parts=("$first" "$second" "$shown")
wait "$first" || true
wait "$second" || true
# Leaves the last lines time to appear.
sleep 1
kill "$shown"
wait "$shown" 2>/dev/null || true
parts=()
for part in swift-1 swift-2 emulator; do
    [ -e "$scratch/$part-passed" ] || repeat_failed "$part" || true
done
if [ ! -e "$scratch/swift-1-passed" ] || [ ! -e "$scratch/swift-2-passed" ]; then
    fail "tests failed: repeat one with 'scripts/swift.sh test --filter NAME'; the failures are:" "$(failures)" \
        "$(tail -q -n 1 "$scratch"/swift-*.log)"
fi
[ -e "$scratch/emulator-passed" ] || fail "the emulator's own tests failed:" "$(tail -n 40 "$scratch/pytest.log")"
cat "$scratch/pytest.log"
note "the slowest suites:"
slowest >&2

note "checking the schemas, and the envelopes that the tests wrote"
.venv/bin/python -B Tests/schemas/validate.py --self-check --need-some "$TGPIPE_TEST_ENVELOPES" 2>&1 | tee "$scratch/schemas.log" ||
    fail "envelopes do not match their schemas: see above; schemas/ and docs/events.md define the format"

note "checking the man pages and completions"
scripts/extras.sh "$bin"
.venv/bin/python -B Tests/Packaging/manuals.py "$bin" || fail "the man pages are not right: scripts/man.py makes them from docs/ and the tools' arguments"

note "checking the archive"
Tests/Packaging/tarball.sh "$bin"

note "checking the installation"
Tests/Packaging/install.sh "$bin"

note "checking the commands in the documentation"
.venv/bin/python -B Tests/Packaging/commands.py "$bin" || fail "the documentation names commands or options that do not exist: see above"

note "checking the trace that docs/ev-log.md shows"
.venv/bin/python -B examples/demo/trace_picture.py "$bin" --check

note "running the commands of the README"
.venv/bin/python -B Tests/Packaging/walkthrough.py "$bin" || fail "commands of README.md do not do what they say: see above"

note "running the demo, as a bot and as an account"
failed=
demo demo &
bot=$!
demo account BACKEND=account &
account=$!
parts=("$bot" "$account")
wait "$account" || failed=yes
cat "$scratch/account.log"
[ -z "$failed" ] || fail "the demo as an account failed: see above; 'make demo BACKEND=account' repeats it"
wait "$bot" || failed=yes
cat "$scratch/demo.log"
[ -z "$failed" ] || fail "the demo failed: see above; 'make demo' repeats it"

parts=()

note "playing conversations with the bot"
TGPIPE_BIN=$bin .venv/bin/python -B Tests/Conversations/play.py --short 2>&1 | tee "$scratch/conversations.log" ||
    fail "the chats do not show what Tests/Conversations/golden says: see above; 'make conversations' plays all scenes"

note "running the pipeline with injected failures, for a minute"
TGPIPE_BIN=$bin .venv/bin/python -B Tests/Chaos/chaos.py \
    --requests 200 --sources 20 --users 10 --kills 15 --redis-restarts 2 --refusals 2 --seconds 40 2>&1 | tee "$scratch/chaos.log" ||
    fail "the pipeline over queues lost or repeated an event: see above; 'make chaos' runs a longer test," \
        "and Tests/Chaos/chaos.py --keep --seed N, with the number printed above, repeats this one and keeps its logs"

note "cancelling requests at random moments"
TGPIPE_BIN=$bin .venv/bin/python -B Tests/Chaos/cancels.py --cancels 30 2>&1 | tee "$scratch/cancels.log" ||
    fail "a cancelled request left something behind: see above; Tests/Chaos/cancels.py --seed N, with the number printed above, repeats it"

note "watching chats with injected failures"
TGPIPE_BIN=$bin .venv/bin/python -B Tests/Chaos/watching.py --messages 400 --matches 60 --chats 12 --kills 12 --redis-restarts 1 --seconds 30 \
    2>&1 | tee "$scratch/watching.log" ||
    fail "a watched message was lost, repeated or changed: see above; Tests/Chaos/watching.py --seed N, with the number printed above, repeats it"

note "all passed"
[ ! -e "$scratch/unsteady" ] || note "these tests failed at first, and passed when nothing else ran:" "$(cat "$scratch/unsteady")"
tail -q -n 1 "$scratch/swift-1.log" "$scratch/swift-2.log" "$scratch/pytest.log" "$scratch/schemas.log" "$scratch/account.log" "$scratch/demo.log" \
    "$scratch/conversations.log"
