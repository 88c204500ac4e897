"""`enos bench`: a workload run on the testbed, its results and verdicts kept."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from enos import content
from enos.bench import rally
from enos.bench.authority import with_authority
from enos.bench.host import Bench, bench_host
from enos.bench.results import ScenarioResult
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
    emulated = network.in_force(session)
    under, now = network.fingerprint(emulated, timeline), datetime.now(UTC)
    with phase(session, "bench") as running:
        inner, directory = running.session, session.directory
        folder = rally.run_folder(directory.results, workload, now, under=under)
        running.facts["results"] = str(folder.relative_to(directory.path))
        network.keep(emulated, folder)
        if profiler:
            trace.keep_lab(inner, folder, timeline)
        bench = bench_of(inner)
        spec, names = _spec(inner, bench), plan(workload)
        beside = events.beside(inner, timeline, names, folder, session.progress)
        try:
            results, happened = _played(
                inner,
                workload,
                bench,
                beside,
                spec=spec,
                folder=folder,
                profiler=profiler,
                under=under,
            )
        except EnosError:
            _looked_back(inner, folder, emulated, now)
            raise
        problem, measured = _looked_back(inner, folder, emulated, now)
        if profiler:
            trace.keep_analyses(inner, folder)
    return Outcome(
        folder=folder,
        results=results,
        events=happened,
        problem=problem,
        measured=measured,
    )


def _played(
    session: Session,
    workload: Workload,
    bench: Bench,
    beside: AbstractContextManager[events.Beside],
    *,
    spec: Mapping[str, Any],
    folder: Path,
    profiler: Profiler | None,
    under: str,
) -> tuple[tuple[ScenarioResult, ...], tuple[Happened, ...]]:
    """Run the scenarios and, beside them, the events; return what came of both."""
    with beside as meanwhile:
        results = rally.run_workload(
            workload,
            replace(bench, began=meanwhile.began),
            spec=spec,
            results=folder,
            profiler=profiler,
            traffic=traffic.traffic(session, workload, bench, spec),
            under=under,
        )
    return results, meanwhile.happened


def _looked_back(
    session: Session, folder: Path, emulated: network.Emulated, now: datetime
) -> tuple[str, Coverage | None]:
    """Keep whether the network was emulated, and all was measured, to the end."""
    problem = network.keep(emulated, folder, network.lost(session, emulated))
    return problem, metrics.covered(session, folder, _began(folder, now))


def _began(folder: Path, now: datetime) -> float:
    """Return when a run began, in epoch seconds: it may have been gone on with."""
    outcomes = map(Path.read_bytes, folder.glob("*/outcome.json"))
    began = (float(json.loads(one).get("began") or 0.0) for one in outcomes)
    return min([now.timestamp(), *filter(None, began)])


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
