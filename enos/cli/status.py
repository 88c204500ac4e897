"""`enos status`: which phases are done and whether the hosts answer."""

import click

from enos.cli.opening import opened
from enos.cli.options import Options, common


@click.command("status")
@common
def command(options: Options) -> None:
    """Show which phases are done, what they took, and whether the hosts answer."""
    from enos.phases import info

    with opened(options, reread=False, lock=False) as session:
        told = info.status(session)
    if options.json:
        options.console.result_json(told.values)
    else:
        options.console.result(told.text)
