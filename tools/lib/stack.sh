# stack: private servers under one folder, on free loopback ports, ended by their process ids.
# shellcheck shell=bash

POSTGRES_BIN=/usr/lib/postgresql/15/bin
STACK_PIDS=()

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# wait_until SECONDS COMMAND…: polls a condition.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "gave up waiting for: $*" >&2; return 1; }
    read -rt 0.1 <> <(:) || true
  done
}

# initdb and postgres refuse to run as root.
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

# start_postgres FOLDER PORT
start_postgres() {
  if [ ! -d "$1/pg" ]; then
    mkdir -p "$1"
    local data
    data=$(mktemp -d "${TMPDIR:-/tmp}/aggregator-pg.XXXXXX")
    [ "$(id -u)" -eq 0 ] && chown postgres "$data"
    as_postgres "$POSTGRES_BIN/initdb" -D "$data" -A trust -U ras >"$1/initdb.log"
    ln -sfn "$data" "$1/pg"
  fi
  local data
  data=$(readlink -f "$1/pg")
  as_postgres "$POSTGRES_BIN/postgres" -D "$data" -p "$2" -k "$data" -c listen_addresses=127.0.0.1 \
    >"$1/postgres.log" 2>&1 &
  STACK_PIDS+=($!)
  wait_until 30 "$POSTGRES_BIN/pg_isready" -q -h 127.0.0.1 -p "$2" -U ras -d postgres
}

# start_redis FOLDER PORT
start_redis() {
  redis-server --port "$2" --bind 127.0.0.1 --save "" --dir "$1" >"$1/redis.log" 2>&1 &
  STACK_PIDS+=($!)
  wait_until 10 redis-cli -p "$2" ping
}

stop_stack() {
  local pid
  for pid in "${STACK_PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${STACK_PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
  STACK_PIDS=()
}
