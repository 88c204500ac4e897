"""Events beside a benchmark, on hosts that are nowhere."""

import json
import math
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from enos import plugins
from enos.config.events import Heal, Partition, Timeline
from enos.errors import CapabilityError, ConfigError
from enos.events import judge
from enos.phases import events
from enos.phases.session import Session, Workshop, phase, resuming, starting
from enos.testbed import Testbed
from enos.testing import FakeProvider, RecordingProgress, RecordingShell
from enos.testing.recording import Answer, Call

FILE = """\
provider: {type: fake}
resources: {core: {any: {control: 1}}, edge: {any: {compute: 2}}}
events:
  - at 0s: partition core|edge
  - at 1h: heal
"""
CAN = "can nft\ncan flock\ncan egress\ncontainer rabbitmq\n"


@pytest.fixture(autouse=True)
def _only_the_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "providers", lambda: {"fake": FakeProvider})
    monkeypatch.setattr(plugins, "provider", lambda _: FakeProvider)


@pytest.fixture(autouse=True)
def _however_busy_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enos.events.record.LATE", math.inf)


class Hosts(RecordingShell):
    """Hosts that answer what scripts ask for; `silent` ones do not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.healed = self.can = ""

        def answer(call: Call) -> Answer:
            last = call.stdin.rstrip().rpartition("\n")[2]
            self.scripts.append(last)
            said = {"look": CAN, "finish": self.healed, "probe": self.can}
            return Answer(stdout=said.get(last, ""))

        self.script("ssh *", answer)
        self.on("ip *", stdout="[]")


@pytest.fixture
def hosts() -> Hosts:
    return Hosts()


@pytest.fixture
def workshop(tmp_path: Path, hosts: Hosts) -> Workshop:
    return Workshop(
        progress=RecordingProgress(),
        where=tmp_path,
        cache=tmp_path / "cache",
        shell=lambda _: hosts,
    )


def acquired(session: Session) -> None:
    with phase(session, "up") as running:
        testbed = running.session.provider.acquire(session.experiment.demand)
        running.session.save(testbed=testbed)


def run(session: Session, timeline: Timeline, folder: Path) -> events.Beside:
    progress = session.progress
    with events.beside(session, timeline, ("boot",), folder, progress) as beside:
        first_of(beside, folder)
        assert session.directory.changed.exists()
    return beside


def first_of(beside: events.Beside, folder: Path) -> None:
    """Start the clock and wait until the first event has ended, however it did."""
    earlier = ended(folder)
    beside.began("boot")
    deadline = time.monotonic() + 30
    while ended(folder) <= earlier:
        assert time.monotonic() < deadline, "the first event did not end"
        time.sleep(0.01)


def ended(folder: Path) -> set[tuple[float, int]]:
    """Return clock and number of the events that have ended."""
    file = folder / events.RECORD
    if not file.exists():
        return set()
    kept = json.loads(file.read_text())
    return {(one["began"], one["number"]) for one in kept if one["ended"]}


def test_events_happen_are_journaled_kept_and_healed(
    workshop: Workshop, tmp_path: Path, hosts: Hosts
) -> None:
    file = tmp_path / "demo.yml"
    file.write_text(FILE)
    with starting(file, None, workshop) as session:
        acquired(session)
        folder = session.directory.results / "bench-1"
        beside = run(session, events.asked(session), folder)

    judge(beside.happened)
    kept = json.loads((folder / events.RECORD).read_text())
    assert [(one["what"], one["outcome"]) for one in kept] == [
        ("partition core|edge", "done"),
        ("heal", "at the end"),
        ("heal what is left", "done"),
    ]
    assert "event: partition core|edge,0." in (folder / events.ROWS).read_text()
    journal = session.directory.journal.events()
    said = [(one["what"], one["status"]) for one in journal if one["kind"] == "event"]
    assert said[:2] == [
        ("partition core|edge", "started"),
        ("partition core|edge", "finished"),
    ]
    assert not session.directory.changed.exists()
    assert hosts.scripts.count("arm") == hosts.scripts.count("finish") == 3


def test_an_event_that_waited_is_warned_of_and_journaled_as_finished(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "demo.yml"
    file.write_text(FILE)
    monkeypatch.setattr("enos.events.conductor.punctuality", lambda *_, **__: "waited")
    with starting(file, None, workshop) as session:
        acquired(session)
        folder = session.directory.results / "bench-1"
        beside = run(session, events.asked(session), folder)

    judge(beside.happened)
    progress = workshop.progress
    assert isinstance(progress, RecordingProgress)
    assert "when the one before had ended" in progress.warnings[0]
    journal = session.directory.journal.events()
    said = [one["status"] for one in journal if one["kind"] == "event"]
    assert said[:2] == ["started", "finished"]


def test_a_kernel_that_cannot_drop_at_an_interface_is_a_decision(
    workshop: Workshop, tmp_path: Path, hosts: Hosts
) -> None:
    file = tmp_path / "demo.yml"
    file.write_text(FILE)
    hosts.on("ssh *192.0.2.3*", stdout="can nft\ncan flock\n")
    with starting(file, None, workshop) as session:
        acquired(session)
        plan = events.planned(session, events.asked(session))

    progress = workshop.progress
    assert isinstance(progress, RecordingProgress)
    assert progress.decisions[-1].startswith("compute-1: no egress hook")
    assert "egress" not in plan.steps[0].tasks["compute-1"].shown
    assert "egress" in plan.steps[0].tasks["compute-2"].shown


COPIES = """\
provider: {type: fake}
resources:
  core: {any: {control: 1}}
  one: {any: {compute: 1}}
  two: {any: {compute: 1}}
