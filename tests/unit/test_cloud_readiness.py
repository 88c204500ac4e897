"""Waiting for what guests need, against an OpenStack in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from enos.cloud.readiness import await_agents, await_computes, unwired
from enos.cloud.rest import Cloud, connect
from enos.errors import CloudError
from enos.testing import RecordingProgress
from enos.testing.openstack import FakeOpenStack

pytestmark = pytest.mark.usefixtures("processes")  # connections to localhost


@pytest.fixture
def fake() -> Iterator[FakeOpenStack]:
    with FakeOpenStack() as running:
        running.add("services", {"host": "c1", "binary": "nova-compute", "state": "up"})
        running.add("services", {"host": "c2", "binary": "nova-compute", "state": "up"})
        running.add("services", {"host": "c3", "binary": "nova-compute", "state": "x"})
        running.add("agents", agent("c1"))
        yield running


@pytest.fixture
def cloud(fake: FakeOpenStack, tmp_path: Path) -> Cloud:
    return connect(fake.clouds_yaml(tmp_path))


def agent(
    host: str, *, alive: bool = True, kind: str = "Open vSwitch agent"
) -> dict[str, object]:
    return {"host": host, "alive": alive, "agent_type": kind}


def test_dead_agents_and_those_of_other_layers_wire_nothing() -> None:
    agents = [
        agent("c1"),
        agent("c2", alive=False),
        agent("c3", kind="L3 agent"),
        agent("c4", kind="OVN Controller agent"),
    ]

    lacking = unwired(("c4", "c3", "c2", "c1"), {"agents": agents})

    assert lacking == ("c2", "c3")


def test_it_waits_for_the_agent_of_each_compute_that_is_up(
    fake: FakeOpenStack, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = fake.add("agents", agent("c2", alive=False))

    def wake(_: float) -> None:
        late["alive"] = True

    monkeypatch.setattr("enos.cloud.waiting.time.sleep", wake)

    await_agents(cloud, RecordingProgress())

    assert fake.requests.count("GET /network/v2.0/agents") == 2


def test_a_compute_without_an_agent_is_named(cloud: Cloud) -> None:
    with pytest.raises(CloudError, match=r"no living network agent on c2 after 0 s"):
        await_agents(cloud, RecordingProgress(), seconds=0)


def disabled(fake: FakeOpenStack, reason: str | None) -> dict[str, object]:
    service: dict[str, object] = {
        "host": "c4",
        "binary": "nova-compute",
        "state": "up",
        "status": "disabled",
        "disabled_reason": reason,
    }
    return fake.add("services", service)


def test_it_waits_for_a_compute_that_disabled_itself(
    fake: FakeOpenStack, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = disabled(fake, "AUTO: Connection to libvirt lost: 0")

    def wake(_: float) -> None:
        late["disabled_reason"] = None

    monkeypatch.setattr("enos.cloud.waiting.time.sleep", wake)
    progress = RecordingProgress()

    await_computes(cloud, progress)

    (step,) = progress.steps
    assert step.awaited == ["nova-compute of c4"]
    assert sum("os-services" in one for one in fake.requests) == 2


def test_a_compute_that_stays_disabled_is_named_with_its_reason(
    fake: FakeOpenStack, cloud: Cloud
) -> None:
    disabled(fake, "AUTO: Connection to libvirt lost: 0")
    why = "of c4 takes no guests after 0 s; c4: Connection to libvirt lost"
    with pytest.raises(CloudError, match=why):
        await_computes(cloud, RecordingProgress(), seconds=0)


@pytest.mark.parametrize("reason", [None, "maintenance"])
def test_a_compute_that_somebody_disabled_is_left_alone(
    fake: FakeOpenStack, cloud: Cloud, reason: str | None
) -> None:
    disabled(fake, reason)
    await_computes(cloud, RecordingProgress(), seconds=0)
    assert sum("os-services" in one for one in fake.requests) == 1
