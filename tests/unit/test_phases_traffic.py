"""What Shaker's scenarios are given of an experiment."""

import hashlib
from pathlib import Path

import pytest

from enos.bench.host import Bench
from enos.bench.shaker.execution import Traffic
from enos.bench.workload import Workload, load_workload
from enos.cloud.guest import GuestImage
from enos.cloud.plan import PUBLIC
from enos.errors import CapabilityError
from enos.phases import bench, traffic
from enos.phases.session import Session
from enos.state.directory import Directory
from enos.testbed import Host, Network, Testbed
from enos.testing import RecordingProgress, RecordingShell

EXTERNAL = Network(
    name="external",
    cidr="172.28.1.0/24",
    roles=("external",),
    gateway="172.28.1.1",
    dns=("192.0.2.53",),
)
BOTH = """
rally: {scenarios: [{file: task.yml}]}
shaker: {file: tcp-udp.yml, between: [core, edge]}
"""
HERE = '[{"addr_info": [{"local": "172.28.1.1", "scope": "global"}]}]'


class FakeCloud:
    """A cloud that offers some services and takes images."""

    def __init__(self, *offered: str) -> None:
        self.offered = offered
        self.uploaded: list[str] = []

    def offers(self, service: str) -> bool:
        return service in self.offered


def loaded(folder: Path, text: str) -> Workload:
    (folder / "task.yml").write_text("Dummy.dummy: {}\n")
    (folder / "run.yml").write_text(text)
    return load_workload(folder / "run.yml")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    directory = Directory(tmp_path / "experiment")
    directory.create(provider="fake")
    host = Host(name="control-1", address="192.0.2.1", roles=("control",))
    testbed = Testbed(provider="fake", hosts=(host,), networks=(EXTERNAL,))
    shell = RecordingShell()
    shell.on("ip -j address", stdout=HERE)
    made = Session(
        directory=directory,
        shell=shell,
        progress=RecordingProgress(),
        cache=tmp_path / "cache",
    )
    made.save(testbed=testbed)
    return made


def played(
    session: Session, workload: Workload, cloud: FakeCloud, patch: pytest.MonkeyPatch
) -> Traffic:
    """Return what plays a workload on a cloud that is not there."""

    def upload(image: GuestImage, *_: object) -> str:
        cloud.uploaded.append(image.name)
        return "id"

    patch.setattr(traffic, "connect", lambda _: cloud)
    patch.setattr(traffic, "upload", upload)
    found = Bench(
        host=session.testbed.hosts[0],
        cache=session.cache,
        shell=session.shell,
        progress=session.progress,
    )
    return traffic.traffic(session, workload, found, {})


def test_without_heat_guests_are_a_gap_that_names_the_key(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = loaded(tmp_path, "shaker: {file: openstack/perf_l2}\n")
    plays = played(session, workload, FakeCloud("compute"), monkeypatch)

    plays.check(workload.shaker)

    (gap,) = plays.gaps.values()
    assert "Heat is not deployed" in gap
    assert "`enable_heat: true` under `kolla:`" in gap
    progress = session.progress
    assert isinstance(progress, RecordingProgress)
    assert "cannot be run" in progress.warnings[0]


def test_an_image_of_the_user_is_taken_and_none_is_built(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = loaded(tmp_path, "shaker: {file: openstack/perf_l2, image: mine}\n")
    cloud = FakeCloud("orchestration")
    plays = played(session, workload, cloud, monkeypatch)

    guests = plays.setting.guests()

    assert cloud.uploaded == []
    assert guests.network == PUBLIC
    assert guests.relay == "172.28.1.1", "this machine stands in for the bench host"
    assert guests.names == ("192.0.2.53",)


def test_an_image_from_the_net_is_fetched_and_uploaded(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "agent.img"
    disk.write_bytes(b"raw")
    checksum = "sha256:" + hashlib.sha256(b"raw").hexdigest()
    text = (
        "shaker:\n  file: openstack/perf_l2\n"
        f"  image: {{url: 'file://{disk}', checksum: '{checksum}'}}\n"
    )
    workload = loaded(tmp_path, text)
    cloud = FakeCloud("orchestration")
    plays = played(session, workload, cloud, monkeypatch)

    assert plays.setting.guests().image == "agent"
    assert cloud.uploaded == ["agent"]


def test_without_an_external_network_guests_reach_nobody(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = loaded(tmp_path, "shaker: {file: openstack/perf_l2}\n")
    host = session.testbed.hosts[0]
    session.save(testbed=Testbed(provider="fake", hosts=(host,), networks=()))
    plays = played(session, workload, FakeCloud("orchestration"), monkeypatch)

    with pytest.raises(CapabilityError, match="no external network"):
        plays.setting.guests()


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("shaker: {file: tcp-udp.yml, between: [core, edge]}\n", "up"),
        ("shaker: {file: openstack/perf_l2}\n", "init"),
        ("rally: {scenarios: [{file: task.yml}]}\n", "init"),
        (BOTH, "init"),
    ],
)
def test_traffic_between_nodes_needs_no_openstack(
    tmp_path: Path, text: str, phase: str
) -> None:
    assert bench.needed(loaded(tmp_path, text)) == phase
