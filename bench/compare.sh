#!/usr/bin/env bash
# Measures Leveret and Debian's rabbitmq-server one after the other by `leveret perf suite`, each on a
# port and in a folder of its own, and writes leveret.json, rabbitmq.json and table.md.
#
#   bench/compare.sh [--quick] [--only TEXT] [--out FOLDER]
#
# LEVERET_BIN names a built program; without it a release build is made. RABBITMQ_BIN names the
# rabbitmq-server script (Debian: apt install rabbitmq-server); where there is none, Leveret is
# measured alone. PORT and the three after it must be free.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=()
out=bench/results
while (($#)); do
  case "$1" in
    --quick) suite+=(--quick) ;;
    --only) suite+=(--only "$2"); shift ;;
    --out) out=$2; shift ;;
    *) echo "usage: bench/compare.sh [--quick] [--only TEXT] [--out FOLDER]" >&2; exit 64 ;;
  esac
  shift
done
port=${PORT:-25672}
rabbitmq=${RABBITMQ_BIN:-/usr/lib/rabbitmq/bin/rabbitmq-server}
source bench/brokers.sh
find_leveret
mkdir -p "$out"
out=$(cd "$out" && pwd)

# Runs the suite on the broker that was started last.
measure() { # name
  echo "== $1" >&2
  "$LEVERET_BIN" perf suite "${suite[@]}" --uri "$broker_uri" --pid "$broker_pid" --json >"$out/$1.json"
}

start_leveret "$LEVERET_BIN" "$port"
measure leveret
stop "$broker_pid"

files=("$out/leveret.json")
if [[ -x $rabbitmq ]]; then
  start_rabbitmq "$rabbitmq" $((port + 1)) "$LEVERET_BIN"
  measure rabbitmq
  files+=("$out/rabbitmq.json")
else
  echo "$rabbitmq is not there: Leveret is measured alone" >&2
fi

if ((${#files[@]} > 1)); then
  "$LEVERET_BIN" perf compare "${files[@]}" >"$out/table.md"
  cat "$out/table.md"
fi
