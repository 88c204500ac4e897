"""`--dry-run` of every command prints its own plan and touches nothing at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from enos import plugins
from enos.phases.session import Workshop, phase, starting
from enos.state.directory import Directory
from enos.state.record import PhaseRecord
from enos.testing import Answer, Call, FakeProvider, RecordingProgress, RecordingShell

Enos = Callable[..., Any]

FILE = """\
provider: {type: fake}
topology: {core: {control: 1, network: 1}, edge: {compute: 2}}
network_constraints:
  constraints: [{src: core, dst: edge, delay: 25ms, symmetric: true}]
"""
NODE = "capabilities=1000000\nmodules=yes\nsysctl=yes\nopenvswitch=yes\ncpus=4\n"
MONITORED = f"{FILE}enable_monitoring: true\n"


class Sharing(FakeProvider):
    """A testbed whose machines outlive the experiment and come with images."""

    keeps: ClassVar[bool] = True

    @contextmanager
    def image_daemon(self) -> Iterator[str]:
        raise AssertionError("a daemon was started")
        yield


@pytest.fixture
def file(here: Path, shell: RecordingShell, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of an experiment that has not begun."""
    monkeypatch.setattr(plugins, "providers", lambda: {"fake": Sharing})
    monkeypatch.setattr(plugins, "provider", lambda _: Sharing)
    shell.on("ip *", stdout="[]")
    shell.script("ssh *", looked)
    path = here / "demo.yml"
    path.write_text(FILE)
    return path


@pytest.fixture
def experiment(file: Path, shell: RecordingShell, here: Path) -> Directory:
    """Return the directory of one whose phases are done."""
    workshop = Workshop(
        progress=RecordingProgress(),
        where=here,
        cache=here.parent / "cache",
        shell=lambda _: shell,
    )
    with starting(file, None, workshop) as session:
        for name in ("up", "os", "tc"):
            with phase(session, name) as running:
                running.facts["backend"] = "netem"
        demand = session.experiment.demand
        session.save(testbed=session.provider.acquire(demand))
    return session.directory


def looked(call: Call) -> Answer:
    if call.stdin.rstrip().endswith("probe"):
        return Answer(stdout="tc htb netem copies")
    return Answer(stdout=NODE if "capabilities" in call.stdin else "")


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file below a folder with its time of change and content."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.usefixtures("kolla_ansible", "file")
@pytest.mark.parametrize(
    "argv",
    [
        ("up", "-f", "demo.yml"),
        ("deploy", "-f", "demo.yml"),
        ("images", "build", "-f", "demo.yml"),
        ("images", "push", "-f", "demo.yml", "registry:5000"),
    ],
)
def test_an_experiment_is_planned_without_being_begun(
    enos: Enos, here: Path, shell: RecordingShell, argv: tuple[str, ...]
) -> None:
    before = snapshot(here.parent)

    told = enos("--dry-run", *argv)

    assert told.code == 0, told.err
    assert told.out.strip()
    assert "next:" not in told.err
    assert snapshot(here.parent) == before
    assert shell.calls == []


@pytest.mark.usefixtures("kolla_ansible", "experiment")
@pytest.mark.parametrize(
    "argv",
    [
        ("up", "-f", "demo.yml"),
        ("deploy", "-f", "demo.yml"),
        ("os",),
        ("os", "--pull"),
        ("os", "--reconfigure"),
        ("os", "--tags", "nova"),
        ("os", "--", "stop", "--yes"),
        ("init",),
        ("tc",),
        ("tc", "--plan"),
        ("tc", "--test"),
        ("tc", "--reset"),
        ("tc", "--set", "core,edge", "delay=5ms"),
        ("bench",),
        ("backup",),
        ("metrics", "start"),
        ("destroy",),
        ("destroy", "--hard"),
        ("images", "build"),
        ("images", "push", "registry:5000"),
        ("ssh", "edge", "--", "true"),
        ("logs", "nova"),
    ],
)
def test_nothing_of_an_experiment_changes(
    enos: Enos, here: Path, file: Path, argv: tuple[str, ...]
) -> None:
    file.write_text(MONITORED)  # it is planned for, not taken over
    before = snapshot(here.parent)

    told = enos("--dry-run", *argv)

    assert told.code == 0, told.err
    assert told.out.strip()
    assert "next:" not in told.err
    assert snapshot(here.parent) == before


@pytest.mark.usefixtures("kolla_ansible")
def test_deploy_plans_all_of_its_phases(enos: Enos, file: Path) -> None:
    file.write_text(MONITORED)

    told = enos("deploy", "-f", "demo.yml", "--dry-run")

    heads = [line for line in told.out.splitlines() if line.startswith("## ")]
    assert heads == ["## enos up", "## enos os", "## enos init"]
    assert "node compute-2" in told.out
    assert "# monitoring" in told.out
    assert "\n# inventory\n" in told.out
    assert "\n# globals.yml\n" in told.out
    assert "flavor `m1.tiny`" in told.out


