"""Archives over real SSH, written and checked with the machine's own tar and zstd."""

import dataclasses
import fcntl
import getpass
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from enos import testbed as testbeds
from enos.archive import (
    BackupPlan,
    Tree,
    as_text,
    describe,
    plan_backup,
    verify,
    write,
)
from enos.archive.write import WORKPLACE
from enos.errors import ArchiveError
from enos.process import LocalShell
from enos.remote import close_connections
from enos.testbed import Host, Testbed
from enos.testing import RecordingProgress

pytestmark = pytest.mark.integration

PASSWORDS = {
    "nova_database_password": "rN7vQ2xT9mK4bW8cZ1dF6gH3jL5pS0aYuEiOnBvC",
    "rabbitmq_password": "Zq8Lw3Rt6Yp1Xs5Vd9Nf2Mg7Hj4Kc0BaTeUiOxPz",
    "keystone_admin_password": "demo-admin",
}
UNKNOWN = "never-listed-anywhere"
LINE = (
    "2026-11-21 10:00:00.{n:03d} 7 INFO nova.compute.manager [req-5a0d3b0e-{n:04d} "
    "6f1f0d2a4c5b4e6f8a9b0c1d2e3f4a5b - default] [instance: x] Took {n} s to build\n"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def keypair(path: Path) -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True
    )
    return path


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, ...]]:
    """Two hosts that answer SSH on this machine, and a third that does not."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert program, "install openssh-server to run this test"
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    folder = tmp_path_factory.mktemp("sshd")
    key, running, found = keypair(folder / "user"), [], []
    for name in ("control-1", "compute-1"):
        port = free_port()
        config = folder / f"{name}.conf"
        config.write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nUsePAM no\nStrictModes no\n"
            f"HostKey {keypair(folder / f'{name}.host')}\nPidFile none\n"
            f"AuthorizedKeysFile {key}.pub\nPermitRootLogin prohibit-password\n"
        )
        running.append(subprocess.Popen([program, "-D", "-e", "-f", config]))
        found.append(
            Host(
                name=name,
                address="127.0.0.1",
                port=port,
                user=getpass.getuser(),
                key=key,
            )
        )
    for host in found:
        wait_for(host.port)
    yield (*found, dataclasses.replace(found[0], name="compute-2", port=free_port()))
    for process in running:
        process.terminate()
        process.wait(10)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"no sshd on port {port}")


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A short path, since a Unix socket's has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="enos-") as folder:
        yield Path(folder)
        close_connections(LocalShell(), Path(folder))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    home = tmp_path / "enos-demo"
    (home / "kolla").mkdir(parents=True)
    (home / "logs").mkdir()
    listed = "".join(f"{name}: {value}\n" for name, value in PASSWORDS.items())
    (home / "kolla" / "passwords.yml").write_text(listed)
    (home / "experiment.yml").write_text("provider: static\n")
    (home / "logs" / "os.log").write_text(f"-e pw={PASSWORDS['rabbitmq_password']}\n")
    return home


def kolla_tree(root: Path) -> tuple[Tree, ...]:
    """Plant what Kolla leaves on a host, secrets included."""
    logs, etc = root / "kolla_logs" / "_data", root / "etc" / "kolla"
    for name, text in {
        logs / "nova/nova-api.log": LINE.format(n=1)
        + f"connecting as {PASSWORDS['nova_database_password']}\n",
        logs / "nova/nova-api.log.1.gz": "",
        etc / "nova-api/nova.conf": "[DEFAULT]\ntransport_url = rabbit://openstack:"
        f"{PASSWORDS['rabbitmq_password']}@10.0.0.1:5672//\n[vnc]\n"
        f"admin_password = {UNKNOWN}\n",
        etc / "keystone-fernet/fernet-keys/0": UNKNOWN,
        etc / "nova-ssh/id_rsa": f"-----BEGIN PRIVATE KEY-----\n{UNKNOWN}\n",
        etc / "haproxy/haproxy.pem": "-----BEGIN CERTIFICATE-----\nMIIC\n"
        "-----END CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\n"
        f"{UNKNOWN}\n-----END RSA PRIVATE KEY-----\n",
    }.items():
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_text(text)
    rotated = logs / "nova/nova-api.log.1"
    rotated.write_text(f"auth {PASSWORDS['keystone_admin_password']}\n")
    subprocess.run(["gzip", "--force", rotated], check=True)
    (logs / "nova/core").write_bytes(b"\0\1" + PASSWORDS["rabbitmq_password"].encode())
    (logs / "nova/blob").write_bytes(bytes(range(256)))
    (logs / "nova/latest").symlink_to("nova-api.log")
    os.mkfifo(logs / "nova/pipe")
    return Tree(path=str(logs), label="logs"), Tree(path=str(etc), label="etc/kolla")


def planned(
    directory: Path, hosts: tuple[Host, ...], *, plant: bool = True, commands: int = 2
) -> BackupPlan:
    """Return a plan in which each host has folders of its own on this machine.

    And few commands, since each costs a login shell.
    """
    testbed = Testbed(provider="static", hosts=hosts, networks=())
    plan = plan_backup(testbed, directory)
    own = []
    for host_plan in plan.hosts:
        root = directory.parent / host_plan.host.name
        trees = kolla_tree(root) if plant else ()
        own.append(
            dataclasses.replace(
                host_plan, trees=trees, commands=host_plan.commands[:commands]
            )
        )
    return dataclasses.replace(plan, hosts=tuple(own))


def extracted(saved: Path, folder: Path) -> Path:
    """Unpack with the machine's own programs; return the top folder."""
    folder.mkdir()
    unpacked = folder / "plain.tar"
    with unpacked.open("wb") as sink:
        subprocess.run(["zstd", "-dc", saved], stdout=sink, check=True)
    subprocess.run(["tar", "-xf", unpacked, "-C", folder], check=True)
    unpacked.unlink()
    return folder / "enos-demo"


