"""Starting Shaker's agents on nodes by SSH, and ending them, whatever happens."""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from uuid import uuid4

from enos.bench import environment
from enos.bench.environment import AGENT, install, interpreter, packages
from enos.bench.host import Bench
from enos.bench.lines import event
from enos.bench.shaker.placement import MINION, Agent
from enos.errors import BenchmarkError, EnosError, ProcessError, listed
from enos.remote import on_each, run_on, ssh_argv
from enos.testbed import Host, Testbed

NODE = Path(__file__).with_name("node.py")
FLENT = Path(__file__).with_name("flent.py")
_READY = 90  # seconds for a node to start its agents, and again to end them
_MISSING = 'for name in "$@"; do command -v "$name" >/dev/null || echo "$name"; done'


@dataclass(slots=True, kw_only=True)
class Watched:
    """A node whose agents run, as its lines tell.

    Attributes:
        lost: agents that ended by themselves.
        foreign: whether traffic goes to an iperf3 server somebody else has there.
        last: what it wrote last that is no event, or why it cannot be followed.

    """

    host: Host
    ready: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    started: bool = False
    lost: list[str] = field(default_factory=list)
    foreign: bool = False
    last: str = ""

    def line(self, text: str) -> None:
        """Take a line of the node's output."""
        told = event(text)
        if told is None:
            self.last = text.strip() or self.last
        elif told["event"] == "ready":
            self.started = True
            self.ready.set()
        elif told["event"] == "lost":
            self.lost.append(str(told["agent"]))
        elif told["event"] == "foreign":
            self.foreign = True


def missing(
    hosts: Iterable[Host], programs: Sequence[str], bench: Bench
) -> Mapping[str, tuple[str, ...]]:
    """Return host name → programs it does not have; hosts that have all are left out.

    Raises ProcessError when a host cannot be reached.
    """
    if not programs:
        return {}

    def ask(host: Host) -> tuple[str, ...]:
        command = ("sh", "-c", _MISSING, "sh", *programs)
        done = run_on(bench.shell, host, command, sockets=bench.sockets)
        return tuple(done.stdout.split())

    return {host: names for host, names in on_each(hosts, ask).items() if names}


@contextmanager
def running(
    agents: Sequence[Agent],
    testbed: Testbed,
    bench: Bench,
    *,
    endpoint: str,
    logs: Path,
) -> Iterator[Mapping[str, Watched]]:
    """Run agents on their hosts for as long as the context is open.

    Args:
        agents: of `placement.agents`.
        testbed: holds their hosts.
        bench: where and with what, see `Bench`.
        endpoint: ``address:port`` of Shaker's server as the nodes see it.
        logs: folder for a log of each node.

    Raises:
        CapabilityError: a node has no Python that suits.
        BenchmarkError: agents did not start.

    """
    hosts = [host for host in testbed.hosts if host.name in {a.host for a in agents}]
    token = uuid4().hex
    watched = {host.name: Watched(host=host) for host in hosts}
    threads: dict[str, threading.Thread] = {}
    try:
        pythons = on_each(
            hosts, lambda host: _place(host, agents, bench, (token, endpoint))
        )
        for host in hosts:
            one, python = watched[host.name], pythons[host.name]
            threads[host.name] = _started(one, python, bench, logs)
        _await_all(watched.values())
        _tell_foreign(watched.values(), bench)
        yield watched
    finally:
        on_each(hosts, lambda host: _dismiss(host, bench))
        _await_end(threads, bench)


def folder(host: Host) -> PurePosixPath:
    """Return the folder of the agents on a node."""
    return environment.PLACE / "agents" / host.name


def _place(
    host: Host, agents: Sequence[Agent], bench: Bench, said: tuple[str, str]
) -> PurePosixPath:
    """Put all that a node needs in its place; return the agents' Python there."""
    there, (token, endpoint) = replace(bench, host=host), said
    wanted = interpreter(bench.shell, host, tool=AGENT, sockets=bench.sockets)
    made = packages(wanted, bench.cache, bench.shell, bench.progress, tool=AGENT)
    install(made, bench.shell, host, bench.progress, sockets=bench.sockets)
    mine = [one for one in agents if one.host == host.name]
    job = {
        "agents": [one.id for one in mine],
        "endpoint": endpoint,
        "token": token,
        "iperf3": any(one.mode == MINION for one in mine),
    }
    files = {
        "node.py": NODE.read_text(encoding="utf-8"),
        "bin/flent": FLENT.read_text(encoding="utf-8"),
        "job.json": json.dumps(job),
        "token": token,
    }
    for name, text in files.items():
        mode = "755" if name.startswith("bin/") else "600"
        there.put(folder(host) / name, text, mode=mode)
    return made.python


def _started(
    watched: Watched, python: PurePosixPath, bench: Bench, logs: Path
) -> threading.Thread:
    """Start a node's agents; return the thread that follows what they say."""
    host = watched.host
    command = (str(python), str(folder(host) / "node.py"), str(folder(host)))
    argv = ssh_argv(host, command, sockets=bench.sockets)
    thread = threading.Thread(
        target=_follow,
        args=(bench, argv, logs / f"agent-{host.name}.log", watched),
        daemon=True,  # a node out of reach must not keep enos from ending
    )
    thread.start()
    return thread


def _follow(bench: Bench, argv: Sequence[str], log: Path, watched: Watched) -> None:
    try:
        bench.shell.stream(argv, log=log, on_line=watched.line, check=False)
    except (EnosError, OSError) as error:  # in a thread nobody else would see it
        watched.last = str(error)
    finally:
        watched.over.set()
        watched.ready.set()


def _await_all(several: Iterable[Watched]) -> None:
    for one in several:
        if one.ready.wait(_READY) and one.started:
            continue
        raise BenchmarkError(
            f"Shaker's agents did not start on `{one.host.name}`",
            hint="the log of the agents says more",
            details=one.last,
        )


def _await_end(threads: Mapping[str, threading.Thread], bench: Bench) -> None:
    for name, thread in threads.items():
        thread.join(_READY)
        if thread.is_alive():
            bench.progress.warn(
                f"the agents on `{name}` did not end within {_READY} s; they do so by"
                " themselves once they cannot reach enos"
            )


def _tell_foreign(several: Iterable[Watched], bench: Bench) -> None:
    names = [one.host.name for one in several if one.foreign]
    if names:
        bench.progress.warn(
            f"an iperf3 server of somebody else answers on {listed(names)} and is used"
        )


def _dismiss(host: Host, bench: Bench) -> None:
    """Tell a node's agents to end; without word from enos they end as well."""
    command = ("rm", "-f", str(folder(host) / "token"))
    try:
        run_on(
            bench.shell, host, command, check=False, sockets=bench.sockets, timeout=60
        )
    except ProcessError as error:
        told = f"the agents on `{host.name}` were not told to end: {error.message}"
        bench.progress.warn(told)
