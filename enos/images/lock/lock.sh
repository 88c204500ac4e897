#!/bin/sh
# Resolve the Python packages of one release's images anew: lock/lock.sh 2026.1
#
# Releases of the libraries that came out after the OpenStack release are left out,
# as its own upper constraints do; those of the projects themselves are taken, since
# they are bug fixes of the same series. `ovs` comes from Debian (python3-openvswitch),
# which matches the installed Open vSwitch.
set -eu
cd "$(dirname "$0")/$1"
eval "$(sed -n 's/^# lock: //p' services.in)" # python=, until=
only() { for name in "$@"; do printf ' --exclude-newer-package %s=2100-01-01' "$name"; done; }
printf "%s ; sys_platform == 'never'\n" ovs numpy >overrides.tmp
trap 'rm -f overrides.tmp' EXIT
for set in services toolbox; do
  # shellcheck disable=SC2046
  uv pip compile --quiet --generate-hashes --no-annotate --no-header \
    --python-version "$python" --python-platform x86_64-manylinux_2_36 \
    --override overrides.tmp --exclude-newer "$until" \
    $(only keystone glance openstack-placement nova neutron openstack-heat) \
    "$set.in" --output-file "$set.txt" --upgrade
done
