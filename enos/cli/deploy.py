"""`enos deploy`: up, os and init in one go."""

from pathlib import Path

import click

from enos.cli.opening import begun
from enos.cli.options import EXPERIMENT_FILE, Options, common


@click.command("deploy")
@EXPERIMENT_FILE
@common
def command(options: Options, file: Path) -> None:
    """Get the machines, deploy OpenStack on them and make it ready for use.

    What is there already is left alone: an interrupted deployment goes on.
    """
    from enos import content
    from enos.phases import init, install, metrics, up

    with begun(options, content.find("topologies", file)) as session:
        if options.dry_run:
            options.console.result("\n".join(up.plan(session)))
            return
        up.run(session)
        up.make_current(session, options.cwd)
        metrics.run(session)
        install.run(session, again=False)
        init.run(session)
    options.console.next_command("enos tc")
