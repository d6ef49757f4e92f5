#!/usr/bin/env bash
# Installs the tools built by `make build` below DESTDIR and PREFIX, which have their usual meanings.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

built=$(scripts/swift.sh build -c release --show-bin-path)
target=${DESTDIR:-}${PREFIX:-/usr/local}

mkdir -p "$target" 2>/dev/null || true
[ -w "$target" ] ||
    fail "unable to write to $target: run 'make install' as root, or choose another prefix: make install PREFIX=\$HOME/.local"
documents=$target/share/doc/tgpipe
install -d "$target/bin" "$target/share/tgpipe/schemas/parts" "$documents/docs"
install -s -m 755 "$built/tgpipe" "$target/bin/tgpipe"
scripts/links.sh "$target/bin"
install -m 644 schemas/*.json "$target/share/tgpipe/schemas"
install -m 644 schemas/parts/*.json "$target/share/tgpipe/schemas/parts"
install -m 755 examples/media-bot*.sh "$target/share/tgpipe"
install -m 644 examples/tgpipe.env.example examples/route.toml "$target/share/tgpipe"
install -m 644 README.md CHANGELOG.md CONTRIBUTING.md LICENSE "$documents"
install -m 644 docs/*.md "$documents/docs"
note "installed tgpipe and its tools in $target/bin"
