"""The conditions of a run: the network is asked, kept, and makes it another run."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest

from enos import netem
from enos.bench import rally, runfolder
from enos.bench.host import Bench
from enos.bench.results import ScenarioResult
from enos.bench.shaker.execution import Traffic
from enos.bench.workload import Workload
from enos.cli import bench as command
from enos.cli.console import NORMAL
from enos.cli.options import Options
from enos.config.events import Heal, Timeline
from enos.errors import BenchmarkError, EmulationError, StateError
from enos.metrics.gaps import Coverage
from enos.phases import bench, byhand, events, metrics, network
from enos.phases.session import Session, phase
from enos.testing import RecordingProgress, RecordingShell

FILE = """\
provider: {type: fake}
topology: {core: {control: 1}, edge: {compute: 1}}
network_constraints: {src: core, dst: edge, delay: 20ms}
"""
HEAL = Timeline(events=(Heal(at=3600.0, text="heal"),))
PERF = """\
execution: {tests: [{title: TCP, class: iperf3}]}
"""
PASSED = ScenarioResult(name="task", key="k", args={}, plugin="Dummy.dummy")


class Hosts:
    """What hosts say when asked, and a benchmark that takes what it is given.

    Attributes:
        dies: the daemon does, while the benchmark runs.
        ends: the benchmark does, before its end.
        folders: of the results, of each run.

    """

    def __init__(self) -> None:
        self.dead = self.dies = self.ends = False
        self.asked = 0
        self.folders: list[Path] = []

    def check(self, *_: object, **__: object) -> None:
        self.asked += 1
        if self.dead:
            raise EmulationError("not emulated as planned on `compute-1`: queue 57424")

    def run(
        self, workload: Workload, _: object, *, results: Path, under: str, **__: object
    ) -> tuple[ScenarioResult, ...]:
        self.folders.append(results)
        self.dead = self.dead or self.dies
        place = results / "01-task"
        place.mkdir(parents=True, exist_ok=True)
        outcome = place / "outcome.json"
        if not outcome.exists():
            outcome.write_text(json.dumps({"began": 1000.0 + len(self.folders)}))
        runfolder.begin(workload, results, under)
        if self.ends:
            raise BenchmarkError("Rally ended")
        (results / runfolder.DONE).write_text("[]")
        return (PASSED,)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    made = Hosts()
    monkeypatch.setattr(netem, "check", made.check)
    monkeypatch.setattr(rally, "run_workload", made.run)
    return made


@pytest.fixture
def session(
    opened: Callable[..., AbstractContextManager[Session]], hosts: Hosts
) -> Iterator[Session]:
    assert not hosts.dead
    with opened(FILE, RecordingShell()) as session:
        session.save(testbed=session.provider.acquire(session.experiment.demand))
        with phase(session, "init"):
            pass
        yield session


@pytest.fixture
def task(tmp_path: Path) -> Path:
    (tmp_path / "task.yml").write_text("Dummy.dummy: {}\n")
    (tmp_path / "run.yml").write_text("rally: {scenarios: [{file: task.yml}]}\n")
    return tmp_path / "run.yml"


def shaped(session: Session) -> None:
    with phase(session, "tc") as running:
        running.facts["backend"] = "user-space"


def kept(folder: Path) -> Mapping[str, Any]:
    return dict(json.loads((folder / network.FILE).read_text()))


def test_without_tc_nothing_is_asked_of_the_hosts(
    session: Session, hosts: Hosts, task: Path
) -> None:
    done = bench.run(session, task)

    assert hosts.asked == 0
    assert kept(done.folder)["backend"] == ""
    assert network.fingerprint(network.Emulated(), Timeline()) == ""


def test_constraints_that_were_never_applied_are_warned_of_and_kept(
    session: Session, task: Path
) -> None:
    done = bench.run(session, task)

    assert isinstance(session.progress, RecordingProgress)
    (warning,) = session.progress.warnings
    assert "the file has network constraints, but `enos tc` was not run" in warning
    assert kept(done.folder)["note"] == warning
    network.judge(done.problem)
    untouched = network.fingerprint(network.Emulated(note=warning), Timeline())
    assert untouched == "", "it is the same run once the file asks for nothing"


def test_nothing_is_said_of_constraints_that_were_applied(
    session: Session, task: Path
) -> None:
    shaped(session)

    done = bench.run(session, task)

    assert isinstance(session.progress, RecordingProgress)
    assert session.progress.warnings == []
    assert kept(done.folder)["note"] == ""


def test_what_fails_while_looking_back_does_not_hide_why_the_run_ended(
    session: Session, hosts: Hosts, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics, "covered", full)
    hosts.ends = True

    with pytest.raises(BenchmarkError, match="Rally ended"):
        bench.run(session, task)

    assert isinstance(session.progress, RecordingProgress)
    assert "No space left on device" in session.progress.warnings[-1]


def test_an_outcome_that_cannot_be_read_tells_no_beginning(tmp_path: Path) -> None:
    for name, text in (("01-a", "{"), ("02-b", '{"began": 7.5}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "outcome.json").write_text(text)

    assert bench._began(tmp_path, datetime(2026, 1, 1, tzinfo=UTC)) == 7.5


def test_what_is_emulated_is_checked_and_kept_with_the_results(
    session: Session, hosts: Hosts, task: Path
) -> None:
    shaped(session)
    byhand.write(session.directory, [{"src": "core", "dst": "edge", "loss": "3%"}])

    done = bench.run(session, task)

    assert hosts.asked == 2
    network.judge(done.problem)
    told = kept(done.folder)
    assert told["set"] == [{"src": "core", "dst": "edge", "loss": "3%"}]
    assert set(told["commands"]) == {"control-1", "compute-1"}
    assert told["problem"] == ""


def test_no_benchmark_runs_on_a_network_nobody_asked_for(
    session: Session, hosts: Hosts, task: Path
) -> None:
    with pytest.raises(RuntimeError, match="refused"), phase(session, "tc"):
        raise RuntimeError("refused")
    with pytest.raises(StateError, match="`tc` did not end") as told:
        bench.run(session, task)
    assert "`enos tc --reset`" in told.value.hint

    shaped(session)
    hosts.dead = True
    with pytest.raises(EmulationError, match="`compute-1`: queue 57424"):
        bench.run(session, task)

    assert hosts.folders == []


def test_a_daemon_that_dies_meanwhile_is_told_with_the_results(
    session: Session, hosts: Hosts, task: Path
) -> None:
    shaped(session)
    hosts.dies = True

    done = bench.run(session, task)

    assert done.results == (PASSED,)
    assert "queue 57424" in kept(done.folder)["problem"]
    with pytest.raises(EmulationError, match=r"not emulated to its end: .*queue 57424"):
        network.judge(done.problem)


def test_a_run_that_went_on_keeps_what_its_first_part_had(
    session: Session, hosts: Hosts, task: Path
) -> None:
    shaped(session)
    hosts.dies = hosts.ends = True
    with pytest.raises(BenchmarkError, match="Rally ended"):
        bench.run(session, task)
    hosts.dies = hosts.ends = hosts.dead = False

    done = bench.run(session, task)

    assert hosts.folders == [done.folder, done.folder]
    assert "queue 57424" in done.problem


def test_another_network_or_other_events_are_another_run(
    session: Session, hosts: Hosts, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = iter(datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 9))
    new = runfolder.run_folder

    def dated(root: Path, load: Workload, _: datetime, *, under: str) -> Path:
        return new(root, load, next(starts), under=under)

    monkeypatch.setattr(bench, "run_folder", dated)
    shaped(session)
    hosts.ends = True

    def cut_short(timeline: Timeline | None = None) -> Path:
        with pytest.raises(BenchmarkError):
            bench.run(session, task, timeline)
        return hosts.folders[-1]

    first = cut_short()
    assert cut_short() == first
    byhand.write(session.directory, [{"src": "core", "dst": "edge", "delay": "9ms"}])
    second = cut_short()
    monkeypatch.setattr(events, "beside", without_events)
    third = cut_short(HEAL)
    byhand.write(session.directory, ())

    assert len({first, second, third}) == 3
    assert cut_short() == first


def test_events_count_from_scenarios_of_shaker_as_from_those_of_rally(
    session: Session, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.write_text(
        f"{task.read_text()}shaker: {{scenarios: [{{file: perf.yml, name: link}}]}}\n"
    )
    (task.parent / "perf.yml").write_text(PERF)
    names: list[str] = []
    begun: list[str] = []

    @contextmanager
    def beside(
        _: Session, timeline: Timeline, scenarios: Iterable[str], *__: object
    ) -> Iterator[events.Beside]:
        names.extend(scenarios if timeline.events else ())
        yield events.Beside(began=begun.append)

    def run(
        workload: Workload, told: Bench, *, traffic: Traffic, **_: object
    ) -> tuple[ScenarioResult, ...]:
        for one in workload.runs:
            told.began(one.name)
        for other in workload.shaker:
            traffic.bench.began(other.name)
        return (PASSED,)

    monkeypatch.setattr(events, "beside", beside)
    monkeypatch.setattr(rally, "run_workload", run)

    bench.run(session, task, HEAL)

    assert begun == names == ["task", "link"]


def test_nothing_happens_beside_a_run_whose_scenarios_are_all_done(
    session: Session, hosts: Hosts, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[int] = []

    @contextmanager
    def beside(_: Session, timeline: Timeline, *__: object) -> Iterator[events.Beside]:
        planned.append(len(timeline.events))
        yield events.Beside()

    monkeypatch.setattr(events, "beside", beside)
    hosts.ends = True
    for _ in range(2):  # ends once the scenario has its outcome, without results
        with pytest.raises(BenchmarkError):
            bench.run(session, task, HEAL)

    assert hosts.folders[0] == hosts.folders[1]
    assert planned == [1, 0]


class without_events:  # noqa: N801 - in place of a function
    """Beside a benchmark nothing happens."""

    def __init__(self, *_: object) -> None:
        self.began = print
        self.happened = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_measures_are_looked_for_from_the_first_part_on_also_when_rally_ends(
    session: Session, hosts: Hosts, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[float] = []
    monkeypatch.setattr(metrics, "covered", lambda _, __, begin: began.append(begin))
    hosts.ends = True
    with pytest.raises(BenchmarkError):
        bench.run(session, task)
    hosts.ends = False

    bench.run(session, task)

    assert began == [1001.0, 1001.0]
    facts = session.directory.load().phases["bench"].facts
    assert facts["results"] == f"results/{hosts.folders[-1].name}"


def test_all_that_failed_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gap = Coverage(begin=0, end=9, interval=1, hosts=("a",), problem="no answer")
    failed = replace(PASSED, error="no quota", trace_gap="the store is silent")
    outcome = bench.Outcome(
        folder=tmp_path, results=(failed,), problem="queue 57424", measured=gap
    )
    options = Options(
        env=None, level=NORMAL, dry_run=False, json=False, cwd=tmp_path, cache=tmp_path
    )

    with pytest.raises(EmulationError, match="queue 57424"):
        command._judge(outcome, options)

    told = " ".join(capsys.readouterr().err.split())
    assert "1 of 1 scenarios failed: task: did not run: no quota" in told
    assert "traces are missing of 1 of 1 scenarios: task: the store is silent" in told
    assert "measures of 9 s" in told
