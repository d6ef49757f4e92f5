#!/usr/bin/env bash
# Fuzzes the readers of outside data with AddressSanitizer: fuzz.sh tl|readers [INPUTS [SEED]]. The default is ten million inputs.
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
    build=(build -c release --sanitize=address -Xswiftc -enable-testing --scratch-path .build/fuzz --build-tests)
    scripts/swift.sh "${build[@]}"
    note "$inputs inputs for each reader, seed $seed"
    TGPIPE_FUZZ_INPUTS=$inputs TGPIPE_FUZZ_SEED=$seed \
        "$(scripts/swift.sh "${build[@]}" --show-bin-path)/tgpipePackageTests.xctest" --testing-library swift-testing --filter '^FuzzTests\.'
    ;;
*) fail "unknown: ${what:-nothing}; the arguments are tl or readers, then the number of inputs and the seed" ;;
esac
