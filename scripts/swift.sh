#!/usr/bin/env bash
# Finds a Swift toolchain and runs it: swift.sh ARGUMENT…. With --path, prints the path of the program instead.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"

needed_major=6 needed_minor=2

candidates() {
    command -v swift || true
    local home=${HOME:-/nowhere}
    printf '%s\n' "${SWIFTLY_BIN_DIR:-$home/.local/share/swiftly/bin}/swift" "$home/.swiftly/bin/swift" \
        /opt/swift/usr/bin/swift /usr/local/swift/usr/bin/swift \
        /opt/swift-*/usr/bin/swift /usr/libexec/swift/bin/swift /usr/libexec/swift/usr/bin/swift /usr/libexec/swift/*/usr/bin/swift
}

too_old=""
while read -r swift; do
    [ -x "$swift" ] || continue
    version=$("$swift" --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+)\.([0-9]+).*/\1 \2/p' | head -n 1) || true
    read -r major minor <<<"${version:-0 0}"
    if [ "$major" -gt $needed_major ] || { [ "$major" -eq $needed_major ] && [ "$minor" -ge $needed_minor ]; }; then
        if [ "${1:-}" = --path ]; then echo "$swift"; exit; fi
        exec "$swift" "$@"
    fi
    if [ "$major" -gt 0 ]; then too_old+="${too_old:+, }$swift is $major.$minor"; else too_old+="${too_old:+, }$swift does not run"; fi
done < <(candidates)

fail "no Swift toolchain of version $needed_major.$needed_minor or newer was found${too_old:+ ($too_old)}." \
    "Get one from swift.org: the page 'Install Swift' for Linux has an installer, swiftly ('swiftly install latest')," \
    "and archives for each Debian release. Unpack an archive as /opt/swift, or put its usr/bin on PATH."
