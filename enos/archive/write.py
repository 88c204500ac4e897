"""Writing an archive: every source in parallel, parts joined, one atomic rename.

All work happens in a hidden folder beside the destination, locked for as long as its
enos lives. A killed enos leaves that folder and nothing under the final name; the
next one removes it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from threading import Event

from enos.archive.harvest import Harvest, Stopped
from enos.archive.intake import Intake
from enos.archive.manifest import (
    NAME,
    OK,
    SEAL,
    HostReport,
    Manifest,
    seal,
    to_text,
)
from enos.archive.part import Compression, Part, compression_for, join
from enos.archive.plan import BackupPlan, HostPlan
from enos.archive.redaction import SHORTEST, Secrets, prepare
from enos.archive.scrub import buffered
from enos.errors import ArchiveError
from enos.process import Shell
from enos.progress import Progress
from enos.remote import PARALLEL

WORKPLACE = ".enos-archive-"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What the writing of one archive shares between its threads."""

    plan: BackupPlan
    shell: Shell
    progress: Progress
    sockets: Path | None
    folder: Path
    compression: Compression
    secrets: Secrets
    stop: Event = field(default_factory=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """A finished part; `report` is None for this machine's."""

    path: Path
    intake: Intake
    report: HostReport | None = None


def archive_name(name: str, when: datetime) -> str:
    """Return a file name for an archive.

    >>> archive_name("enos-demo", datetime(2026, 11, 21, 9, 5, tzinfo=UTC))
    'enos-demo-20261121T090500Z.tar.zst'
    """
    return f"{name}-{when.astimezone(UTC):%Y%m%dT%H%M%SZ}.tar.zst"


def write(
    plan: BackupPlan,
    destination: Path,
    *,
    shell: Shell,
    progress: Progress,
    sockets: Path | None = None,
) -> Manifest:
    """Write the archive and return its manifest; a dead host makes it partial.

    Args:
        plan: what to collect, see `plan_backup`.
        destination: its suffix chooses the compression: `.tar.zst`, `.tar.gz`, `.tar`.
        shell: starts the SSH processes.
        progress: told of each host, and warned of each that is not complete.
        sockets: folder of shared SSH connections, None for none.

    Raises:
        ArchiveError: it cannot be written; nothing is left under its name, and an
            archive that was there before stays.

    """
    compression = compression_for(destination)
    try:
        if sockets is not None:
            sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _workplace(destination.parent) as folder:
            work = _Work(
                plan=plan,
                shell=shell,
                progress=progress,
                sockets=sockets,
                folder=folder,
                compression=compression,
                secrets=_prepared(plan, progress),
            )
            manifest = _written(work, destination)
    except OSError as bad:
        raise _cannot_write(destination, bad) from bad
    _warn_of_gaps(manifest, progress)
    return manifest


def _warn_of_gaps(manifest: Manifest, progress: Progress) -> None:
    for host in manifest.hosts:
        if host.status != OK:
            told = "; ".join((*host.reasons, *(f"no {path}" for path in host.missing)))
            progress.warn(f"{host.name} is {host.status} in the archive: {told}")


def _prepared(plan: BackupPlan, progress: Progress) -> Secrets:
    short = sum(0 < len(value) < SHORTEST for value in plan.secrets)
    if short:
        progress.warn(
            f"{short} passwords have fewer than {SHORTEST} characters: they are "
            "redacted only where a key such as `password` names them"
        )
    return prepare(plan.secrets)


def _collect(work: _Work) -> list[_Done]:
    """Fetch from this machine and all hosts at once; parts in the plan's order."""
    jobs: list[HostPlan | None] = [None, *work.plan.hosts]

    def collect(numbered: tuple[int, HostPlan | None]) -> _Done:
        number, host = numbered
        path = work.folder / f"{number:05}.part"
        return _own_part(work, path) if host is None else _host_part(work, path, host)

    with ThreadPoolExecutor(min(PARALLEL, len(jobs))) as pool:
        futures = [pool.submit(collect, numbered) for numbered in enumerate(jobs)]
        try:
            ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for failed in (future for future in ended if future.exception()):
                failed.result()
        except BaseException:
            work.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _own_part(work: _Work, path: Path) -> _Done:
    plan = work.plan
    with (
        work.progress.step("archiving the experiment directory") as step,
        Part(path, work.compression, top=plan.name) as part,
    ):
        intake = Intake(part=part, secrets=work.secrets, folder=work.folder)
        for name, text in plan.generated.items():
            intake.take(name, buffered(BytesIO(text.encode())))
        for name in plan.files:
            if work.stop.is_set():
                raise Stopped
            step.awaiting(name)
            _take_file(intake, plan.directory, name)
    return _Done(path=path, intake=intake)


def _take_file(intake: Intake, directory: Path, name: str) -> None:
    """Archive a file of the directory; one that cannot be read is recorded."""
    try:
        source = (directory / name).open("rb")
    except OSError as bad:
        intake.leave_out(name, f"cannot be read: {bad.strerror}")
        return
    with source:
        intake.take(name, source, mtime=os.fstat(source.fileno()).st_mtime)


def _host_part(work: _Work, path: Path, plan: HostPlan) -> _Done:
    with (
        work.progress.step("archiving", host=plan.host.name) as step,
        Part(path, work.compression, top=work.plan.name) as part,
    ):
        intake = Intake(
            part=part, secrets=work.secrets, folder=work.folder, host=plan.host.name
        )
        harvest = Harvest(
            plan=plan,
            intake=intake,
            shell=work.shell,
            sockets=work.sockets,
            stop=work.stop,
            step=step,
        )
        report = harvest.run()
    return _Done(path=path, intake=intake, report=report)


def _manifest(plan: BackupPlan, done: Sequence[_Done]) -> Manifest:
    return Manifest(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        experiment=plan.name,
        versions=plan.versions,
        members=tuple(member for part in done for member in part.intake.members),
        withheld=tuple(left for part in done for left in part.intake.withheld),
        hosts=tuple(part.report for part in done if part.report),
    )


def _written(work: _Work, destination: Path) -> Manifest:
    """Collect and join the parts, close with the manifest, put it all in its place."""
    done = _collect(work)
    manifest = _manifest(work.plan, done)
    last = work.folder / "last.part"
    text = to_text(manifest).encode()
    with Part(last, work.compression, top=work.plan.name) as part:
        for name, content in ((NAME, text), (SEAL, seal(text))):
            part.add(name, BytesIO(content), size=len(content))
        part.end()
    whole = work.folder / "whole"
    with (
        work.progress.step("joining the parts"),
        os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as sink,
    ):
        join([*(part.path for part in done), last], sink)
        sink.flush()
        os.fsync(sink.fileno())
    whole.replace(destination)
    return manifest


@contextmanager
def _workplace(parent: Path) -> Iterator[Path]:
    """Make a locked folder; remove it afterwards, and those of dead processes now."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{WORKPLACE}*"):
        with suppress(OSError), _locked(left):
            shutil.rmtree(left)
    folder = Path(tempfile.mkdtemp(prefix=WORKPLACE, dir=parent))
    try:
        with _locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock (flock(2)); raises BlockingIOError when another does."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _cannot_write(destination: Path, bad: OSError) -> ArchiveError:
    return ArchiveError(
        f"`{destination}` cannot be written: {bad.strerror or bad}",
        hint="make room on its disk or name another destination; nothing was lost, "
        "the same command collects everything again",
    )
