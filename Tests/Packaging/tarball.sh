#!/usr/bin/env bash
# Checks that the archive of scripts/tarball.sh works wherever it is unpacked: tarball.sh BIN
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../../scripts/common.sh"
cd "$root"

made=$(TGPIPE_BUILT=$1 scripts/tarball.sh 2>&1 | sed -n 's/.*made \([^ ]*\) .*/\1/p')
[ -f "$made" ] || fail "scripts/tarball.sh made no archive"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/tgpipe-unpacked-XXXXXX")
trap 'rm -rf "$scratch" "$made"' EXIT
tar -xzf "$made" -C "$scratch"
folder=$(echo "$scratch"/tgpipe-*)
while read -r tool; do
    env -i HOME="$scratch" "$folder/bin/$tool" --version >/dev/null || fail "$tool does not run from the unpacked archive"
done < <("$folder/bin/tgpipe" --tools)
# The schemas are found beside the program.
line='{"type":"commands.telegram.send","correlation_id":"01930b7a-4f00-7abc-8def-0123456789ab","payload":{"text":7}}'
printf '%s\n' 'before = ["schema"]' '[[route]]' 'match = "#"' 'to = "-"' >"$scratch/route.toml"
if echo "$line" | env -i HOME="$scratch" "$folder/bin/ev-route" --config "$scratch/route.toml" >/dev/null 2>"$scratch/log"; then
    fail "the schemas were not found in the unpacked archive" "$(cat "$scratch/log")"
fi
grep -q 'does not match commands.telegram.send.json' "$scratch/log" || fail "ev-route did not use the schemas" "$(cat "$scratch/log")"
# The names that lnav is told are those in the lines.
# ev-route ends with 65 after it has logged that this is no event.
{ echo '{}' | env -i HOME="$scratch" "$folder/bin/ev-route" -o '#=-' --log-format json >/dev/null 2>"$scratch/log"; } || true
written=$(sed -n 1p "$scratch/log")
names=$(jq -r '.tgpipe_log | ."timestamp-field", ."level-field", ."body-field", "tool"' "$folder/share/tgpipe/lnav/tgpipe.json")
for name in $names; do
    jq -e --arg name "$name" 'has($name)' <<<"$written" >/dev/null || fail "lines of the log lack $name, which lnav is told of" "$written"
done
[ -f "$folder/share/man/man1/tg-send.1" ] || fail "the archive has no man pages"
note "the archive works where it is unpacked"
