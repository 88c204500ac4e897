"""Pieces of a tar file that are written side by side and joined as they are.

A tar file is a sequence of members (POSIX.1-2001 pax, `man 5 tar`), and both gzip
(RFC 1952, 2.2) and Zstandard (RFC 8878, 3) allow compressed streams to follow one
another. So each host's members are compressed into a part of their own, at the same
time, and joining the parts copies bytes. Only the last part carries the end mark.
"""

import gzip
import hashlib
import shutil
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, cast

import zstandard

from enos.errors import ArchiveError

COPY = 1 << 20
END = b"\0" * (2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """A compression of whole archives.

    Attributes:
        magic: first bytes of a compressed file, empty for none.

    """

    name: str
    suffixes: tuple[str, ...]
    magic: bytes
    pack: Callable[[IO[bytes]], IO[bytes]]
    unpack: Callable[[IO[bytes]], IO[bytes]]


def _zstd_out(sink: IO[bytes]) -> IO[bytes]:
    return cast(
        "IO[bytes]",
        zstandard.ZstdCompressor(level=3).stream_writer(sink, closefd=False),
    )


def _zstd_in(source: IO[bytes]) -> IO[bytes]:
    reader = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)
    return cast("IO[bytes]", reader)


def _gzip_out(sink: IO[bytes]) -> IO[bytes]:
    packer: Any = gzip.GzipFile("", "wb", compresslevel=6, fileobj=sink, mtime=0)
    return cast("IO[bytes]", packer)


def _gzip_in(source: IO[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", gzip.GzipFile(fileobj=source))


def _as_it_is(stream: IO[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", _Uncompressed(stream))


class _Uncompressed:
    """A stream whose `close` leaves the file open, as the compressors' do."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.read = stream.read
        self.write = stream.write

    def close(self) -> None:
        """Leave the file to its owner."""


COMPRESSIONS = (
    Compression(
        name="zstd",
        suffixes=(".tar.zst", ".tar.zstd", ".tzst"),
        magic=b"\x28\xb5\x2f\xfd",
        pack=_zstd_out,
        unpack=_zstd_in,
    ),
    Compression(
        name="gzip",
        suffixes=(".tar.gz", ".tgz"),
        magic=b"\x1f\x8b",
        pack=_gzip_out,
        unpack=_gzip_in,
    ),
    Compression(
        name="none", suffixes=(".tar",), magic=b"", pack=_as_it_is, unpack=_as_it_is
    ),
)


def compression_for(path: Path) -> Compression:
    """Return the compression a file's name asks for; raises ArchiveError for none."""
    for compression in COMPRESSIONS:
        if path.name.endswith(compression.suffixes):
            return compression
    raise ArchiveError(
        f"`{path.name}` does not name a kind of archive",
        hint="let the name end in `.tar.zst`, `.tar.gz` or `.tar`",
    )


class Part:
    """A piece under construction; not safe to share between threads.

    Args:
        path: the file to write.
        compression: of the archive.
        top: the archive's one folder, put before each member's path.

    """

    def __init__(self, path: Path, compression: Compression, *, top: str) -> None:
        self.path = path
        self._top = top
        self._file = path.open("wb")
        self._packed = compression.pack(self._file)

    def add(self, path: str, data: IO[bytes], *, size: int, mtime: float = 0) -> str:
        """Append a member of exactly `size` bytes; return its SHA-256."""
        info = tarfile.TarInfo(f"{self._top}/{path}")
        info.size, info.mtime = size, int(mtime)
        self._packed.write(info.tobuf(tarfile.PAX_FORMAT))
        digest, left = hashlib.sha256(), size
        while left and (block := data.read(min(COPY, left))):
            self._packed.write(block)
            digest.update(block)
            left -= len(block)
        if left:
            raise ArchiveError(f"`{path}` became shorter while it was archived")
        self._packed.write(b"\0" * (-size % tarfile.BLOCKSIZE))
        return digest.hexdigest()

    def end(self) -> None:
        """Write the mark that ends a tar file, for the last part only."""
        self._packed.write(END)

    def __enter__(self) -> Self:
        """Begin; the compressed stream is finished at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish the compressed stream and the file, or give both up."""
        try:
            self._packed.close()
        except OSError:
            if kind is None:
                raise
        finally:
            self._file.close()


def join(parts: Iterable[Path], sink: IO[bytes]) -> None:
    """Append the parts to a file in their order, removing each once copied."""
    for part in parts:
        with part.open("rb") as source:
            shutil.copyfileobj(source, sink, COPY)
        part.unlink()
