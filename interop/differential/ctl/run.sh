#!/usr/bin/env bash
# Compares `leveret ctl` with RabbitMQ's rabbitmqctl, command by command. README.md of the folder above says more.
#
#   interop/differential/ctl/run.sh                  every line of commands.txt
#   interop/differential/ctl/run.sh --show           with what both have said
#   interop/differential/ctl/run.sh --keep           keeps the brokers' folders
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)

program=${LEVERET_BIN:-${CARGO_TARGET_DIR:-$root/target}/debug/leveret}
if [[ -z ${LEVERET_BIN:-} ]]; then
    (cd "$root" && cargo build --locked --bin leveret)
fi
if [[ ! -x /usr/lib/rabbitmq/bin/rabbitmqctl ]]; then
    echo "interop/differential/ctl/run.sh: rabbitmq-server is not installed; interop/differential/run.sh installs it" >&2
    exit 2
fi
exec python3 "$here/run.py" --leveret-bin "$program" "$@"
