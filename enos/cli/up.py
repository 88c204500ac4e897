"""`enos up`: get the machines and prepare them."""

from pathlib import Path

import click

from enos.cli import telling
from enos.cli.opening import begun
from enos.cli.options import EXPERIMENT_FILE, Options, common


@click.command("up")
@EXPERIMENT_FILE
@common
def command(options: Options, file: Path) -> None:
    """Get the machines of an experiment, with all they need before OpenStack."""
    from enos import content
    from enos.phases import dryrun, metrics, up

    with begun(options, content.find("topologies", file)) as session:
        if options.dry_run:
            telling.plan(options, dryrun.machines(session))
            return
        up.run(session)
        up.make_current(session, options.cwd)
        metrics.run(session)
        phases = telling.facts(session, "up", "metrics")
    after = telling.following(options, "os")
    telling.done(options, "up", session.directory.path, after=after, phases=phases)
