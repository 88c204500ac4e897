import json
from dataclasses import replace
from pathlib import Path

import pytest
from enos_local import facts
from enos_local.facts import MachineFacts

from enos.errors import CapabilityError
from enos.testing import RecordingShell

FULL = (1 << 41) - 1
WHOLE = MachineFacts(
    kernel="6.1.0-18-amd64",
    missing_capabilities=(),
    cgroup=2,
    loadable_modules=True,
    devices=("/dev/net/tun", "/dev/fuse", "/dev/kvm"),
    kvm=True,
    limits=("cpu", "memory"),
    docker_version="26.1.5",
)
BARE = replace(
    WHOLE,
    missing_capabilities=("SYS_RESOURCE",),
    cgroup=1,
    loadable_modules=False,
    devices=("/dev/net/tun",),
    kvm=False,
    limits=(),
)


def machine(root: Path, *, bounding: int, last: int = 40, modules: str = "") -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/status").write_text(f"Name:\tx\nCapBnd:\t{bounding:016x}\n")
    (root / "proc/cpuinfo").write_text("processor\t: 0\n")
    (root / "proc/sys/kernel").mkdir(parents=True)
    (root / "proc/sys/kernel/cap_last_cap").write_text(f"{last}\n")
    if modules:
        (root / "proc/modules").write_text("")
        (root / "lib/modules" / modules).mkdir(parents=True)
        (root / "lib/modules" / modules / "modules.dep").write_text("")
    return root


def test_a_full_bounding_set_misses_nothing(tmp_path: Path) -> None:
    assert facts.missing_capabilities(machine(tmp_path, bounding=FULL)) == ()


def test_a_missing_bit_is_named(tmp_path: Path) -> None:
    root = machine(tmp_path, bounding=FULL & ~(1 << 24) & ~(1 << 16))
    assert facts.missing_capabilities(root) == ("SYS_MODULE", "SYS_RESOURCE")


def test_capabilities_the_kernel_does_not_know_are_not_missing(tmp_path: Path) -> None:
    root = machine(tmp_path, bounding=(1 << 38) - 1, last=37)
    assert facts.missing_capabilities(root) == ()


def test_there_is_a_name_for_every_capability_of_linux() -> None:
    assert len(facts.CAPABILITIES) == 41
    assert facts.CAPABILITIES[21] == "SYS_ADMIN"
    assert facts.CAPABILITIES[40] == "CHECKPOINT_RESTORE"


@pytest.mark.parametrize(("installed", "loadable"), [("6.1", True), ("6.2", False)])
def test_modules_count_only_for_the_running_kernel(
    tmp_path: Path, *, installed: str, loadable: bool
) -> None:
    root = machine(tmp_path, bounding=FULL, modules=installed)
    assert facts.loadable_modules(root, "6.1") is loadable


def test_probing_reads_what_docker_says_of_itself(tmp_path: Path) -> None:
    info = {
        "ServerVersion": "20.10.24",
        "CgroupVersion": "1",
        "Driver": "overlay2",
        "SecurityOptions": ["name=seccomp,profile=default", "name=rootless"],
        "CpuCfsQuota": False,
        "MemoryLimit": True,
    }
    shell = RecordingShell()
    shell.on("docker info *", stdout=json.dumps(info))
    root = machine(tmp_path, bounding=FULL & ~(1 << 24))
    (root / "dev/net").mkdir(parents=True)
    (root / "dev/net/tun").touch()
    assert facts.probe(shell, root=root, kernel="6.1") == MachineFacts(
        kernel="6.1",
        missing_capabilities=("SYS_RESOURCE",),
        cgroup=1,
        loadable_modules=False,
        devices=("/dev/net/tun",),
        kvm=False,
        limits=("memory",),
        docker_version="20.10.24",
        storage_driver="overlay2",
        rootless=True,
    )


def test_a_whole_machine_runs_privileged_nodes_with_its_modules() -> None:
    assert facts.node_flags(WHOLE) == (
        "--privileged",
        "--cgroupns=private",
        *("--tmpfs", "/run:exec,mode=755", "--tmpfs", "/tmp:exec,mode=1777"),
        *("--volume", "/lib/modules:/lib/modules:ro"),
    )


def test_where_a_capability_is_missing_the_others_are_asked_for_one_by_one() -> None:
    assert facts.node_flags(BARE) == (
        *("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"),
        *("--security-opt", "seccomp=unconfined"),
        *("--security-opt", "apparmor=unconfined"),
        *("--security-opt", "systempaths=unconfined"),
        *("--security-opt", "label=disable"),
        *("--device-cgroup-rule", "a *:* rwm", "--device", "/dev/net/tun"),
        "--cgroupns=private",
        *("--tmpfs", "/run:exec,mode=755", "--tmpfs", "/tmp:exec,mode=1777"),
        *("--env", "ENOS_BUILTIN=openvswitch ip_vs br_netfilter iptable_filter 8021q"),
        *("--env", "ENOS_WITHOUT=/dev/kvm"),
    )


def test_a_docker_that_remaps_users_lends_nodes_the_real_ones() -> None:
    assert "--userns=host" in facts.node_flags(replace(WHOLE, remapped=True))


@pytest.mark.parametrize(
    ("machine", "word"),
    [
        (replace(WHOLE, rootless=True), "without root"),
        (replace(WHOLE, missing_capabilities=("SYS_ADMIN",)), "SYS_ADMIN"),
    ],
)
def test_a_machine_that_can_never_hold_nodes_is_refused(
    machine: MachineFacts, word: str
) -> None:
    with pytest.raises(CapabilityError, match=word) as caught:
        facts.require(machine)
    assert caught.value.hint


def test_a_machine_without_one_spare_capability_is_accepted() -> None:
    facts.require(BARE)
    assert facts.recorded(BARE)["cap_sys_resource"] == "no"
    assert facts.recorded(WHOLE)["privileged"] == "yes"


def test_limits_become_flags_where_the_machine_can_keep_them() -> None:
    flags = facts.limit_flags(WHOLE, cpus=1.5, memory="4g")
    assert flags == ("--cpus=1.5", "--memory=4g")
    assert facts.limit_flags(BARE, cpus=None, memory=None) == ()


@pytest.mark.parametrize(("cpus", "memory"), [(2, None), (None, "4g")])
def test_a_limit_nobody_could_keep_is_refused(
    cpus: float | None, memory: str | None
) -> None:
    with pytest.raises(CapabilityError, match="cannot limit"):
        facts.limit_flags(BARE, cpus=cpus, memory=memory)


def test_a_device_that_is_no_kvm_makes_no_virtual_machine(tmp_path: Path) -> None:
    root = machine(tmp_path, bounding=FULL)
    assert not facts.kvm_answers(root)
    (root / "dev").mkdir()
    (root / "dev/kvm").write_bytes(b"")
    assert not facts.kvm_answers(root)


PROCESSOR = "processor\t: 0\nflags\t\t: fpu vme {}\nbugs\t\t: svm\n"


@pytest.mark.parametrize(
    ("cpuinfo", "able"),
    [
        (PROCESSOR.format("svm npt"), True),
        (PROCESSOR.format("vmx"), True),
        (PROCESSOR.format("vmxnet"), False),
        ("processor\t: 0\nFeatures\t: fp asimd\n", True),  # Arm says nothing of it
    ],
)
def test_a_processor_of_x86_that_runs_no_guests_is_known_by_its_flags(
    cpuinfo: str, *, able: bool
) -> None:
    assert facts.virtualises(cpuinfo) is able
