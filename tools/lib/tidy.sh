#!/usr/bin/env bash
# tidy: clang-tidy over the program and its tools, by build/compile_commands.json; .clang-tidy says
# which checks. Takes a minute or two on two cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! found=$(run-clang-tidy -quiet -p build "^$PWD/(host|bindings|tools)/" 2>/dev/null); then
  sed "s|$PWD/||" <<<"$found"
  exit 1
fi
