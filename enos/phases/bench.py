"""`enos bench`: a workload run on the testbed, its results and verdicts kept."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from enos import content
from enos.bench import rally
from enos.bench.authority import with_authority
from enos.bench.host import Bench, bench_host
from enos.bench.results import ScenarioResult
from enos.bench.workload import Workload, load_workload
from enos.config.events import Timeline
from enos.events import Happened
from enos.metrics.gaps import Coverage
from enos.phases import events, metrics, trace, traffic
from enos.phases.session import Session, phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Where the results are and what they say, and what became of the events.

    Attributes:
        measured: whether the machines were, all along; None without monitoring.

    """

    folder: Path
    results: tuple[ScenarioResult, ...]
    events: tuple[Happened, ...] = ()
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
        StateError: before `init`, since most scenarios boot an image from there.

    """
    session.require("init")
    timeline = events.asked(session) if timeline is None else timeline
    workload = load(name, session)
    profiler = trace.profiler(session, workload)
    began = time.time()
    with phase(session, "bench") as running:
        inner, directory = running.session, session.directory
        folder = rally.run_folder(directory.results, workload, datetime.now(UTC))
        if profiler:
            trace.keep_lab(inner, folder)
        text = (directory.kolla / "clouds.yaml").read_text(encoding="utf-8")
        bench = bench_of(inner)
        spec = with_authority(rally.env_spec(text), bench)
        names = plan(workload)
        with events.beside(inner, timeline, names, folder, session.progress) as beside:
            results = rally.run_workload(
                workload,
                replace(bench, began=beside.began),
                spec=spec,
                results=folder,
                profiler=profiler,
                traffic=traffic.traffic(inner, workload, bench, spec),
            )
        if profiler:
            trace.keep_figures(folder)
        measured = metrics.covered(inner, folder, began)
        running.facts["results"] = str(folder.relative_to(directory.path))
    return Outcome(
        folder=folder, results=results, events=beside.happened, measured=measured
    )


def bench_of(session: Session) -> Bench:
    """Return what the session's workloads are run with."""
    return Bench(
        host=bench_host(session.testbed),
        cache=session.cache,
        shell=session.shell,
        progress=session.progress,
        sockets=session.directory.sockets,
    )
