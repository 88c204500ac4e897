"""Running a workload with Rally on the bench host and bringing the results home.

    host = bench_host(testbed)
    folder = run_folder(directory / "results", workload, now)  new, or one cut short
    bench = Bench(host=host, cache=…, shell=…, progress=…)
    results = run_workload(workload, bench, spec=env_spec(clouds_yaml), results=folder)
    judge(results)                                             BenchmarkError

A run's folder holds the workload file, ``rally.log``, a folder with Rally's HTML and
JSON reports for each scenario, ``results.json`` (verdicts, written last) and
``results.csv`` (a row for each measured value).
"""

import json
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol, TypeVar

import yaml

from enos.bench import results as tidy
from enos.bench.environment import PLACE, install, interpreter, packages
from enos.bench.host import Bench
from enos.bench.results import ScenarioResult, parsed
from enos.bench.shaker.outcome import result as traffic_result
from enos.bench.shaker.scenario import ShakerRun
from enos.bench.tracing import HARVEST, Profiler, profiled
from enos.bench.watch import Watch
from enos.bench.workload import Run, Workload, plugin_files
from enos.errors import BenchmarkError, ConfigError
from enos.remote import ssh_argv
from enos.state.directory import write_atomically

RUNNER = Path(__file__).with_name("runner.py")
DONE = "results.json"
R = TypeVar("R", Run, ShakerRun)


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


def run_folder(
    root: Path, workload: Workload, now: datetime, *, under: str = ""
) -> Path:
    """Return the folder for a run: one of the same workload cut short, or a new one.

    Args:
        root: holds the folders of all runs.
        workload: of `load_workload`.
        now: names a new folder.
        under: tells under what conditions it runs; others are another run.

    """
    wanted = _identity(workload, under)
    for folder in sorted(root.glob(f"bench-*-{workload.name}"), reverse=True):
        mark = folder / "identity"
        same = mark.exists() and mark.read_text(encoding="ascii") == wanted
        if same and not (folder / DONE).exists():
            return folder
    return root / f"bench-{now:%Y-%m-%dT%H-%M-%S}-{workload.name}"


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

    Args:
        workload: of `load_workload`.
        bench: where and with what.
        spec: of `env_spec`.
        results: of `run_folder`; made when missing.
        profiler: for the runs that are to be traced.
        traffic: runs the scenarios of Shaker, when there are any.
        under: as of `run_folder`.

    Raises:
        CapabilityError: the bench host has no Python.
        ProcessError: the bench host cannot be reached or prepared.
        BenchmarkError: Rally or Shaker itself ended before all scenarios; results
            are kept.

    """
    if not workload.ordered:
        raise ConfigError(f"`{workload.path}` has no enabled scenario to run")
    for warning in workload.warnings:
        bench.progress.warn(warning)
    names = folders(workload.ordered)
    places = {key: results / name for key, name in names.items()}

    if traffic is not None:
        traffic.check(_ahead(workload.shaker, places))
    _prepare(workload, results, under)
    parts: list[Callable[[], None]] = [
        lambda: _measure(workload.runs, bench, spec, places, profiler),
        lambda: _play(workload.shaker, traffic, places),
    ]
    for part in reversed(parts) if workload.traffic_first else parts:
        part()
    found = tuple(_result(run, places[run.key]) for run in workload.ordered)
    write_atomically(results / "results.csv", tidy.as_csv(found))
    write_atomically(results / DONE, json.dumps(tidy.summary(found), indent=2) + "\n")
    return found


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


def folders(runs: Iterable[Run | ShakerRun]) -> dict[str, str]:
    """Return key → name of the folder with a run's reports: ``01-boot-and-delete``."""
    return {
        run.key: f"{number:02d}-{_slug(run.name)}" for number, run in enumerate(runs, 1)
    }


def _measure(
    runs: tuple[Run, ...],
    bench: Bench,
    spec: Mapping[str, Any],
    places: Mapping[str, Path],
    profiler: Profiler | None,
) -> None:
    ahead = _ahead(runs, places)
    if ahead and not _run(ahead, bench, spec, places, profiler):
        log = next(iter(places.values())).parent / "rally.log"
        raise BenchmarkError(
            f"Rally ended on `{bench.host.name}` before all scenarios were run",
            hint=f"see `{log}`; the same command goes on from here",
        )


