"""Events beside a block: what is told of them, whatever goes wrong."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from enos.config.events import Heal, Partition, Timeline
from enos.errors import EmulationError, ProcessError
from enos.events import (
    Conductor,
    EventsPlan,
    Field,
    Ground,
    Happened,
    Place,
    finish,
)
from enos.events.field import HERE, renew
from enos.events.planner import plan_events
from enos.testbed import Host, Network, Nic, Testbed
from enos.testing import RecordingProgress, RecordingShell
from enos.testing.recording import Answer, Call

CUT = Partition(at=0.0, text="partition", pairs=(("core", "edge"),))
HEAL = Heal(at=0.0, text="heal")


def node(number: int, group: str) -> Host:
    nic = Nic(device="eth0", network="api", addresses=(f"10.0.0.{number}/24",))
    name = f"node-{number}"
    return Host(name=name, address=f"192.0.2.{number}", groups=(group,), nics=(nic,))


BED = Testbed(
    provider="paper",
    hosts=(node(2, "core"), node(3, "edge")),
    networks=(Network(name="api", cidr="10.0.0.0/24", roles=("api",)),),
)


@pytest.fixture
def where(tmp_path: Path) -> Field:
    shell = RecordingShell()
    shell.on("ssh *", stdout="")
    return Field(
        testbed=BED,
        shell=shell,
        progress=RecordingProgress(),
        here=Place(folder=str(tmp_path / "here")),
    )


def planned(*events: Partition | Heal) -> EventsPlan:
    return plan_events(Timeline(events=events), Ground(testbed=BED))


@dataclass(slots=True)
class Told:
    """What was told; raises what it has to, once, when `refuses` says so."""

    refuses: Callable[[Happened], Exception | None] = field(default=lambda _: None)
    several: list[Happened] = field(default_factory=list)
    refused: bool = False

    def __call__(self, one: Happened) -> None:
        why = None if self.refused else self.refuses(one)
        if why:
            self.refused = True
            raise why
        self.several.append(one)

    def until(self, wanted: Callable[["Told"], bool]) -> None:
        deadline = time.monotonic() + 20
        while not wanted(self):
            assert time.monotonic() < deadline, self.several
            time.sleep(0.01)

    @property
    def ended(self) -> dict[str, str]:
        wanted = (one for one in self.several if one.outcome != "running")
        return {one.what: one.outcome for one in wanted}


def run(conductor: Conductor, told: Told, error: Exception | None = None) -> None:
    """Let events happen until telling of one was refused."""
    with conductor:
        conductor.began("load")
        told.until(lambda told: told.refused)
        if error:
            raise error


def full(outcome: str) -> Callable[[Happened], Exception | None]:
    """Return what refuses the first event told with this outcome."""
    return lambda one: OSError(28, "disk full") if one.outcome == outcome else None


@pytest.mark.parametrize(
    ("outcome", "first"), [("running", "not reached"), ("done", "failed")]
)
def test_events_that_break_off_fail_the_run_and_all_are_told(
    where: Field, outcome: str, first: str
) -> None:
    told = Told(full(outcome))
    conductor = Conductor(planned(CUT, HEAL), where, told)

    with pytest.raises(EmulationError, match=r"broke off: .*disk full"):
        run(conductor, told)

    assert told.ended == {
        "partition": first,
        "heal": "not reached",
        "heal what is left": "done",
    }
    broken = [one for one in told.several if one.what in ("partition", "heal")]
    assert all("disk full" in str(one.errors) for one in broken if one.ended)
    assert conductor.healed


def test_the_error_of_the_block_counts_more_than_that_of_the_events(
    where: Field,
) -> None:
    told = Told(full("running"))
    conductor = Conductor(planned(CUT), where, told)

    with pytest.raises(KeyError, match="benchmark"):
        run(conductor, told, KeyError("benchmark"))

    assert conductor.healed
    progress = where.progress
    assert isinstance(progress, RecordingProgress)
    assert any("disk full" in warning for warning in progress.warnings)


def test_an_event_that_fails_in_a_way_nobody_thought_of_is_told_and_the_rest_goes_on(
    where: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> dict[str, str]:
        raise KeyError("node-9")

    monkeypatch.setattr("enos.events.field.do", fail)
    told = Told()

    with Conductor(planned(CUT, HEAL), where, told) as conductor:
        conductor.began("load")
        told.until(lambda told: "heal" in told.ended)

    assert told.ended["partition"] == told.ended["heal"] == "failed"
    assert told.several[1].errors["node-2"] == "KeyError('node-9')"


def test_an_event_is_punctual_by_the_end_of_the_one_before(
    where: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[float] = []
    asked: list[tuple[float, float, float]] = []

    def do(*_: object) -> dict[str, str]:
        done.append(time.monotonic())
        return {}

    def judged(due: float, begun: float, *, free: float) -> str:
        asked.append((due, begun, free))
        return "waited"

    monkeypatch.setattr("enos.events.field.do", do)
    monkeypatch.setattr("enos.events.conductor.punctuality", judged)
    told = Told()

    with Conductor(planned(CUT, HEAL), where, told) as conductor:
        conductor.began("load")
        told.until(lambda told: "heal" in told.ended)

    (due, begun, free), (second_due, second_begun, second_free) = asked
    assert free < due <= begun <= done[0] <= second_free <= second_begun <= done[1]
    assert second_due == due
    assert told.ended["partition"] == told.ended["heal"] == "waited"


def test_hosts_keep_their_lease_when_the_disk_here_is_full(where: Field) -> None:
    shell = where.shell
    assert isinstance(shell, RecordingShell)
    # A folder that is not there refuses as a full disk does: by OSError.

    failed = renew(("node-2", "node-3"), where, "7", here=True)

    assert failed.keys() == {HERE}
    assert "No such file" in failed[HERE]
    renewed = [one for one in shell.calls if one.stdin.endswith("\nrenew 7\n")]
    assert len(renewed) == 2


def test_hosts_heal_also_when_healing_here_takes_too_long(where: Field) -> None:
    shell = where.shell
    assert isinstance(shell, RecordingShell)

    def late(_: Call) -> Answer:
        raise ProcessError("`sh -s` took longer than 300 s")

    shell.script("sh -s", late)
    Path(where.here.folder).mkdir()

    healed, errors = finish(("node-2", "node-3"), where, here=True)

    assert healed == {}
    assert errors == {"this machine": "`sh -s` took longer than 300 s"}
    finished = [one for one in shell.calls if one.stdin.endswith("\nfinish\n")]
    assert {one.argv[0] for one in finished} == {"sh", "ssh"}
    assert len(finished) == 3
