"""The smoke test of a cloud, against an OpenStack in this process."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enos.cloud import smoke as smoking
from enos.cloud.converge import converge
from enos.cloud.guest import GuestImage
from enos.cloud.plan import plan_cloud
from enos.cloud.rest import Cloud, connect
from enos.cloud.smoke import Request, Smoke, Vantage, smoke, vantages
from enos.errors import CloudError
from enos.testbed import Host, Network, Testbed
from enos.testing import RecordingProgress, RecordingShell
from enos.testing.openstack import FakeOpenStack
from enos.testing.web import Reply

pytestmark = pytest.mark.usefixtures("processes")  # connections to localhost

EXTERNAL = Network(
    name="external",
    cidr="172.31.0.0/24",
    roles=("external",),
    pool=("172.31.0.100", "172.31.0.200"),
)
TESTBED = Testbed(provider="fake", hosts=(), networks=(EXTERNAL,))
NODE = Host(name="network-1", address="192.0.2.1")


@pytest.fixture
def fake() -> Iterator[FakeOpenStack]:
    with FakeOpenStack() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enos.cloud.waiting.time.sleep", lambda _: None)


@pytest.fixture
def ready(fake: FakeOpenStack, tmp_path: Path) -> tuple[Cloud, Request]:
    disk = tmp_path / "disk"
    disk.write_bytes(b"0")
    image = GuestImage(name="g", disk=disk, disk_format="raw", digest="d")
    cloud = connect(fake.clouds_yaml(tmp_path))
    plan = plan_cloud(TESTBED, (image,), public_key="ssh-x k")
    facts = converge(plan, cloud, RecordingProgress())
    request = Request(
        ids=facts.ids,
        image=facts.images["g"],
        vantages=vantages((NODE,)),
    )
    return cloud, request


def hurried(ready: tuple[Cloud, Request]) -> tuple[Cloud, Request]:
    """Look once only."""
    cloud, request = ready
    return cloud, replace(request, seconds=0.0)


def run(
    ready: tuple[Cloud, Request],
    tmp_path: Path,
    shell: RecordingShell,
    progress: RecordingProgress | None = None,
) -> Smoke:
    cloud, request = ready
    console = tmp_path / "logs" / "console.log"
    told = progress or RecordingProgress()
    return smoke(cloud, request, console=console, shell=shell, progress=told)


def test_a_guest_that_answers_is_told_of_and_removed(
    fake: FakeOpenStack, tmp_path: Path, ready: tuple[Cloud, Request]
) -> None:
    result = run(ready, tmp_path, RecordingShell())

    assert result.host == "compute-1"
    assert result.address == "172.31.0.101"
    assert result.seen_from == "this machine"
    assert result.ready
    assert (tmp_path / "logs/console.log").read_text() == "enos-guest: ready\n"
    assert fake.records["servers"] == {}
    assert fake.records["floatingips"] == {}


def test_the_guest_is_looked_for_inside_when_nobody_reaches_it_from_outside(
    tmp_path: Path, ready: tuple[Cloud, Request]
) -> None:
    shell = RecordingShell()
    shell.on("*ping*", returncode=1)
    shell.on("ssh *qdhcp-*ping*10.0.0.7*")

    result = run(ready, tmp_path, shell)

    assert result.address == "10.0.0.7"
    assert result.seen_from == "network-1 (qdhcp)"


def test_a_guest_that_answers_nobody_is_an_error_with_its_console_saved(
    fake: FakeOpenStack, tmp_path: Path, ready: tuple[Cloud, Request]
) -> None:
    shell = RecordingShell()
    shell.on("*ping*", returncode=1)
    fake.console = "Kernel panic"
    fake.boot_gets = 0

    with pytest.raises(CloudError, match="on compute-1 answers no ping"):
        run(hurried(ready), tmp_path, shell)

    assert (tmp_path / "logs/console.log").read_text() == "Kernel panic"
    assert fake.records["servers"] == {}
    assert fake.records["floatingips"] == {}


def test_a_guest_that_fails_is_told_with_the_words_of_nova(
    fake: FakeOpenStack, tmp_path: Path, ready: tuple[Cloud, Request]
) -> None:
    fake.broken_servers = True

    with pytest.raises(CloudError, match="failed: No valid host was found"):
        run(ready, tmp_path, RecordingShell())

    assert fake.records["servers"] == {}


def test_a_guest_that_stays_in_build_ends_the_wait(
    fake: FakeOpenStack, tmp_path: Path, ready: tuple[Cloud, Request]
) -> None:
    fake.boot_gets = 10**9

    with pytest.raises(CloudError, match="not ACTIVE after 0 s"):
        run(hurried(ready), tmp_path, RecordingShell())


def test_a_guest_that_cannot_be_removed_does_not_hide_why_it_failed(
    fake: FakeOpenStack, tmp_path: Path, ready: tuple[Cloud, Request]
) -> None:
    progress = RecordingProgress()
    fake.broken_servers = True
    fake.fail("DELETE", "/servers/", status=409, times=1)

    with pytest.raises(CloudError, match="failed: No valid host was found"):
        run(ready, tmp_path, RecordingShell(), progress)

    (warning,) = progress.warnings
    assert "guest `enos-smoke` or its address stays" in warning
    assert "(HTTP 409)" in warning


def test_a_guest_that_does_not_go_is_warned_of(
    fake: FakeOpenStack,
    tmp_path: Path,
    ready: tuple[Cloud, Request],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    progress, real = RecordingProgress(), fake._servers

    def stays(method: str, path: str, data: dict[str, Any]) -> Reply | None:
        return Reply({}, 202) if method == "DELETE" else real(method, path, data)

    monkeypatch.setattr(fake, "_servers", stays)
    monkeypatch.setattr(smoking, "_LEAVING", 0)

    assert run(ready, tmp_path, RecordingShell(), progress).ready

    (warning,) = progress.warnings
    assert "`enos-smoke` is still there 0 s after it was deleted" in warning


def test_a_guest_is_deleted_again_while_the_service_warms_up(
    fake: FakeOpenStack, tmp_path: Path, ready: tuple[Cloud, Request]
) -> None:
    fake.fail("DELETE", "/servers/", status=503, times=2)

    assert run(ready, tmp_path, RecordingShell()).ready

    assert fake.records["servers"] == {}


def test_what_a_killed_smoke_test_left_is_removed_first(
    fake: FakeOpenStack, tmp_path: Path, ready: tuple[Cloud, Request]
) -> None:
    left = fake.add("servers", {"name": "enos-smoke", "status": "ACTIVE", "gets": 0})

    run(ready, tmp_path, RecordingShell())

    assert left["id"] not in fake.records["servers"]


def test_the_floating_address_is_tried_before_the_namespaces() -> None:
    tried = vantages((NODE,))

    assert tried[0] == Vantage()
    assert [one.floating for one in tried] == [True, True, False, False]
