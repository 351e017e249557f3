#!/usr/bin/env bash
# Compares Leveret with RabbitMQ, answer by answer. README.md says how.
#
#   interop/differential/run.sh                       every script but the slow ones
#   interop/differential/run.sh --slow                all of them
#   interop/differential/run.sh --filter 'queues.*'   some
#   interop/differential/run.sh --self-test           the runner's own tests, without brokers
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

main() {
    command -v python3 >/dev/null || fail "python3 is needed"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "python3 must be 3.11 or later"
    if [[ ${1:-} == --self-test ]]; then
        cd "$here"
        exec python3 -m unittest discover --start-directory tests --top-level-directory .
    fi
    local options=()
    if ! given --list "$@" && ! given --help "$@" && ! given -h "$@"; then
        given --rabbitmq "$@" || install_rabbitmq
        given --leveret "$@" || given --leveret-bin "$@" || find_leveret
    fi
    exec python3 "$here/run.py" ${options[@]+"${options[@]}"} "$@"
}

# Whether an option is among the arguments, with its value or before it.
given() {
    local wanted=$1 argument
    shift
    for argument in "$@"; do
        [[ $argument != "$wanted" && $argument != "$wanted="* ]] || return 0
    done
    return 1
}

install_rabbitmq() {
    [[ ! -x /usr/lib/rabbitmq/bin/rabbitmq-server ]] || return 0
    [[ $(id -u) == 0 ]] || fail "rabbitmq-server is not installed: apt-get install rabbitmq-server, or --rabbitmq URL"
    apt-get update
    # The package would start a server of its own on the usual port.
    local policy=/usr/sbin/policy-rc.d made=
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        made=1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends rabbitmq-server
    [[ -z $made ]] || rm -f "$policy"
}

find_leveret() {
    local program=${LEVERET_BIN:-${CARGO_TARGET_DIR:-$root/target}/debug/leveret}
    if [[ -z ${LEVERET_BIN:-} ]]; then
        (cd "$root" && cargo build --locked --bin leveret)
    fi
    [[ -x $program ]] || fail "no program: $program"
    options+=(--leveret-bin "$program")
}

fail() {
    echo "interop/differential/run.sh: $*" >&2
    exit 2
}

main "$@"
