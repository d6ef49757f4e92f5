#!/usr/bin/env bash
# Installs the tools that `make build` has made: PREFIX and DESTDIR as everywhere.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

tools=(tg-listen tg-gate ratelimit ev-route ev-queue media-fetch blob-put tg-send tg-call tg-session)
built=$(scripts/swift.sh build -c release --show-bin-path)
target=${DESTDIR:-}${PREFIX:-/usr/local}

mkdir -p "$target" 2>/dev/null || true
[ -w "$target" ] ||
    fail "$target cannot be written to: run 'make install' as root, or choose another place: make install PREFIX=\$HOME/.local"
documents=$target/share/doc/tgpipe
install -d "$target/bin" "$target/share/tgpipe/schemas/parts" "$documents/docs"
for tool in "${tools[@]}"; do install -s -m 755 "$built/$tool" "$target/bin/$tool"; done
install -m 644 schemas/*.json "$target/share/tgpipe/schemas"
install -m 644 schemas/parts/*.json "$target/share/tgpipe/schemas/parts"
install -m 755 examples/media-bot.sh examples/media-bot-queues.sh "$target/share/tgpipe"
install -m 644 examples/tgpipe.env.example examples/route.toml "$target/share/tgpipe"
install -m 644 README.md CHANGELOG.md LICENSE "$documents"
install -m 644 docs/*.md "$documents/docs"
note "installed ${tools[*]} in $target/bin"
