"""`enos destroy`: OpenStack away, with `--hard` the machines too."""

import click

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
            for line in destroy.plan(session, hard=hard):
                options.console.result(line)
        elif hard:
            destroy.release(session)
        else:
            destroy.openstack(session)
    if not options.dry_run:
        next_one = "enos up" if hard else "enos os"
        options.console.next_command(f"{next_one}, or read `{session.directory.path}`")
