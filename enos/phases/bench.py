"""`enos bench`: a workload run on the testbed, its results and verdicts kept."""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from enos import content
from enos.bench import rally
from enos.bench.authority import with_authority
from enos.bench.host import Bench, bench_host
from enos.bench.results import ScenarioResult
from enos.bench.runfolder import ahead, folders, run_folder
from enos.bench.shaker.scenario import Where
from enos.bench.tracing import Profiler
from enos.bench.workload import Workload, load_workload
from enos.config.events import Timeline
from enos.errors import EnosError
from enos.events import Happened
from enos.metrics.gaps import Coverage
from enos.phases import events, metrics, network, trace, traffic
from enos.phases.session import Session, phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Where the results are and what they say, and what became of the events.

    Attributes:
        problem: why the network was not emulated to the end, empty when it was.
        measured: whether the machines were, all along; None without monitoring.

    """

    folder: Path
    results: tuple[ScenarioResult, ...]
    events: tuple[Happened, ...] = ()
    problem: str = ""
    measured: Coverage | None = None


def load(name: Path, session: Session | None = None) -> Workload:
    """Return a workload by file, folder or shipped name; raises ConfigError.

    Within a session, tasks boot the image and flavor `init` has proved unless the
    workload names others.
    """
    made = session.directory.load().phases.get("init") if session else None
    proved = dict(made.facts) if made else {}
    return load_workload(content.find("workloads", name), defaults=proved)


def plan(workload: Workload) -> tuple[str, ...]:
    """Return a line for each run of a workload."""
    return tuple(run.name for run in workload.ordered)


def run(session: Session, name: Path, timeline: Timeline | None = None) -> Outcome:
    """Run what is not done of a workload; whether it is good, `rally.judge` says.

    Args:
        session: the experiment.
        name: of the workload.
        timeline: events to happen meanwhile; None for those of the experiment.

    Raises:
        StateError: before `init`, since most scenarios boot an image from there; a
            workload that only measures between nodes goes on after `up`. Or `tc` did
            not end.
        EmulationError: a host does not emulate what it was told.

    """
    timeline = events.asked(session) if timeline is None else timeline
    workload = load(name, session)
    session.require(needed(workload))
    profiler = trace.profiler(session, workload)
    emulated, now = network.in_force(session), datetime.now(UTC)
    with phase(session, "bench") as running:
        inner, directory = running.session, session.directory
        made = _prepared(inner, workload, timeline, (emulated, profiler), now)
        running.facts["results"] = str(made.folder.relative_to(directory.path))
        try:
            results, happened = _played(inner, made, timeline)
        except EnosError:
            _looked_back_after_failure(inner, made, now)
            raise
        problem, measured = _looked_back(inner, made, now)
        if profiler:
            trace.keep_analyses(inner, made.folder)
    return Outcome(
        folder=made.folder,
        results=results,
        events=happened,
        problem=problem,
        measured=measured,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A run, ready to be played.

    Attributes:
        folder: of its results; what is emulated is kept there.
        under: tells its conditions apart from others.

    """

    workload: Workload
    folder: Path
    emulated: network.Emulated
    profiler: Profiler | None
    under: str


def _prepared(
    session: Session,
    workload: Workload,
    timeline: Timeline,
    conditions: tuple[network.Emulated, Profiler | None],
    now: datetime,
) -> _Prepared:
    """Choose the folder of a run and write down there what it runs on."""
    emulated, profiler = conditions
    if emulated.note:
        session.progress.warn(emulated.note)
    under = network.fingerprint(emulated, timeline)
    folder = run_folder(session.directory.results, workload, now, under=under)
    network.keep(emulated, folder)
    if profiler:
        trace.keep_lab(session, folder, timeline)
    return _Prepared(
        workload=workload,
        folder=folder,
        emulated=emulated,
        profiler=profiler,
        under=under,
    )


def _played(
    session: Session, run: _Prepared, timeline: Timeline
) -> tuple[tuple[ScenarioResult, ...], tuple[Happened, ...]]:
    """Run the scenarios and, beside them, the events; return what came of both."""
    workload, folder, bench = run.workload, run.folder, bench_of(session)
    spec, names = _spec(session, bench), plan(workload)
    due = timeline if _left(run) else Timeline()
    beside = events.beside(session, due, names, folder, session.progress)
    with beside as meanwhile:
        told = replace(bench, began=meanwhile.began)
        results = rally.run_workload(
            workload,
            told,
            spec=spec,
            results=folder,
            profiler=run.profiler,
            traffic=traffic.traffic(session, workload, told, spec),
            under=run.under,
        )
    return results, meanwhile.happened


def _left(run: _Prepared) -> bool:
    """Tell whether a scenario is still to be run, beside which events can happen."""
    workload, names = run.workload, folders(run.workload.ordered)
    places = {key: run.folder / name for key, name in names.items()}
    return bool(ahead(workload.runs, places) or ahead(workload.shaker, places))


def _looked_back(
    session: Session, run: _Prepared, now: datetime
) -> tuple[str, Coverage | None]:
    """Keep whether the network was emulated, and all was measured, to the end."""
    folder, emulated = run.folder, run.emulated
    problem = network.keep(emulated, folder, network.lost(session, emulated))
    return problem, metrics.covered(session, folder, _began(folder, now))


def _looked_back_after_failure(session: Session, run: _Prepared, now: datetime) -> None:
    """Look back as well as that goes: the failure that ended the run is what counts."""
    try:
        _looked_back(session, run, now)
    except (EnosError, OSError, ValueError) as error:
        session.progress.warn(f"the end of the run was not looked into: {error}")


def _began(folder: Path, now: datetime) -> float:
    """Return when a run began, in epoch seconds: it may have been gone on with."""
    began = [now.timestamp()]
    for outcome in folder.glob("*/outcome.json"):
        with suppress(ValueError):  # of a scenario whose results did not come whole
            began.append(float(json.loads(outcome.read_bytes()).get("began") or 0.0))
    return min(filter(None, began))


def needed(workload: Workload) -> str:
    """Return the phase that must be done before a workload is run."""
    on_nodes = all(run.where is Where.NODES for run in workload.shaker)
    return "up" if workload.shaker and on_nodes and not workload.runs else "init"


def _spec(session: Session, bench: Bench) -> dict[str, Any]:
    """Return Rally's environment specification, empty before there is a cloud."""
    clouds = session.directory.kolla / "clouds.yaml"
    if not clouds.exists():
        return {}
    text = clouds.read_text(encoding="utf-8")
    return with_authority(rally.env_spec(text), bench)


def bench_of(session: Session) -> Bench:
    """Return what the session's workloads are run with."""
    return Bench(
        host=bench_host(session.testbed),
        cache=session.cache,
        shell=session.shell,
        progress=session.progress,
        sockets=session.directory.sockets,
    )
