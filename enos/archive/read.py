"""Reading an archive anywhere: streamed, never extracted, nothing in it trusted."""

import gzip
import hashlib
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import zstandard

from enos.archive.manifest import NAME, SEAL, Manifest, from_text, seal
from enos.archive.names import fault, printable
from enos.archive.part import COMPRESSIONS, COPY, Compression
from enos.errors import ArchiveError

LONGEST = {NAME: 256 << 20, SEAL: 1 << 10}  # bytes
AGAIN = "fetch it again from where it was made, or make another with `enos backup`"
_BROKEN = (
    *(tarfile.TarError, zstandard.ZstdError, zlib.error, lzma.LZMAError),
    *(EOFError, gzip.BadGzipFile),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found, held against the manifest.

    Attributes:
        missing: members the manifest names and the archive lacks.
        extra: members of the archive the manifest does not name.
        damaged: members whose size or SHA-256 is another.

    """

    path: Path
    manifest: Manifest
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Tell whether everything is as it was written."""
        return not (self.missing or self.extra or self.damaged)

    def require(self) -> None:
        """Raise ArchiveError naming each member that is not as it was written."""
        if self.ok:
            return
        found = {"damaged": self.damaged, "missing": self.missing, "extra": self.extra}
        counts = ", ".join(
            f"{len(paths)} {kind}" for kind, paths in found.items() if paths
        )
        details = [f"{kind}: {path}" for kind, paths in found.items() for path in paths]
        raise ArchiveError(
            f"`{self.path}` is not as it was written: {counts} members",
            hint=AGAIN,
            details="\n".join(details),
        )


def verify(path: Path) -> Verification:
    """Recompute the SHA-256 of every member of an archive and compare.

    Raises ArchiveError when the file cannot be read to its end: cut short, damaged
    beyond its members, not an archive, or with names no archive of enos has.
    """
    found: dict[str, tuple[int, str]] = {}

    def add_up(name: str, size: int, data: IO[bytes]) -> None:
        digest = hashlib.sha256()
        while block := data.read(COPY):
            digest.update(block)
        found[name] = size, digest.hexdigest()

    return _compared(path, visit(path, add_up), found)


def visit(path: Path, look: Callable[[str, int, IO[bytes]], None]) -> Manifest:
    """Show each member, path below the top folder, size and content; not the manifest.

    Returns the manifest, which is as its own sum says. Raises ArchiveError as `verify`
    does, naming the last member that could be read.
    """
    told: dict[str, bytes] = {}
    last = ""
    with _opened(path) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=COPY) as tar:
                for name, info, data in _members(path, tar):
                    last = name
                    if name in LONGEST:
                        told[name] = _whole(path, name, info.size, data)
                    else:
                        look(name, info.size, data)
                    drain(data)
            while stream.read(COPY):
                pass  # the compressor's own check comes at the very end
        except _BROKEN as broken:
            raise _damaged(path, last, broken) from broken
    if NAME not in told:
        raise _without(path, NAME)
    return _manifest(path, told[NAME], told.get(SEAL))


def drain(data: IO[bytes]) -> None:
    """Read a member's rest, which fails where tarfile's own skipping would not.

    A damaged header may promise petabytes; skipping them, `tarfile` goes on for ever
    after the end of the file.
    """
    while data.read(COPY):
        pass


def _whole(path: Path, name: str, size: int, data: IO[bytes]) -> bytes:
    if size > LONGEST[name]:
        raise ArchiveError(f"the `{name}` of `{path}` has {size} bytes", hint=AGAIN)
    return data.read()


def _manifest(path: Path, text: bytes, sealed: bytes | None) -> Manifest:
    """Return the manifest, held against its sum; raises ArchiveError."""
    try:
        manifest = from_text(text.decode("utf-8", "replace"))
    except ArchiveError as bad:
        raise ArchiveError(f"`{path}`: {bad.message}", hint=bad.hint) from bad
    if sealed is None and manifest.sealed:
        raise _without(path, SEAL)
    if sealed not in (None, seal(text)):
        raise ArchiveError(
            f"the `{NAME}` of `{path}` is not as it was written: `{SEAL}` has another "
            "sum",
            hint=AGAIN,
        )
    return manifest


def _without(path: Path, name: str) -> ArchiveError:
    return ArchiveError(
        f"`{path}` ends without its `{name}`: it was cut short, damaged, or not "
        "written by enos",
        hint=AGAIN,
    )


def _members(
    path: Path, tar: tarfile.TarFile
) -> Iterator[tuple[str, tarfile.TarInfo, IO[bytes]]]:
    top, seen = "", set[str]()
    while (info := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined] # a list typeshed omits; it grows
        folder, _, name = info.name.partition("/")
        why = fault(info.name) or ("" if name else "it is outside the top folder")
        if top not in {"", folder}:
            why = why or "it is in another top folder"
        if name in seen:
            why = why or "it occurs twice"
        data = None if not info.isreg() or info.issparse() else tar.extractfile(info)
        if data is None:
            why = why or "it is not a regular file"
        if why or data is None:
            raise ArchiveError(
                f"`{path}` holds a member `{printable(info.name)}` and {why}",
                hint="enos writes no such archive: do not extract it",
            )
        top = folder
        seen.add(name)
        yield name, info, data


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = path.open("rb")
    except OSError as bad:
        raise ArchiveError(
            f"`{path}` cannot be read: {bad.strerror}", hint="name an archive file"
        ) from bad
    with file:
        compression = _compression_of(path, file)
        yield compression.unpack(file)


def _compression_of(path: Path, file: io.BufferedReader) -> Compression:
    start = file.peek(tarfile.BLOCKSIZE)
    for compression in COMPRESSIONS:
        if compression.magic and start.startswith(compression.magic):
            return compression
    if start[257:262] == b"ustar":  # pax and GNU alike, POSIX.1-2001
        return COMPRESSIONS[-1]
    raise ArchiveError(
        f"`{path}` is not an archive: it is neither tar, nor gzip, nor Zstandard",
        hint="name a file that `enos backup` wrote",
    )


def _compared(
    path: Path, manifest: Manifest, found: dict[str, tuple[int, str]]
) -> Verification:
    listed = {member.path: (member.size, member.sha256) for member in manifest.members}
    return Verification(
        path=path,
        manifest=manifest,
        missing=tuple(name for name in listed if name not in found),
        extra=tuple(printable(name) for name in found if name not in listed),
        damaged=tuple(
            name for name in listed if name in found and found[name] != listed[name]
        ),
    )


def _damaged(path: Path, last: str, broken: Exception) -> ArchiveError:
    where = f"in or after `{last}`" if last else "at its very beginning"
    return ArchiveError(
        f"`{path}` is damaged or cut short {where}",
        hint=AGAIN,
        details=f"{type(broken).__name__}: {broken}",
    )
