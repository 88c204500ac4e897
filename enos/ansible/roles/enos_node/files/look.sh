#!/bin/sh
# Prints a word for each thing found:
# missing      Docker, sudo or a Python module that kolla-ansible needs is not there
# loopback     /etc/hosts gives a name to 127.0.1.1 or 127.0.2.1
# openvswitch  kolla's Open vSwitch runs already
command -v docker >/dev/null && command -v sudo >/dev/null &&
    python3 -c 'import dbus, docker, requests' 2>/dev/null || echo missing
grep -Eq '^127\.0\.[12]\.1[[:space:]]' /etc/hosts && echo loopback
docker inspect openvswitch_vswitchd >/dev/null 2>&1 && echo openvswitch
exit 0
