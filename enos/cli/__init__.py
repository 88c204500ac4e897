"""argv to one call to a printed result; the only place that writes to a terminal."""

import errno
import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from enos.cli.options import everywhere
from enos.errors import CapabilityError, EnosError

COMMANDS = {
    "new": "Write a commented experiment file",
    "check": "Validate an experiment file and print what it would do",
    "doctor": "Tell what this machine and account can do",
    "up": "Get the machines and prepare them",
    "os": "Deploy OpenStack on them, or run any kolla-ansible command",
    "init": "Create flavors, images, networks and quotas",
    "deploy": "up, os and init in one go",
    "tc": "Shape the network between groups, prove or undo it",
    "bench": "Run a workload",
    "report": "Write asked, there and measured as one HTML page",
    "metrics": "See what machines, containers and services did",
    "trace": "See what happened inside OpenStack during a request",
    "backup": "Save everything in one archive, or verify one",
    "destroy": "Remove OpenStack, with --hard the machines too",
    "info": "Show an experiment or an archive",
    "status": "Show which phases are done and what the hosts say",
    "ssh": "Log in to a host, or run a command there",
    "logs": "Read the logs of an OpenStack service",
    "images": "List, build, push, compare and synchronise container images",
    "workloads": "List the workloads that come with enos",
    "providers": "List the testbeds enos can use",
}
"""Every command and its one-line help: a command's module is loaded when it runs, so
that `enos --help` loads neither pydantic nor Ansible nor a cloud client."""

BUG = 70
INTERRUPTED = 130
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Lazy(click.Group):
    """A group whose commands are modules of this package, loaded on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return the names in the order a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command, or say which one was probably meant."""
        if cmd_name not in COMMANDS:
            from difflib import get_close_matches

            close = get_close_matches(cmd_name, COMMANDS, n=1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            ctx.fail(f"there is no command `{cmd_name}`{hint}")
        module = importlib.import_module(f"enos.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list of commands without loading one of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@everywhere
@click.version_option(package_name="enos", prog_name="enos")
@click.pass_context
def cli(context: click.Context, /, **outer: Any) -> None:  # noqa: ANN401 - click's values
    """Repeatable OpenStack experiments from one YAML file."""
    context.obj = outer


def main(argv: Sequence[str] | None = None) -> None:
    """Run enos and exit: the one place where failures become exit codes."""
    try:
        words = None if argv is None else list(argv)
        # None, or the status a command gave to `Context.exit`.
        sys.exit(cli.main(args=words, prog_name="enos", standalone_mode=False))
    except click.ClickException as usage:
        usage.show()
        sys.exit(usage.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted: the same command goes on from here", err=True)
        sys.exit(INTERRUPTED)
    except EnosError as error:
        sys.exit(_failed(error))
    except Exception as bug:  # noqa: BLE001 - the boundary: anything else is a bug
        if isinstance(bug, OSError) and bug.errno in FULL:
            sys.exit(_failed(_full(bug)))
        sys.exit(_bug(bug))


def _failed(error: EnosError) -> int:
    from enos.cli.console import Console

    Console().error(error)
    return error.exit_code


def _full(error: OSError) -> EnosError:
    where = f" for `{error.filename}`" if error.filename else ""
    hint = "make room, then run the same command again: it goes on from here"
    return CapabilityError(f"there is no room{where}: {error.strerror}", hint=hint)


def _bug(bug: Exception) -> int:
    from enos.cli.options import cache_folder

    log = cache_folder() / "last-bug.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(traceback.format_exception(bug)), encoding="utf-8")
    click.echo(f"bug: {type(bug).__name__}: {bug}", err=True)
    click.echo(f"hint: this is a fault of enos; please report `{log}`", err=True)
    return BUG
