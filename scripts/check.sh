#!/usr/bin/env bash
# Checks what no test sees: the formatting, the rules of the house, the scripts.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"
cd "$root"
failed=

refuse() { # WHY PATTERN PLACE…
    local why=$1 pattern=$2
    shift 2
    if grep -rnE --include='*.swift' "$pattern" "$@" >&2; then
        printf 'error: %s\n' "$why" >&2
        failed=yes
    fi
}

note "formatting"
scripts/swift.sh format lint --strict --recursive --parallel Sources Tests Package.swift ||
    { printf 'error: %s\n' "'make format' repairs the formatting; rules such as NeverForceUnwrap need you" >&2; failed=yes; }

note "rules of the house"
refuse "Foundation makes the tools start slowly; FoundationEssentials may do" \
    '^ *(@[a-zA-Z_]+ +)*((public|internal|package|private|fileprivate) +)?import +((struct|class|enum|func) +)?Foundation(\.|$|[^A-Za-z])' Sources
refuse "a failure must not be a crash: no try!" 'try!' Sources
refuse "warnings are dealt with, not silenced" '(swift-format-ignore|-suppress-warnings)' Sources Tests Package.swift

mapfile -t scripts < <(git ls-files -z --cached --others --exclude-standard 2>/dev/null | xargs -0 grep -lE '^#!.*\b(ba)?sh$' 2>/dev/null | grep -v '\.md$')
for script in "${scripts[@]}"; do
    bash -n "$script" || failed=yes
    [ -x "$script" ] || { printf 'error: %s is not executable\n' "$script" >&2; failed=yes; }
done
if command -v shellcheck >/dev/null; then
    note "shellcheck"
    shellcheck -x "${scripts[@]}" || failed=yes
else
    note "shellcheck is not installed: scripts are only checked for their syntax"
fi

note "schemas of TL"
(cd Sources/TLSchemas/data && sed -n 's#^// \(.*\.tl\): \(.*\)#\2  \1#p' ../schemas.c | sha256sum --check --quiet) ||
    { printf 'error: %s\n' "the schemas of TL are made by scripts/tl-schema.py, and by nobody else" >&2; failed=yes; }

note "schemas"
.venv/bin/python -B Tests/schemas/validate.py --self-check || failed=yes

[ -z "$failed" ] || fail "the checks failed: see above"
note "all checks passed"
