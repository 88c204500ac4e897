"""OpenStack on machines one has already: `make static`, by hand.

The machines are containers that provider `local` made (`enos up`, no more), with an
image set in their Docker: to provider `static` they are hosts with SSH and systemd.
Takes about ten minutes, hence asked for by name.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from enos import archive
from enos.state.directory import Directory
from enos.state.journal import timings
from enos.testbed import Testbed

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(
        "ENOS_STATIC" not in os.environ, reason="asked for by `make static`"
    ),
]
ENOS = Path(__file__).parents[2] / ".venv" / "bin" / "enos"
MACHINES = {
    "provider": {
        "type": "local",
        "resources": {
            "machines": [
                {"roles": ["control", "network"], "group": "core"},
                {"roles": ["compute"], "group": "edge"},
            ]
        },
    }
}
LEFT = """\
docker ps --all --quiet
docker volume ls --quiet
ls /etc/systemd/system | grep ^kolla-
ls /sys/class/net | grep -e ^br- -e ^enos- -e ^ovs
grep -F enos /etc/hosts
true
"""
"""For sh(1): what would be left of OpenStack on a machine."""


def enos(folder: Path, *words: str) -> None:
    subprocess.run([ENOS, *words], cwd=folder, check=True)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    """Return the experiment whose machines another one uses."""
    folder = tmp_path_factory.mktemp("static")
    (folder / "machines.yml").write_text(yaml.safe_dump(MACHINES))
    try:
        enos(folder, "up", "-f", "machines.yml")
        yield Directory(folder / "enos-machines")
    finally:
        enos(folder, "--env", "enos-machines", "destroy", "--hard")


def experiment(machines: Directory) -> dict[str, object]:
    """Return an experiment on the machines, with the images that they have."""
    testbed = machines.load().testbed
    assert testbed is not None
    key = str(machines.provider / "id_ed25519")
    control, compute = (
        {
            "address": host.address,
            "alias": host.name,
            "keyfile": key,
            "extra": {"neutron_external_interface": "eth1"},
        }
        for host in testbed.hosts
    )
    images = json.loads((machines.path / "images.json").read_text())
    return {
        "provider": {"type": "static", "networks": networks(testbed)},
        "resources": {"control": control, "network": control, "compute": compute},
        "kolla": {
            "docker_registry": "",
            "docker_namespace": images["namespace"],
            "openstack_tag": images["tag"],
        },
    }


def networks(testbed: Testbed) -> list[dict[str, object]]:
    return [
        {
            "roles": list(network.roles),
            "cidr": network.cidr,
            **({"gateway": network.gateway} if network.gateway else {}),
            **(
                {"start": network.pool[0], "end": network.pool[1]}
                if network.pool
                else {}
            ),
        }
        for network in testbed.networks
    ]


def left(machines: Directory) -> dict[str, str]:
    """Return what is left of OpenStack on each machine."""
    testbed = machines.load().testbed
    assert testbed is not None
    names = (f"{machines.load().session}-{host.name}" for host in testbed.hosts)
    return {
        name: subprocess.run(
            ["docker", "exec", name, "sh", "-c", LEFT],
            capture_output=True, text=True, check=True,
        ).stdout
        for name in names
    }  # fmt: skip


def test_openstack_comes_and_goes_on_machines_that_stay(machines: Directory) -> None:
    folder = machines.path.parent
    (folder / "mine.yml").write_text(yaml.safe_dump(experiment(machines)))
    mine = Directory(folder / "enos-mine")

    enos(folder, "deploy", "-f", "mine.yml")
    enos(folder, "deploy", "-f", "mine.yml")
    enos(folder, "--env", "enos-mine", "backup")
    guest = (mine.results / "guest-console.log").read_text(errors="replace")
    assert "enos-guest: ready" in guest
    deployments = [
        one.seconds
        for one in timings(mine.journal.events())
        if one.kind == "phase" and one.what == "os"
    ]
    # The second one finds OpenStack as it should be.
    assert deployments[-1] < 30 < deployments[0]
    (saved,) = mine.path.glob("*.tar.*")
    assert archive.verify(saved).ok

    enos(folder, "--env", "enos-mine", "destroy", "--hard")

    assert set(left(machines).values()) == {""}
