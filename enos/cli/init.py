"""`enos init`: what a deployed OpenStack needs before it is used."""

import click

from enos.cli.opening import opened
from enos.cli.options import Options, common


@click.command("init")
@common
def command(options: Options) -> None:
    """Create flavors, images, networks and quotas; boot a guest to prove them."""
    from enos.phases import init

    with opened(options) as session:
        if options.dry_run:
            options.console.result("\n".join(init.plan(session)))
        else:
            init.run(session)
    options.console.next_command("enos tc")
