#!/bin/sh
# Usage: look.sh PYTHON. Prints a word for each thing found:
# no-docker, no-sudo, no-dbus, no-requests, no-docker-module
#              what kolla-ansible needs is not there: Docker itself, sudo, a module of
#              the Python that Ansible uses
# loopback     /etc/hosts gives a name to 127.0.1.1 or 127.0.2.1
# openvswitch  kolla's Open vSwitch runs already
python=$1
# Podman answers to the name `docker` where podman-docker is installed.
docker --version 2>/dev/null | grep -qiv podman || echo no-docker
command -v sudo >/dev/null || echo no-sudo
"$python" -c 'import docker' 2>/dev/null || echo no-docker-module
for module in dbus requests; do
    "$python" -c "import $module" 2>/dev/null || echo "no-$module"
done
grep -Eq '^127\.0\.[12]\.1[[:space:]]' /etc/hosts && echo loopback
docker inspect openvswitch_vswitchd >/dev/null 2>&1 && echo openvswitch
exit 0
