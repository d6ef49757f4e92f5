#!/usr/bin/env bash
# Installs what `make build` built below DESTDIR and PREFIX, which have their usual meanings, or removes it again:
# install.sh [--uninstall]
#
# share/tgpipe/installed lists the installed files, so that they can be removed.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"

prefix=${PREFIX:-/usr/local}
target=${DESTDIR:-}$prefix
list=$target/share/tgpipe/installed

if [ "${1:-}" = --uninstall ]; then
    [ -f "$list" ] || fail "tgpipe is not installed in $target: there is no $list" "Name the PREFIX and DESTDIR of its installation."
    while IFS= read -r file; do rm -f "${DESTDIR:-}$file"; done <"$list"
    rm -f "$list"
    # Folders that other programs use are not empty, and stay.
    while IFS= read -r folder; do rmdir --ignore-fail-on-non-empty "$folder" 2>/dev/null || true; done < <(
        find "$target/share/tgpipe" "$target/share/doc/tgpipe" -depth -type d 2>/dev/null)
    note "removed tgpipe from $target; the state of its users, such as ~/.local/state/tgpipe, stays"
    exit
fi

built=${TGPIPE_BUILT:-.build/release}
if [ ! -x "$built/tgpipe" ] || [ ! -d "$built/man" ]; then
    fail "the tools are not built: run 'make build' first, as the user who owns this checkout"
fi
# Pages of an earlier build would lack the tools that are new.
while read -r tool; do
    [ -f "$built/man/man1/$tool.1" ] || fail "there is no man page of $tool, so the last build was not complete: run 'make build' first"
done < <("$built/tgpipe" --tools)
mkdir -p "$target" 2>/dev/null || true
[ -w "$target" ] ||
    fail "unable to write to $target: run 'make install' as root, or choose another prefix: make install PREFIX=\$HOME/.local"

installed=()

# Installs files: put MODE FOLDER FILE…, where FOLDER is below the prefix.
put() {
    local mode=$1 folder=$2 file
    shift 2
    install -d "$target/$folder"
    for file in "$@"; do
        if [ -L "$file" ]; then
            cp -P --remove-destination "$file" "$target/$folder/"
        else
            install -m "$mode" "$file" "$target/$folder/"
        fi
        installed+=("$prefix/$folder/${file##*/}")
    done
}

put 755 bin "$built/tgpipe"
strip "$target/bin/tgpipe"
while read -r tool; do
    ln -sfn tgpipe "$target/bin/$tool"
    installed+=("$prefix/bin/$tool")
done < <("$built/tgpipe" --tools)
put 644 share/tgpipe/schemas schemas/*.json
put 644 share/tgpipe/schemas/parts schemas/parts/*.json
put 755 share/tgpipe examples/media-bot*.sh
put 644 share/tgpipe examples/tgpipe.env.example examples/route.toml
put 644 share/tgpipe/lnav packaging/lnav/tgpipe.json
put 644 share/doc/tgpipe README.md CHANGELOG.md CONTRIBUTING.md LICENSE
put 644 share/doc/tgpipe/docs docs/*.md
for section in 1 5 7; do put 644 "share/man/man$section" "$built/man/man$section"/*; done
# The folders where the shells look for completions; Debian's zsh has another one for its packages.
put 644 share/bash-completion/completions "$built/completions/bash"/*
if [ "$prefix" = /usr ]; then zsh=share/zsh/vendor-completions; else zsh=share/zsh/site-functions; fi
put 644 "$zsh" "$built/completions/zsh"/*
put 644 share/fish/vendor_completions.d "$built/completions/fish"/*
# What an earlier version installed, and this one does not have any more, must not stay.
if [ -f "$list" ]; then
    while IFS= read -r file; do rm -f "${DESTDIR:-}$file"; done < <(grep -vxFf <(printf '%s\n' "${installed[@]}") "$list" || true)
fi
printf '%s\n' "${installed[@]}" >"$list"
note "installed tgpipe and its tools in $target/bin; 'man tgpipe' introduces them, and 'make uninstall' removes them"
