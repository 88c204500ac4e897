"""What one host gives: the output of a few programs, then a tar stream of its folders.

Nothing is written on the host. Whatever it cannot give is recorded, never raised:
only this machine's own troubles (a full disk) end the work.
"""

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import IO, cast

from enos.archive.intake import Intake
from enos.archive.manifest import OK, PARTIAL, UNREACHABLE, HostReport
from enos.archive.names import printable
from enos.archive.plan import Argv, Command, HostPlan
from enos.archive.read import drain
from enos.archive.redaction import redact
from enos.archive.scrub import buffered
from enos.errors import ProcessError
from enos.process import Completed, Shell
from enos.progress import Step
from enos.remote import ssh_argv

PATIENCE = 120.0  # seconds for a program; a hung Docker daemon must not hold us up
MOST_OUTPUT = 16 << 20  # bytes kept of a program's output
MOST_REASONS = 20
NOT_INSTALLED = (126, 127)  # env(1), "exit status"
CONNECTION = 255  # ssh(1), "exit status"
TAR = (
    *("env", "LC_ALL=C", "tar", "--create", "--file=-", "--directory=/"),
    *("--sort=name", "--hard-dereference", "--ignore-failed-read"),
)
_USUAL = (
    *("Removing leading", "socket ignored", "Exiting with failure", "file changed"),
    *("No such file", "File removed"),
)


class Stopped(Exception):  # noqa: N818 - not an error: somebody else's failure is
    """The whole archive is given up, so this host's part is as well."""


class _Lost(Exception):  # noqa: N818 - never leaves this module
    """The host cannot be reached, or not any more."""


@dataclass(slots=True, kw_only=True)
class Harvest:
    """The work on one host.

    Attributes:
        sockets: folder of shared SSH connections, None for none.
        stop: set when the whole archive is given up.

    """

    plan: HostPlan
    intake: Intake
    shell: Shell
    sockets: Path | None
    stop: Event
    step: Step
    missing: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def run(self) -> HostReport:
        """Fetch everything; the first program tells whether the host is there."""
        name = self.plan.host.name
        self.step.awaiting("ssh")
        try:
            hello = self._fetch(("true",), io.BytesIO())
        except (_Lost, ProcessError) as gone:
            return HostReport(name=name, status=UNREACHABLE, reasons=(str(gone),))
        if not hello.ok:
            why = self._complaint(hello)
            return HostReport(name=name, status=UNREACHABLE, reasons=(why,))
        try:
            for command in self.plan.commands:
                self._keep_output(command)
            self._keep_trees()
        except _Lost as gone:
            self.reasons.append(f"the connection was lost: {gone}")
        return HostReport(
            name=name,
            status=PARTIAL if self.missing or self.reasons else OK,
            missing=tuple(self.missing),
            reasons=tuple(self.reasons[:MOST_REASONS]),
        )

    def _keep_output(self, command: Command) -> None:
        self.step.awaiting(command.label)
        for argv in command.choices:
            held = io.BytesIO()
            try:
                done = self._fetch(argv, held)
            except ProcessError as slow:
                self.reasons.append(f"`{' '.join(argv)}`: {slow.message}")
                return
            if done.returncode in NOT_INSTALLED:
                continue
            if not done.ok:
                self.reasons.append(f"`{' '.join(argv)}`: {self._complaint(done)}")
            held.seek(0)
            self.intake.take(self._place(command.label), buffered(held))
            return
        self.missing.append(" or ".join(argv[0] for argv in command.choices))

    def _keep_trees(self) -> None:
        trees = {tree.path.strip("/"): tree.label for tree in self.plan.trees}
        arrived: set[str] = set()

        def consume(out: IO[bytes]) -> None:
            watched = buffered(_Watched(out, self.stop))
            try:
                with tarfile.open(fileobj=watched, mode="r|") as tar:
                    self._keep_members(tar, trees, arrived)
            except tarfile.TarError as cut:
                self.reasons.append(f"its tar stream ended early: {cut}")

        argv = ssh_argv(self.plan.host, (*TAR, *trees), sockets=self.sockets)
        done = self.shell.pipe(argv, consume, check=False)
        if done.returncode == CONNECTION:
            raise _Lost(self._complaint(done))
        self.missing += [f"/{path}" for path in trees if path not in arrived]
        self.reasons += [
            line
            for line in self._clean(done.stderr).splitlines()
            if not any(usual in line for usual in _USUAL)
        ]

    def _keep_members(
        self, tar: tarfile.TarFile, trees: dict[str, str], arrived: set[str]
    ) -> None:
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined] # a list typeshed omits; it grows
            if info.type not in tarfile.SUPPORTED_TYPES or info.issparse():
                raise tarfile.ReadError(f"no such kind of member: {info.type!r}")
            data = tar.extractfile(info) if info.isreg() else None
            self._keep_member(info, data, trees, arrived)
            if data is not None:
                drain(data)

    def _keep_member(
        self,
        info: tarfile.TarInfo,
        data: IO[bytes] | None,
        trees: dict[str, str],
        arrived: set[str],
    ) -> None:
        inside = [t for t in trees if info.name == t or info.name.startswith(t + "/")]
        if not inside:
            self.intake.leave_out(info.name, "it was not asked for")
            return
        arrived.update(inside)
        tree = max(inside, key=len)
        path = self._place(trees[tree] + info.name.removeprefix(tree))
        self.step.awaiting(f"{printable(path)}, {self.intake.size >> 20} MiB so far")
        if data is not None:
            self.intake.take(path, cast("io.BufferedReader", data), mtime=info.mtime)
        elif not info.isdir():
            kind = "a symbolic link" if info.issym() else "not a regular file"
            self.intake.leave_out(path, f"it is {kind}")

    def _place(self, label: str) -> str:
        return f"hosts/{self.plan.host.name}/{label}"

    def _fetch(self, argv: Argv, held: io.BytesIO) -> Completed:
        """Run a program on the host; raises _Lost, and ProcessError for a slow one."""

        def consume(out: IO[bytes]) -> None:
            held.write(buffered(_Watched(out, self.stop)).read(MOST_OUTPUT))

        # env tells a missing program (127) from a failing one; sudo does not
        remote = ssh_argv(self.plan.host, ("env", *argv), sockets=self.sockets)
        done = self.shell.pipe(remote, consume, check=False, timeout=PATIENCE)
        if done.returncode == CONNECTION:
            raise _Lost(self._complaint(done))
        return done

    def _complaint(self, done: Completed) -> str:
        said = self._clean(done.stderr).strip().splitlines()
        return said[-1] if said else f"status {done.returncode}"

    def _clean(self, text: str) -> str:
        clean, _, _ = redact(text.encode("utf-8", "replace"), self.intake.secrets)
        return clean.decode("utf-8", "replace")


class _Watched(io.RawIOBase):
    """A stream that ends with `Stopped` once the whole archive is given up."""

    def __init__(self, stream: IO[bytes], stop: Event) -> None:
        self._stream = stream
        self._stop = stop

    def readable(self) -> bool:
        """Say that it can be read; see `io.IOBase`."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # typeshed's WriteableBuffer is wider
        """Read what has arrived; see `io.RawIOBase`."""
        if self._stop.is_set():
            raise Stopped
        block = cast("io.BufferedReader", self._stream).read1(len(buffer))
        buffer[: len(block)] = block
        return len(block)
