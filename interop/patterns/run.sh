#!/usr/bin/env bash
# Tests the applications of this folder end to end against the real program. README.md says more.
#
#   interop/patterns/run.sh                    all of them
#   interop/patterns/run.sh chat history       those two
set -euo pipefail

patterns=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(realpath "$patterns/../..")
readonly runner=interop/patterns/run.sh
source "$patterns/../broker.sh"

need node npm
choose_program
# The chat's page is tested in a real browser.
[[ -x /usr/bin/chromium ]] || {
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium
}

cd "$patterns"
npm ci --no-audit --no-fund
files=(test/*.test.js)
[[ $# -eq 0 ]] || files=("${@/#/test/}")
[[ $# -eq 0 ]] || files=("${files[@]/%/.test.js}")
node --test --test-timeout=600000 --test-reporter=spec "${files[@]}"
