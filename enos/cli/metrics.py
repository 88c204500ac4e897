"""`enos metrics`: what the machines did."""

import csv
import io
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from enos.cli import telling
from enos.cli.opening import opened
from enos.cli.options import Options, common

if TYPE_CHECKING:
    from enos.metrics.database import Influx
    from enos.metrics.series import Series


SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def moment(text: str) -> float:
    """Return epoch seconds for those, ISO 8601, or how long ago: ``10m``.

    >>> moment("1700000000.5")
    1700000000.5
    >>> moment("2026-11-21T17:00:00+00:00")
    1795280400.0
    """
    try:
        if text[-1:] in SECONDS:
            return time.time() - float(text[:-1]) * SECONDS[text[-1]]
        if text.replace(".", "", 1).isdigit():
            return float(text)
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        told = f"`{text}` is no moment: write 2026-11-21T17:00:00 or 10m (ago)"
        raise click.BadParameter(told) from None


@click.group("metrics")
def command() -> None:
    """See what machines, containers and services did."""


@command.command("query")
@click.argument("statement", required=False)
@click.option(
    "-m",
    "--measure",
    "measures",
    multiple=True,
    metavar="MEASURE",
    help="`cpu`, `memory`, …; can be repeated.  [default: all]",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST|ROLE|GROUP",
    help="Only these; can be repeated.",
)
@click.option(
    "--from",
    "begin",
    type=moment,
    metavar="TIME",
    help="Time, or how long ago: 10m.  [default: the first sample]",
)
@click.option(
    "--to",
    "end",
    type=moment,
    metavar="TIME",
    help="Likewise.  [default: the last sample]",
)
@click.option(
    "--every",
    type=float,
    metavar="SECONDS",
    help="Average over so many seconds.  [default: every sample]",
)
@click.option("--csv", "as_csv", is_flag=True, help="A row for each point.")
@click.option("--url", metavar="URL", help="Another database, http://host:8086.")
@common
def query(options: Options, statement: str | None, **given: Any) -> None:  # noqa: ANN401 - options
    """Print measures of a span, or the answer to a STATEMENT of InfluxQL.

    A STATEMENT says itself what it is about: the options that choose measures are not
    for it.
    """
    from enos.metrics.series import query as ask
    from enos.metrics.series import require_known
    from enos.phases import logs, metrics

    as_csv, url = given.pop("as_csv"), given.pop("url")
    if statement:
        _refuse_choice(given)
    hosts = given.pop("hosts")
    if url:
        source = _database(url)
    else:
        with opened(options, reread=False, lock=False) as session:
            source = metrics.influx(session)
            named = [logs.hosts_of(session.testbed, word) for word in hosts]
            hosts = tuple(host.name for several in named for host in several)
    if statement:
        _tell_answer(source.ask(statement), options, as_csv=as_csv)
        return
    found = ask(source, hosts=hosts, **given)
    silent = set(given["measures"]) - {one.measure for one in found}
    if silent or not found:
        require_known(source, sorted(silent))
        what = ", ".join(f"`{name}`" for name in sorted(silent)) or "anything"
        where = " on those hosts" if hosts else ""
        options.console.warn(f"there are no points of {what} in that time{where}")
    _tell_series(found, options, as_csv=as_csv)


def _refuse_choice(given: dict[str, Any]) -> None:
    """Raise UsageError for options that a statement would not heed."""
    names = {"measures": "--measure", "hosts": "--host", "begin": "--from",
             "end": "--to", "every": "--every"}  # fmt: skip
    wrong = [name for key, name in names.items() if given[key] not in (None, ())]
    if wrong:
        told = f"{', '.join(wrong)} cannot be given with a STATEMENT"
        raise click.UsageError(f"{told}: write it into its WHERE or GROUP BY")


def _database(url: str) -> "Influx":
    from enos.metrics import database

    return database.at(url, os.environ.get(database.PASSWORD, ""))


