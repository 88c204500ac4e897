"""`enos init`: what a deployed OpenStack needs before it is used."""

import click

from enos.cli import telling
from enos.cli.opening import opened
from enos.cli.options import Options, common


@click.command("init")
@common
def command(options: Options) -> None:
    """Create flavors, images, networks and quotas; boot a guest to prove them."""
    from enos.phases import init

    with opened(options) as session:
        if options.dry_run:
            telling.plan(options, init.plan(session))
            return
        init.run(session)
        phases = telling.facts(session, "init")
    after = telling.following(options, "tc")
    telling.done(options, "init", session.directory.path, after=after, phases=phases)