events:
  - at 0s: delay 5ms core|one
  - at 1s: duplicate 1% core|two
"""


@pytest.mark.parametrize(
    ("can", "backend"),
    [
        ("tc htb netem copies ipset nfqueue queues python3", "netem"),
        ("tc htb netem ipset nfqueue queues python3", "user-space"),
    ],
)
def test_links_are_emulated_by_what_can_do_all_that_events_ask(
    workshop: Workshop, tmp_path: Path, hosts: Hosts, can: str, backend: str
) -> None:
    file = tmp_path / "demo.yml"
    file.write_text(COPIES)
    hosts.can = can
    with starting(file, None, workshop) as session:
        acquired(session)
        plan = events.planned(session, events.asked(session))

    for step in plan.steps:
        shown = step.tasks["control-1"].shown
        assert ("classes.json" in shown) == (backend == "user-space")
    progress = workshop.progress
    assert isinstance(progress, RecordingProgress)
    assert progress.decisions[-1].startswith(f"network emulation by {backend}: ")


def test_events_that_the_emulation_in_force_cannot_do_are_refused_before_the_run(
    workshop: Workshop, tmp_path: Path, hosts: Hosts
) -> None:
    file = tmp_path / "demo.yml"
    file.write_text(COPIES)
    hosts.can = "tc htb netem ipset nfqueue queues python3"
    with starting(file, None, workshop) as session:
        acquired(session)
        with phase(session, "tc") as running:
            running.facts["backend"] = "netem"
        with pytest.raises(CapabilityError, match="duplicates packets") as refused:
            events.planned(session, events.asked(session))
        assert "copies" in refused.value.details

        hosts.can += " copies"
        plan = events.planned(session, events.asked(session))

    assert "netem" in plan.steps[1].tasks["control-1"].shown


QUEUES = "tc htb ipset nfqueue queues python3"


def also_ipv6(testbed: Testbed) -> Testbed:
    """Return the testbed whose interfaces have IPv6 addresses, too."""
    several = tuple(
        replace(
            host,
            nics=tuple(
                replace(nic, addresses=(*nic.addresses, f"fd00:{place}::{number}/64"))
                for place, nic in enumerate(host.nics)
            ),
        )
        for number, host in enumerate(testbed.hosts, 1)
    )
    return replace(testbed, hosts=several)


@pytest.mark.parametrize("present", ["", "user-space"])
def test_a_kernel_that_cannot_queue_ipv6_is_found_before_the_run(
    workshop: Workshop, tmp_path: Path, hosts: Hosts, present: str
) -> None:
    file = tmp_path / "demo.yml"
    file.write_text(FILE.replace("partition", "delay 9ms"))
    hosts.can = QUEUES
    with starting(file, None, workshop) as session:
        acquired(session)
        if present:
            with phase(session, "tc") as running:
                running.facts["backend"] = present
        four = events.planned(session, events.asked(session))
        session.save(testbed=also_ipv6(session.testbed))
        with pytest.raises(CapabilityError, match="by user-space") as refused:
            events.planned(session, events.asked(session))
        assert ("links that carry IPv6" in refused.value.message) == bool(present)
        assert "nfqueue6" in refused.value.details

        hosts.can += " nfqueue6"
        both = events.planned(session, events.asked(session))

    shown = [plan.steps[0].tasks["control-1"].shown for plan in (four, both)]
    assert ["classes.json" in one for one in shown] == [True, True]


def test_a_second_part_of_a_run_keeps_the_events_of_the_first(
    workshop: Workshop, tmp_path: Path
) -> None:
    file = tmp_path / "demo.yml"
    file.write_text(FILE)
    with starting(file, None, workshop) as session:
        acquired(session)
        folder = session.directory.results / "bench-1"
        run(session, events.asked(session), folder)
        kept = json.loads((folder / events.RECORD).read_text())
        kept[0]["outcome"] = "running"
        (folder / events.RECORD).write_text(json.dumps(kept))
        with events.beside(
            session, events.asked(session), ("boot",), folder, session.progress
        ) as beside:
            first_of(beside, folder)

    again = json.loads((folder / events.RECORD).read_text())
    outcomes = [one["outcome"] for one in again]
    assert outcomes == [
        "interrupted",
        "at the end",
        "done",
        "done",
        "at the end",
        "done",
    ]
    assert len({one["began"] for one in again}) == 2


def test_the_next_command_heals_what_a_killed_one_left(
    workshop: Workshop, tmp_path: Path, hosts: Hosts
) -> None:
    file = tmp_path / "demo.yml"
    file.write_text(FILE)
    with starting(file, None, workshop) as session:
        acquired(session)
        mark = {"hosts": ["control-1", "compute-1"], "here": False}
        session.directory.changed.write_text(json.dumps(mark))
    hosts.healed = "1795279460.5\n"

    with resuming(session.directory.path, workshop):
        pass

    assert hosts.scripts.count("finish") == 2
    assert not session.directory.changed.exists()
    told = [one for one in session.directory.journal.events() if one["kind"] == "event"]
    assert [one["status"] for one in told] == ["healed", "healed", "finished"]
    assert told[0]["at"] == 1795279460.5


def test_a_host_that_cannot_be_reached_is_tried_again_by_the_next_command(
    workshop: Workshop, tmp_path: Path, hosts: Hosts
) -> None:
    file = tmp_path / "demo.yml"
    file.write_text(FILE)
    with starting(file, None, workshop) as session:
        acquired(session)
        mark = {"hosts": ["compute-1"], "here": False}
        session.directory.changed.write_text(json.dumps(mark))
    hosts.on("ssh *192.0.2.3*", returncode=255, stderr="no route to host")

    with resuming(session.directory.path, workshop):
        pass

    assert session.directory.changed.exists()
    progress = workshop.progress
    assert isinstance(progress, RecordingProgress)
    assert "no route to host" in progress.warnings[-1]


def test_a_clock_no_scenario_starts_is_refused(
    workshop: Workshop, tmp_path: Path
) -> None:
    file = tmp_path / "demo.yml"
    file.write_text(FILE)
    timeline = Timeline(events=(Heal(at=1.0, text="heal"),), origin="shelve")
    with starting(file, None, workshop) as session:
        acquired(session)
        with (
            pytest.raises(ConfigError, match="`shelve`, which is no scenario"),
            events.beside(session, timeline, ("boot",), tmp_path, session.progress),
        ):
            pass


def test_an_event_the_benchmark_ended_before_is_told(
    workshop: Workshop, tmp_path: Path
) -> None:
    file = tmp_path / "demo.yml"
    file.write_text(FILE)
    late = Partition(at=3600.0, text="partition", pairs=(("core", "edge"),))
    with starting(file, None, workshop) as session:
        acquired(session)
        with events.beside(
            session,
            Timeline(events=(late,)),
            ("boot",),
            tmp_path / "r",
            session.progress,
        ) as beside:
            beside.began("boot")

    assert [one.outcome for one in beside.happened] == ["not reached", "done"]


def test_a_clock_that_never_starts_is_told_unless_a_failure_says_that_nothing_ran(
    workshop: Workshop, tmp_path: Path
) -> None:
    file = tmp_path / "demo.yml"
    file.write_text(FILE)
    cut = Partition(at=0.0, text="partition", pairs=(("core", "edge"),))
    timeline = Timeline(events=(cut,), origin="boot")
    happened = []
    with starting(file, None, workshop) as session:
        acquired(session)
        for began, error in (((), None), (("list",), None), ((), KeyError("Rally"))):
            with (
                suppress(KeyError),
                events.beside(
                    session,
                    timeline,
                    ("list", "boot"),
                    tmp_path / "r",
                    session.progress,
                ) as beside,
            ):
                for name in began:
                    beside.began(name)
                if error:
                    raise error
            happened.append([one.outcome for one in beside.happened])

    assert happened == [["not reached"], ["not reached"], []]
