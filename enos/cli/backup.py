"""`enos backup`: save everything in one archive, or verify one."""

import os
from pathlib import Path

import click

from enos.cli import telling
from enos.cli.opening import opened
from enos.cli.options import Options, common


@click.command("backup")
@click.option(
    "--backup_dir", "--backup-dir", "folder", type=click.Path(path_type=Path),
    help="Where to put it, by default the experiment directory.",
)  # fmt: skip
@click.option(
    "--verify", type=click.Path(path_type=Path), metavar="FILE",
    help="Check every member of an archive instead.",
)  # fmt: skip
@click.option(
    "--restore-metrics", "measures", type=click.Path(path_type=Path), metavar="FILE",
    help="Bring the measures of an archive up again instead, in an InfluxDB here.",
)  # fmt: skip
@click.option(
    "--to", metavar="URL",
    help="With --restore-metrics: write them into that InfluxDB 1.x.",
)  # fmt: skip
@click.option(
    "--data", type=click.Path(path_type=Path),
    help="With --restore-metrics: folder of the InfluxDB here, by default named after "
    "FILE.",
)  # fmt: skip
@common
def command(
    options: Options,
    folder: Path | None,
    verify: Path | None,
    measures: Path | None,
    to: str | None,
    data: Path | None,
) -> None:
    """Collect logs, configuration, results and versions from all hosts."""
    if sum(one is not None for one in (folder, verify, measures)) > 1:
        told = "choose one of --backup_dir, --verify and --restore-metrics"
        raise click.UsageError(told)
    if measures is None and (to or data):
        raise click.UsageError("--to and --data go with --restore-metrics")
    if to and data:
        raise click.UsageError("choose one of --to and --data")
    if measures is not None:
        _restore(options, measures, to, data)
    elif verify is not None:
        _verify(options, verify)
    else:
        _write(options, folder)


def _write(options: Options, folder: Path | None) -> None:
    from enos import archive
    from enos.phases import backup

    with opened(options) as session:
        if options.dry_run:
            telling.plan(options, archive.as_lines(backup.planned(session)))
            return
        written = backup.run(session, folder)
    measured = written.measured
    complete = measured is None or measured.ok
    after = telling.following(options, "destroy", "--hard") if complete else ""
    if not options.json:
        options.console.result(str(written.archive))
    told = measured.to_json() if measured else None
    telling.done(options, "backup", written.archive, after=after, measured=told)
    if measured:
        measured.require()


def _verify(options: Options, file: Path) -> None:
    from enos.archive.manifest import NO_SUM
    from enos.phases import backup

    found = backup.verified(file)
    if options.json:
        options.console.result_json(found)
    else:
        options.console.result(
            f"{file}: {found['members']} members as they were written, "
            f"{'complete' if found['complete'] else 'partial'}"
            f"{'' if found['sealed'] else f'; {NO_SUM}'}"
        )


def _restore(
    options: Options, measures: Path, to: str | None, data: Path | None
) -> None:
    from enos.metrics.database import PASSWORD
    from enos.phases import restore

    console = options.console
    word = os.environ.get(PASSWORD, "")
    place = restore.Place(to=to, password=word, data=data, cache=options.cache)
    if options.dry_run:
        telling.plan(options, restore.planned(measures, place))
        return
    with console.drawing():
        url = restore.run(measures, place, console)
    if not options.json:
        console.result(url)
    after = f"enos metrics query --url {url}"
    telling.done(options, "backup --restore-metrics", url, after=after)
