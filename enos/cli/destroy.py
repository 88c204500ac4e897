"""`enos destroy`: OpenStack away, with `--hard` the machines too."""

import click

from enos.cli import telling
from enos.cli.opening import opened
from enos.cli.options import Options, common


@click.command("destroy")
@click.option("--hard", is_flag=True, help="Give the machines back as well.")
@common
def command(options: Options, hard: bool) -> None:  # noqa: FBT001 - click's flag
    """Remove OpenStack from the machines; with --hard give the machines back.

    Results, logs and the journal stay in the experiment directory.
    """
    from enos.phases import destroy

    with opened(options, reread=False) as session:
        if options.dry_run:
            telling.plan(options, destroy.plan(session, hard=hard))
            return
        if hard:
            destroy.release(session)
        else:
            destroy.openstack(session)
        source = session.directory.load().source
    folder = session.directory.path
    options.console.decision(f"results, logs and journal stay in `{folder}`")
    again = telling.anew(options, source, "up")
    after = again if hard else telling.following(options, "os")
    did = "destroy --hard" if hard else "destroy"
    telling.done(options, did, folder, after=after)
