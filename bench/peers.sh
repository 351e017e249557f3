#!/usr/bin/env bash
# Measures what slow, silent and restless peers cost a release build of the broker: idle connections and
# queues (`leveret perf`), then the measurements of tests/peers. Prints the tables of docs/security.md.
#
#   bench/peers.sh [--seconds N] [NAME...]
#
# A flood lasts N seconds (60). NAME is a measurement of tests/peers/main.rs, or `idle`; without one, all.
# LEVERET_BIN names a built program; without it a release build is made. Takes some ten minutes, 3 GB of
# memory, and 20,000 open files (`ulimit -n`).
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=60
names=()
while (($#)); do
  case "$1" in
    --seconds) seconds=$2; shift ;;
    -*) echo "usage: bench/peers.sh [--seconds N] [NAME...]" >&2; exit 64 ;;
    *) names+=("$1") ;;
  esac
  shift
done
port=${PORT:-25672}
source bench/brokers.sh
find_leveret
ulimit -n 20000 || echo "fewer than 20,000 files may be open" >&2

wants() { ((${#names[@]} == 0)) || [[ " ${names[*]} " == *" $1 "* ]]; }

if wants idle; then
  start_leveret "$LEVERET_BIN" "$port"
  "$LEVERET_BIN" perf idle-connections -C 10000 -z 2 --uri "$broker_uri" --pid "$broker_pid"
  stop "$broker_pid"
  start_leveret "$LEVERET_BIN" "$port"
  "$LEVERET_BIN" perf idle-queues -C 100000 -z 2 --uri "$broker_uri" --pid "$broker_pid"
  stop "$broker_pid"
fi

if [[ ${names[*]-} != idle ]]; then
  cargo build --locked -p leveret-tests --bin leveret-peers
  LEVERET_BIN=$(realpath "$LEVERET_BIN") \
    "${CARGO_TARGET_DIR:-$PWD/target}/debug/leveret-peers" --seconds "$seconds" "${names[@]}"
fi
