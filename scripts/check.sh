#!/usr/bin/env bash
# Checks everything that the tests do not cover: formatting, house rules, scripts and schemas.
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
    { printf 'error: %s\n' "run 'make format' to repair the formatting; fix violations of rules such as NeverForceUnwrap by hand" >&2; failed=yes; }

note "house rules"
refuse "do not import Foundation, which makes the tools start slowly; FoundationEssentials may be enough" \
    '^ *(@[a-zA-Z_]+ +)*((public|internal|package|private|fileprivate) +)?import +((struct|class|enum|func) +)?Foundation(\.|$|[^A-Za-z])' Sources
refuse "do not use try!: a failure must not crash the tool" 'try!' Sources
refuse "fix warnings instead of silencing them" '(swift-format-ignore|-suppress-warnings)' Sources Tests Package.swift

note "modules"
scripts/swift.sh package dump-package 2>/dev/null | .venv/bin/python -B scripts/check-modules.py || failed=yes

mapfile -t scripts < <(git ls-files -z --cached --others --exclude-standard 2>/dev/null | xargs -0 grep -lE '^#!.*\b(ba)?sh$' 2>/dev/null | grep -v '\.md$')
for script in "${scripts[@]}"; do
    bash -n "$script" || failed=yes
    [ -x "$script" ] || { printf 'error: %s is not executable\n' "$script" >&2; failed=yes; }
done
if command -v shellcheck >/dev/null; then
    note "shellcheck"
    shellcheck -x "${scripts[@]}" || failed=yes
else
    note "shellcheck is not installed: checking only the syntax of the scripts"
fi

note "TL schemas"
(cd Sources/Telegram/TLSchemas/data && sed -n 's#^// \(.*\.tl\): \(.*\)#\2  \1#p' ../schemas.c | sha256sum --check --quiet) ||
    { printf 'error: %s\n' "the TL schemas were changed by hand: generate them with scripts/tl-schema.py" >&2; failed=yes; }

note "texts"
digests=$(cd Sources/Stages/TextFiles/data && sha256sum -- *.toml | sed 's#^\(.*\)  \(.*\)#// \2: \1#')
[ "$digests" = "$(grep '^// .*\.toml: ' Sources/Stages/TextFiles/text_files.c)" ] ||
    { printf 'error: %s\n%s\n' "a text was changed: put these digests into Sources/Stages/TextFiles/text_files.c, so that it is built" "$digests" >&2; failed=yes; }

# The tools show a text's key where its file cannot be read, for example because a key is there twice.
.venv/bin/python -B -c 'import sys, tomllib; [tomllib.load(open(path, "rb")) for path in sys.argv[1:]]' \
    Sources/Stages/TextFiles/data/*.toml || failed=yes

note "types in Python"
# Each of these folders is a program of its own, whose modules import each other by their names alone.
for folder in Benchmarks Tests/AccountsTests Tests/Chaos Tests/Conversations Tests/Emulator Tests/IntegrationTests Tests/Packaging \
    Tests/TestSupport Tests/TLTests Tests/schemas examples/demo examples/stages scripts; do
    (cd "$folder" && "$root/.venv/bin/mypy" --no-error-summary --cache-dir "$root/.build/mypy" --ignore-missing-imports \
        --check-untyped-defs --explicit-package-bases .) >&2 || failed=yes
done

note "schemas"
.venv/bin/python -B Tests/schemas/validate.py --self-check || failed=yes

note "places of the figures in docs/performance.md"
.venv/bin/python -B Benchmarks/chart.py --check || failed=yes

version=$(sed -n 's/.*tgpipeVersion = "\(.*\)"/\1/p' Sources/Base/System/Version.swift)
grep -q "^## $version (20[0-9-]*)$" CHANGELOG.md ||
    { printf 'error: %s\n' "CHANGELOG.md has no section of version $version with its date" >&2; failed=yes; }

[ -z "$failed" ] || fail "the checks failed: see above"
note "all checks passed"
