"""Running a workload with Rally on the bench host and bringing the results home.

    host = bench_host(testbed)
    folder = runfolder.run_folder(directory / "results", workload, now)
    bench = Bench(host=host, cache=…, shell=…, progress=…)
    results = run_workload(workload, bench, spec=env_spec(clouds_yaml), results=folder)
    judge(results)                                             BenchmarkError

What it leaves is told in `runfolder`.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import yaml

from enos.bench.environment import PLACE, install, interpreter, packages
from enos.bench.host import Bench
from enos.bench.results import ScenarioResult, parsed
from enos.bench.runfolder import ahead, begin, folders, keep
from enos.bench.shaker.outcome import result as traffic_result
from enos.bench.shaker.scenario import ShakerRun
from enos.bench.tracing import HARVEST, Profiler, profiled
from enos.bench.watch import Watch
from enos.bench.workload import Run, Workload, plugin_files
from enos.errors import BenchmarkError, ConfigError, EnosError, in_one_line
from enos.remote import ssh_argv

RUNNER = Path(__file__).with_name("runner.py")


class Plays(Protocol):
    """What runs the scenarios of Shaker, see `shaker.execution.Traffic`."""

    def check(self, runs: Sequence[ShakerRun]) -> None:
        """Tell what cannot be run, before anything is."""

    def play(self, run: ShakerRun, place: Path) -> None:
        """Play a scenario and keep its outcome in a folder."""


def env_spec(clouds_yaml: str, cloud: str = "") -> dict[str, Any]:
    """Return Rally's environment specification for an entry of a `clouds.yaml`.

    Args:
        clouds_yaml: its text; a `cacert` in it is a file of the machine that runs
            enos, see `enos.bench.authority`.
        cloud: name of the entry, by default the first.

    """
    clouds = yaml.safe_load(clouds_yaml)["clouds"]
    entry = clouds[cloud or next(iter(clouds))]
    auth = entry["auth"]
    names = (
        *("username", "password", "project_name"),
        *("user_domain_name", "project_domain_name"),
    )
    admin = {name: auth[name] for name in names if name in auth}
    for name in ("user_domain_name", "project_domain_name"):
        admin.setdefault(name, "Default")
    # As a user too: else Rally makes and removes one to validate each task with,
    # seconds on a small cloud. Tasks with a `users` context have users of their own.
    spec: dict[str, Any] = {
        "auth_url": auth["auth_url"],
        "admin": admin,
        "users": [admin],
    }
    if entry.get("region_name"):
        spec["region_name"] = entry["region_name"]
    if entry.get("interface"):
        spec["endpoint_type"] = entry["interface"]
    if entry.get("verify") is False:
        spec["https_insecure"] = True
    elif entry.get("cacert"):
        spec["https_cacert"] = entry["cacert"]
    return {"existing@openstack": spec}


def run_workload(
    workload: Workload,
    bench: Bench,
    *,
    spec: Mapping[str, Any],
    results: Path,
    profiler: Profiler | None = None,
    traffic: Plays | None = None,
    under: str = "",
) -> tuple[ScenarioResult, ...]:
    """Run what is not done yet and return the results of all; see `judge`.

    What fails for one scenario, or for all of Rally, does not keep the others from
    being run. The results are written in any case, the failures in them.

    Args:
        workload: of `load_workload`.
        bench: where and with what.
        spec: of `env_spec`.
        results: of `runfolder.run_folder`; made when missing.
        profiler: for the runs that are to be traced.
        traffic: runs the scenarios of Shaker, when there are any.
        under: as of `run_folder`.

    Raises:
        CapabilityError: the bench host has no Python.
        ProcessError: the bench host cannot be reached or prepared.
        BenchmarkError: Rally or Shaker itself ended before all scenarios.

    """
    if not workload.ordered:
        raise ConfigError(f"`{workload.path}` has no enabled scenario to run")
    for warning in workload.warnings:
        bench.progress.warn(warning)
    names = folders(workload.ordered)
    places = {key: results / name for key, name in names.items()}
    if traffic is not None:
        traffic.check(ahead(workload.shaker, places))
    begin(workload, results, under)
    measure = partial(_measure, workload.runs, bench, spec, places, profiler)
    play = partial(_play, workload.shaker, traffic, places)
    first, second = (play, measure) if workload.traffic_first else (measure, play)
    failures = (*first(), *second())
    found = tuple(_result(run, places[run.key], failures) for run in workload.ordered)
    keep(results, found, [in_one_line(one.error) for one in failures])
    _raise_first(failures, bench)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """Why some runs could not be run, by no fault of theirs.

    Attributes:
        keys: of the runs.

    """

    keys: tuple[str, ...]
    error: EnosError


def _raise_first(failures: Sequence[_Failure], bench: Bench) -> None:
    """Raise the first failure; the others are told as warnings before."""
    for other in failures[1:]:
        bench.progress.warn(in_one_line(other.error))
    if failures:
        raise failures[0].error


def judge(results: Iterable[ScenarioResult]) -> None:
    """Raise BenchmarkError naming each scenario that failed or missed its SLA."""
    listed = tuple(results)
    failed = [result for result in listed if not result.ok]
    if failed:
        raise BenchmarkError(
            f"{len(failed)} of {len(listed)} scenarios failed",
            hint="the reports, one for each scenario, say more",
            details="\n".join(f"{one.name}: {one.verdict}" for one in failed),
        )


def _measure(
    runs: tuple[Run, ...],
    bench: Bench,
    spec: Mapping[str, Any],
    places: Mapping[str, Path],
    profiler: Profiler | None,
) -> tuple[_Failure, ...]:
    left = ahead(runs, places)
    if not left:
        return ()
    try:
        _run(left, bench, spec, places, profiler)
    except EnosError as error:
        keys = tuple(run.key for run in ahead(left, places))
        return (_Failure(keys=keys, error=error),)
    return ()


def _play(
    runs: tuple[ShakerRun, ...], traffic: Plays | None, places: Mapping[str, Path]
) -> Iterator[_Failure]:
    for run in ahead(runs, places):
        if traffic is None:
            continue
        try:
            traffic.play(run, places[run.key])
        except EnosError as error:
            yield _Failure(keys=(run.key,), error=error)


def _run(
    left: tuple[Run, ...],
    bench: Bench,
    spec: Mapping[str, Any],
    places: Mapping[str, Path],
    profiler: Profiler | None,
) -> None:
    """Run tasks on the bench host; raises when Rally did not come to their end."""
    results = next(iter(places.values())).parent
    python = prepare(bench)
    folder = PLACE / "runs" / sha256(str(results.resolve()).encode()).hexdigest()[:12]
    job = {
        "env": profiled(spec, profiler),
        "store": profiler.store if profiler else "",
        "runs": [
            {"key": run.key, "task": run.task, "traced": run.traced} for run in left
        ],
        "plugins": _plugins(left),
    }
    bench.put(folder / "runner.py", RUNNER.read_text(encoding="utf-8"))
    bench.put(folder / HARVEST.name, HARVEST.read_text(encoding="utf-8"))
    bench.put(folder / "job.json", json.dumps(job))
    command = (str(python), str(folder / "runner.py"), str(folder))
    argv = ssh_argv(bench.host, command, sockets=bench.sockets)
    names = {run.key: run.name for run in left}
    with Watch(names, bench.host, bench.progress, bench.began) as watch:
        bench.shell.stream(
            argv, log=results / "rally.log", on_line=watch.line, check=False
        )
    with bench.progress.step("Rally's reports", host=bench.host.name):
        _fetch(bench, folder, places)
    if ahead(left, places) and not watch.ended:
        raise BenchmarkError(
            f"Rally ended on `{bench.host.name}` before all scenarios were run",
            hint=f"see `{results / 'rally.log'}`; the same command goes on from here",
        )
    bench.on_host("rm", "-rf", str(folder))


def prepare(bench: Bench) -> PurePosixPath:
    """Return Rally's Python on the bench host, its environment put there first.

    Needs no OpenStack: may be called while one is being deployed. Raises
    CapabilityError or ProcessError.
    """
    shell, host, progress = bench.shell, bench.host, bench.progress
    wanted = interpreter(shell, host, sockets=bench.sockets)
    made = packages(wanted, bench.cache, shell, progress)
    install(made, shell, host, progress, sockets=bench.sockets)
    return made.python


def _plugins(runs: tuple[Run, ...]) -> dict[str, str]:
    return {
        file.name: file.read_text(encoding="utf-8")
        for run in runs
        for file in plugin_files(run.plugins)
    }


def _fetch(bench: Bench, folder: PurePosixPath, places: Mapping[str, Path]) -> None:
    """Bring home the reports of the runs that are done; `places` by key."""
    command = ("sh", "-c", 'cd "$1" && mkdir -p runs && tar -cf - runs', "sh")
    home = next(iter(places.values())).parent
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        bench.fetch((*command, str(folder)), Path(scratch))
        for key, target in places.items():
            place = Path(scratch) / "runs" / key
            if (place / "outcome.json").exists() and not target.exists():
                place.replace(target)


def _result(
    run: Run | ShakerRun, place: Path, failures: Iterable[_Failure]
) -> ScenarioResult:
    """Return what came of a run; why it could not be run is its error."""
    rally, traffic = _of_rally, traffic_result
    found = rally(run, place) if isinstance(run, Run) else traffic(run, place)
    mine = [in_one_line(one.error) for one in failures if run.key in one.keys]
    return replace(found, error=mine[0]) if mine else found


def _of_rally(run: Run, place: Path) -> ScenarioResult:
    outcome = _json(place / "outcome.json") or {"error": "it was not run", "seconds": 0}
    report = _json(place / "report.json") or {}
    found = parsed(
        report, name=run.name, key=run.key, args=run.args, seconds=outcome["seconds"]
    )
    began, traces = float(outcome.get("began", 0.0)), outcome.get("traces") or {}
    return replace(
        found,
        error=str(outcome["error"]),
        began=began,
        traces=int(traces.get("kept", 0)),
        trace_gap=str(traces.get("gap", "")),
    )


def _json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    return dict(json.loads(path.read_text(encoding="utf-8")))
