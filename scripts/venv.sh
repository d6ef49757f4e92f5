#!/usr/bin/env bash
# Creates .venv, the Python environment of the tests, the demo and most benchmarks, if it is missing or its requirements
# have changed: venv.sh [FOLDER REQUIREMENTS]
# With arguments, it does so for another environment.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"

environment=$root/${1:-.venv}
requirements=$root/${2:-Tests/requirements.lock}
python=${PYTHON:-python3}

stamp=$("$python" -c 'import sys; print(sys.version)' && cat "$requirements") ||
    fail "unable to run python3: apt-get install python3 python3-venv"
# The programs in an environment contain its path, so a folder that was moved or copied needs a new environment.
stamp="$environment
$stamp"
if [ -x "$environment/bin/python" ] && [ "$(cat "$environment/stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is required, not $("$python" --version)"
note "creating $(basename "$environment") with the pinned Python packages"
log=$root/.build/venv.log
mkdir -p "$root/.build"
rm -rf "$environment"
"$python" -m venv "$environment" || fail "unable to create a virtual environment: apt-get install python3-venv"
"$environment/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$requirements" >"$log" 2>&1 ||
    fail "pip was unable to install the packages in $requirements; check the network:" "$(tail -n 20 "$log")"
printf '%s\n' "$stamp" >"$environment/stamp"
