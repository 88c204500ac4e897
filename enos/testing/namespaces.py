"""A small testbed of network namespaces on this machine, reached as if by SSH.

Each host is a namespace with a `/run` of its own; a bridge in one more namespace joins
them, out of reach of this machine's own firewall. Needs root.

with NamespaceTestbed(groups=("grp1", "grp1", "grp2")) as net:
    apply(plan, net.testbed, net.shell, progress, backend=Backend.USER_SPACE)
"""

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from enos.errors import CapabilityError
from enos.process import Completed, LocalShell
from enos.testbed import Host, Network, Nic, Testbed

_INSIDE = "mount -t tmpfs tmpfs /run && echo ready && exec sleep infinity"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceShell:
    """A `Shell` for which ``ssh … user@host command`` enters the host's namespaces.

    ``scp … file user@host:path`` copies: all but `/run` is shared.

    Attributes:
        entries: host name -> id of the process that holds its namespaces.
        here: runs everything.

    """

    entries: Mapping[str, int]
    here: LocalShell = field(default_factory=LocalShell)

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        check: bool = True,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """See `enos.process.Shell.run`."""
        return self.here.run(
            self._inside(argv),
            check=check,
            stdin=stdin,
            env=env,
            cwd=cwd,
            timeout=timeout,
        )

    def stream(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        on_line: Callable[[str], None] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        check: bool = True,
    ) -> Completed:
        """See `enos.process.Shell.stream`."""
        return self.here.stream(
            self._inside(argv), log=log, on_line=on_line, env=env, cwd=cwd, check=check
        )

    def pipe(
        self,
        argv: Sequence[str | os.PathLike[str]],
        consume: Callable[[IO[bytes]], None],
        *,
        check: bool = True,
        timeout: float | None = None,
    ) -> Completed:
        """See `enos.process.Shell.pipe`."""
        words = self._inside(argv)
        return self.here.pipe(words, consume, check=check, timeout=timeout)

    def _inside(self, argv: Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
        words = tuple(os.fspath(word) for word in argv)
        if words[0] == "scp":  # files are shared
            return ("cp", words[-2], words[-1].partition(":")[2])
        if words[0] != "ssh":
            return words
        pid = self.entries[words[-2].partition("@")[2]]
        return ("nsenter", "-t", str(pid), "-n", "-m", *shlex.split(words[-1]))


class NamespaceTestbed:
    """Hosts ``node-1``, ``node-2``… on a network `api`, one for each group given.

    Raises CapabilityError on entry when not root.

    Args:
        groups: the group of each host.
        prefix: starts the names of the namespaces, so that two do not meet.
        extra: addresses in CIDR notation added to the first host's interface.

    """

    def __init__(
        self,
        *,
        groups: Sequence[str],
        prefix: str = "enos-test",
        extra: Sequence[str] = (),
    ) -> None:
        self._prefix = f"{prefix}-{os.getpid()}"
        self._bridge = f"{self._prefix}-bridge"
        self._entries: dict[str, int] = {}
        self._stack = ExitStack()
        self._local = LocalShell()
        hosts = tuple(
            _host(place, group, extra if place == 1 else ())
            for place, group in enumerate(groups, start=1)
        )
        network = Network(name="api", cidr="10.99.0.0/16", roles=("api", "tunnel"))
        self.testbed = Testbed(provider="namespaces", hosts=hosts, networks=(network,))
        self.shell = NamespaceShell(entries=self._entries)

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise CapabilityError("network namespaces need root", hint="use sudo")
        with self._stack:
            self._namespace(self._bridge)
            self._in(self._bridge, "ip", "link", "add", "br0", "type", "bridge")
            self._in(self._bridge, "ip", "link", "set", "br0", "up")
            for host in self.testbed.hosts:
                self._node(host)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _namespace(self, name: str) -> None:
        self._local.run(("ip", "netns", "add", name))
        self._stack.callback(self._remove, name)
        self._in(name, "ip", "link", "set", "lo", "up")

    def _remove(self, name: str) -> None:
        for pid in self._local.run(("ip", "netns", "pids", name)).stdout.split():
            os.kill(int(pid), signal.SIGKILL)
        self._local.run(("ip", "netns", "del", name))

    def _node(self, host: Host) -> None:
        name, (nic,) = f"{self._prefix}-{host.name}", host.nics
        self._namespace(name)
        port = host.name
        self._in(
            self._bridge,
            *("ip", "link", "add", port, "type", "veth"),
            *("peer", "name", nic.device, "netns", name),
        )
        self._in(self._bridge, "ip", "link", "set", port, "master", "br0", "up")
        for address in nic.addresses:
            options = ("nodad",) if ":" in address else ()
            command = ("ip", "addr", "add", address, "dev", nic.device, *options)
            self._in(name, *command)
        self._in(name, "ip", "link", "set", nic.device, "up")
        holder = subprocess.Popen(
            ("ip", "netns", "exec", name, "sh", "-c", _INSIDE),  # noqa: S607
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._stack.callback(_end, holder)
        if holder.stdout is None or holder.stdout.readline() != b"ready\n":
            raise CapabilityError(f"namespace `{name}` cannot have a /run of its own")
        self._entries[host.address] = holder.pid

    def _in(self, name: str, *command: str) -> None:
        self._local.run(("ip", "netns", "exec", name, *command))


def _end(holder: "subprocess.Popen[bytes]") -> None:
    with holder:
        holder.kill()


def _host(place: int, group: str, extra: Sequence[str]) -> Host:
    own = (f"10.99.0.{place}/16", f"fd00:99::{place:x}/64")
    return Host(
        name=f"node-{place}",
        address=f"node-{place}",
        groups=(group,),
        nics=(Nic(device="eth0", network="api", addresses=(*own, *extra)),),
    )
