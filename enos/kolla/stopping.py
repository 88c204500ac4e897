"""What kolla-ansible's `destroy` does not do: before it, and after.

Before it, guests and services are ended on every host at once.

kolla-ansible's `destroy` refuses to work while a guest runs, and stops one container
after the other, each for as long as its service takes to end. What it cleans with Open
vSwitch's help is left to it: those containers go on until then.
"""

from collections.abc import Sequence
from pathlib import Path

from enos.kolla.tunnels import TUNNEL_BRIDGE, WIRE, WIRED
from enos.process import Shell
from enos.progress import Progress
from enos.remote import on_each, run_on
from enos.testbed import Testbed

MARK = "enos: "
SCRIPT = """\
engine=$1
if "$engine" exec nova_libvirt true 2>/dev/null; then
    guests=$("$engine" exec nova_libvirt virsh list --name) ||
        echo "enos: guests cannot be listed" >&2
    for guest in $guests; do # libvirt's names have no spaces: instance-0000002a
        "$engine" exec nova_libvirt virsh destroy "$guest" </dev/null >/dev/null ||
            echo "enos: guest $guest does not end" >&2
    done
fi
units=$(systemctl list-units --plain --no-legend 'kolla-*-container.service' |
    awk '{ print $1 }' | grep -Ev 'openvswitch|nova_libvirt' || true)
# One command: systemd stops them side by side.
test -z "$units" || systemctl stop $units || true # what is left, kolla-ansible ends
"""
"""POSIX shell, run as root; takes the container engine. What fails is on stderr."""

UNWIRE = """\
set -e
wire=$1
shift
unit=/etc/systemd/system/enos-bridges.service
if test -e $unit; then
    systemctl --quiet disable --now enos-bridges
    rm -f $unit /usr/local/sbin/enos-bridges
    systemctl daemon-reload
fi
for bridge; do # a TAP device of the switch outlives it; what is no TAP is not its
    test ! -e "/sys/class/net/$bridge/tun_flags" || ip link delete "$bridge"
done
test -e "/sys/class/net/$wire" || exit 0
for tables in iptables ip6tables; do
    command -v $tables >/dev/null || continue
    $tables -w -D FORWARD -i "$wire" -o "$wire" -j ACCEPT || true # not there any more
done
# It may have been laid half-way only.
test ! -e "/sys/class/net/$wire-0" || ip link delete "$wire-0"
ip link delete "$wire"
"""
"""POSIX shell, run as root; takes the name of the bridge `bridges.sh` made and those of
the switch's. Takes away its unit, too."""

SWITCHES = ("ovs-netdev", "br-int", "br-tun")
"""Open vSwitch's devices in user space: its datapath's, and Neutron's bridges."""


def stop(
    testbed: Testbed, engine: str, shell: Shell, progress: Progress, sockets: Path
) -> None:
    """End all guests, then all services but those of Open vSwitch and libvirt.

    Harmless when nothing runs. Raises ProcessError when a host is unreachable; warns of
    guests that go on, since kolla-ansible will refuse to work then.
    """
    argv = ("sh", "-s", "--", engine)
    with progress.step("stopping guests and services") as step:
        step.awaiting(", ".join(host.name for host in testbed.hosts))
        done = on_each(
            testbed.hosts,
            lambda host: run_on(shell, host, argv, stdin=SCRIPT, sockets=sockets),
        )
    for host, one in done.items():
        for line in one.stderr.splitlines():
            if line.startswith(MARK):
                progress.warn(f"{host}: {line.removeprefix(MARK)}")


def unwire(
    testbed: Testbed, shell: Shell, sockets: Path, *, external: Sequence[str] = ()
) -> None:
    """Take away what is left of Open vSwitch in user space, when it has ended.

    That is its devices and the bridge before it. Harmless where there is none.

    Args:
        testbed: the hosts.
        shell: reaches them.
        sockets: as `enos.remote` has it.
        external: names of Neutron's external bridges.

    Raises:
        ProcessError: a host is unreachable.

    """
    bridges = (*SWITCHES, TUNNEL_BRIDGE, WIRED, *external)
    argv = ("sh", "-s", "--", WIRE, *bridges)
    on_each(
        testbed.hosts,
        lambda host: run_on(shell, host, argv, stdin=UNWIRE, sockets=sockets),
    )
