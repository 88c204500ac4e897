"""What `enos doctor` says about this machine as a testbed."""

import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

from enos.errors import CapabilityError, ProcessError
from enos.process import Shell
from enos.provider import KVM, Check
from enos_local import engine, facts, image

DISK = 15  # GB: the images of one OpenStack release and what three nodes write
# GB, as the README says: the demo's three nodes take 7.5 (docker stats, 2 cores), its
# guests, enos and the page cache of their images share the rest.
MEMORY = 12
CORES = 2
QUAY = "https://quay.io/v2/"
# Tried where nothing of the host's own network can change.
NETEM = ("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
QUEUE = (
    *("iptables", "-t", "mangle", "-A", "PREROUTING"),
    *("-j", "NFQUEUE", "--queue-num", "1", "--queue-bypass"),
)


def checks(shell: Shell, cache: Path, root: Path = Path("/")) -> tuple[Check, ...]:
    """Return one line per capability the provider `local` uses."""
    return (
        docker_check(shell, engine.this_machine()),
        programs_check(engine.missing_programs()),
        capability_check(facts.missing_capabilities(root)),
        cgroup_check(root),
        modules_check(root, platform.release()),
        netem_check(shell),
        queue_check(shell),
        kvm_check(root),
        registry_check(answers=image.registry_answers(QUAY)),
        disk_check(cache),
        memory_check(root),
        cores_check(os.cpu_count() or 1),
    )


def docker_check(shell: Shell, machine: engine.Machine) -> Check:
    """Tell whether Docker answers; root on Debian gets it installed and started."""
    answer = engine.ask(shell)
    version = answer.stdout.strip() if answer else ""
    if answer and answer.ok:
        return Check(name="Docker", ok=True, found=f"version {version}")
    if machine.root and (answer or machine.debian):
        what = "is not running" if answer else "is not installed"
        found = f"{what}: enos does it by itself at the first use"
        return Check(name="Docker", ok=False, found=found, required=False)
    if answer is None:
        found, fix = "not installed", "sudo apt-get install docker.io"
    elif "permission denied" in answer.stderr.lower():
        found, fix = "this account may not use it", engine.ADD_TO_GROUP
    else:
        found, fix = "not running", "sudo systemctl start docker"
    return Check(name="Docker", ok=False, found=found, fix=fix)


def programs_check(missing: Mapping[str, str]) -> Check:
    """Tell whether the small programs are there; root on Debian gets them installed."""
    if not missing:
        return Check(name="programs", ok=True, found="ssh, ssh-keygen, ip")
    fix = f"sudo apt-get install {' '.join(sorted(set(missing.values())))}"
    found = f"not installed: {', '.join(missing)}"
    return Check(name="programs", ok=False, found=found, fix=fix)


def capability_check(missing: tuple[str, ...]) -> Check:
    """Tell whether a container can be a machine."""
    if not missing:
        return Check(name="capabilities", ok=True, found="all: nodes are privileged")
    names = ", ".join(missing)
    if facts.NEEDED.isdisjoint(missing):
        found = f"all but {names}: nodes do without"
        return Check(name="capabilities", ok=False, found=found, required=False)
    fix = "run enos on a machine or virtual machine of your own"
    return Check(name="capabilities", ok=False, found=f"lacks {names}", fix=fix)


def cgroup_check(root: Path) -> Check:
    """Tell which control groups there are."""
    if (root / "sys/fs/cgroup/cgroup.controllers").exists():
        return Check(name="control groups", ok=True, found="version 2")
    known = (root / "proc/filesystems").read_text(encoding="ascii")
    if "cgroup2" in known:
        found = "version 1: nodes get a version 2 tree without limits"
        return Check(name="control groups", ok=False, found=found, required=False)
    fix = "boot with systemd.unified_cgroup_hierarchy=1 or a newer kernel"
    return Check(name="control groups", ok=False, found="version 1 only", fix=fix)


def modules_check(root: Path, release: str) -> Check:
    """Tell whether nodes can use kernel modules."""
    if facts.loadable_modules(root, release):
        found = f"of {release}, loadable"
        return Check(name="kernel modules", ok=True, found=found)
    found = f"{release} loads none: Open vSwitch runs in user space"
    return Check(name="kernel modules", ok=False, found=found, required=False)


def netem_check(shell: Shell) -> Check:
    """Tell whether the kernel delays packets itself."""
    if _in_namespace(shell, NETEM):
        return Check(name="netem", ok=True, found="sch_netem")
    return Check(
        name="netem",
        ok=False,
        found="no sch_netem here: delay and loss in user space",
        fix="sudo modprobe sch_netem",
        required=False,
    )


def queue_check(shell: Shell) -> Check:
    """Tell whether user space can hold packets, the way round a missing netem."""
    if _in_namespace(shell, QUEUE):
        return Check(name="NFQUEUE", ok=True, found="usable")
    found = "not usable here: delay needs netem"
    fix = "sudo modprobe nfnetlink_queue xt_NFQUEUE"
    return Check(name="NFQUEUE", ok=False, found=found, fix=fix, required=False)


def kvm_check(root: Path) -> Check:
    """Tell whether guests can run at full speed."""
    device = root / "dev/kvm"
    if facts.kvm_answers(root):
        return Check(name=KVM, ok=True, found=str(device))
    why = f"{device} runs none" if device.exists() else f"no {device}"
    found = f"{why}: guests run in emulation"
    fix = "sudo modprobe kvm_intel or kvm_amd; nested virtualisation in a VM"
    return Check(name=KVM, ok=False, found=found, fix=fix, required=False)


def registry_check(*, answers: bool) -> Check:
    """Tell whether Kolla's own images can be had."""
    if answers:
        return Check(name="quay.io", ok=True, found="answers: Kolla's own images")
    found = "does not answer: images are built here"
    return Check(name="quay.io", ok=False, found=found, required=False)


def disk_check(cache: Path) -> Check:
    """Tell whether images and nodes have room on the cache's file system."""
    there = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(there).free / 1e9
    found = f"{free:.0f} GB free at {there}"
    fix = f"free {DISK} GB, or set XDG_CACHE_HOME to a folder with room"
    return Check(name="disk", ok=free >= DISK, found=found, fix=fix)


def memory_check(root: Path) -> Check:
    """Tell whether the control plane fits."""
    lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
    total = next(int(line.split()[1]) for line in lines if line.startswith("MemTotal"))
    size = total / 1e6
    found = f"{size:.1f} GB"
    fix = f"use a machine with at least {MEMORY} GB"
    # A machine sold as 12 GB shows a little less to its kernel.
    return Check(name="memory", ok=size >= MEMORY * 0.93, found=found, fix=fix)


def cores_check(cores: int) -> Check:
    """Tell whether a deployment ends in reasonable time."""
    found = f"{cores}"
    return Check(
        name="cores",
        ok=cores >= CORES,
        found=found,
        fix=f"expect long deployments with fewer than {CORES}",
        required=False,
    )


def _in_namespace(shell: Shell, command: tuple[str, ...]) -> bool:
    own = () if os.geteuid() == 0 else ("--map-root-user", "--user")
    try:
        return shell.run(["unshare", *own, "--net", *command], check=False).ok
    except (CapabilityError, ProcessError):
        return False
