"""`enos ssh`: a shell on a host, or a command on all hosts of a role."""

import os
import shlex
import sys
from typing import NoReturn

import click

from enos.cli.opening import opened
from enos.cli.options import Options, common_without_json


@click.command("ssh")
@click.argument("where", metavar="HOST|ROLE|GROUP")
@click.argument("words", nargs=-1, metavar="[-- COMMAND...]")
@common_without_json
def command(options: Options, where: str, words: tuple[str, ...]) -> None:
    """Log in to a host, or run a command there as root.

    A role or group stands for its first host when logging in, for all of its hosts
    when running a command.
    """
    from enos.phases.logs import hosts_of
    from enos.process import LocalShell
    from enos.remote import on_each, run_on, ssh_argv

    with opened(options, reread=False, lock=False) as session:
        hosts, sockets = hosts_of(session.testbed, where), session.directory.sockets
        shared = sockets if sockets.is_dir() else None
        argvs = [ssh_argv(host, words, sockets=shared) for host in hosts]
        if options.dry_run:
            for argv in argvs if words else argvs[:1]:
                options.console.result(shlex.join(argv))
            return
        if words and len(hosts) > 1:
            done = on_each(
                hosts,
                # a shell of no session: the next enos must not end the user's own work
                lambda host: run_on(
                    LocalShell(), host, words, check=False, sockets=shared
                ),
            )
            for name, one in done.items():
                options.console.result(f"== {name}\n{one.stdout}{one.stderr}".rstrip())
            sys.exit(max(abs(one.returncode) for one in done.values()))
    replace_by(argvs[0], terminal=bool(words) and sys.stdin.isatty())


def replace_by(argv: tuple[str, ...], *, terminal: bool) -> NoReturn:
    """Become the SSH client, so that keys, colours and the exit status are its own."""
    sys.stdout.flush()
    os.execvp(argv[0], [argv[0], *(["-t"] if terminal else []), *argv[1:]])  # noqa: S606 - argv, no shell
