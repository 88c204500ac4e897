"""Provider `static` against real sshds: reached, through a jump host, and refused."""

import getpass
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest
from enos_static import Static
from enos_static.remembered import Restoration
from enos_static.settings import Settings

from enos.demand import Demand, MachineDemand
from enos.errors import ProviderError
from enos.process import LocalShell
from enos.provider import Provider, Surroundings
from enos.remote import run_on
from enos.testbed import Host
from enos.testing import ProviderContract, RecordingProgress

pytestmark = pytest.mark.integration
ACCEPTED = "Accepted publickey"
NETWORKS = {"networks": [{"cidr": "127.0.0.0/8", "roles": ["api"]}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An sshd of the test's own, for the user who runs the test."""

    port: int
    key: Path
    other_key: Path
    log: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(path: Path) -> Path:
    argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
    subprocess.run(argv, check=True)
    return path


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    # Not below pytest's own folder: sshd wants every folder above its files safe.
    folder = Path(mkdtemp(prefix="enos-sshd-"))
    found = Server(
        port=free_port(),
        key=make_key(folder / "key"),
        other_key=make_key(folder / "other"),
        log=folder / "log",
    )
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    assert program, "sshd is missing: `make test` installs openssh-server"
    config = folder / "sshd_config"
    config.write_text(
        f"Port {found.port}\nListenAddress 127.0.0.1\n"
        f"HostKey {make_key(folder / 'host')}\n"
        f"AuthorizedKeysFile {folder}/key.pub\nStrictModes no\nUsePAM no\n"
        "PidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    )
    if os.geteuid() == 0:  # its privilege separation wants a folder then
        Path("/run/sshd").mkdir(exist_ok=True)
    with subprocess.Popen((program, "-D", "-f", config, "-E", found.log)) as process:
        try:
            await_port(found, process)
            yield found
        finally:
            process.terminate()
    rmtree(folder)


def await_port(server: Server, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, server.log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(server.log.read_text())


def machine(server: Server, role: str, **extra: object) -> MachineDemand:
    keys = {
        "address": "127.0.0.1",
        "user": getpass.getuser(),
        "port": server.port,
        "keyfile": str(server.key),
        "sudo": False,
        "alias": f"{role}-here",
    }
    return MachineDemand(group="grp1", roles=(role,), extra={**keys, **extra})


def around(tmp_path: Path) -> Surroundings:
    return Surroundings(
        session="enos-test",
        directory=tmp_path,
        cache=tmp_path,
        shell=LocalShell(session="enos-test"),
        progress=RecordingProgress(),
    )


def static(tmp_path: Path) -> Static:
    return Static(Settings.model_validate(NETWORKS), around(tmp_path))


class TestStatic(ProviderContract):
    @pytest.fixture(autouse=True)
    def _machines(self, server: Server) -> None:
        machines = (machine(server, "control"), machine(server, "compute"))
        self.demand = Demand(machines=machines)  # type: ignore[misc]

    def make(self, around: Surroundings) -> Provider:
        return Static(Settings.model_validate(NETWORKS), around)

    def names(self) -> tuple[str, ...]:
        return ("control-here", "compute-here")


def test_a_machine_behind_a_jump_host_is_reached(
    server: Server, tmp_path: Path
) -> None:
    jump = f"{getpass.getuser()}@127.0.0.1:{server.port}"
    demand = Demand(machines=(machine(server, "control", jump=jump),))
    provider = static(tmp_path)
    (host,) = provider.acquire(demand).hosts
    before = server.log.read_text().count(ACCEPTED)
    run_on(provider.around.shell, host, ["true"])
    # Once as the jump host, once as the machine behind it.
    assert server.log.read_text().count(ACCEPTED) == before + 2


def test_each_way_a_machine_can_be_out_of_reach_is_named(
    server: Server, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n")
    damaged.chmod(0o600)
    closed = free_port()
    machines = (
        machine(server, "good"),
        machine(server, "stranger", keyfile=str(server.other_key)),
        machine(server, "damaged", keyfile=str(damaged)),
        machine(server, "absent", keyfile=str(tmp_path / "absent")),
        machine(server, "closed", port=closed),
        machine(server, "nowhere", address="no-such-host.invalid"),
        machine(server, "beyond", jump=f"127.0.0.1:{closed}"),
    )
    with pytest.raises(ProviderError) as caught:
        static(tmp_path).acquire(Demand(machines=machines))
    assert caught.value.message == "6 of 7 machines cannot be used"
    why = dict(line.split(": ", 1) for line in caught.value.details.splitlines())
    told = {place.partition(" ")[0]: reason for place, reason in why.items()}
    assert told == {
        "stranger-here": f"it refuses the key `{server.other_key}`",
        "damaged-here": f"the key file is damaged `{damaged}`",
        "absent-here": f"no key file `{tmp_path / 'absent'}`",
        "closed-here": "nothing listens on the port",
        "nowhere-here": "the name does not resolve",
        "beyond-here": "nothing listens on the port",
    }


def test_lost_addresses_come_back_once_and_nothing_else_is_touched() -> None:
    command = shlex.join(
        Restoration(
            host=Host(name="a", address="10.9.0.1"),
            device="eth7",
            addresses=("10.9.1.7/24", "10.9.1.8/24"),
        ).command
    )
    steps = (
        "ip link add eth7 type veth peer name other",
        "ip address add 10.9.1.8/24 dev eth7",
        command,
        "echo again",
        command,
        "echo found",
        "ip -o -4 address show dev eth7 | awk '{ print $4 }' | sort",
    )
    own = () if os.geteuid() == 0 else ("--map-root-user", "--user")
    argv = ("unshare", *own, "--net", "sh", "-ec", "\n".join(steps))
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert done.stdout.split() == [
        *("10.9.1.7/24", "again", "found"),
        *("10.9.1.7/24", "10.9.1.8/24"),
    ]


def test_an_interface_that_is_gone_is_named() -> None:
    host = Host(name="a", address="10.9.0.1")
    gone = Restoration(host=host, device="enos-none", addresses=("10.9.1.7/24",))
    done = subprocess.run(gone.command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "no interface enos-none\n")
