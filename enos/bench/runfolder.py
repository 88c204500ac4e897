"""The folder of a run: which one it is, what is in it before and after.

A run's folder holds the workload file, ``rally.log``, a folder with Rally's HTML and
JSON reports for each scenario, ``results.json`` (verdicts, written last) and
``results.csv`` (a row for each measured value). ``cut-short``, which tells why, marks
one whose results are kept though the run is to be gone on with.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from enos.bench import results as tidy
from enos.bench.results import ScenarioResult
from enos.bench.shaker.scenario import ShakerRun
from enos.bench.workload import Run, Workload
from enos.state.directory import write_atomically

DONE, CUT = "results.json", "cut-short"
R = TypeVar("R", Run, ShakerRun)


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
        if same and (not (folder / DONE).exists() or (folder / CUT).exists()):
            return folder
    return root / f"bench-{now:%Y-%m-%dT%H-%M-%S}-{workload.name}"


def folders(runs: Iterable[Run | ShakerRun]) -> dict[str, str]:
    """Return key → name of the folder with a run's reports: ``01-boot-and-delete``."""
    return {
        run.key: f"{number:02d}-{_slug(run.name)}" for number, run in enumerate(runs, 1)
    }


def ahead(runs: Iterable[R], places: Mapping[str, Path]) -> tuple[R, ...]:
    """Return the runs that are not done yet; `places` are their folders, by key."""
    return tuple(run for run in runs if not (places[run.key] / "outcome.json").exists())


def begin(workload: Workload, results: Path, under: str) -> None:
    """Write what is run into a run's folder, made when missing."""
    results.mkdir(parents=True, exist_ok=True)
    write_atomically(results / "run.yml", workload.path.read_text(encoding="utf-8"))
    tasks = results / "tasks"
    tasks.mkdir(exist_ok=True)
    places = folders(workload.ordered)
    for run in workload.ordered:
        text = run.task if isinstance(run, Run) else run.text or f"# {run.alias}\n"
        write_atomically(tasks / f"{places[run.key]}.yml", text)
    write_atomically(results / "identity", _identity(workload, under))


def keep(
    results: Path, found: Sequence[ScenarioResult], failures: Sequence[str]
) -> None:
    """Write the results of a run; with failures it is to be gone on with."""
    if failures:
        write_atomically(results / CUT, "\n".join(failures) + "\n")
    write_atomically(results / "results.csv", tidy.as_csv(found))
    write_atomically(results / DONE, json.dumps(tidy.summary(found), indent=2) + "\n")
    if not failures:
        (results / CUT).unlink(missing_ok=True)


def _identity(workload: Workload, under: str) -> str:
    keys = "\n".join([*(run.key for run in workload.ordered), *filter(None, [under])])
    return sha256(keys.encode()).hexdigest()


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "run"
