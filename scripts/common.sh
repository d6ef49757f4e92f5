# shellcheck shell=bash
# Defines what all scripts use. Source this file from another script.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export root

# Prints a progress note on standard error.
note() { printf '== %s\n' "$*" >&2; }

# Ends the script with status 1. The first argument is the error; the others are advice, one line each.
fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    if [ $# -gt 0 ]; then printf '       %s\n' "$@" >&2; fi
    exit 1
}

# Runs a command whose output is of interest only when it fails: quietly NOTE LOG COMMAND…
# With V=1, the output is shown as it comes.
quietly() {
    local log=$2
    note "$1"
    if [ -n "${V:-}" ]; then
        "${@:3}"
        return
    fi
    mkdir -p "$(dirname "$log")"
    if ! "${@:3}" >"$log" 2>&1; then
        # The compiler's errors may be far from the end.
        grep -aE -A 3 '(^|: )(error|fatal error):' "$log" | sed -n 1,60p >&2 || true
        tail -n 20 "$log" >&2
        fail "'${*:3}' failed: its whole output is in $log"
    fi
}
