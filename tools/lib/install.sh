# install: what the project needs on a Debian 12 machine; quick where all is there.
# shellcheck shell=bash
# shellcheck disable=SC2034 # those that include it use its variables

# To build, and to run with private servers.
RUN_PACKAGES="gcc libc6-dev cmake ninja-build pkg-config libluajit2-5.1-dev luajit2 librdkafka-dev libpq-dev
libhiredis-dev libcurl4-openssl-dev libssl-dev libxxhash-dev libedit-dev uuid-dev zlib1g-dev libsystemd-dev postgresql-15 postgresql-client-15
redis-server python3 util-linux"
# To test.
TEST_PACKAGES="git lua-busted lua-check lua-cjson clang-format clang-tidy cppcheck curl python3-pytest
python3-pytest-xdist python3-hypothesis python3-psycopg2 python3-redis python3-jsonschema
python3-confluent-kafka python3-yaml procps pgbouncer mandoc systemd fish zsh prometheus python3-pyflakes shellcheck
chromium chromium-driver python3-selenium fonts-dejavu-core"
KAFKA_JARS=.kafka
# For tools/crashtest, tools/soak, tools/bench and the load cases, beside what runs.
CRASHTEST_PACKAGES="python3-confluent-kafka python3-psycopg2 procps pgbouncer"
# For tools/bench http: the load, and what the program is compared with.
BENCH_HTTP_PACKAGES="wrk libcivetweb-dev nginx libnginx-mod-http-lua"
# For tools/bench peer: its JSON.
BENCH_PEER_PACKAGES=libjsmn-dev
BENCH_ROWS_PACKAGES=valgrind # counts instructions
# For tools/bench plot.
BENCH_PLOT_PACKAGES=python3-matplotlib
# For tools/bench flame: perf, and the script that draws (flamegraph.pl comes with it).
BENCH_FLAME_PACKAGES="linux-perf libdevel-nytprof-perl"
# For tools/fuzz, beside what builds.
FUZZ_PACKAGES="clang-14 libclang-rt-14-dev"
# For tools/package.
PACKAGE_PACKAGES="build-essential debhelper git lintian" # and Build-Depends of packaging/debian/control
# For tools/package --test.
MACHINE_PACKAGES="mmdebstrap systemd-container"
# For tools/package --image; podman for --test-image.
IMAGE_PACKAGES="mmdebstrap skopeo umoci"
# For tools/docs.
DOCS_PACKAGES="luajit2 lua-ldoc lua-discount"

# install_missing PACKAGE…
install_missing() {
  local missing sudo=""
  missing=$(comm -13 \
    <(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null |
      sed -n 's/^ii *//p' | sort -u) \
    <(printf '%s\n' "$@" | sort -u))
  [ -n "$missing" ] || return 0
  # shellcheck disable=SC2086
  echo "installing with apt:" $missing
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  $sudo apt-get update -q >/dev/null
  # shellcheck disable=SC2086
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    -o DPkg::Lock::Timeout=120 \
    $missing | show_packages
}

# Of the output of apt: how many packages it has set up; in a terminal on one line.
show_packages() {
  local in_terminal=0
  [ ! -t 1 ] || in_terminal=1
  awk -v terminal=$in_terminal '
    / newly installed, / { for (i = 1; i < NF; i++) if ($(i + 1) == "newly") all = $i }
    /^Setting up / {
      count++
      if (terminal) printf "\r\033[Kset up %d of %d packages: %s", count, all, $3
      else if (count % 20 == 0) print "set up " count " of " all " packages"
      fflush()
    }
    END { if (terminal && count) print "" }'
}

# A real Apache Kafka for the tests: its jars, by Maven, once for each pom.
fetch_kafka() {
  local pom=tools/lib/kafka/pom.xml attempt
  command -v java >/dev/null || install_missing openjdk-17-jre-headless
  cmp -s "$pom" "$KAFKA_JARS/pom.xml" && return 0
  command -v mvn >/dev/null || install_missing maven
  echo "fetching Apache Kafka's jars with Maven"
  for attempt in 1 2 3; do
    rm -rf "$KAFKA_JARS"
    if mvn -q -B -f "$pom" -Dmaven.repo.local="$PWD/.m2" dependency:copy-dependencies \
      -DoutputDirectory="$PWD/$KAFKA_JARS" && cp "$pom" "$KAFKA_JARS/pom.xml"; then
      rm -rf .m2
      return 0
    fi
    echo "attempt $attempt of 3 failed"
  done
  echo "Apache Kafka's jars could not be fetched: the tests that need them will fail." \
    "Maven's own settings say from where (~/.m2/settings.xml)."
}
