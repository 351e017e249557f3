#!/usr/bin/env bash
# Measures one hop by ZeroMQ, Redis and Leveret, and prints a table. README.md says more.
#
#   bench/hop/run.sh            nine rounds
#   bench/hop/run.sh 1          one
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if [[ -z ${LEVERET_BIN:-} ]]; then
    (cd ../.. && cargo build --locked --release --bin leveret)
    LEVERET_BIN=${CARGO_TARGET_DIR:-$(realpath ../../target)}/release/leveret
fi
LEVERET_BIN=$(realpath "$LEVERET_BIN")
export LEVERET_BIN
command -v redis-server >/dev/null || {
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends redis-server
}
npm ci --no-audit --no-fund >&2
node measure.js "$@"
