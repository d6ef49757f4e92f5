#!/usr/bin/env bash
# Checks that an installation, an upgrade and its removal leave nothing of tgpipe behind: install.sh BIN
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../../scripts/common.sh"
cd "$root"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/tgpipe-install-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export TGPIPE_BUILT=$1 DESTDIR=$scratch PREFIX=/opt/tgpipe
target=$DESTDIR$PREFIX

scripts/install.sh 2>/dev/null
[ "$(env -i "$target/bin/tgpipe" --tools | wc -l)" = "$(find "$target/share/man/man1" -name '*.1' | wc -l)" ] ||
    fail "the installed tools and man pages are not the same"
for script in bash-completion/completions/tg-send zsh/site-functions/_tg-send fish/vendor_completions.d/tg-send.fish; do
    [ -s "$target/share/$script" ] || fail "the completion $script is not installed"
done

# A tool of an earlier version that this one does not have any more, and a program of somebody else.
ln -s tgpipe "$target/bin/tg-former"
echo "$PREFIX/bin/tg-former" >>"$target/share/tgpipe/installed"
touch "$target/bin/other"
scripts/install.sh 2>/dev/null
[ ! -L "$target/bin/tg-former" ] || fail "an upgrade leaves a tool of the earlier version"

scripts/install.sh --uninstall 2>/dev/null
left=$(find "$target" ! -type d)
[ "$left" = "$target/bin/other" ] || fail "these files are left after the removal, or somebody else's was removed:" "$left"
[ ! -d "$target/share/tgpipe" ] || fail "the folder share/tgpipe is left after the removal"
! scripts/install.sh --uninstall 2>/dev/null || fail "removing what is not installed is no error"
note "an installation can be upgraded and removed"