def test_two_hosts_and_a_dead_one_end_in_one_archive(
    directory: Path, tmp_path: Path, hosts: tuple[Host, ...], sockets: Path
) -> None:
    saved, progress = tmp_path / "saved.tar.zst", RecordingProgress()
    plan = planned(directory, hosts, commands=99)
    manifest = write(
        plan, saved, shell=LocalShell(), progress=progress, sockets=sockets
    )

    status = {host.name: host.status for host in manifest.hosts}
    assert status["compute-2"] == "unreachable"
    assert "refused" in manifest.hosts[2].reasons[0]
    assert any("compute-2 is unreachable" in told for told in progress.warnings)
    verify(saved).require()

    top = extracted(saved, tmp_path / "out")
    done = subprocess.run(
        ["sha256sum", "-c", "--quiet"],
        input="".join(f"{m.sha256}  {m.path}\n" for m in manifest.members),
        cwd=top,
        text=True,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout
    for host in ("control-1", "compute-1"):
        logs = top / "hosts" / host / "logs" / "nova"
        assert "connecting as [redacted]" in (logs / "nova-api.log").read_text()
        assert (logs / "blob").read_bytes() == bytes(range(256))
        conf = (top / "hosts" / host / "etc/kolla/nova-api/nova.conf").read_text()
        assert "rabbit://openstack:[redacted]@10.0.0.1:5672//" in conf
        assert "Linux" in (top / "hosts" / host / "facts/uname.txt").read_text()
    assert "MIIC" in (top / "hosts/control-1/etc/kolla/haproxy/haproxy.pem").read_text()


def test_no_secret_is_anywhere_in_what_was_archived(
    directory: Path, tmp_path: Path, hosts: tuple[Host, ...], sockets: Path
) -> None:
    saved = tmp_path / "saved.tar.zst"
    manifest = write(
        planned(directory, hosts[:2]),
        saved,
        shell=LocalShell(),
        progress=RecordingProgress(),
        sockets=sockets,
    )
    top = extracted(saved, tmp_path / "out")
    for packed in top.rglob("*.gz"):
        subprocess.run(["gunzip", packed], check=True)
    for secret in (*PASSWORDS.values(), UNKNOWN):
        found = subprocess.run(
            ["grep", "-r", "--binary-files=text", "-l", secret, top],
            check=False,
            capture_output=True,
            text=True,
        )
        assert found.stdout == ""
    gone = {(w.host, w.path.rpartition("/")[2]): w.reason for w in manifest.withheld}
    assert gone["control-1", "core"] == "not text, and a secret is in it"
    assert gone["control-1", "0"] == "token key"
    assert gone["control-1", "id_rsa"] == "private key"
    assert gone["control-1", "latest"] == "it is a symbolic link"
    assert gone["control-1", "pipe"] == "it is not a regular file"


def test_damage_and_truncation_are_named(
    directory: Path, tmp_path: Path, hosts: tuple[Host, ...], sockets: Path
) -> None:
    saved = tmp_path / "saved.tar"
    plan = planned(directory, hosts[:1])
    write(
        plan,
        saved,
        shell=LocalShell(),
        progress=RecordingProgress(),
        sockets=sockets,
    )
    whole = saved.read_bytes()
    saved.write_bytes(whole.replace(b"connecting as", b"connecting at"))
    with pytest.raises(ArchiveError) as told:
        verify(saved).require()
    assert told.value.details == "damaged: hosts/control-1/logs/nova/nova-api.log"

    saved.write_bytes(whole[: whole.index(b"connecting as")])
    with pytest.raises(ArchiveError, match=r"cut short in or after `hosts/control-1/"):
        verify(saved)


def test_an_archive_describes_itself_without_its_experiment(
    directory: Path, tmp_path: Path, hosts: tuple[Host, ...], sockets: Path
) -> None:
    saved = tmp_path / "saved.tar.gz"
    plan = planned(directory, hosts, plant=False)
    write(
        plan,
        saved,
        shell=LocalShell(),
        progress=RecordingProgress(),
        sockets=sockets,
    )
    shutil.rmtree(directory)
    assert "compute-2        unreachable" in as_text(describe(saved))


KILLED = """
import dataclasses, sys
from pathlib import Path
from enos import testbed
from enos.archive import Tree, plan_backup, write
from enos.process import LocalShell
from enos.testing import RecordingProgress
import json
machines = testbed.from_json(json.loads(sys.argv[1]))
trees = [Tree(path=sys.argv[4], label="l")]
plan = plan_backup(machines, Path(sys.argv[2]), trees=trees)
print("ready", flush=True)
write(plan, Path(sys.argv[3]), shell=LocalShell(), progress=RecordingProgress())
"""


def big_log(folder: Path, megabytes: int) -> Path:
    """Write a log of a service as noisy as they come."""
    folder.mkdir(parents=True, exist_ok=True)
    block = "".join(LINE.format(n=number) for number in range(1000)).encode()
    with (folder / "nova-compute.log").open("wb") as sink:
        while sink.tell() < megabytes << 20:
            sink.write(block)
        sink.write(f"the end {PASSWORDS['nova_database_password']}\n".encode())
    return folder


def free(folder: Path) -> None:
    """Wait for a child that the dead was starting: it has its lock until it runs."""
    handle = os.open(folder, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.close(handle)


def test_a_killed_backup_leaves_no_archive_and_the_next_one_cleans_up(
    directory: Path, tmp_path: Path, hosts: tuple[Host, ...], sockets: Path
) -> None:
    machines = Testbed(provider="static", hosts=hosts[:1], networks=())
    logs = big_log(tmp_path / "logs", 50)
    saved = tmp_path / "saved.tar.zst"
    argv = [json.dumps(testbeds.to_json(machines)), directory, saved, logs]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, *argv], stdout=subprocess.PIPE
    ) as victim:
        assert victim.stdout is not None
        victim.stdout.readline()
        parts = tmp_path.glob(f"{WORKPLACE}*/*")
        while not any(path.stat().st_size for path in parts):
            parts = tmp_path.glob(f"{WORKPLACE}*/*")
            assert victim.poll() is None
        victim.send_signal(signal.SIGKILL)
    assert not saved.exists()
    [left] = tmp_path.glob(f"{WORKPLACE}*")
    free(left)

    plan = plan_backup(machines, directory, trees=[Tree(path=str(logs), label="l")])
    write(
        plan,
        saved,
        shell=LocalShell(),
        progress=RecordingProgress(),
        sockets=sockets,
    )
    verify(saved).require()
    assert not list(tmp_path.glob(f"{WORKPLACE}*"))


def test_logs_of_200_megabytes_take_bounded_memory_and_time(
    directory: Path,
    tmp_path: Path,
    hosts: tuple[Host, ...],
    sockets: Path,
) -> None:
    logs = big_log(tmp_path / "logs", 200)
    saved = tmp_path / "saved.tar.zst"
    machines = Testbed(provider="static", hosts=hosts[:1], networks=())
    plan = plan_backup(machines, directory, trees=[Tree(path=str(logs), label="l")])
    before = resource.getrusage(resource.RUSAGE_SELF)
    manifest = write(
        plan,
        saved,
        shell=LocalShell(),
        progress=RecordingProgress(),
        sockets=sockets,
    )
    after = resource.getrusage(resource.RUSAGE_SELF)
    verify(saved).require()
    grown = (after.ru_maxrss - before.ru_maxrss) >> 10
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert sum(member.redactions for member in manifest.members if member.host) == 1
    figures = f"{seconds:.1f} CPU s, {grown} MiB, {saved.stat().st_size} bytes"
    assert grown < 100, figures
    assert seconds < 30, figures
