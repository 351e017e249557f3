#!/usr/bin/env bash
# Runs real AMQP clients against a real broker. README.md says how and why.
#
#   interop/run.sh                 all suites, against a broker started for them
#   interop/run.sh amqplib pika    those two
#   AMQP_URL=amqp://... interop/run.sh    against a broker that is already there
set -euo pipefail

readonly SUITES=(amqplib pika lapin patterns)

# A suite that hangs in spite of its own timeouts is ended after this long.
suite_timeout_secs=${INTEROP_TIMEOUT_SECS:-900}

interop=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$interop")
tmp=$(mktemp -d)
readonly runner=interop/run.sh
source "$interop/broker.sh"

clean_up() {
    stop_program
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
    need node npm openssl
    npm ci --no-audit --no-fund
    local files=() file
    for file in test/*.test.js; do
        [[ $file != */extensions.test.js ]] || extensions || continue
        files+=("$file")
    done
    bounded node --test --test-timeout=120000 --test-reporter=spec "${files[@]}"
}

suite_pika() {
    need openssl
    need_venv
    [[ -x .venv/bin/python ]] || python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
    local options=()
    extensions || options+=(--ignore=test_extensions.py --ignore=test_exchange_types.py)
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

# Whole applications, which kill and restart brokers of their own.
suite_patterns() {
    if [[ -z ${LEVERET_BIN:-} ]]; then
        echo "LEVERET_BIN is not set: the applications, which kill their broker, are skipped"
        return 0
    fi
    bounded ./run.sh
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
    AMQP_HOST=$(host_of "$AMQP_URL")
    AMQP_PORT=$(port_of "$AMQP_URL")
    export AMQP_HOST AMQP_PORT
    echo "using the broker on $AMQP_HOST:$AMQP_PORT"
    if [[ -n ${LEVERET_BIN:-} ]]; then
        LEVERET_BIN=$(realpath "$LEVERET_BIN")
        export LEVERET_BIN
    else
        echo "LEVERET_BIN is not set: the durability scenarios, which kill their broker, are skipped"
    fi
}

start_broker() {
    choose_program
    start_program 127.0.0.1:0 "$tmp/broker.log" --metrics-listen 127.0.0.1:0
    local address
    address=$(tr -d '[:space:]' <"$tmp/addresses.json" | sed -n 's/.*"amqp":\["\([^"]*\)".*/\1/p')
    [[ $address == *:* ]] || fail "no AMQP address in $(cat "$tmp/addresses.json")"
    export AMQP_HOST=${address%:*} AMQP_PORT=${address##*:}
    export AMQP_URL="amqp://guest:guest@$address/%2F"
    echo "started $LEVERET_BIN on $address"
}

main "$@"
