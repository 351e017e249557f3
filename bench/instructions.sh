#!/usr/bin/env bash
# Counts the instructions of the hot paths under callgrind and compares them with
# bench/instructions.txt: fails when one has grown or shrunk by more than the tolerance.
#
#   bench/instructions.sh [--update] [--tolerance PERCENT]
#
# Shrunk fails too, so that what was won is written down: `--update` writes the file anew. Needs
# valgrind (Debian: apt install valgrind). INSTRUCTIONS_BIN names a built program; without it a
# release build is made. The counts hold for the compiler and the processor family in the file's head.
set -euo pipefail
cd "$(dirname "$0")/.."

update=
tolerance=3
while (($#)); do
  case "$1" in
    --update) update=yes ;;
    --tolerance) tolerance=$2; shift ;;
    *) echo "usage: bench/instructions.sh [--update] [--tolerance PERCENT]" >&2; exit 64 ;;
  esac
  shift
done
if ! command -v valgrind >/dev/null; then
  echo "valgrind is not there (Debian: apt install valgrind)" >&2
  exit 69
fi
if [[ -z ${INSTRUCTIONS_BIN:-} ]]; then
  cargo build --locked --release -p leveret-instructions
  INSTRUCTIONS_BIN=${CARGO_TARGET_DIR:-$PWD/target}/release/leveret-instructions
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Callgrind with a bound in time; what the program says goes to a file.
grind() { # output option... -- word...
  local said=$1
  shift
  timeout 600 valgrind --tool=callgrind --callgrind-out-file="$scratch/profile" "$@" \
    >"$said" 2>"$scratch/valgrind.log" || { cat "$scratch/valgrind.log" >&2; exit 1; }
}

# One profile each time the measured function ends: what the call in it cost, with all that it called.
grind "$scratch/names" --dump-after='leveret_instructions::measured*' "$INSTRUCTIONS_BIN"
number=0
while IFS=$'\t' read -r name units; do
  number=$((number + 1))
  # Names are given once a file, and numbers in brackets stand for them from then on.
  total=$(awk '
    /^c?fn=/ {
      called = $1
      sub(/.*=/, "", called)
      if (/leveret_instructions::measured/) id = called
      if (/^fn=/) inside = called == id
    }
    /^calls=/ && inside { getline; total += $NF }
    END { print total }
  ' "$scratch/profile.$number")
  printf '%s\t%s\t%s\n' "$name" "$units" "${total:?"no cost of $name"}"
done <"$scratch/names" >"$scratch/counts"

# The store works on threads of its own, which wait for each other, some longer, some shorter: counted is only what
# hands a run over and what writes a batch, as the difference of two whole runs.
for messages in 2560 51200; do
  grind /dev/null --collect-atstart=no --toggle-collect='leveret_instructions::store::hand_over*' \
    --toggle-collect='leveret_store::embedded::commit::batch*Committer*write' "$INSTRUCTIONS_BIN" store "$messages"
  awk '/^(totals|summary):/ {print $2; exit}' "$scratch/profile" >"$scratch/store.$messages"
done
printf 'store: append 1 KiB in runs of 256, settle by range\t48640\t%s\n' \
  $(($(<"$scratch/store.51200") - $(<"$scratch/store.2560"))) >>"$scratch/counts"

{
  echo "# Instructions per message (user space) of the hot paths; bench/instructions.sh compares and writes this."
  echo "# $(rustc --version), $(uname -m), release profile"
  awk -F'\t' '
    !($1 in units) { order[++cases] = $1 }
    { units[$1] += $2; total[$1] += $3 }
    END { for (i = 1; i <= cases; i++) printf "%-70s %10.1f\n", order[i], total[order[i]] / units[order[i]] }
  ' "$scratch/counts"
} >"$scratch/now"

if [[ $update ]]; then
  cp "$scratch/now" bench/instructions.txt
  cat bench/instructions.txt
  exit
fi
compiler=$(sed -n 2p bench/instructions.txt)
if [[ $compiler != "$(sed -n 2p "$scratch/now")" ]]; then
  echo "warning: bench/instructions.txt is of another compiler: $compiler" >&2
fi
awk -v tolerance="$tolerance" '
  /^#/ { next }
  { count = $NF; name = $0; sub(/ +[0-9.]+$/, "", name) }
  FNR == NR { before[name] = count; next }
  {
    seen[name] = 1
    if (!(name in before)) { printf "%-70s %10.1f  new\n", name, count; bad++; next }
    change = (count / before[name] - 1) * 100
    off = change > tolerance || change < -tolerance
    bad += off
    printf "%-70s %10.1f -> %10.1f  %+6.1f %%%s\n", name, before[name], count, change, off ? "  !" : ""
  }
  END {
    for (name in before) if (!(name in seen)) { printf "%-70s gone\n", name; bad++ }
    if (bad) printf "%d beyond %s %%: look why, then bench/instructions.sh --update\n", bad, tolerance
    exit bad > 0
  }
' bench/instructions.txt "$scratch/now"
