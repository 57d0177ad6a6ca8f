#!/bin/sh
# image: installs the package of a folder into the root of an image: packaging/Containerfile, tools/package.
#
#     packaging/image.sh FOLDER
set -eu
# A number, because Kubernetes refuses a name where runAsNonRoot is set.
groupadd --system --gid 10001 aggregator
useradd --system --uid 10001 --gid aggregator --no-create-home --home-dir /var/lib/aggregator \
    --shell /usr/sbin/nologin aggregator
apt-get update -q
# The first one instead of systemd, which the package would bring for its user.
apt-get install -y -q --no-install-recommends systemd-standalone-sysusers ca-certificates "$1"/aggregator_*.deb
install -d -o aggregator -g aggregator -m 0700 /run/aggregator /var/lib/aggregator
apt-get clean
rm -rf /var/lib/apt/lists/*
