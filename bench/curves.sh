#!/usr/bin/env bash
# Measures how the cost of a message grows with what the broker holds and with what it is given, and
# draws it: bench/curves.csv, docs/pictures/*.svg.
#
#   bench/curves.sh [--rounds N] [--seconds S] [--rabbitmq] [--only REGEXP] [--patience S] [--out FILE.csv]
#   bench/curves.sh --draw
#
# Every point is the median of some rounds; in each round, all points are measured once, in turn for
# the brokers. With --rabbitmq, Debian's rabbitmq-server is measured as well, as far up as it comes in
# the time that a point may take. LEVERET_BIN and RABBITMQ_BIN as in bench/compare.sh. PORT and the
# three after it must be free, and 20,000 files may be open (ulimit -n). --draw makes the pictures
# alone; matplotlib is installed for that from PyPI in a folder of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=3
seconds=1
# Seconds that one point may take, with what is laid there before.
patience=120
only=
out=bench/curves.csv
with_rabbitmq=
draw_only=
while (($#)); do
  case "$1" in
    --rounds) rounds=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --only) only=$2; shift ;;
    --patience) patience=$2; shift ;;
    --out) out=$2; shift ;;
    --rabbitmq) with_rabbitmq=yes ;;
    --draw) draw_only=yes ;;
    *) echo "usage: bench/curves.sh [--rounds N] [--seconds S] [--rabbitmq] [--only REGEXP] [--patience S] [--out FILE.csv] | --draw" >&2; exit 64 ;;
  esac
  shift
done
port=${PORT:-25692}
rabbitmq=${RABBITMQ_BIN:-/usr/lib/rabbitmq/bin/rabbitmq-server}
# A curve: its name, the most that RabbitMQ is given of it, arguments of `leveret perf throughput`
# with N for the number, and the numbers.
curves=(
  'idle connections|1000|-s 100 --idle-connections N|0 100 1000 10000'
  'idle queues|10000|-s 100 --idle-queues N|0 100 1000 10000 100000'
  'backlog elsewhere|100000|-s 16 --idle-backlog N|0 10000 100000 1000000 10000000'
  'backlog in the queue|100000|-s 16 --backlog N|0 10000 100000 1000000 10000000'
  'queues in turn|1000|-s 100 --queues N|1 10 100 1000 10000'
  'bindings, one key|10000|-s 100 --exchange-type topic --bindings N --routing-key 0.perf.0|1 10 100 1000 10000 100000'
  'bindings, all keys|10000|-s 100 --exchange-type topic --bindings N|1 10 100 1000 10000 100000'
  'publishers and consumers|100|-s 100 -x N -y N --queues N|1 2 5 10 20 50 100 200'
  'octets of a body|1048576|-s N|16 64 256 1024 4096 16384 65536 262144 1048576'
  'latency, idle connections|1000|-s 100 -r 5000 --latency --idle-connections N|0 100 1000 10000'
  'latency, idle queues|10000|-s 100 -r 5000 --latency --idle-queues N|0 100 1000 10000 100000'
  'latency, backlog elsewhere|100000|-s 100 -r 5000 --latency --idle-backlog N|0 10000 100000 1000000 10000000'
)

draw() {
  local environment=${CARGO_TARGET_DIR:-target}/curves-python
  if [[ ! -x $environment/bin/python ]]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --requirement bench/curves-requirements.txt
  fi
  "$environment/bin/python" bench/curves.py "$1" docs/pictures
}

if [[ $draw_only ]]; then
  draw "$out"
  exit
fi

source bench/brokers.sh
find_leveret
start_leveret "$LEVERET_BIN" "$port"
brokers=("Leveret $broker_pid $broker_uri")
if [[ $with_rabbitmq ]]; then
  start_rabbitmq "$rabbitmq" $((port + 1)) "$LEVERET_BIN"
  brokers+=("RabbitMQ $broker_pid $broker_uri")
fi

# The first number behind a name in the last result; nothing if there is none.
of_result() { # name
  awk -v name="\"$1\":" '$1 == name { gsub(/[^0-9.]/, "", $2); if ($2 != "") { print $2; exit } }' "$scratch/result.json"
}

measure() { # curve number words...
  local curve=$1 number=$2
  shift 2
  if ! timeout "$patience" "$LEVERET_BIN" perf throughput -q -z "$seconds" --uri "$uri" --pid "$pid" --json "$@" \
    >"$scratch/result.json" 2>"$scratch/answer"; then
    echo "$broker: $curve: $number: $(tail -1 "$scratch/answer")" >&2
    return 0
  fi
  printf '"%s",%s,%s,%s,%s,%s,%s\n' "$curve" "$number" "$broker" "$(of_result per_cpu_second)" \
    "$(of_result p50)" "$(of_result p99)" "$(of_result resident)" >>"$scratch/rows.csv"
}

for ((round = 1; round <= rounds; round++)); do
  for line in "${curves[@]}"; do
    IFS='|' read -r curve most arguments numbers <<<"$line"
    [[ $curve =~ $only ]] || continue
    for number in $numbers; do
      read -ra words <<<"${arguments//N/$number}"
      for one in "${brokers[@]}"; do
        read -r broker pid uri <<<"$one"
        [[ $broker == Leveret ]] || ((number <= most)) || continue
        measure "$curve" "$number" "${words[@]}"
      done
    done
    echo "round $round of $rounds: $curve" >&2
  done
  # What is there so far, should it be ended early.
  {
    echo 'curve,number,broker,per_cpu_second,p50_us,p99_us,resident'
    cat "$scratch/rows.csv"
  } >"$out"
done
draw "$out"
