#!/usr/bin/env bash
# Runs the test suites of third-party AMQP clients against a broker. README.md says which, and what is expected.
#
#   interop/suites/run.sh                  all of them
#   interop/suites/run.sh amqplib kombu    those
#   interop/suites/run.sh --quick          the part that CI runs, in about three minutes
#   AMQP_URL=amqp://... interop/suites/run.sh    against a broker that is there already
set -euo pipefail

readonly CLIENTS=(amqplib rascal lapin amqprs aio-pika aiormq py-amqp kombu amqpstorm celery)
readonly QUICK_CLIENTS=(amqplib py-amqp kombu celery)
# With --quick no suite may take longer than this.
readonly QUICK_SECS=90

suites=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$suites/../.." && pwd)
# Another folder than .work/ may be named, to keep it when the repository is cleaned.
work=${SUITES_WORK:-$suites/.work}
tmp=$(mktemp -d)
export work suites
given_url=${AMQP_URL:-}
quick=
readonly runner=interop/suites/run.sh
source "$root/interop/broker.sh"

clean_up() {
    stop_program
    rm -rf "$tmp"
}
trap clean_up EXIT

main() {
    local clients=() client
    while [[ $# -gt 0 ]]; do
        case $1 in
            --quick) quick=1 ;;
            -*) fail "no option '$1'" ;;
            *)
                [[ " ${CLIENTS[*]} " == *" $1 "* ]] || fail "no suite '$1': there are ${CLIENTS[*]}"
                clients+=("$1")
                ;;
        esac
        shift
    done
    if [[ ${#clients[@]} -eq 0 ]]; then
        clients=("${CLIENTS[@]}")
        [[ -z $quick ]] || clients=("${QUICK_CLIENTS[@]}")
    fi

    need python3
    if [[ -n $given_url ]]; then
        echo "using the broker at $given_url"
    else
        choose_program
    fi
    mkdir -p "$work/results"
    : >"$tmp/lines"
    : >"$tmp/failed"

    for client in "${clients[@]}"; do
        # Not in an `if`: that would switch `set -e` off inside the suite's functions.
        set +e
        (
            trap stop_program EXIT
            set -e
            source "$suites/clients/$client.sh"
        )
        local status=$?
        set -e
        if [[ $status -ne 0 ]]; then
            echo "$client: could not be run (exit code $status)" | tee -a "$tmp/lines" >>"$tmp/failed"
        fi
    done

    printf '\n'
    cat "$tmp/lines"
    [[ ! -s $tmp/failed ]]
}

# --- what the files in clients/ use ---

# suite LABEL SECONDS COMMAND...: runs the command for at most so many seconds, against a broker of its own. The
# command finds it in AMQP_URL, AMQP_HOST and AMQP_PORT, and leaves JUnit files or the output of `cargo test` (*.txt)
# in $RESULTS. They are compared with expected/LABEL.txt.
suite() {
    local label=$1 seconds=$2 started=$SECONDS
    shift 2
    [[ -z $quick || $seconds -le $QUICK_SECS ]] || seconds=$QUICK_SECS
    export RESULTS=$work/results/$label
    rm -rf "$RESULTS"
    mkdir -p "$RESULTS"
    printf '\n== %s ==\n' "$label"

    start_broker
    set +e
    timeout --kill-after=10 "$seconds" "$@" >"$RESULTS/log" 2>&1 </dev/null
    local status=$?
    local survived=1
    [[ -z $broker_pid ]] || kill -0 "$broker_pid" 2>/dev/null || survived=
    set -e
    stop_program

    local verdict=0
    python3 "$suites/compare.py" "$label" "$suites/expected/$label.txt" "$RESULTS" >"$RESULTS/verdict" || verdict=$?
    cat "$RESULTS/verdict"
    local line
    line=$(grep "^$label: " "$RESULTS/verdict" || echo "$label: no result")
    [[ $status -ne 124 && $status -ne 137 ]] || { line+=", ENDED after $seconds s"; verdict=1; }
    [[ -n $survived ]] || { line+=", THE BROKER ENDED"; verdict=1; }
    echo "$line ($((SECONDS - started)) s)" >>"$tmp/lines"
    if [[ $verdict -ne 0 ]]; then
        echo "$label" >>"$tmp/failed"
        echo "the client's output is in $RESULTS/log"
        [[ $verdict -eq 1 && -s $RESULTS/verdict ]] || tail -n 30 "$RESULTS/log"
    fi
}

# npm_source PACKAGE VERSION: unpacks that package into $work/src/PACKAGE-VERSION, once.
npm_source() {
    local folder=$work/src/$1-$2
    [[ ! -d $folder ]] || return 0
    need npm
    local packed
    packed=$(cd "$tmp" && npm pack --silent "$1@$2")
    unpack "$tmp/$packed" "$folder"
}

# pypi_source PACKAGE VERSION: the same with a source distribution.
pypi_source() {
    local folder=$work/src/$1-$2
    [[ ! -d $folder ]] || return 0
    rm -rf "$tmp/sdist"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary "$1" \
        --dest "$tmp/sdist" "$1==$2"
    unpack "$tmp/sdist/"*.tar.gz "$folder"
}

# crate_source CRATE VERSION: the same with a crate.
crate_source() {
    local folder=$work/src/$1-$2
    [[ ! -d $folder ]] || return 0
    need cargo
    mkdir -p "$tmp/crate"
    cat >"$tmp/crate/Cargo.toml" <<TOML
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"
[lib]
path = "lib.rs"
[dependencies]
$1 = "=$2"
TOML
    touch "$tmp/crate/lib.rs"
    local manifest
    manifest=$(cd "$tmp/crate" && cargo metadata --quiet --format-version 1 |
        python3 -c 'import json, sys
print(next(p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == sys.argv[1]))' "$1")
    mkdir -p "$work/src"
    cp -r "$(dirname "$manifest")" "$folder.part"
    mv "$folder.part" "$folder"
}

unpack() {
    mkdir -p "$2.part"
    tar -xzf "$1" -C "$2.part" --strip-components=1
    mv "$2.part" "$2"
}

# fresh_copy NAME [AS]: copies $work/src/NAME to $work/run/AS, and goes there. What a run changes is the copy's.
fresh_copy() {
    local to=$work/run/${2:-$1}
    rm -rf "$to"
    mkdir -p "$to"
    cp -r "$work/src/$1/." "$to"
    cd "$to"
}

# node_with NAME: installs the packages of requirements/NAME in $work/run/NAME. Node finds them from the folders below.
node_with() {
    need node npm
    local wanted=$suites/requirements/$1 to=$work/run/$1
    mkdir -p "$to"
    ! cmp --silent "$wanted/package-lock.json" "$to/installed.json" || return 0
    cp "$wanted/package.json" "$wanted/package-lock.json" "$to"
    (cd "$to" && npm ci --silent --no-audit --no-fund)
    cp "$wanted/package-lock.json" "$to/installed.json"
}

# python_with NAME: makes $work/venv/NAME with the packages of requirements/NAME.txt, and sets $python.
python_with() {
    local venv=$work/venv/$1 wanted=$suites/requirements/$1.txt
    python=$venv/bin/python
    ! cmp --silent "$wanted" "$venv/installed.txt" || return 0
    need_venv
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$python" -m pip install --quiet --disable-pip-version-check --requirement "$wanted"
    cp "$wanted" "$venv/installed.txt"
}

# --- the broker ---

# AMQP_IPV6 is the address on [::1], for the one test that wants it: a given broker has the same port on both, and
# where the system has no IPv6 it is the other address.
start_broker() {
    if [[ -n $given_url ]]; then
        export AMQP_URL=$given_url
        AMQP_HOST=$(host_of "$given_url")
        AMQP_PORT=$(port_of "$given_url")
        export AMQP_HOST AMQP_PORT
        export AMQP_IPV6="[::1]:$AMQP_PORT"
        return
    fi

    local listen=127.0.0.1:0
    ! grep -qs ' lo$' /proc/net/if_inet6 || listen+=',[::1]:0'
    start_program "$listen" "$RESULTS/broker.log" --metrics-listen none
    local addresses
    read -r -a addresses < <(python3 -c 'import json, sys
print(*json.load(open(sys.argv[1]))["amqp"])' "$tmp/addresses.json")
    export AMQP_HOST=127.0.0.1 AMQP_PORT=${addresses[0]##*:} AMQP_IPV6=${addresses[-1]}
    export AMQP_URL="amqp://guest:guest@127.0.0.1:$AMQP_PORT/%2F"
}

# --- small things ---

# Shows a command's output only if it fails: other people's warnings are none of ours.
quietly() {
    "$@" >"$tmp/output" 2>&1 || { cat "$tmp/output" >&2; return 1; }
}

main "$@"
