"""Provider `local` for real: containers made, killed half-way, shared from, removed."""

import multiprocessing
import os
import random
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from multiprocessing.process import BaseProcess
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest
from enos_local import Local, engine, facts, store

from enos.demand import Demand, MachineDemand
from enos.errors import ProviderError
from enos.process import LocalShell
from enos.provider import Provider, SharesImages, Surroundings
from enos.remote import run_on
from enos.testbed import Host, Testbed
from enos.testing import ProviderContract, RecordingProgress

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
]

SEEDS = (11, 23, 47)
TWO = Demand(
    machines=(
        MachineDemand(group="grp1", roles=("control",)),
        MachineDemand(group="grp2", roles=("compute",)),
    )
)


def local(around: Surroundings) -> Local:
    return Local(Local.Settings(), around)


def docker(*words: str, check: bool = True) -> str:
    done = subprocess.run(
        ("docker", *words), check=check, capture_output=True, text=True
    )
    return done.stdout.strip()


def machine_state() -> str:
    """All places where something of an experiment could stay behind."""
    commands = (
        ("docker", "ps", "--all", "--no-trunc"),
        ("docker", "network", "ls", "--no-trunc"),
        ("docker", "volume", "ls"),
        ("ip", "-o", "link"),
        ("ip", "route"),
        ("iptables-save",),
        ("cat", "/proc/mounts"),
    )
    seen = [subprocess.run(c, check=True, capture_output=True).stdout for c in commands]
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "cgroup"):
            try:
                seen.append((process / name).read_bytes())
            except OSError:
                continue  # ended meanwhile
    return b"\n".join(seen).decode(errors="replace")


def marks(session: str) -> set[str]:
    """Names and numbers by which Docker, the kernel and iptables know a session."""
    label = f"label=enos.session={session}"
    containers = docker("ps", "-aq", "--no-trunc", "--filter", label).split()
    networks = docker("network", "ls", "-q", "--filter", label).split()
    subnets = docker(
        *("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}"),
        *networks,
    ).split()
    bridges = {f"br-{network[:12]}" for network in networks}
    return {session, *containers, *bridges, *subnets}


