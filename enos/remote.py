"""Reaching the hosts of a testbed by OpenSSH: argv (pure) and parallel execution.

Connections are shared by ControlMaster sockets under the experiment's directory, so
that a hundred commands on a host cost one handshake (ssh_config(5)).
"""

import shlex
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePath
from shutil import rmtree
from typing import TypeVar

from enos.process import Completed, Shell
from enos.testbed import Host

T = TypeVar("T")
PARALLEL = 32


def ssh_options(host: Host, *, sockets: Path | None = None) -> tuple[str, ...]:
    """Return the OpenSSH options that reach a host, without its name.

    Host keys are not checked: testbeds hand out machines that were installed a
    minute ago under addresses that were another machine's yesterday.
    """
    options = [
        "-p",
        str(host.port),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
        *("-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"),
        *("-o", "ServerAliveInterval=15"),
    ]
    if host.key:
        options += ["-i", str(host.key), "-o", "IdentitiesOnly=yes"]
    if host.jump:
        options += ["-o", f"ProxyCommand={jump_command(host)}"]
    if sockets:
        path = sockets / "%C"
        options += ["-o", "ControlMaster=auto", "-o", "ControlPersist=60"]
        options += ["-o", f"ControlPath={path}"]
    return tuple(options)


def jump_command(host: Host) -> str:
    """Return the ProxyCommand through a host's jump host, as a shell reads it.

    ProxyJump would not do: the key of `-i` is for the last host only (ssh(1), -J).
    """
    user, _, place = host.jump.rpartition("@")
    name, _, port = place.partition(":")
    jump = replace(host, address=name, user=user, port=int(port or 22), jump="")
    target = f"{user}@{name}" if user else name
    options = ssh_options(jump)[0 if port else 2 :]  # no port: ssh_config(5) knows it
    return shlex.join(("ssh", *options, "-W", "[%h]:%p", target))


def ssh_argv(
    host: Host, command: Sequence[str] = (), *, sockets: Path | None = None
) -> tuple[str, ...]:
    """Return the argv that runs a command on a host as root; no command, a login."""
    words = (
        (("sudo", "-n", *command) if host.sudo else tuple(command)) if command else ()
    )
    remote = (shlex.join(words),) if words else ()
    target = f"{host.user}@{host.address}"
    return ("ssh", *ssh_options(host, sockets=sockets), target, *remote)


def run_on(
    shell: Shell,
    host: Host,
    command: Sequence[str],
    *,
    check: bool = True,
    stdin: str = "",
    timeout: float | None = None,
    sockets: Path | None = None,
) -> Completed:
    """Run a command on a host as root; raises as `Shell.run` does."""
    argv = ssh_argv(host, command, sockets=sockets)
    return shell.run(argv, check=check, stdin=stdin, timeout=timeout)


def copy_to(
    shell: Shell,
    host: Host,
    source: Path,
    target: PurePath,
    *,
    sockets: Path | None = None,
) -> None:
    """Copy a file to a host as its SSH user, by scp(1); raises as `Shell.run` does."""
    _, port, *options = ssh_options(host, sockets=sockets)
    address = f"[{host.address}]" if ":" in host.address else host.address
    where = f"{host.user}@{address}:{target}"
    shell.run(("scp", "-q", "-P", port, *options, source, where))


def close_connections(shell: Shell, sockets: Path) -> None:
    """End the shared connections of a session and remove their folder."""
    for socket in sockets.glob("*") if sockets.is_dir() else ():
        argv = ("ssh", "-O", "exit", "-o", f"ControlPath={socket}", "-")
        shell.run(argv, check=False)
    rmtree(sockets, ignore_errors=True)


def on_each(hosts: Iterable[Host], work: Callable[[Host], T]) -> dict[str, T]:
    """Do the work for all hosts at once; host name → result, first failure raised."""
    several = tuple(hosts)
    if not several:
        return {}
    with ThreadPoolExecutor(min(PARALLEL, len(several))) as pool:
        results = pool.map(work, several)
        return {
            host.name: result for host, result in zip(several, results, strict=True)
        }
