#!/usr/bin/env bash
# Builds the program tgpipe in .build/release, with the links, the man pages and the completions of its tools.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

release=(scripts/swift.sh build -c release --static-swift-stdlib)
built=$("${release[@]}" --show-bin-path 2>/dev/null)
if [ -x "$built/tgpipe" ]; then span="a minute or two"; else span="five to ten minutes"; fi
quietly "building the tools, for $span" .build/build.log "${release[@]}"
scripts/links.sh "$built"
scripts/extras.sh "$built"
