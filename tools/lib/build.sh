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
# Elsewhere a long build prints a line at each tenth of it.
ninja -C "$folder" "${targets[@]}" 2>&1 | tee "$log" | awk '
  match($0, /^\[[0-9]+\/[0-9]+\]/) {
    split(substr($0, 2, RLENGTH - 2), of, "/")
    tenth = int(10 * of[1] / of[2])
    if (of[2] >= 50 && tenth > shown) { print "built " of[1] " of " of[2] " files"; shown = tenth }
    fflush()
  }' || { tail -40 "$log"; exit 1; }
