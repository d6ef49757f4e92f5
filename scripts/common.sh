# shellcheck shell=bash
# What the scripts share; to be sourced.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export root

# What is going on, for the person who waits.
note() { printf '== %s\n' "$*" >&2; }

# Ends the script: what is wrong, and what to do about it, an argument a line.
fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    if [ $# -gt 0 ]; then printf '       %s\n' "$@" >&2; fi
    exit 1
}
