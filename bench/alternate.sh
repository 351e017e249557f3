#!/usr/bin/env bash
# Compares builds of Leveret with each other: runs each of them in turn (A B C A B C ...) over some
# kinds of work, and prints the medians per broker-CPU-second and their ratios to the first.
#
#   bench/alternate.sh [--rounds N] [--seconds S] [--load 'NAME=ARGUMENTS OF leveret perf']... \
#       NAME=PROGRAM NAME=PROGRAM...
#
# The load is always made by the first program. For a quick answer to "did that change help?", build
# before and after, copy both programs, and give them here. PORT must be free.
set -euo pipefail

rounds=5
seconds=1.5
loads=()
builds=()
while (($#)); do
  case "$1" in
    --rounds) rounds=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --load) loads+=("$2"); shift ;;
    ?*=*) builds+=("$1") ;;
    *) echo "usage: bench/alternate.sh [--rounds N] [--seconds S] [--load NAME=ARGUMENTS]... NAME=PROGRAM..." >&2; exit 64 ;;
  esac
  shift
done
((${#builds[@]})) || { echo "no build is named" >&2; exit 64; }
if ((!${#loads[@]})); then
  loads=(
    '16 B transient=throughput -s 16'
    '1 KiB transient=throughput -s 1024'
    '1 KiB persistent, window 256=throughput -s 1024 -p -c 256 -a 32 --prefetch 256'
    'fanout to 10 queues=throughput -s 100 --exchange-type fanout --queues 10 -y 10'
    'topic, 10 queues of 100 bindings=throughput -s 100 --exchange-type topic --queues 10 -y 10 --bindings 100'
    '100 publishers, queues, consumers, 5,000/s=throughput -s 100 --queues 100 -x 100 -y 100 -r 5000'
  )
fi
source "$(dirname "$0")/brokers.sh"
port=${PORT:-25682}
generator=${builds[0]#*=}

for ((round = 1; round <= rounds; round++)); do
  for build in "${builds[@]}"; do
    name=${build%%=*}
    start_leveret "${build#*=}" "$port"
    for load in "${loads[@]}"; do
      read -ra words <<<"${load#*=}"
      timeout 120 "$generator" perf "${words[@]}" -q -z "$seconds" --uri "$broker_uri" --pid "$broker_pid" --json \
        >"$scratch/result.json"
      awk -v load="${load%%=*}" -v build="$name" '
        /"per_cpu_second":/ { gsub(/[^0-9.]/, "", $2); cpu = $2 }
        END { printf "%s\t%s\t%s\n", load, build, cpu }' "$scratch/result.json" >>"$scratch/all"
    done
    stop "$broker_pid"
    echo "round $round of $rounds: $name" >&2
  done
done

names=()
for build in "${builds[@]}"; do names+=("${build%%=*}"); done
IFS=$'\t'
awk -F'\t' -v builds="${names[*]}" '
  function median(key,    n, i, j, t, v) {
    n = split(values[key], v, " ")
    for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
  }
  !($1 in seen) { seen[$1]; order[++loads] = $1 }
  { values[$1 FS $2] = values[$1 FS $2] " " $3 }
  END {
    n = split(builds, name, "\t")
    line = "| work |"; rule = "|---|"
    for (b = 1; b <= n; b++) { line = line " " name[b] " |"; rule = rule "---:|" }
    print line; print rule
    for (l = 1; l <= loads; l++) {
      first = median(order[l] FS name[1])
      line = "| " order[l] " |"
      for (b = 1; b <= n; b++) {
        m = median(order[l] FS name[b])
        line = line sprintf(" %.1f k%s |", m / 1e3, b > 1 ? sprintf(" (%.2f)", m / first) : "")
      }
      print line
    }
  }' "$scratch/all"