@command.command("plot")
@click.argument("run", required=False)
@click.option(
    "-m",
    "--measure",
    "measures",
    multiple=True,
    metavar="MEASURE",
    help="Can be repeated.  [default: CPU, memory, queued messages, network, disk, "
    "database queries and CPU of containers]",
)
@click.option(
    "--url",
    metavar="URL",
    help="Another database, such as one that `enos backup` brought up again.",
)
@click.option(
    "--archive",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="What happened, of an archive instead of the experiment; needs --url.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    default="metrics.html", show_default=True, help="Where to write it.",
)  # fmt: skip
@common
def plot(
    options: Options,
    run: str | None,
    measures: tuple[str, ...],
    *,
    url: str | None,
    archive: Path | None,
    output: Path,
) -> None:
    """Draw measures under phases, scenarios and events, as one HTML page.

    RUN is a folder below results or the name of a workload: its time alone is drawn,
    as finely as it was measured.
    """
    from enos.phases import metrics, report

    if archive:
        if not url:
            raise click.UsageError("--archive needs --url, where its measures are")
        material = report.of_archive(archive)
        text = report.plot(material, _database(url), run or "", measures)
    else:
        with opened(options, reread=False, lock=False) as session:
            source = _database(url) if url else metrics.influx(session)
            material = report.of_directory(session)
            text = report.plot(material, source, run or "", measures)
    size = len(text.encode())
    if options.dry_run:
        telling.plan(options, [f"{size} bytes → {output}"])
        return
    report.write(text, output)
    telling.done(options, "metrics plot", output, bytes=size)
    if not options.json:
        options.console.result(str(output))


@command.command("start")
@common
def start(options: Options) -> None:
    """Start, change or end the measuring of machines that are up.

    As the experiment file says.
    """
    from enos.metrics.plan import as_lines
    from enos.phases import install, metrics

    with opened(options) as session:
        if options.dry_run:
            telling.plan(options, as_lines(metrics.planned(session)))
            return
        install.measure(session)
        phases = telling.facts(session, metrics.PHASE)
    after = telling.following(options, "metrics", "status")
    where = session.directory.path
    telling.done(options, "metrics start", where, after=after, phases=phases)


@command.command("status")
@common
def status(options: Options) -> None:
    """Tell how the measuring goes; fails when a machine is not measured."""
    from enos.phases import health, metrics

    with opened(options, reread=False, lock=False) as session:
        found = health.status(session)
        interval = metrics.planned(session).interval
    if options.json:
        options.console.result_json([asdict(one) for one in found])
    else:
        for one in found:
            options.console.result(_line(one))
    health.require(found, interval)


def _line(one: Any) -> str:  # noqa: ANN401 - AgentStatus, imported late
    age = "no sample" if one.age is None else f"{one.age:.0f} s ago"
    cost = "" if one.cost is None else f", {one.cost:.1%} of a core"
    lost = f", {one.dropped:.0f} dropped" if one.dropped else ""
    lost += f", {one.refused:.0f} refused" if one.refused else ""
    return f"{one.host:<16} {age}, {one.waiting:.0f} points wait{lost}{cost}"


def _tell_answer(answer: Any, options: Options, *, as_csv: bool) -> None:  # noqa: ANN401 - JSON
    from enos.metrics.series import results

    tables = [one for result in results(answer) for one in result.get("series", ())]
    if not as_csv:
        options.console.result_json(tables)
        return
    for table in tables:
        tags = table.get("tags", {})
        head = ["name", *tags, *table["columns"]]
        rows = [[table["name"], *tags.values(), *row] for row in table["values"]]
        options.console.result(_csv(head, rows))


def _tell_series(found: "Sequence[Series]", options: Options, *, as_csv: bool) -> None:
    if options.json:
        options.console.result_json([asdict(one) for one in found])
    elif as_csv:
        head = ("time", "measure", "host", "instance", "value", "unit")
        rows = (
            (when, one.measure, one.host, one.instance, value, one.unit)
            for one in found
            for when, value in one.points
        )
        options.console.result(_csv(head, rows))
    else:
        for one in found:
            options.console.result(_summary(one))


def _summary(one: "Series") -> str:
    values = [value for _, value in one.points]
    mean = sum(values) / len(values)
    return (
        f"{one.measure:<20} {one.host:<14} {one.instance or '-':<28} "
        f"mean {mean:.4g}, max {max(values):.4g}, last {values[-1]:.4g} {one.unit}, "
        f"{len(values)} samples"
    )


def _csv(head: Sequence[str], rows: Any) -> str:  # noqa: ANN401 - any rows
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue().rstrip("\n")
