"""`enos bench`: a workload run on the testbed, its results and verdicts kept."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from enos import content
from enos.bench import rally
from enos.bench.host import Bench, bench_host
from enos.bench.results import ScenarioResult
from enos.bench.workload import Workload, load_workload
from enos.phases import trace, traffic
from enos.phases.session import Session, phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Where the results are and what they say."""

    folder: Path
    results: tuple[ScenarioResult, ...]


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


def run(session: Session, name: Path) -> Outcome:
    """Run what is not done of a workload; whether it is good, `rally.judge` says.

    Raises StateError before `init`, since most scenarios boot an image from there.
    """
    session.require("init")
    workload = load(name, session)
    profiler = trace.profiler(session, workload)
    with phase(session, "bench") as running:
        inner, directory = running.session, session.directory
        folder = rally.run_folder(directory.results, workload, datetime.now(UTC))
        if profiler:
            trace.keep_lab(inner, folder)
        text = (directory.kolla / "clouds.yaml").read_text(encoding="utf-8")
        bench, spec = bench_of(inner), rally.env_spec(text)
        results = rally.run_workload(
            workload,
            bench,
            spec=spec,
            results=folder,
            profiler=profiler,
            traffic=traffic.traffic(inner, workload, bench, spec),
        )
        if profiler:
            trace.keep_figures(folder)
        running.facts["results"] = str(folder.relative_to(directory.path))
    return Outcome(folder=folder, results=results)


def bench_of(session: Session) -> Bench:
    """Return what the session's workloads are run with."""
    return Bench(
        host=bench_host(session.testbed),
        cache=session.cache,
        shell=session.shell,
        progress=session.progress,
        sockets=session.directory.sockets,
    )
