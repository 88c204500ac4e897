"""What this machine can do, and the flags that make a container a machine on it."""

import fcntl
import json
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enos.errors import CapabilityError
from enos.process import Shell

# capabilities(7), by number.
CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL"),
    *("SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE"),
    *("NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE"),
    *("SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT"),
    *("SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE"),
    *("AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG"),
    *("WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
    "CHECKPOINT_RESTORE",
)
DEVICES = ("/dev/net/tun", "/dev/fuse", "/dev/kvm", "/dev/vhost-net")
KVM_CREATE_VM = 0xAE01  # linux/kvm.h
# Without these a node cannot mount, route or run containers of its own.
NEEDED = frozenset({"SYS_ADMIN", "NET_ADMIN", "NET_RAW", "MKNOD", "SYS_CHROOT"})
# What Kolla and Docker ask modprobe for; on a kernel that loads nothing they are
# either built in or done without (Open vSwitch then runs in user space).
BUILTIN = ("openvswitch", "ip_vs", "br_netfilter", "iptable_filter", "8021q")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """This machine and its Docker.

    Attributes:
        kernel: its release, e.g. ``6.1.0-18-amd64``.
        missing_capabilities: what even root lacks here, without ``CAP_``.
        cgroup: version of the control groups Docker uses, 1 or 2.
        loadable_modules: True when the kernel can load modules from /lib/modules.
        devices: those of DEVICES that exist.
        kvm: True when guests can run on the processor itself.
        limits: resources cgroups can limit inside a container: ``cpu``, ``memory``.
        rootless: True when Docker runs without root.
        remapped: True when Docker maps container root to another user.

    """

    kernel: str
    missing_capabilities: tuple[str, ...]
    cgroup: int
    loadable_modules: bool
    devices: tuple[str, ...]
    kvm: bool
    limits: tuple[str, ...]
    docker_version: str
    storage_driver: str = ""
    rootless: bool = False
    remapped: bool = False


def probe(shell: Shell, *, root: Path = Path("/"), kernel: str = "") -> MachineFacts:
    """Return the facts about this machine; needs a Docker that answers."""
    release = kernel or platform.release()
    done = shell.run(["docker", "info", "--format", "{{json .}}"])
    info: dict[str, Any] = json.loads(done.stdout)
    options = " ".join(info.get("SecurityOptions") or ())
    limits = {"cpu": info.get("CpuCfsQuota"), "memory": info.get("MemoryLimit")}
    return MachineFacts(
        kernel=release,
        missing_capabilities=missing_capabilities(root),
        cgroup=int(info.get("CgroupVersion") or 1),
        loadable_modules=loadable_modules(root, release),
        devices=tuple(d for d in DEVICES if (root / d.lstrip("/")).exists()),
        kvm=kvm_answers(root),
        limits=tuple(name for name, able in limits.items() if able),
        docker_version=str(info.get("ServerVersion", "")),
        storage_driver=str(info.get("Driver", "")),
        rootless="name=rootless" in options,
        remapped="name=userns" in options,
    )


