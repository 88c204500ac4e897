"""What the machines can do, found out over SSH before anything is decided.

Containers, virtual machines and bare metal differ in what they let kolla-ansible do:
raise limits, load kernel modules, set sysctls, forward packets in the kernel.
"""

from dataclasses import dataclass
from pathlib import Path

from enos.process import Shell
from enos.remote import on_each, run_on
from enos.testbed import Host, Testbed

SYS_RESOURCE = 24  # bit of CAP_SYS_RESOURCE, capabilities(7)

SCRIPT = """\
echo "capabilities=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)"
echo "modules=$(test -r /proc/modules && echo yes || echo no)"
neighbours=/proc/sys/net/ipv4/neigh/default/gc_thresh1
echo "sysctl=$(test -e $neighbours && echo yes || echo no)"
openvswitch=no
test -d /sys/module/openvswitch && openvswitch=yes
test -r /proc/modules && modprobe -q openvswitch && openvswitch=yes
echo "openvswitch=$openvswitch"
echo "kvm=$(test -c /dev/kvm && (: </dev/kvm) 2>/dev/null && echo yes || echo no)"
echo "cpus=$(nproc)"
echo "docker=$(command -v docker || true)"
echo "container=$(systemd-detect-virt -qc && echo yes || echo no)"
. /etc/os-release
echo "distribution=$ID $VERSION_ID"
echo "kernel=$(uname -r)"
"""
"""POSIX shell, run as root on each machine; its output is what `read` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What one machine can do.

    Attributes:
        limits: rlimits can be raised (CAP_SYS_RESOURCE is there).
        modules: the kernel has loadable modules.
        sysctl: the neighbour table's sysctls exist, as in a host's own namespace.
        openvswitch: the kernel has Open vSwitch's datapath.
        kvm: /dev/kvm can be opened.
        container: the machine is a container on another one.

    """

    limits: bool
    modules: bool
    sysctl: bool
    openvswitch: bool
    kvm: bool
    container: bool = False
    cpus: int = 1
    docker: bool = False
    distribution: str = ""
    kernel: str = ""


def probe(
    testbed: Testbed, shell: Shell, *, sockets: Path | None = None
) -> dict[str, Node]:
    """Return what each machine can do; raises ProcessError when one is unreachable."""

    def ask(host: Host) -> Node:
        done = run_on(shell, host, ("sh", "-s"), stdin=SCRIPT, sockets=sockets)
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
        container=facts.get("container") == "yes",
        cpus=int(facts.get("cpus") or 1),
        docker=bool(facts.get("docker")),
        distribution=facts.get("distribution", ""),
        kernel=facts.get("kernel", ""),
    )
