# What the runners of this folder share: choosing the program under test, starting it, stopping it. Sourced by run.sh
# and suites/run.sh, which set $root, $tmp (a folder that is thrown away) and $runner (their name in messages).

readonly BROKER_START_SECS=30
readonly BROKER_STOP_SECS=15

broker_pid=

# Sets LEVERET_BIN to the program's full path; builds it if none is named and none is there.
choose_program() {
    if [[ -z ${LEVERET_BIN:-} ]]; then
        LEVERET_BIN=$root/target/debug/leveret
        [[ -x $LEVERET_BIN ]] || (cd "$root" && cargo build --locked --bin leveret)
    fi
    LEVERET_BIN=$(realpath "$LEVERET_BIN")
    [[ -x $LEVERET_BIN ]] || fail "LEVERET_BIN is not a program: $LEVERET_BIN"
    export LEVERET_BIN
}

# start_program LISTEN LOG [OPTION...]: serves an empty folder on LISTEN. Its addresses are in $tmp/addresses.json when
# this returns.
start_program() {
    local listen=$1 log=$2
    shift 2
    rm -rf "$tmp/data" "$tmp/addresses.json"
    "$LEVERET_BIN" serve --listen "$listen" --data-dir "$tmp/data" --addresses-file "$tmp/addresses.json" "$@" \
        </dev/null >"$log" 2>&1 &
    broker_pid=$!

    local deadline=$((SECONDS + BROKER_START_SECS))
    until [[ -e $tmp/addresses.json ]]; do
        if ! kill -0 "$broker_pid" 2>/dev/null; then
            cat "$log" >&2
            fail "the broker ended early"
        fi
        [[ $SECONDS -lt $deadline ]] || fail "the broker did not write its addresses file in $BROKER_START_SECS s"
        sleep 0.05
    done
}

stop_program() {
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

# host_of URL, port_of URL: of amqp://user:password@host:port/vhost.
host_of() {
    local authority=${1#*://}
    authority=${authority%%/*}
    authority=${authority##*@}
    echo "${authority%%:*}"
}

port_of() {
    local authority=${1#*://}
    authority=${authority%%/*}
    authority=${authority##*@}
    [[ $authority == *:* ]] && echo "${authority##*:}" || echo 5672
}

# Makes sure that Python can make virtual environments.
need_venv() {
    need python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || {
        apt-get update
        DEBIAN_FRONTEND=noninteractive apt-get install -y python3-venv
    }
}

need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || fail "$program is needed and not installed"
    done
}

fail() {
    echo "$runner: $*" >&2
    exit 2
}
