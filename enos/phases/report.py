"""`enos report`: one page on an experiment, from its directory or from an archive."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from enos import archive
from enos.archive.read import visit
from enos.errors import MonitoringError, StateError
from enos.metrics.series import Database, require_known
from enos.phases import drawn, metrics
from enos.phases.session import Session
from enos.report import lanes
from enos.report.chronicle import span_of, timeline
from enos.report.page import Report, report_page, timeline_page
from enos.report.readings import Readings, read, wanted
from enos.state.directory import write_atomically

NAME = "report.html"
LARGEST = 64 << 20  # bytes of a file that is looked into
USUAL = 5.0  # seconds between two samples where the experiment does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a report is made of.

    Attributes:
        files: path below the experiment directory → text.

    """

    title: str
    files: dict[str, str]
    notes: tuple[str, ...] = ()


def of_directory(session: Session) -> Material:
    """Return what the experiment's directory holds, without secrets."""
    root, notes = session.directory.path.resolve(), []
    resolved = json.dumps(asdict(session.experiment), indent=2, default=str)
    files = {"resolved.json": resolved}
    for path in sorted((*root.glob("*.json*"), *root.glob("results/**/*"))):
        name = path.relative_to(root).as_posix()
        if not wanted(name) or not path.is_file() or path.is_symlink():
            continue
        if path.stat().st_size > LARGEST:
            notes.append(f"{name} is too large to be looked into")
        else:
            files[name] = path.read_text(encoding="utf-8", errors="replace")
    secrets = archive.known_secrets(root, metrics.passwords(session))
    clean = {name: archive.without(secrets, text) for name, text in files.items()}
    return Material(title=root.name, files=clean, notes=tuple(notes))


def of_archive(path: Path) -> Material:
    """Return what an archive holds, read anywhere; raises ArchiveError as `verify`."""
    files: dict[str, str] = {}
    notes: list[str] = []

    def look(name: str, size: int, data: IO[bytes]) -> None:
        if not wanted(name):
            return
        if size > LARGEST:
            notes.append(f"{name} is too large to be looked into")
        else:
            files[name] = data.read().decode("utf-8", "replace")

    manifest = visit(path, look)
    files["manifest.json"] = json.dumps({"versions": dict(manifest.versions)})
    notes += [
        f"{host.name} is only partly in the archive: {'; '.join(host.reasons)}"
        for host in manifest.hosts
        if host.reasons
    ]
    return Material(title=manifest.experiment, files=files, notes=tuple(notes))


def plot(
    material: Material, source: Database, run: str = "", measures: Sequence[str] = ()
) -> str:
    """Return a page with the measures under what happened meanwhile.

    Args:
        material: what happened, of a directory or an archive.
        source: the database of its measures, or one they were brought up in again.
        run: the benchmark run they are wanted of, empty for everything.
        measures: their names, the usual ones if there are none.

    Raises:
        ConfigError: there is no such measure.
        MonitoringError: the database does not answer, or has none of that time.
        StateError: there is no such run, or nothing was run yet.

    """
    readings, name = read(material.files), material.title
    chosen = _run(readings, run, name) if run else ""
    happened = timeline(readings, name, run=chosen)
    if happened is None:
        raise StateError(
            f"nothing was run yet in `{name}`", hint="begin with `enos up`"
        )
    if measures:
        require_known(source, measures)
    wishes, span = lanes.wanted(measures), happened.shown or happened.span
    plots = drawn.ask(source, span, _interval(readings), wishes)
    if not plots:
        raise MonitoringError(
            f"the database holds no measures of `{run or name}`",
            hint="`enos metrics query` tells what there is",
        )
    return timeline_page(replace(happened, lanes=(*happened.lanes, *plots)))


def keep_measures(session: Session) -> None:
    """Keep what the page draws of the measures: the database goes with its machine.

    Without a database that answers, what was kept before stays.
    """
    if not metrics.monitored(session):
        return
    times = [event["time"] for event in session.directory.journal.events()]
    interval, results = metrics.planned(session).interval, session.directory.results
    try:
        source = metrics.influx(session)
        drawn.keep(source, results, (min(times), max(times)), interval)
        for folder, span in drawn.lacking(results):
            drawn.keep(source, folder, span, interval)
    except MonitoringError as silent:
        session.progress.warn(f"the report lacks the latest measures: {silent.message}")


def page(material: Material, run: str = "") -> str:
    """Return the page; raises StateError when there is no such run.

    Args:
        material: what it is made of.
        run: the benchmark run to show at first: its folder or its workload's name.

    """
    readings = read(material.files)
    readings.notes += material.notes
    title = str(readings.resolved.get("name", "")) or material.title
    chosen = _run(readings, run, material.title) if run else ""
    return report_page(
        Report(
            title=title,
            readings=readings,
            timeline=timeline(readings, title, run=chosen, plots=readings.plots),
        )
    )


def write(text: str, path: Path) -> None:
    """Write a page in one step; raises StateError where that is not allowed."""
    try:
        write_atomically(path, text)
    except OSError as refused:
        raise StateError(
            f"`{path}` cannot be written: {refused.strerror}",
            hint="name another place with `-o FILE`",
        ) from None


def keep(session: Session) -> Path:
    """Write the experiment's own page, beside its results."""
    path = session.directory.results / NAME
    keep_measures(session)
    write(page(of_directory(session)), path)
    return path


def _interval(readings: Readings) -> float:
    """Return the seconds between two samples that the experiment asked for."""
    asked = readings.resolved.get("monitoring")
    given = asked.get("interval") if isinstance(asked, dict) else None
    return float(given) if isinstance(given, int | float) and given > 0 else USUAL


def _run(readings: Readings, wish: str, where: str) -> str:
    """Return the folder of a run; of several with one workload the latest with results.

    One that was cut short has none, and nothing tells when it ran.
    """
    names = [one.name for one in readings.runs]
    found = [name for name in names if name == wish or name.endswith(f"-{wish}")]
    if not found:
        raise StateError(f"`{where}` holds no run `{wish}`", hint=_known(names))
    whole = [one.name for one in readings.runs if one.name in found and span_of(one)]
    return (whole or found)[-1]


def _known(names: Iterable[str]) -> str:
    listed = ", ".join(f"`{name}`" for name in names)
    return f"its runs are {listed}" if listed else "run one with `enos bench`"
