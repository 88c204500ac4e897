"""`enos backup`: save everything in one archive, or verify one."""

import os
from pathlib import Path

import click

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
@click.option("--to", metavar="URL", help="Write them into that InfluxDB 1.x.")
@click.option(
    "--data", type=click.Path(path_type=Path),
    help="Folder of the InfluxDB here, by default named after FILE.",
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
    from enos import archive
    from enos.phases import backup

    if measures is not None:
        _restore(options, measures, to, data)
        return
    if verify is not None:
        found = backup.verified(verify)
        if options.json:
            options.console.result_json(found)
        else:
            options.console.result(
                f"{verify}: {found['members']} members as they were written, "
                f"{'complete' if found['complete'] else 'partial'}"
            )
        return
    with opened(options) as session:
        if options.dry_run:
            lines = archive.as_lines(backup.planned(session))
            options.console.result("\n".join(lines))
            return
        written = backup.run(session, folder)
    options.console.result(str(written.archive))
    if written.measured:
        written.measured.require()
    options.console.next_command("enos destroy --hard")


def _restore(
    options: Options, measures: Path, to: str | None, data: Path | None
) -> None:
    from enos.metrics.database import PASSWORD
    from enos.phases import restore

    console = options.console
    word = os.environ.get(PASSWORD, "")
    place = restore.Place(to=to, password=word, data=data, cache=options.cache)
    with console.drawing():
        url = restore.run(measures, place, console)
    console.result(url)
    console.next_command(f"enos metrics query --url {url}")
