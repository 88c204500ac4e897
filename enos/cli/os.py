"""`enos os`: OpenStack on the machines, or any kolla-ansible command."""

from typing import TYPE_CHECKING

import click

from enos.cli import telling
from enos.cli.opening import opened
from enos.cli.options import Options, common

if TYPE_CHECKING:
    from enos.phases.session import Session


@click.command("os", context_settings={"ignore_unknown_options": False})
@click.option("-t", "--tags", help="Only these kolla-ansible tags, `nova,neutron`.")
@click.option("--reconfigure", is_flag=True, help="Apply what changed in the file.")
@click.option("--pull", is_flag=True, help="Only fetch the images to the machines.")
@click.argument("words", nargs=-1, metavar="[-- KOLLA_COMMAND...]")
@common
def command(
    options: Options,
    *,
    tags: str | None,
    reconfigure: bool,
    pull: bool,
    words: tuple[str, ...],
) -> None:
    """Deploy OpenStack; after `--` any command of kolla-ansible with its options."""
    from enos.phases import install

    if reconfigure and pull:
        raise click.UsageError("choose one of --reconfigure and --pull")
    if words and (tags or reconfigure or pull):
        told = "a command after `--` goes with none of --tags, --reconfigure and --pull"
        raise click.UsageError(told)
    action = "reconfigure" if reconfigure else "pull" if pull else "deploy"
    chosen = tuple(tag for tag in (tags or "").split(",") if tag)
    with opened(options) as session:
        if options.dry_run:
            telling.plan(options, _plan(session, action, chosen, words))
            return
        if words:
            install.command(session, words)
        elif action != "deploy" or chosen:
            install.act(session, action, chosen)
        else:
            install.run(session)
    after = telling.following(options, "os" if pull else "init")
    telling.done(
        options,
        words[0] if words else action,
        session.directory.path,
        after="" if words else after,
    )


def _plan(
    session: "Session", action: str, tags: tuple[str, ...], words: tuple[str, ...]
) -> tuple[str, ...]:
    from enos.phases import dryrun

    if words:
        return dryrun.command(session, words)
    return dryrun.openstack(session, action, tags)
