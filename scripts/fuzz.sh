#!/usr/bin/env bash
# Fuzzes the TL codec with AddressSanitizer: fuzz.sh [INPUTS [SEED]]. The default, ten million inputs, takes some minutes.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

inputs=${1:-10000000} seed=${2:-$RANDOM}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/tgpipe-fuzz-XXXXXX")
trap 'rm -rf "$scratch"' EXIT

note "building"
build=(build -c release --sanitize=address --scratch-path .build/fuzz --product tl-check)
scripts/swift.sh "${build[@]}"
note "$inputs inputs, seed $seed"
.venv/bin/python -B Tests/TLTests/telethon_objects.py Sources/Telegram/TLSchemas/data/{229,mtproto}.tl --seed "$seed" >"$scratch/objects"
"$(scripts/swift.sh "${build[@]}" --show-bin-path)/tl-check" fuzz "$scratch/objects" "$inputs" "$seed"
