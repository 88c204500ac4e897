"""`enos os`: OpenStack on the machines, or any kolla-ansible command."""

import click

from enos.cli.opening import opened
from enos.cli.options import Options, common


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
    chosen = tuple(tag for tag in (tags or "").split(",") if tag)
    with opened(options) as session:
        if options.dry_run:
            options.console.result(install.as_text(install.planned(session)))
        elif words:
            install.command(session, words)
        elif reconfigure or pull or chosen:
            action = "reconfigure" if reconfigure else "pull" if pull else "deploy"
            install.act(session, action, chosen)
        else:
            install.run(session)
    options.console.next_command("enos init")
