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
