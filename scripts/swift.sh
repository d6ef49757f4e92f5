#!/usr/bin/env bash
# Runs the Swift toolchain, wherever it is: swift.sh ARGUMENT…; swift.sh --path prints the program that it would run.
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
    "Get one from swift.org: its page 'Install Swift' for Linux has an installer, swiftly ('swiftly install latest')," \
    "and archives for each Debian release. Unpacked as /opt/swift, or with its usr/bin on PATH, it will be found."
