#!/usr/bin/env bash
# Makes the man pages and the shell completions from the built tools: extras.sh FOLDER
# FOLDER holds tgpipe and the links to it, and receives the folders man and completions.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"

folder=${1:-}
[ -x "$folder/tgpipe" ] || fail "there is no program tgpipe in '$folder': run 'make build' first"
rm -rf "$folder/man" "$folder/completions"
python3 -B "$root/scripts/man.py" "$folder" "$folder/man"
# Any value can be the name of a file, as in the completions of the shells themselves.
declare -A names_of_files=(
    [bash]='s/^complete -o filenames -F/complete -o filenames -o default -F/'
    [zsh]="s/^\\( *'.*:[^:']*\\):'\\(.*\\)\$/\\1:_files'\\2/"
    [fish]="s/ -rfka ''/ -rF/"
)
mkdir -p "$folder/completions/bash" "$folder/completions/zsh" "$folder/completions/fish"
while read -r tool; do
    for shell in bash zsh fish; do
        case $shell in bash) name=$tool ;; zsh) name=_$tool ;; fish) name=$tool.fish ;; esac
        # A script that is read by the shell is not a program, and needs no first line that names one.
        "$folder/$tool" --generate-completion-script "$shell" | sed -e '1{/^#!/d}' -e "${names_of_files[$shell]}" >"$folder/completions/$shell/$name"
    done
done < <("$folder/tgpipe" --tools)
