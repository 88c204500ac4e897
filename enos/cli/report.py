"""`enos report`: one page on an experiment."""

from pathlib import Path

import click

from enos.cli import telling
from enos.cli.opening import opened
from enos.cli.options import Options, common


@click.command("report")
@click.argument("what", required=False, metavar="[RUN|ARCHIVE]")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Where to write it, by default results/report.html of the experiment; of an "
    "archive, its name with .html in the current folder.",
)  # fmt: skip
@common
def command(options: Options, what: str | None, output: Path | None) -> None:
    """Write what was asked for, there and measured as one HTML page.

    RUN is a folder below results or the name of a workload: its time is shown first.
    An ARCHIVE is read anywhere. The page needs no network.
    """
    from enos.phases import report

    run = what or ""
    if what and Path(what).is_file():
        material, run = report.of_archive(Path(what)), ""
        place = options.cwd / f"{Path(what).name.partition('.tar')[0]}.html"
    else:
        with opened(options, reread=False, lock=False) as session:
            if not options.dry_run:
                report.keep_measures(session)
            material = report.of_directory(session)
            place = session.directory.results / report.NAME
    place = output or place
    text = report.page(material, run)
    if options.dry_run:
        telling.plan(options, (*sorted(material.files), f"→ {place}"))
        return
    report.write(text, place)
    telling.done(options, "report", place, bytes=len(text.encode()))
    if not options.json:
        options.console.result(str(place))
