"""`enos doctor`: what this machine and account can do, with the fix for each miss."""

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from enos import plugins
from enos.cli import telling
from enos.cli.options import EXPERIMENT, Options, common
from enos.errors import CapabilityError
from enos.process import LocalShell
from enos.provider import Check, Surroundings

PROGRAMS = {"ssh": "openssh-client", "ssh-keygen": "openssh-client"}


@click.command("doctor")
@click.option("-p", "--provider", default="local", show_default=True, help="Testbed.")
@common
def command(options: Options, provider: str) -> None:
    """Tell what this machine and account can do for a testbed."""
    kind = plugins.provider(provider)
    with tempfile.TemporaryDirectory() as folder, options.console.drawing():
        around = Surroundings(
            session="enos-doctor",
            directory=Path(folder),
            cache=options.cache,
            shell=LocalShell(session="enos-doctor"),
            progress=options.console,
        )
        own = kind(kind.Settings.model_construct(), around).checks()
        checks = (*_programs(), *own, _guests())
    if options.json:
        options.console.result_json([asdict(check) for check in checks])
    else:
        options.console.result("\n".join(_row(check) for check in checks))
    missing = [check.name for check in checks if check.required and not check.ok]
    if missing:
        raise CapabilityError(
            f"this machine lacks: {', '.join(missing)}",
            hint="each line above that says `miss` ends with its fix",
        )
    chosen = () if provider == "local" else ("--provider", provider)
    begun = (options.cwd / EXPERIMENT).exists()
    after = ("check",) if begun else ("new", *chosen)
    options.console.next_command(telling.following(options, *after))


def _programs() -> tuple[Check, ...]:
    return tuple(
        Check(
            name=program,
            ok=(path := shutil.which(program)) is not None,
            found=path or "not on the PATH",
            fix=f"install the package `{package}`",
        )
        for program, package in PROGRAMS.items()
    )


def _guests() -> Check:
    """Tell which image guests boot when the experiment names none."""
    from enos.cloud.standard import KEYRING, missing

    name, lacking = "guest image", missing()
    if not lacking:
        found = "built here from Debian's packages"
        return Check(name=name, ok=True, found=found)
    fix = f"sudo apt-get install {KEYRING}" if lacking == (KEYRING,) else ""
    found = f"no {', '.join(lacking)}: CirrOS is downloaded"
    return Check(name=name, ok=False, found=found, fix=fix, required=False)


def _row(check: Check) -> str:
    mark = "ok" if check.ok else ("miss" if check.required else "-")
    fix = f"  → {check.fix}" if check.fix and not check.ok else ""
    return f"{mark:<5} {check.name:<22} {check.found}{fix}"