@pytest.fixture(scope="module", autouse=True)
def _docker(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have Docker running, as the first `acquire` on a machine would."""
    progress, log = RecordingProgress(), tmp_path_factory.mktemp("docker") / "log"
    with progress.step("Docker") as step:
        shell = LocalShell(session="enos-tests")
        engine.ensure(shell, progress, step, engine.this_machine(), log)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for a socket."""
    path = Path(mkdtemp(prefix="enos-it-"))
    yield path
    rmtree(path)


@pytest.fixture
def around(folder: Path) -> Iterator[Surroundings]:
    session = f"enos-test-{folder.name[-6:].strip('-_')}"
    for name in ("provider", "cache"):
        (folder / name).mkdir()
    found = Surroundings(
        session=session,
        directory=folder / "provider",
        cache=folder / "cache",
        shell=LocalShell(session=session),
        progress=RecordingProgress(),
    )
    yield found
    local(found).release()
    docker("rm", "-fv", store.Store(path=found.cache / "local/images").builder)


def inside(around: Surroundings, host: Host, *command: str) -> str:
    return run_on(around.shell, host, command).stdout.strip()


class TestLocal(ProviderContract):
    def make(self, around: Surroundings) -> Provider:
        return local(around)


def test_nodes_are_machines_with_names_networks_and_a_docker(
    around: Surroundings,
) -> None:
    testbed = local(around).acquire(TWO)
    for host in testbed.hosts:
        assert inside(around, host, "hostname") == host.name
        assert inside(around, host, "systemctl", "is-system-running") == "running"
        assert inside(around, host, "docker", "info", "-f", "{{.Driver}}") == "overlay2"
        resolved = inside(
            around, host, "getent", "hosts", *(h.name for h in testbed.hosts)
        )
        assert [line.split() for line in resolved.splitlines()] == [
            [h.address, h.name] for h in testbed.hosts
        ]
        check_interfaces(around, host)
        started = inside(around, host, "systemctl", "list-units", "--type=service")
        assert "iperf3" not in started, "a first boot enables whatever is installed"
    identities = {inside(around, h, "cat", "/etc/machine-id") for h in testbed.hosts}
    assert len(identities) == len(testbed.hosts)
    kvm = run_on(around.shell, testbed.hosts[0], ("ls", "/dev/kvm"), check=False).ok
    assert kvm is facts.kvm_answers(Path("/"))
    first, second = testbed.hosts
    for network in ("api", "tunnel"):
        nic = second.nic_on(network)
        assert nic is not None
        address = nic.addresses[0].partition("/")[0]
        inside(around, first, "ping", "-c1", "-W2", "-M", "do", "-s", "1472", address)


def check_interfaces(around: Surroundings, host: Host) -> None:
    by_name = {
        line.split()[0].partition("@")[0]: line.split()[2:]
        for line in inside(around, host, "ip", "-br", "-4", "addr").splitlines()
    }
    for nic in host.nics:
        assert tuple(by_name.get(nic.device, ())) == nic.addresses
        link = inside(around, host, "cat", f"/sys/class/net/{nic.device}/address")
        assert link == nic.mac


def test_nothing_is_left_after_release(around: Surroundings) -> None:
    provider = local(around)
    provider.acquire(TWO)
    ours = marks(around.session)
    assert [mark for mark in ours if mark not in machine_state()] == []
    provider.release()
    after = machine_state()
    assert [mark for mark in ours if mark in after] == []


def test_a_dead_node_comes_back_with_its_data_and_address(around: Surroundings) -> None:
    provider = local(around)
    testbed = provider.acquire(TWO)
    last = testbed.hosts[-1]
    inside(around, last, "touch", "/var/lib/kept")
    docker("kill", f"{around.session}-{last.name}")
    again = provider.acquire(TWO)
    assert again == testbed
    assert inside(around, last, "ls", "/var/lib/kept") == "/var/lib/kept"


def test_machines_added_later_join_the_others(around: Surroundings) -> None:
    provider = local(around)
    before = provider.acquire(TWO)
    third = MachineDemand(group="grp3", roles=("network",))
    after = provider.acquire(Demand(machines=(third, *TWO.machines)))
    assert before.hosts == after.hosts[1:]
    for host in after.hosts:
        inside(around, host, "getent", "hosts", "network-1")


def in_process(work: Callable[..., None], *arguments: object) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    return process


def acquire_two(around: Surroundings) -> None:
    local(around).acquire(TWO)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_acquisition_killed_at_any_moment_converges(
    around: Surroundings, seed: int
) -> None:
    local(around)._prepare()  # the node image is not what is tested here
    process = in_process(acquire_two, around)
    time.sleep(random.Random(seed).uniform(0.3, 4.0))
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    testbed = local(around).acquire(TWO)
    assert [inside(around, host, "hostname") for host in testbed.hosts] == [
        "control-1",
        "compute-1",
    ]
    listed = docker("ps", "-aq", "--filter", f"label=enos.session={around.session}")
    assert len(listed.split()) == 2


def tiny_image(folder: Path) -> Path:
    """A container image's root with a shell: what a Debian needs to run `sh`."""
    archive = folder / "root.tar"
    with tarfile.open(archive, "w") as tar:
        found = subprocess.run(
            ("ldd", "/bin/sh", "/bin/cat", "/bin/rm", "/bin/ls", "/bin/sleep"),
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        files = {w for w in found.split() if w.startswith("/") and w[-1] != ":"}
        for name in (*sorted(files), "/bin/sh", "/bin/cat", "/bin/rm", "/bin/sleep"):
            tar.add(Path(name).resolve(), arcname=name)
        data = b"as built\n"
        info = tarfile.TarInfo("data/file")
        info.size = len(data)
        tar.addfile(info, BytesIO(data))
    return archive


def put_image(host: str, archive: Path) -> None:
    docker("--host", host, "import", str(archive), "tiny:1")
    dockerfile = 'FROM tiny:1\nRUN ["/bin/sh", "-c", "echo more > /data/more"]\n'
    subprocess.run(
        (
            "docker",
            "--host",
            host,
            "build",
            "--network",
            "none",
            "--tag",
            "tiny:2",
            "-",
        ),
        input=dockerfile,
        text=True,
        check=True,
        capture_output=True,
    )


def test_nodes_share_the_layers_of_an_image_and_nothing_they_write(
    around: Surroundings, folder: Path
) -> None:
    provider = local(around)
    assert isinstance(provider, SharesImages)
    volumes = docker("volume", "ls", "-q", "--filter", "name=enos-images")
    with provider.image_daemon() as host:
        put_image(host, tiny_image(folder))
    assert docker("volume", "ls", "-q", "--filter", "name=enos-images") == volumes
    one, two = provider.acquire(TWO).hosts
    assert layer_inodes(around, one) == layer_inodes(around, two) != ""
    script = "echo changed > /data/file; rm /data/more; cat /data/file; /bin/sleep 600"
    inside(
        around,
        one,
        "docker",
        "run",
        "-d",
        "--name",
        "writer",
        "tiny:2",
        "sh",
        "-c",
        script,
    )
    check_untouched(around, two)
    # What one node throws away, the other and the next keep.
    inside(around, one, "docker", "rm", "-f", "writer")
    inside(around, one, "docker", "rmi", "tiny:2", "tiny:1")
    check_untouched(around, two)
    with provider.image_daemon() as host:
        docker("--host", host, "rmi", "tiny:2")
        docker("--host", host, "tag", "tiny:1", "tiny:3")
    check_untouched(around, two)
    # Images made later reach the nodes that are there when they are acquired again.
    provider.acquire(TWO)
    for node in (one, two):
        inside(around, node, "docker", "image", "inspect", "tiny:1", "tiny:3")
    check_untouched(around, two)


def check_untouched(around: Surroundings, host: Host) -> None:
    seen = inside(
        around,
        host,
        *("docker", "run", "--rm", "--network", "none", "tiny:2"),
        *("cat", "/data/file", "/data/more"),
    )
    assert seen == "as built\nmore"


def layer_inodes(around: Surroundings, host: Host) -> str:
    script = "stat -L -c '%i %d' /var/lib/docker/overlay2/*/diff/data/file"
    return inside(around, host, "sh", "-c", script)


def build_and_hang(around: Surroundings, archive: Path, ready: Path) -> None:
    with local(around).image_daemon() as host:
        put_image(host, archive)
        ready.touch()
        time.sleep(600)


def test_images_of_a_killed_builder_reach_the_nodes(
    around: Surroundings, folder: Path
) -> None:
    ready = folder / "ready"
    process = in_process(build_and_hang, around, tiny_image(folder), ready)
    while not ready.exists():
        assert process.is_alive()
        time.sleep(0.1)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    testbed: Testbed = local(around).acquire(TWO)
    check_untouched(around, testbed.hosts[0])
    builder = store.Store(path=around.cache / "local/images").builder
    assert docker("ps", "-aq", "--filter", f"name={builder}") == ""


def test_an_image_that_is_no_machine_is_refused_by_name(around: Surroundings) -> None:
    settings = Local.Settings.model_validate({"image": "debian:trixie"})
    with pytest.raises(ProviderError) as caught:
        Local(settings, around).acquire(TWO)
    assert "-1: `docker create` failed" in caught.value.message
    assert "No command specified" in caught.value.details


def test_a_node_that_cannot_boot_is_named_with_its_log(around: Surroundings) -> None:
    _, tag = local(around)._prepare()
    dockerfile = f'FROM {tag}\nENTRYPOINT ["/bin/sh", "-c", "echo no luck; exit 3"]\n'
    argv = ("docker", "build", "--tag", f"{around.session}:bad", "-")
    subprocess.run(argv, input=dockerfile, text=True, check=True, capture_output=True)
    settings = Local.Settings.model_validate({"image": f"{around.session}:bad"})
    try:
        with pytest.raises(ProviderError) as caught:
            Local(settings, around).acquire(TWO)
        assert "-1: systemd does not answer" in caught.value.message
        assert "no luck" in caught.value.details
    finally:
        local(around).release()
        docker("rmi", f"{around.session}:bad")
