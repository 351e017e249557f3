#!/usr/bin/env bash
# Every test of the project: unit, property and end-to-end tests, then real clients against the
# program, and the quick part of the clients' own test suites. Installs what the clients need by itself.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --bin leveret
cargo test --locked --workspace
export LEVERET_BIN="${CARGO_TARGET_DIR:-$PWD/target}/debug/leveret"

# Kills and stops under load (docs/durability.md): the short form.
cargo build --locked -p leveret-torture
"$LEVERET_BIN-torture" --leveret "$LEVERET_BIN" --kills 16 --recovery-kills 4 --stops 4 \
    --seconds-per-round 0.6 --ack-tolerance 2000 --seed 1

INTEROP_EXTENSIONS=1 interop/run.sh
interop/suites/run.sh --quick
