"""A benchmark's Python environment, packed here and unpacked on the bench host.

The bench host needs a Python 3.10 or later and nothing else: no internet, no pip, no
compiler. The packages are resolved by a lock, `enos/locks/rally.txt` for Rally, chosen
for the bench host's Python and processor, and kept as one archive in the cache.
"""

import hashlib
import os
import re
import shutil
import tarfile
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from uuid import uuid4

from enos.errors import CapabilityError, ProcessError
from enos.process import Shell
from enos.progress import Progress
from enos.remote import copy_to, run_on, ssh_argv
from enos.state.locks import locked
from enos.testbed import Host
from enos.toolenvs import LOCKS, find_uv

PLACE = PurePosixPath("/var/lib/enos")
"""Folder on the bench host for all that enos's benchmarks need."""

OLDEST = (3, 10)
_ASK = "import platform, sys; print(*sys.version_info[:2], platform.machine())"
_AWAKE = "import sys; sys.dont_write_bytecode = False;"  # whatever the account's habits
_PLATFORMS = {
    "x86_64": "x86_64-unknown-linux-gnu",
    "aarch64": "aarch64-unknown-linux-gnu",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program of Python's that is carried to hosts.

    Attributes:
        name: of its lock file and of its folder there.
        title: for messages.
        warm_up: Python that loads what a run of it will.
        built: packages published without wheels; pure Python, made into wheels here.
        newest: the last Python it works with, None for no limit.

    """

    name: str
    title: str
    warm_up: str
    built: tuple[str, ...] = ()
    newest: tuple[int, int] | None = None

    @property
    def lock(self) -> Path:
        """Return the file that pins its packages."""
        return LOCKS / f"{self.name}.txt"


RALLY = Tool(
    name="rally",
    title="Rally",
    warm_up="from rally import api, plugins; from rally.env import env_mgr; "
    "plugins.load()",
)

SHAKER = Tool(
    name="shaker",
    title="Shaker",
    warm_up="from shaker.engine import messaging, report, server; "
    "from shaker.openstack.clients import openstack",
    built=("timeout-decorator",),
    newest=(3, 13),  # Shaker reads SLAs by parts of `ast` that 3.14 took away
)
AGENT = Tool(
    name="shaker-agent",
    title="Shaker's agent",
    warm_up="from shaker.agent import agent",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """The Python of a bench host."""

    version: tuple[int, int]
    machine: str

    @property
    def dotted(self) -> str:
        """Return its version as `3.13`."""
        return ".".join(map(str, self.version))


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """An archive of `site-packages` for an interpreter.

    Attributes:
        key: hash of the lock, the Python and the processor.

    """

    archive: Path
    key: str
    interpreter: Interpreter
    tool: Tool = RALLY

    @property
    def place(self) -> PurePosixPath:
        """Return where the environment is on the bench host."""
        return PLACE / f"{self.tool.name}-{self.key}"

    @property
    def site(self) -> PurePosixPath:
        """Return its `site-packages` there."""
        version = self.interpreter.dotted
        return self.place / "lib" / f"python{version}" / "site-packages"

    @property
    def bytecode(self) -> Path:
        """Return the archive of the modules' bytecode, there after the first use.

        Compiling what Rally loads takes a bench host longer than many a benchmark;
        the second one gets it from the first.
        """
        return self.archive.with_name(f"{self.tool.name}-{self.key}-bytecode.tar.gz")

    @property
    def python(self) -> PurePosixPath:
        """Return the environment's Python on the bench host."""
        return self.place / "bin" / "python"


def interpreter(
    shell: Shell, host: Host, *, tool: Tool = RALLY, sockets: Path | None = None
) -> Interpreter:
    """Return which Python a host has; raises CapabilityError when none that suits."""
    done = run_on(
        shell, host, ("python3", "-c", _ASK), check=False, timeout=60, sockets=sockets
    )
    found = re.fullmatch(r"(\d+) (\d+) (\S+)", done.stdout.strip())
    if not done.ok or found is None:
        raise CapabilityError(
            f"`{host.name}` runs no Python 3, which {tool.title} needs",
            hint="install python3 there, or give the role `bench` to another host",
            details=done.stderr,
        )
    version, machine = (int(found[1]), int(found[2])), found[3]
    late = tool.newest is not None and version > tool.newest
    if version < OLDEST or late or machine not in _PLATFORMS:
        have = f"Python {version[0]}.{version[1]} on {machine}"
        raise CapabilityError(
            f"`{host.name}` has {have}, {tool.title} needs {_suiting(tool)} on "
            f"{' or '.join(_PLATFORMS)}",
            hint="give the role `bench` to another host",
        )
    return Interpreter(version=version, machine=machine)


def _suiting(tool: Tool) -> str:
    oldest = ".".join(map(str, OLDEST))
    if tool.newest is None:
        return f"{oldest} or later"
    return f"{oldest} to {'.'.join(map(str, tool.newest))}"


def packages(
    wanted: Interpreter,
    cache: Path,
    shell: Shell,
    progress: Progress,
    *,
    tool: Tool = RALLY,
) -> Packages:
    """Return the archive for an interpreter, made when it is not in the cache.

    Needs no bench host, so that it may be called while one is being deployed. Raises
    ProcessError when the packages cannot be had.
    """
    pins = tool.lock.read_text(encoding="utf-8")
    text = f"{wanted.dotted} {wanted.machine}\n{pins}"
    key = hashlib.sha256(text.encode()).hexdigest()[:12]
    archive = cache / "tools" / f"{tool.name}-{key}.tar.gz"
    if not archive.exists():
        with locked(archive.with_suffix(".lock")):
            if not archive.exists():
                with progress.step(f"{tool.title} for Python {wanted.dotted}") as step:
                    step.awaiting("packages")
                    _make(archive, wanted, shell, tool)
    return Packages(archive=archive, key=key, interpreter=wanted, tool=tool)


def install(
    made: Packages,
    shell: Shell,
    host: Host,
    progress: Progress,
    *,
    sockets: Path | None = None,
) -> None:
    """Put the environment on a bench host when it is not there, or only half.

    Raises ProcessError when the host cannot take it.
    """
    complete = made.place / ".complete"
    if run_on(
        shell, host, ("test", "-e", str(complete)), check=False, sockets=sockets
    ).ok:
        return
    with progress.step(f"{made.tool.title} brought along", host=host.name) as step:

        def run(*command: str) -> None:
            run_on(shell, host, command, sockets=sockets)

        def bring(archive: Path) -> None:
            step.awaiting(f"{archive.name} to be copied and unpacked")
            there = f"/tmp/enos-{uuid4().hex[:8]}-{archive.name}"  # noqa: S108 - the one place every account may write
            try:
                copy_to(shell, host, archive, PurePosixPath(there), sockets=sockets)
                run("tar", "--no-same-owner", "-C", str(made.site), "-xzf", there)
            finally:  # also half of it, from a host whose disk is full
                gone = ("rm", "-f", there)
                run_on(shell, host, gone, check=False, sockets=sockets)

        run("rm", "-rf", str(made.place))
        run("mkdir", "-p", "-m", "700", str(PLACE))
        run("python3", "-m", "venv", "--without-pip", str(made.place))
        bring(made.archive)
        if made.bytecode.exists():
            bring(made.bytecode)
        else:
            step.awaiting("its modules to be compiled, once")
            run(str(made.python), "-c", _AWAKE + made.tool.warm_up)
            _keep_bytecode(made, shell, host, sockets)
        run("touch", str(complete))


def _keep_bytecode(
    made: Packages, shell: Shell, host: Host, sockets: Path | None
) -> None:
    """Bring the bytecode home for the next bench host."""
    script = 'cd "$1" && find . -name "*.pyc" -print0 | tar --null -T - -czf -'
    argv = ssh_argv(host, ("sh", "-c", script, "sh", str(made.site)), sockets=sockets)
    owner = f"{os.getpid()}-{threading.get_ident()}"  # hosts are prepared side by side
    part = made.bytecode.with_suffix(f".{owner}.part")

    def keep(stream: IO[bytes]) -> None:
        with part.open("wb") as target:
            shutil.copyfileobj(stream, target)
            target.flush()
            os.fsync(target.fileno())

    try:
        shell.pipe(argv, keep)
        part.replace(made.bytecode)
    finally:
        part.unlink(missing_ok=True)


def _make(archive: Path, wanted: Interpreter, shell: Shell, tool: Tool) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        site = Path(scratch) / "site-packages"
        install: tuple[str | Path, ...] = (
            *(find_uv(), "pip", "install", "--quiet", "--no-deps"),
            *("--only-binary", ":all:", "--target", site),
            *(word for name in tool.built for word in ("--no-binary", name)),
            *("--python-version", wanted.dotted),
            *("--python-platform", _PLATFORMS[wanted.machine]),
            *("-r", tool.lock),
        )
        try:
            shell.run(install)
        except ProcessError as error:
            raise ProcessError(
                f"{tool.title}'s packages cannot be had: {error.message}",
                argv=error.argv,
                returncode=error.returncode,
                hint="check the network and pip's configuration of this machine",
                details=error.details,
            ) from error
        shutil.rmtree(site / "bin", ignore_errors=True)
        part = Path(scratch) / archive.name
        with part.open("wb") as target:
            with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as tar:
                for child in sorted(site.iterdir()):
                    tar.add(child, arcname=child.name)
            target.flush()
            os.fsync(target.fileno())
        part.replace(archive)
