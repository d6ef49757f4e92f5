#!/usr/bin/env bash
# Makes a symbolic link to the program tgpipe for each tool: links.sh FOLDER
# FOLDER holds tgpipe, which lists its tools.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"

folder=${1:-}
[ -x "$folder/tgpipe" ] || fail "there is no program tgpipe in '$folder': run 'make build' first"
while read -r tool; do ln -sfn tgpipe "$folder/$tool"; done < <("$folder/tgpipe" --tools)
