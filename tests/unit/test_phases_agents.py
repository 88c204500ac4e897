"""Where the programs of the agents come from, with an apt that is only pretended."""

import tarfile
from pathlib import Path

import pytest

from enos.cloud import debian
from enos.config.monitoring import Monitoring
from enos.errors import CapabilityError
from enos.metrics.plan import AGENT, DATABASE, MonitoringPlan, plan_monitoring
from enos.phases import agents
from enos.phases.agents import KEPT, Kind, Store
from enos.phases.session import Session
from enos.state.directory import Directory
from enos.testbed import Host, Testbed
from enos.testing import Answer, Call, RecordingProgress, RecordingShell

TRIXIE = Kind(distribution="debian", suite="trixie", architecture="amd64")


@pytest.fixture(autouse=True)
def _keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "KEYRINGS", (__file__,))


@pytest.fixture
def shell() -> RecordingShell:
    """Packages come, and unpack to all that any of them holds."""
    shell = RecordingShell()

    def download(call: Call) -> Answer:
        assert call.cwd is not None
        for name in call.argv[call.argv.index("download") + 1 :]:
            (call.cwd / f"{name}.deb").touch()
        return Answer()

    def extract(call: Call) -> Answer:
        root = Path(call.argv[-1])
        for path in (path for paths in KEPT.values() for path in paths):
            if path != "usr/lib/enos":
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_bytes(b"\0libpython3.13.so.1.0\0")
        library = root / "usr/lib/x86_64-linux-gnu/libpython3.13.so.1.0"
        library.parent.mkdir(exist_ok=True)
        library.touch()
        return Answer()

    shell.script("apt-get * download *", download)
    shell.script("dpkg-deb --extract *", extract)
    return shell


def store(cache: Path, shell: RecordingShell) -> Store:
    return Store(cache=cache, shell=shell, progress=RecordingProgress())


def test_a_bundle_holds_what_its_units_run_with_and_is_made_once(
    tmp_path: Path, shell: RecordingShell
) -> None:
    first = store(tmp_path, shell).bundle(TRIXIE, (AGENT,))
    calls = len(shell.calls)
    second = store(tmp_path, shell).bundle(TRIXIE, (AGENT,))

    with tarfile.open(first) as tar:
        names = tar.getnames()
    assert second == first
    assert len(shell.calls) == calls
    assert "usr/lib/enos/libpython3.13.so.1.0" in names
    assert "usr/sbin/collectd" in names
    assert "usr/bin/influxd" not in names
    assert any(line.endswith("download libpython3.13") for line in shell.lines)


def test_what_a_killed_enos_left_is_no_bundle(
    tmp_path: Path, shell: RecordingShell
) -> None:
    made = store(tmp_path, shell).bundle(TRIXIE, (DATABASE,))
    left = made.with_suffix(".part")
    made.unlink()
    (left / "root").mkdir(parents=True)

    again = store(tmp_path, shell).bundle(TRIXIE, (DATABASE,))

    assert again == made
    assert made.exists()
    assert not left.exists()


def test_unpacked_programs_are_there_once(
    tmp_path: Path, shell: RecordingShell
) -> None:
    folder = store(tmp_path, shell).unpacked(TRIXIE, (DATABASE,))

    assert (folder / "usr/bin/influxd").exists()
    assert store(tmp_path, shell).unpacked(TRIXIE, (DATABASE,)) == folder


def test_without_a_mirror_the_error_names_the_packages(
    tmp_path: Path, shell: RecordingShell
) -> None:
    shell.on("apt-get * update", stderr="E: no route", returncode=100)

    with pytest.raises(CapabilityError, match="collectd-core, python3-pymysql"):
        store(tmp_path, shell).bundle(TRIXIE, (AGENT,))
    assert not list((tmp_path / "metrics").glob("*.part"))


def planned(*names: str) -> MonitoringPlan:
    hosts = tuple(
        Host(name=name, address=f"10.0.0.{number}", roles=("control",))
        for number, name in enumerate(names, 2)
    )
    bed = Testbed(provider="t", hosts=hosts, networks=())
    return plan_monitoring(bed, Monitoring(), password="p")


def session(tmp_path: Path, shell: RecordingShell) -> Session:
    directory = Directory(tmp_path / "enos-demo")
    directory.create(provider="fake")
    return Session(
        directory=directory,
        shell=shell,
        progress=RecordingProgress(),
        cache=tmp_path / "cache",
    )


def test_only_machines_with_debian_get_bundles(
    tmp_path: Path, shell: RecordingShell
) -> None:
    shell.on("ssh *10.0.0.2*", stdout="debian trixie amd64\n")
    shell.on("ssh *10.0.0.3*", stdout="ubuntu noble amd64\n")

    found = agents.bundles(planned("a", "b"), session(tmp_path, shell))

    assert list(found) == ["a"]
    assert "trixie-amd64" in found["a"].name


def test_without_a_mirror_here_the_machines_ask_their_own(
    tmp_path: Path, shell: RecordingShell
) -> None:
    shell.on("ssh *", stdout="debian trixie amd64\n")
    shell.on("apt-get * update", stderr="E: no route", returncode=100)
    open_ = session(tmp_path, shell)

    assert agents.bundles(planned("a"), open_) == {}
    assert isinstance(open_.progress, RecordingProgress)
    assert "the machines ask their own mirrors" in open_.progress.decisions[0]
