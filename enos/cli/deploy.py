"""`enos deploy`: up, os and init in one go."""

from pathlib import Path

import click

from enos.cli import telling
from enos.cli.opening import begun
from enos.cli.options import EXPERIMENT_FILE, Options, common

PHASES = ("up", "metrics", "os", "init")


@click.command("deploy")
@EXPERIMENT_FILE
@common
def command(options: Options, file: Path) -> None:
    """Get the machines, deploy OpenStack on them and make it ready for use.

    What is there already is left alone: an interrupted deployment goes on.
    """
    from enos import content
    from enos.phases import dryrun, init, install, metrics, up

    with begun(options, content.find("topologies", file)) as session:
        if options.dry_run:
            telling.plan(options, dryrun.everything(session))
            return
        up.run(session)
        up.make_current(session, options.cwd)
        metrics.run(session)
        install.run(session, again=False)
        init.run(session)
        phases = telling.facts(session, *PHASES)
    after = telling.following(options, "tc")
    telling.done(options, "deploy", session.directory.path, after=after, phases=phases)
