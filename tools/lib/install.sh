# install: the Debian packages that the project needs; quick where all are there.
# shellcheck shell=bash

PACKAGES="gcc cmake ninja-build pkg-config libluajit2-5.1-dev luajit2 librdkafka-dev libpq-dev
libhiredis-dev libcivetweb-dev libcurl4-openssl-dev libxxhash-dev lua-cjson postgresql-15
redis-server lua-busted lua-check clang-format clang-tidy cppcheck curl jq python3
clang-14 libclang-rt-14-dev"
# What tools/fuzz needs of them besides the compiler's own.
FUZZ_PACKAGES="clang-14 libclang-rt-14-dev"

install_missing() {
  local missing=()
  for package in $PACKAGES; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" ||
      missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "installing: ${missing[*]}"
  local sudo=""
  [ "$(id -u)" -eq 0 ] || sudo="sudo"
  # Debian starts servers that it installs: ours are private, those must not come up.
  $sudo apt-get update -q >/dev/null
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    "${missing[@]}" >/dev/null
}
