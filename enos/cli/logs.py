"""`enos logs`: the logs of an OpenStack service, wherever it runs."""

import shlex

import click

from enos.cli import telling
from enos.cli.opening import opened
from enos.cli.options import Options, common
from enos.cli.ssh import replace_by


@click.command("logs")
@click.argument("service")
@click.option("--host", "where", metavar="HOST|ROLE|GROUP", help="Only there.")
@click.option(
    "-n", "--lines", default=50, show_default=True, help="Lines of each file."
)
@click.option("-f", "--follow", is_flag=True, help="Go on as the logs grow; one host.")
@common
def command(
    options: Options, service: str, *, where: str | None, lines: int, follow: bool
) -> None:
    """Print the last log lines of SERVICE: `nova`, `nova-api` or `nova_libvirt`."""
    if follow and options.json:
        raise click.UsageError("choose one of --follow and --json")
    from enos.phases import logs
    from enos.remote import ssh_argv

    with opened(options, reread=False, lock=False) as session:
        everywhere = session.testbed
        hosts = logs.hosts_of(everywhere, where) if where else everywhere.hosts
        argv = logs.command(service, lines=lines, follow=follow)
        if options.dry_run:
            lines_of = (shlex.join(ssh_argv(host, argv)) for host in hosts)
            telling.plan(options, lines_of)
            return
        found = logs.read(session, hosts, service, lines=0 if follow else lines)
        sockets = session.directory.sockets
    if not follow:
        if options.json:
            options.console.result_json(found)
        else:
            told = (f"== {name}\n{text}".rstrip() for name, text in found.items())
            options.console.result("\n".join(told))
        return
    if len(found) > 1:
        names = ", ".join(found)
        raise click.UsageError(f"`{service}` logs on {names}: name one with --host")
    (host,) = (host for host in hosts if host.name in found)
    replace_by(ssh_argv(host, argv, sockets=sockets), terminal=False)
