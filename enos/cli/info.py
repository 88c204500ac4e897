"""`enos info`: an experiment, or an archive anywhere."""

from pathlib import Path

import click

from enos.cli.opening import opened
from enos.cli.options import Options, common


@click.command("info")
@click.argument("archive", required=False, type=click.Path(path_type=Path, exists=True))
@common
def command(options: Options, archive: Path | None) -> None:
    """Show the current experiment, or what an ARCHIVE holds."""
    from enos.phases import info

    if archive is not None:
        told = info.of_archive(archive)
    else:
        with opened(options, reread=False, lock=False) as session:
            told = info.of_session(session)
    if options.json:
        options.console.result_json(told.values)
    else:
        options.console.result(told.text)
