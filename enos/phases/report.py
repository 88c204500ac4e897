"""`enos report`: one page on an experiment, from its directory or from an archive."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from enos import archive
from enos.archive.read import visit
from enos.errors import MonitoringError, StateError
from enos.metrics.series import Series
from enos.phases import metrics
from enos.phases.session import Session
from enos.report import lanes
from enos.report.chronicle import span_of, timeline
from enos.report.page import Report, report_page, timeline_page
from enos.report.readings import Readings, read, wanted
from enos.report.timeline import Span
from enos.state.directory import write_atomically

NAME, MEASURES = "report.html", "measures.json"
LARGEST = 64 << 20  # bytes of a file that is looked into
POINTS = 1000  # means of a measure that are kept for the page


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a report is made of.

    Attributes:
        files: path below the experiment directory → text.

    """

    title: str
    files: dict[str, str]
    notes: tuple[str, ...] = ()


def of_session(session: Session) -> Material:
    """Return what the experiment's directory holds, after the latest measures."""
    keep_measures(session)
    return _of_directory(session)


def _of_directory(session: Session) -> Material:
    """Return what a report is made of, without secrets: pages are handed on."""
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


def plot(session: Session, run: str = "", measures: Sequence[str] = ()) -> str:
    """Return a page with the measures under what happened meanwhile.

    Args:
        session: of an experiment with monitoring.
        run: the benchmark run they are wanted of, empty for everything.
        measures: their names, the usual ones if there are none.

    Raises:
        MonitoringError: the database does not answer.
        StateError: there is no such run, no monitoring, or nothing was run yet.

    """
    found = _of_directory(session)
    readings, name = read(found.files), found.title
    chosen = _run(readings, run, name) if run else ""
    drawn = timeline(readings, name, run=chosen)
    if drawn is None:
        raise StateError(
            f"nothing was run yet in `{name}`", hint="begin with `enos up`"
        )
    wishes = lanes.wanted(measures)
    several = _series(session, wishes, drawn.shown or drawn.span)
    plots = lanes.plots(several, wishes)
    return timeline_page(replace(drawn, lanes=(*drawn.lanes, *plots)))


def keep_measures(session: Session) -> None:
    """Keep what the page draws of the measures: the database goes with its machine.

    Without a database that answers, what was kept before stays.
    """
    if not metrics.monitored(session):
        return
    times = [event["time"] for event in session.directory.journal.events()]
    try:
        several = _series(session, lanes.USUAL, (min(times), max(times)))
    except MonitoringError as silent:
        session.progress.warn(f"the report lacks the latest measures: {silent.message}")
        return
    text = json.dumps([asdict(plot) for plot in lanes.plots(several)])
    write_atomically(session.directory.results / MEASURES, text)


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
    except (PermissionError, FileExistsError, NotADirectoryError) as refused:
        raise StateError(
            f"`{path}` cannot be written: {refused.strerror}",
            hint="name another place with `enos report -o FILE`",
        ) from None


def keep(session: Session) -> Path:
    """Write the experiment's own page, beside its results."""
    path = session.directory.results / NAME
    write(page(of_session(session)), path)
    return path


def _series(
    session: Session, wishes: Sequence[lanes.Wanted], span: Span
) -> tuple[Series, ...]:
    """Return what was measured in a span of time, as means if that is long."""
    begin, end = span
    interval = metrics.planned(session).interval
    return metrics.series(
        session,
        [lane.measure for lane in wishes],
        begin=begin,
        end=end,
        every=max(interval, (end - begin) / POINTS),
    )


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