@pytest.mark.usefixtures("experiment")
@pytest.mark.parametrize(
    ("missing", "more", "image"),
    [
        ((), "", "image `enos-guest`: raw"),
        (("apt-get",), "", "image `cirros-0.6.3-x86_64-disk`: qcow2 or raw"),
        (
            (),
            f"guest_image: {{url: 'http://h/mine.img', checksum: 'sha256:{'0' * 64}'}}",
            "image `mine`: qcow2 or raw",
        ),
    ],
)
def test_init_plans_the_guest_image_without_having_it(
    enos: Enos,
    file: Path,
    missing: tuple[str, ...],
    more: str,
    image: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("enos.cloud.standard.missing", lambda: missing)
    file.write_text(f"{FILE}{more}\n")

    told = enos("init", "--dry-run").out

    assert f"\n{image}" in told
    assert "\nkeypair `enos`" in told


@pytest.mark.usefixtures("kolla_ansible")
def test_copying_between_registries_opens_no_store(
    enos: Enos, experiment: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from enos.images import registry

    held = {"a:5000": {("kolla/cron", "1"): "x"}, "b:5000": {}}
    monkeypatch.setattr(registry, "holdings", lambda one, _: held[one.host])

    told = enos("images", "sync", "--dry-run", "a:5000", "b:5000")

    assert experiment.exists()
    assert (told.code, told.out) == (0, "+ kolla/cron:1\n")


@pytest.mark.usefixtures("kolla_ansible", "experiment")
def test_os_plans_what_was_asked_of_it(enos: Enos) -> None:
    pulled = enos("os", "--dry-run", "--pull").out
    tagged = enos("os", "--dry-run", "--tags", "nova,neutron").out
    changed = enos("os", "--dry-run", "--reconfigure").out
    typed = enos("os", "--dry-run", "--", "mariadb-recovery", "-vv").out

    assert "kolla_action=pull" in pulled
    assert "kolla_action=deploy" not in pulled
    assert "--tags nova,neutron" in tagged
    assert "kolla_action=reconfigure" in changed
    assert typed.count("\n") == 1
    assert "kolla-ansible mariadb-recovery" in typed
    assert typed.endswith("-vv\n")


@pytest.mark.usefixtures("experiment")
def test_tc_plans_its_undoing_and_its_proof(enos: Enos) -> None:
    reset = enos("tc", "--dry-run", "--reset").out
    test = enos("tc", "--dry-run", "--test").out

    assert reset.startswith("# on control-1, network-1, compute-1, compute-2\n")
    assert "clear_all" in reset
    assert "delay 25" not in reset
    assert "round trips from each end" in test
    assert "control-1 <-> compute-1" in test
    assert "clear_all" not in test


@pytest.mark.usefixtures("experiment")
def test_destroy_plans_the_cleaning_of_machines_that_stay(enos: Enos) -> None:
    names = "control-1, network-1, compute-1, compute-2"

    *cleaned, back = enos("destroy", "--hard", "--dry-run").out.splitlines()

    assert cleaned[:2] == [
        f"remove the network emulation from {names}",
        f"remove OpenStack from {names}",
    ]
    assert f"remove what benchmarks used from {names}" in cleaned
    assert back.startswith(f"give back to `fake`: {names} ")


@pytest.mark.usefixtures("kolla_ansible", "file")
@pytest.mark.parametrize(
    ("source", "first"),
    [
        ("pull", "pull what is missing of"),
        ("build", "build what is missing of"),
        ("auto", "pull as quay.io/openstack.kolla/NAME:2026.1-debian-trixie, or else"),
    ],
)
def test_images_are_planned_as_the_file_says(
    enos: Enos, file: Path, source: str, first: str
) -> None:
    file.write_text(f"{FILE}images: {source}\n")

    told = enos("images", "push", "-f", "demo.yml", "--dry-run", "registry:5000").out

    assert told.startswith(first)
    assert "/keystone:" in told
    assert told.endswith("push what is missing of them to registry:5000\n")


def test_measures_are_not_restored(enos: Enos, here: Path) -> None:
    (here / "old.tar.zst").write_bytes(b"")

    here_told = enos("backup", "--dry-run", "--restore-metrics", "old.tar.zst")
    there = ("--restore-metrics", "old.tar.zst", "--to", "http://192.0.2.9:8086")
    there_told = enos("backup", "--dry-run", *there)

    assert here_told.out.splitlines() == [
        "start an InfluxDB on this machine, with its data in `old-metrics`",
        "write the measures of `old.tar.zst` into it",
    ]
    assert "database at http://192.0.2.9:8086" in there_told.out
    assert [path.name for path in here.iterdir()] == ["old.tar.zst"]


@pytest.mark.usefixtures("file")
def test_a_dry_run_of_a_wrong_file_explains_it(enos: Enos, file: Path) -> None:
    file.write_text("provider: {type: fake}\nresorces: {}\n")

    told = enos("up", "-f", "demo.yml", "--dry-run")

    assert told.code == 3
    assert "did you mean `resources`?" in told.err


def test_a_directory_that_is_looked_at_cannot_be_saved(tmp_path: Path) -> None:
    from dataclasses import replace

    state = Directory(tmp_path).create(provider="fake")
    done = state.with_phase("up", PhaseRecord(status="done", started=1.0))
    directory = replace(Directory(tmp_path), supposed=done)

    assert directory.load().done("up")
    with pytest.raises(RuntimeError, match="only looked at"):
        directory.save(done)
    assert not Directory(tmp_path).load().done("up")
