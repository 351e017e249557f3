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
if [[ -z ${LEVERET_BIN:-} ]]; then
  cargo build --locked --release --bin leveret
  LEVERET_BIN=${CARGO_TARGET_DIR:-$PWD/target}/release/leveret
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)
scratch=$(mktemp -d)
started=()

# Ends what this script started, by its id, and waits for it.
stop() {
  kill "$1" 2>/dev/null || true
  for _ in $(seq 300); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
}

clean() {
  for pid in "${started[@]}"; do stop "$pid"; done
  rm -rf "$scratch"
}
trap clean EXIT

# Runs the suite once the broker on that port answers.
measure() { # name port pid
  local uri="amqp://guest:guest@127.0.0.1:$2/%2F"
  for _ in $(seq 600); do
    "$LEVERET_BIN" perf idle-queues -q -C 1 -z 0 --uri "$uri" >"$scratch/answer" 2>&1 && break
    if ! kill -0 "$3" 2>/dev/null; then break; fi
    sleep 0.2
  done
  echo "== $1" >&2
  "$LEVERET_BIN" perf suite "${suite[@]}" --uri "$uri" --pid "$3" --json >"$out/$1.json"
}

"$LEVERET_BIN" serve --listen "127.0.0.1:$port" --metrics-listen none \
  --data-dir "$scratch/leveret" 2>"$scratch/leveret.log" &
leveret=$!
started+=("$leveret")
measure leveret "$port" "$leveret" || { cat "$scratch/answer" "$scratch/leveret.log" >&2; exit 1; }
stop "$leveret"

files=("$out/leveret.json")
if [[ -x $rabbitmq ]]; then
  mkdir -p "$scratch/rabbitmq"
  : >"$scratch/rabbitmq/enabled_plugins"
  : >"$scratch/rabbitmq/rabbitmq.conf"
  # A port mapper of its own, so that none is left behind.
  epmd -address 127.0.0.1 -port $((port + 3)) &
  started+=($!)
  env HOME="$scratch/rabbitmq" ERL_EPMD_PORT=$((port + 3)) \
    RABBITMQ_NODENAME="perf-$$@localhost" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 \
    RABBITMQ_NODE_PORT=$((port + 1)) RABBITMQ_DIST_PORT=$((port + 2)) \
    RABBITMQ_MNESIA_BASE="$scratch/rabbitmq/mnesia" RABBITMQ_LOG_BASE="$scratch/rabbitmq/log" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$scratch/rabbitmq/enabled_plugins" \
    RABBITMQ_CONFIG_FILE="$scratch/rabbitmq/rabbitmq" RABBITMQ_LOGS=- \
    RABBITMQ_PID_FILE="$scratch/rabbitmq/pid" \
    "$rabbitmq" >"$scratch/rabbitmq.log" 2>&1 &
  started+=($!)
  for _ in $(seq 600); do
    [[ -s $scratch/rabbitmq/pid ]] && break
    sleep 0.1
  done
  beam=$(tr -d '[:space:]' <"$scratch/rabbitmq/pid")
  started=("$beam" "${started[@]}")
  measure rabbitmq $((port + 1)) "$beam" || { tail -50 "$scratch/answer" "$scratch/rabbitmq.log" >&2; exit 1; }
  files+=("$out/rabbitmq.json")
else
  echo "$rabbitmq is not there: Leveret is measured alone" >&2
fi

if ((${#files[@]} > 1)); then
  "$LEVERET_BIN" perf compare "${files[@]}" >"$out/table.md"
  cat "$out/table.md"
fi
