# Starts and ends brokers for the measuring scripts, which source this: each broker on a port and in a
# folder of its own, all ended by their ids when the script ends.

scratch=$(mktemp -d)
started=()

# Ends a process by its id, and waits for it.
stop() { # pid
  kill "$1" 2>/dev/null || true
  for _ in $(seq 300); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
}

clean() {
  for pid in "${started[@]}"; do stop "$pid"; done
  rm -rf "$scratch"
}
trap clean EXIT

# Makes a release build unless LEVERET_BIN names a program.
find_leveret() {
  [[ -z ${LEVERET_BIN:-} ]] || return 0
  cargo build --locked --release --bin leveret
  LEVERET_BIN=${CARGO_TARGET_DIR:-$PWD/target}/release/leveret
}

# Waits until the broker answers `leveret perf`; fails, with what was said, if it ends before.
await_broker() { # program uri pid log
  for _ in $(seq 600); do
    "$1" perf idle-queues -q -C 1 -z 0 --uri "$2" >"$scratch/answer" 2>&1 && return 0
    kill -0 "$3" 2>/dev/null || break
    sleep 0.2
  done
  tail -50 "$scratch/answer" "$4" >&2
  return 1
}

# Sets broker_pid and broker_uri.
start_leveret() { # program port
  rm -rf "$scratch/leveret"
  "$1" serve --listen "127.0.0.1:$2" --metrics-listen none \
    --data-dir "$scratch/leveret" 2>"$scratch/leveret.log" &
  broker_pid=$!
  broker_uri="amqp://guest:guest@127.0.0.1:$2/%2F"
  started+=("$broker_pid")
  await_broker "$1" "$broker_uri" "$broker_pid" "$scratch/leveret.log"
}

# Sets broker_pid and broker_uri. Takes the two ports after the given one as well.
start_rabbitmq() { # script port generator
  local folder=$scratch/rabbitmq
  mkdir -p "$folder"
  : >"$folder/enabled_plugins"
  : >"$folder/rabbitmq.conf"
  # A port mapper of its own, so that none is left behind.
  epmd -address 127.0.0.1 -port $(($2 + 2)) &
  started+=($!)
  env HOME="$folder" ERL_EPMD_PORT=$(($2 + 2)) \
    RABBITMQ_NODENAME="perf-$$@localhost" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 \
    RABBITMQ_NODE_PORT="$2" RABBITMQ_DIST_PORT=$(($2 + 1)) \
    RABBITMQ_MNESIA_BASE="$folder/mnesia" RABBITMQ_LOG_BASE="$folder/log" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$folder/enabled_plugins" \
    RABBITMQ_CONFIG_FILE="$folder/rabbitmq" RABBITMQ_LOGS=- \
    RABBITMQ_PID_FILE="$folder/pid" \
    "$1" >"$scratch/rabbitmq.log" 2>&1 &
  started+=($!)
  for _ in $(seq 600); do
    [[ -s $folder/pid ]] && break
    sleep 0.1
  done
  broker_pid=$(tr -d '[:space:]' <"$folder/pid")
  broker_uri="amqp://guest:guest@127.0.0.1:$2/%2F"
  started=("$broker_pid" "${started[@]}")
  await_broker "$3" "$broker_uri" "$broker_pid" "$scratch/rabbitmq.log"
}
