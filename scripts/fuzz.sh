#!/usr/bin/env bash
# Fuzzes the readers of outside data with AddressSanitizer: fuzz.sh tl|readers [INPUTS [SEED]]. The default is ten million inputs.
# The code in C and C++ behind the readers also runs with UndefinedBehaviorSanitizer; Swift itself ends at an undefined operation.
# tl: the TL codec; it takes some minutes. readers: each reader of HTTP, Telegram, S3, envelopes, TOML and session files; it takes
# longer.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

what=${1:-} inputs=${2:-10000000} seed=${3:-$RANDOM}
note "building"
case $what in
tl)
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/tgpipe-fuzz-XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    build=(build -c release --sanitize=address --scratch-path .build/fuzz --product tl-check)
    scripts/swift.sh "${build[@]}"
    note "$inputs inputs, seed $seed"
    .venv/bin/python -B Tests/TLTests/telethon_objects.py Sources/Telegram/TLSchemas/data/{229,mtproto}.tl --seed "$seed" >"$scratch/objects"
    "$(scripts/swift.sh "${build[@]}" --show-bin-path)/tl-check" fuzz "$scratch/objects" "$inputs" "$seed"
    ;;
readers)
    export TGPIPE_ONLY_TESTS=FuzzTests
    build=(
        build -c release --sanitize=address -Xcc -fsanitize=undefined -Xcc "-fno-sanitize=vptr,function"
        -Xcc -fno-sanitize-recover=undefined -Xswiftc -enable-testing --scratch-path .build/fuzz --build-tests
    )
    scripts/swift.sh "${build[@]}"
    # Keeping the stack of every allocation would take most of the time. Repeat a seed with other options to see them.
    export ASAN_OPTIONS=${ASAN_OPTIONS:-malloc_context_size=1}
    note "$inputs inputs for each reader, seed $seed"
    TGPIPE_FUZZ_INPUTS=$inputs TGPIPE_FUZZ_SEED=$seed \
        "$(scripts/swift.sh "${build[@]}" --show-bin-path)/tgpipePackageTests.xctest" --testing-library swift-testing --filter '^FuzzTests\.'
    ;;
*) fail "unknown: ${what:-nothing}; the arguments are tl or readers, then the number of inputs and the seed" ;;
esac