def missing_capabilities(root: Path = Path("/")) -> tuple[str, ...]:
    """Return the capabilities the kernel knows but no process here can get."""
    status = (root / "proc/self/status").read_text(encoding="ascii", errors="replace")
    bounding = next(
        int(line.split()[1], 16)
        for line in status.splitlines()
        if line.startswith("CapBnd:")
    )
    last = int((root / "proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    known = enumerate(CAPABILITIES[: last + 1])
    return tuple(name for number, name in known if not bounding >> number & 1)


def loadable_modules(root: Path, release: str) -> bool:
    """Tell whether the running kernel can load modules of its own."""
    return (root / "proc/modules").exists() and (
        root / "lib/modules" / release / "modules.dep"
    ).exists()


def kvm_answers(root: Path) -> bool:
    """Tell whether guests can run on the processor, not only that /dev/kvm is there.

    In a virtual machine without nesting the device may exist and refuse, or make a
    virtual machine that no kernel comes up in: then the processor of x86 tells of no
    virtualisation. A device this account may not open counts: Docker gives it to the
    nodes.
    """
    if not virtualises((root / "proc/cpuinfo").read_text(encoding="utf-8")):
        return False
    try:
        opened = os.open(root / "dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        return True
    except OSError:
        return False
    try:
        os.close(fcntl.ioctl(opened, KVM_CREATE_VM, 0))
    except OSError:
        return False
    finally:
        os.close(opened)
    return True


def virtualises(cpuinfo: str) -> bool:
    """Tell whether a processor may run guests: one of x86 says so in its flags.

    >>> virtualises("flags : fpu svm"), virtualises("flags : fpu"), virtualises("")
    (True, False, True)
    """
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)
    return flags is None or not {"vmx", "svm"}.isdisjoint(flags[1].split())


def node_flags(facts: MachineFacts) -> tuple[str, ...]:
    """Return the `docker create` flags under which systemd and Docker run inside.

    `--privileged` asks for every capability the kernel knows and fails where one is
    missing; there the same is asked for piece by piece.
    """
    return (
        *(_piecewise(facts) if facts.missing_capabilities else ("--privileged",)),
        *(("--userns=host",) if facts.remapped else ()),
        "--cgroupns=private",
        *("--tmpfs", "/run:exec,mode=755"),
        *("--tmpfs", "/tmp:exec,mode=1777"),  # noqa: S108 - the container's own
        *(
            ("--volume", "/lib/modules:/lib/modules:ro")
            if facts.loadable_modules
            else ("--env", "ENOS_BUILTIN=" + " ".join(BUILTIN))
        ),
        *(() if facts.kvm else ("--env", "ENOS_WITHOUT=/dev/kvm")),
    )


def require(facts: MachineFacts) -> None:
    """Raise CapabilityError where no node could ever run."""
    if facts.rootless:
        message = "Docker runs without root, which cannot hold machines"
        hint = "use the system's Docker: `docker context use default`"
        raise CapabilityError(message, hint=hint)
    lacking = sorted(NEEDED.intersection(facts.missing_capabilities))
    if lacking:
        message = f"this machine lacks the capabilities {', '.join(lacking)}"
        hint = "run enos on a machine or virtual machine of your own"
        raise CapabilityError(message, hint=hint)


def limit_flags(
    facts: MachineFacts, *, cpus: float | None, memory: str | None
) -> tuple[str, ...]:
    """Return the flags for the limits the settings ask for.

    Raises CapabilityError for a limit this machine's cgroups cannot keep.
    """
    for name, asked in (("cpu", cpus), ("memory", memory)):
        if asked and name not in facts.limits:
            message = f"the control groups of this machine cannot limit {name}"
            hint = f"remove the {name} limit from the provider's settings"
            raise CapabilityError(message, hint=hint)
    return (
        *((f"--cpus={cpus:g}",) if cpus else ()),
        *((f"--memory={memory}",) if memory else ()),
    )


def _piecewise(facts: MachineFacts) -> tuple[str, ...]:
    drops = (("--cap-drop", name) for name in facts.missing_capabilities)
    devices = (("--device", device) for device in facts.devices)
    options = ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")
    return (
        *("--cap-add", "ALL"),
        *(word for drop in drops for word in drop),
        *(word for option in options for word in ("--security-opt", option)),
        *("--security-opt", "label=disable"),
        *("--device-cgroup-rule", "a *:* rwm"),
        *(word for device in devices for word in device),
    )


def recorded(facts: MachineFacts) -> dict[str, str]:
    """Return the facts as they are kept with the results."""
    lacks = ",".join(facts.missing_capabilities)
    return {
        "kernel": facts.kernel,
        "cgroup": str(facts.cgroup),
        "loadable_modules": _word("/lib/modules" if facts.loadable_modules else ""),
        "cap_sys_resource": _word("SYS_RESOURCE" not in facts.missing_capabilities),
        "missing_capabilities": lacks,
        "kvm": _word(facts.kvm),
        "docker_version": facts.docker_version,
        "privileged": _word(not facts.missing_capabilities),
    }


def _word(value: object) -> str:
    return "yes" if value else "no"
