#!/usr/bin/env bash
# Runs real AMQP clients against a real broker. README.md says how and why.
#
#   interop/run.sh                 all suites, against a broker started for them
#   interop/run.sh amqplib pika    those two
#   AMQP_URL=amqp://... interop/run.sh    against a broker that is already there
set -euo pipefail

readonly SUITES=(amqplib pika lapin)
readonly BROKER_START_SECS=30
readonly BROKER_STOP_SECS=15

# A suite that hangs in spite of its own timeouts is ended after this long.
suite_timeout_secs=${INTEROP_TIMEOUT_SECS:-900}

interop=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$interop")
tmp=$(mktemp -d)
broker_pid=

clean_up() {
    stop_broker
    rm -rf "$tmp"
}
trap clean_up EXIT

main() {
    local suites=("$@") suite failed=0 outcomes=()
    [[ ${#suites[@]} -gt 0 ]] || suites=("${SUITES[@]}")
    for suite in "${suites[@]}"; do
        [[ " ${SUITES[*]} " == *" $suite "* ]] || fail "no suite '$suite': there are ${SUITES[*]}"
    done

    if [[ -n ${AMQP_URL:-} ]]; then
        use_given_broker
    else
        start_broker
    fi

    for suite in "${suites[@]}"; do
        printf '\n== %s ==\n' "$suite"
        local started=$SECONDS
        # Not in an `if`: that would switch `set -e` off inside the suite's function.
        set +e
        (
            set -e
            cd "$interop/$suite"
            "suite_$suite"
        )
        local status=$?
        set -e
        if [[ $status -eq 0 ]]; then
            outcomes+=("$suite: passed in $((SECONDS - started)) s")
        else
            outcomes+=("$suite: FAILED (exit code $status) after $((SECONDS - started)) s")
            failed=1
        fi
    done

    if [[ $failed -ne 0 && -n $broker_pid ]]; then
        printf '\n== the end of the broker'"'"'s log ==\n'
        tail -n 40 "$tmp/broker.log"
    fi
    printf '\n'
    printf '%s\n' "${outcomes[@]}"
    return "$failed"
}

# --- suites: each is run in its own folder ---

suite_amqplib() {
    need node npm
    npm ci --no-audit --no-fund
    local files=() file
    for file in test/*.test.js; do
        [[ $file != */extensions.test.js ]] || extensions || continue
        files+=("$file")
    done
    bounded node --test --test-timeout=120000 --test-reporter=spec "${files[@]}"
}

suite_pika() {
    need python3
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        apt-get update
        DEBIAN_FRONTEND=noninteractive apt-get install -y python3-venv
    fi
    [[ -x .venv/bin/python ]] || python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
    local options=()
    extensions || options+=(--ignore=test_extensions.py)
    bounded .venv/bin/python -m pytest -rs --durations=3 "${options[@]}"
}

suite_lapin() {
    need cargo
    cargo build --locked --tests
    local options=()
    extensions || options+=(--skip extensions::)
    [[ -n ${LEVERET_BIN:-} ]] || options+=(--skip durability::)
    bounded cargo test --locked -- "${options[@]}"
}

# Whether the scenarios about RabbitMQ's extensions are to be run.
extensions() {
    [[ ${INTEROP_EXTENSIONS:-} == 1 ]]
}

bounded() {
    timeout --kill-after=10 "$suite_timeout_secs" "$@"
}

# --- the broker ---

use_given_broker() {
    export AMQP_URL
    local authority=${AMQP_URL#*://}
    authority=${authority%%/*}
    authority=${authority##*@}
    export AMQP_HOST=${authority%%:*} AMQP_PORT=5672
    [[ $authority != *:* ]] || AMQP_PORT=${authority##*:}
    echo "using the broker on $AMQP_HOST:$AMQP_PORT"
    if [[ -n ${LEVERET_BIN:-} ]]; then
        LEVERET_BIN=$(realpath "$LEVERET_BIN")
        export LEVERET_BIN
    else
        echo "LEVERET_BIN is not set: the durability scenarios, which kill their broker, are skipped"
    fi
}

start_broker() {
    if [[ -z ${LEVERET_BIN:-} ]]; then
        LEVERET_BIN=$root/target/debug/leveret
        [[ -x $LEVERET_BIN ]] || (cd "$root" && cargo build --locked --bin leveret)
    fi
    LEVERET_BIN=$(realpath "$LEVERET_BIN")
    [[ -x $LEVERET_BIN ]] || fail "LEVERET_BIN is not a program: $LEVERET_BIN"
    export LEVERET_BIN

    "$LEVERET_BIN" serve --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 \
        --data-dir "$tmp/data" --addresses-file "$tmp/addresses.json" \
        </dev/null >"$tmp/broker.log" 2>&1 &
    broker_pid=$!

    local deadline=$((SECONDS + BROKER_START_SECS))
    until [[ -e $tmp/addresses.json ]]; do
        if ! kill -0 "$broker_pid" 2>/dev/null; then
            cat "$tmp/broker.log" >&2
            fail "the broker ended early"
        fi
        [[ $SECONDS -lt $deadline ]] || fail "the broker did not write its addresses file in $BROKER_START_SECS s"
        sleep 0.05
    done

    local address
    address=$(tr -d '[:space:]' <"$tmp/addresses.json" | sed -n 's/.*"amqp":\["\([^"]*\)".*/\1/p')
    [[ $address == *:* ]] || fail "no AMQP address in $(cat "$tmp/addresses.json")"
    export AMQP_HOST=${address%:*} AMQP_PORT=${address##*:}
    export AMQP_URL="amqp://guest:guest@$address/%2F"
    echo "started $LEVERET_BIN on $address"
}

stop_broker() {
    [[ -n $broker_pid ]] || return 0
    kill -TERM "$broker_pid" 2>/dev/null || true
    local deadline=$((SECONDS + BROKER_STOP_SECS))
    while kill -0 "$broker_pid" 2>/dev/null; do
        if [[ $SECONDS -ge $deadline ]]; then
            kill -KILL "$broker_pid" 2>/dev/null || true
            break
        fi
        sleep 0.05
    done
    wait "$broker_pid" 2>/dev/null || true
    broker_pid=
}

# --- small things ---

need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || fail "$program is needed and not installed"
    done
}

fail() {
    echo "interop/run.sh: $*" >&2
    exit 2
}

main "$@"
