"""What the machines can do, found out over SSH before anything is decided.

Containers, virtual machines and bare metal differ in what they let kolla-ansible do:
raise limits, load kernel modules, set sysctls, forward packets in the kernel.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enos.errors import CapabilityError
from enos.process import Shell
from enos.remote import on_each, run_on
from enos.testbed import Host, Testbed

SYS_RESOURCE = 24  # bit of CAP_SYS_RESOURCE, capabilities(7)

SCRIPT = """\
echo "capabilities=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)"
# A container whose kernel's modules are not there may have an empty list of them.
modules=no
test -r /proc/modules && test -s "/lib/modules/$(uname -r)/modules.dep" && modules=yes
echo "modules=$modules"
neighbours=/proc/sys/net/ipv4/neigh/default/gc_thresh1
echo "sysctl=$(test -e $neighbours && echo yes || echo no)"
openvswitch=no
test -d /sys/module/openvswitch && openvswitch=yes
test "$modules" = yes && modprobe -q openvswitch && openvswitch=yes
echo "openvswitch=$openvswitch"
# Whether bridged packets meet iptables: 1 once br_netfilter is there; kolla loads it.
# Tunnels that are laid stay as they are: `enos.kolla.tunnels` names their bridges.
if test -e /sys/class/net/br-phy; then bridged=
elif test -e /sys/class/net/br-wired; then bridged=1
else bridged=$(cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null)
fi
echo "bridged=$bridged"
# A processor of x86 that may run guests says so; without, /dev/kvm fails them later.
kvm=no
test -c /dev/kvm && (: </dev/kvm) 2>/dev/null && kvm=yes
grep -q '^flags' /proc/cpuinfo && ! grep -qwE 'vmx|svm' /proc/cpuinfo && kvm=no
echo "kvm=$kvm"
echo "cpus=$(nproc)"
needed='import sys, importlib.util as u
sys.exit(not all(u.find_spec(name) for name in ("dbus", "docker", "requests")))'
echo "docker=$(python3 -c "$needed" && command -v docker || true)"
# RabbitMQ goes by the machines' own names, which must lead to each other.
named=no
for name in "$@"; do test "$name" != "$(uname -n)" || named=yes; done
for name in "$@"; do
    case $(getent ahostsv4 "$name") in '' | 127.*) named=no && break ;; esac
done
echo "named=$named"
echo "container=$(systemd-detect-virt -qc && echo yes || echo no)"
. /etc/os-release
echo "distribution=$ID $VERSION_ID"
echo "kernel=$(uname -r)"
"""
"""POSIX shell, run as root on each machine with the names of all machines; its output
is what `read` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What one machine can do.

    Attributes:
        limits: rlimits can be raised (CAP_SYS_RESOURCE is there).
        modules: the kernel has loadable modules.
        sysctl: the neighbour table's sysctls exist, as in a host's own namespace.
        openvswitch: the kernel has Open vSwitch's datapath.
        bridged: what a bridge of the kernel forwards meets iptables (br_netfilter),
            or did when tunnels were laid that are there.
        kvm: /dev/kvm can be opened, and the processor runs guests.
        container: the machine is a container on another one.
        docker: Docker and the Python modules kolla-ansible uses are installed.
        named: its own name is that of the experiment, and all names lead to a network.

    """

    limits: bool
    modules: bool
    sysctl: bool
    openvswitch: bool
    kvm: bool
    bridged: bool = False
    container: bool = False
    cpus: int = 1
    docker: bool = False
    named: bool = False
    distribution: str = ""
    kernel: str = ""


def probe(
    testbed: Testbed, shell: Shell, *, sockets: Path | None = None
) -> dict[str, Node]:
    """Return what each machine can do; raises ProcessError when one is unreachable."""
    argv = ("sh", "-s", "--", *(host.name for host in testbed.hosts))

    def ask(host: Host) -> Node:
        done = run_on(shell, host, argv, stdin=SCRIPT, sockets=sockets)
        return read(done.stdout)

    return on_each(testbed.hosts, ask)


def read(output: str) -> Node:
    """Return what the output of `SCRIPT` says."""
    pairs = (line.partition("=") for line in output.splitlines() if "=" in line)
    facts = {key: value for key, _, value in pairs}
    capabilities = int(facts.get("capabilities") or "0", 16)
    return Node(
        limits=bool(capabilities >> SYS_RESOURCE & 1),
        modules=facts.get("modules") == "yes",
        sysctl=facts.get("sysctl") == "yes",
        openvswitch=facts.get("openvswitch") == "yes",
        kvm=facts.get("kvm") == "yes",
        bridged=facts.get("bridged") == "1",
        container=facts.get("container") == "yes",
        cpus=int(facts.get("cpus") or 1),
        docker=bool(facts.get("docker")),
        named=facts.get("named") == "yes",
        distribution=facts.get("distribution", ""),
        kernel=facts.get("kernel", ""),
    )


def require_kvm(
    values: Mapping[str, Any], computes: Iterable[str], nodes: Mapping[str, Node]
) -> None:
    """Raise CapabilityError where guests are to run on KVM and a compute has none."""
    if values.get("nova_compute_virt_type") != "kvm":
        return
    without = [name for name in computes if not nodes[name].kvm]
    if without:
        raise CapabilityError(
            f"guests cannot run on KVM: {', '.join(without)} cannot open /dev/kvm, or"
            " have a processor that runs no guests",
            hint="set `virt: qemu`, or switch virtualisation on in the machine's"
            " firmware or its hypervisor",
        )