def _play(
    runs: tuple[ShakerRun, ...], traffic: Plays | None, places: Mapping[str, Path]
) -> None:
    for run in _ahead(runs, places):
        if traffic is not None:
            traffic.play(run, places[run.key])


def _run(
    ahead: tuple[Run, ...],
    bench: Bench,
    spec: Mapping[str, Any],
    places: Mapping[str, Path],
    profiler: Profiler | None,
) -> bool:
    """Run tasks on the bench host; tell whether Rally came to the end of them."""
    results = next(iter(places.values())).parent
    python = prepare(bench)
    folder = PLACE / "runs" / sha256(str(results.resolve()).encode()).hexdigest()[:12]
    job = {
        "env": profiled(spec, profiler),
        "store": profiler.store if profiler else "",
        "runs": [
            {"key": run.key, "task": run.task, "traced": run.traced} for run in ahead
        ],
        "plugins": _plugins(ahead),
    }
    bench.put(folder / "runner.py", RUNNER.read_text(encoding="utf-8"))
    bench.put(folder / HARVEST.name, HARVEST.read_text(encoding="utf-8"))
    bench.put(folder / "job.json", json.dumps(job))
    command = (str(python), str(folder / "runner.py"), str(folder))
    argv = ssh_argv(bench.host, command, sockets=bench.sockets)
    names = {run.key: run.name for run in ahead}
    with Watch(names, bench.host, bench.progress, bench.began) as watch:
        bench.shell.stream(
            argv, log=results / "rally.log", on_line=watch.line, check=False
        )
    with bench.progress.step("Rally's reports", host=bench.host.name):
        _fetch(bench, folder, places)
    if watch.ended:
        bench.on_host("rm", "-rf", str(folder))
    return watch.ended


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


def _ahead(runs: Iterable[R], places: Mapping[str, Path]) -> tuple[R, ...]:
    """Return the runs that are not done yet."""
    return tuple(run for run in runs if not (places[run.key] / "outcome.json").exists())


def _prepare(workload: Workload, results: Path, under: str) -> None:
    results.mkdir(parents=True, exist_ok=True)
    write_atomically(results / "run.yml", workload.path.read_text(encoding="utf-8"))
    tasks = results / "tasks"
    tasks.mkdir(exist_ok=True)
    places = folders(workload.ordered)
    for run in workload.ordered:
        text = run.task if isinstance(run, Run) else run.text or f"# {run.alias}\n"
        write_atomically(tasks / f"{places[run.key]}.yml", text)
    write_atomically(results / "identity", _identity(workload, under))


def _identity(workload: Workload, under: str) -> str:
    keys = "\n".join([*(run.key for run in workload.ordered), *filter(None, [under])])
    return sha256(keys.encode()).hexdigest()


def _plugins(runs: tuple[Run, ...]) -> dict[str, str]:
    return {
        file.name: file.read_text(encoding="utf-8")
        for run in runs
        for file in plugin_files(run.plugins)
    }


def _fetch(bench: Bench, folder: PurePosixPath, places: Mapping[str, Path]) -> None:
    """Bring home the reports of the runs that are done; `places` by key."""
    command = ("sh", "-c", 'cd "$1" && mkdir -p runs && tar -cf - runs', "sh")
    argv = ssh_argv(bench.host, (*command, str(folder)), sockets=bench.sockets)
    home = next(iter(places.values())).parent
    with tempfile.TemporaryDirectory(dir=home) as scratch:

        def unpack(stream: IO[bytes]) -> None:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                tar.extractall(scratch, filter="data")

        bench.shell.pipe(argv, unpack)
        for key, target in places.items():
            place = Path(scratch) / "runs" / key
            if (place / "outcome.json").exists() and not target.exists():
                place.replace(target)


def _result(run: Run | ShakerRun, place: Path) -> ScenarioResult:
    if isinstance(run, ShakerRun):
        return traffic_result(run, place)
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


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "run"
