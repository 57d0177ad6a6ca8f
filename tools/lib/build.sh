#!/usr/bin/env bash
# build: configures and builds into FOLDER; says no more than needed.
#
#     [TARGETS="aggregator …"] tools/lib/build.sh FOLDER [CMAKE OPTION…]
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$1
shift
mkdir -p "$folder"
log=$folder/build.log
cmake -S . -B "$folder" -G Ninja "$@" >"$log" 2>&1 || { tail -40 "$log"; exit 1; }
read -ra targets <<<"${TARGETS:-all}"
# In a terminal ninja shows its progress on one line.
if [ -t 1 ]; then
  exec ninja -C "$folder" "${targets[@]}"
fi
ninja -C "$folder" "${targets[@]}" >"$log" 2>&1 || { tail -40 "$log"; exit 1; }
