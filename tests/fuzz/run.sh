#!/usr/bin/env bash
# Fuzz: tests/fuzz/run.sh [seconds for each target, 1800 if not given] [targets, all if not given]
# Needs cargo-fuzz and a nightly compiler. What is new is kept in fuzz-corpus/ beside what is built, what fails in
# tests/fuzz/artifacts/.
set -euo pipefail
cd "$(dirname "$0")"

seconds="${1:-1800}"
shift $(($# > 0 ? 1 : 0))
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <(cargo +nightly fuzz list --fuzz-dir .)
fi
found="${CARGO_TARGET_DIR:-$PWD/target}/fuzz-corpus"

for target in "${targets[@]}"; do
    mkdir -p "$found/$target"
    dictionary=dictionaries/wire.dict
    if [ -f "dictionaries/$target.dict" ]; then
        dictionary="dictionaries/$target.dict"
    fi
    # Without a sanitizer five times as many: none of this code is unsafe.
    cargo +nightly fuzz run --fuzz-dir . --sanitizer none "$target" "$found/$target" "corpus/$target" -- \
        -max_total_time="$seconds" -max_len=4096 -len_control=20 -rss_limit_mb=2048 -timeout=10 \
        -print_final_stats=1 -dict="$dictionary"
done
