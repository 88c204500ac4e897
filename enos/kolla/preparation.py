"""Undoing what prepared the machines for kolla-ansible, on machines that stay."""

from importlib.resources import files
from pathlib import Path

from enos.process import Shell
from enos.progress import Progress
from enos.remote import on_each, run_on
from enos.testbed import Testbed

STAYS = "Docker and what was installed with it stay"


def undo(testbed: Testbed, shell: Shell, progress: Progress, sockets: Path) -> None:
    """Take enos's names and registry out of every machine's files; harmless again.

    Raises ProcessError when a machine is unreachable, the others done.
    """
    script = (files("enos.ansible") / "restore.py").read_text(encoding="utf-8")
    done = on_each(
        testbed.hosts,
        lambda host: run_on(
            shell, host, ("python3", "-"), stdin=script, sockets=sockets
        ),
    )
    for host, one in done.items():
        if one.stdout.strip():
            what = ", ".join(one.stdout.split())
            progress.decision(f"{host}: {what} as before; {STAYS}")
