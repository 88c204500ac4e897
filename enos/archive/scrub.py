"""A file on its way into the archive: searched, redacted or left out, block by block.

Text is redacted. A file with other bytes stays as it is unless a secret is found in
it: then it is left out, since nobody knows what a replacement would break. Packed
files (logrotate's ``.gz``) are unpacked, treated by the same rules and packed again.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Any, cast

from enos.archive.redaction import PEM_BEGIN, Secrets, reason_to_drop, redact

BLOCK = 1 << 18
LONGEST_LINE = 1 << 20  # a longer line is cut, never inside a known secret
HEAD = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrubbed:
    """What became of a file: how many secrets were replaced, or why it is left out."""

    redactions: int = 0
    withheld: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """A compression of single files: how to read and how to write it."""

    unpack: Callable[[io.BufferedReader], Any]
    pack: Callable[[IO[bytes]], AbstractContextManager[Any]]


PACKINGS: Mapping[bytes, Packing] = {
    b"\x1f\x8b": Packing(
        unpack=lambda source: gzip.GzipFile(fileobj=source),
        pack=lambda sink: gzip.GzipFile("", "wb", fileobj=sink, mtime=0),
    ),
    b"\xfd7zXZ\0": Packing(
        unpack=lzma.LZMAFile,
        pack=lambda sink: lzma.LZMAFile(sink, "wb", preset=1),  # noqa: SIM115 - the caller's
    ),
    b"BZh": Packing(unpack=bz2.BZ2File, pack=lambda sink: bz2.BZ2File(sink, "wb")),
}
"""First bytes → compression that is looked into."""

OPAQUE = (
    *(b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c"),
    *(b"Rar!", b"\x04\x22M\x18"),
)
"""First bytes of Zip, Zstandard, 7-Zip, RAR, LZ4: packed, and not looked into."""


def scrub(
    path: str, source: io.BufferedReader, sink: IO[bytes], secrets: Secrets
) -> Scrubbed:
    """Write to `sink` what may be archived of a file.

    What is in `sink` is to be thrown away when the result says `withheld`. Raises
    whatever reading the source and writing the sink raise.
    """
    why = reason_to_drop(path)
    if why:
        return Scrubbed(withheld=why)
    packing = _packing(source)
    if packing is None:
        return _unpacked(source, sink, secrets)
    unreadable = Scrubbed(withheld="packed and damaged, not searched for secrets")
    try:
        inner = io.BufferedReader(packing.unpack(source), BLOCK)
        if _packing(inner):
            return Scrubbed(withheld="packed twice, not searched for secrets")
        with packing.pack(sink) as packed:
            return _unpacked(inner, packed, secrets)
    except (EOFError, zlib.error, lzma.LZMAError):
        return unreadable
    except OSError as bad:
        if bad.errno is not None:  # the disk's complaint, not gzip's or bz2's
            raise
        return unreadable


def blocks(source: io.BufferedReader, secrets: Secrets) -> Iterator[bytes]:
    """Yield the bytes in blocks of whole lines; no known secret spans two of them."""
    rest = b""
    while more := source.read(BLOCK):
        rest += more
        cut = rest.rfind(b"\n") + 1
        if not cut and len(rest) >= LONGEST_LINE:
            cut = _between_secrets(rest, secrets)
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def _packing(source: io.BufferedReader) -> Packing | None:
    start = source.peek(HEAD)
    return next((p for magic, p in PACKINGS.items() if start.startswith(magic)), None)


def _unpacked(source: io.BufferedReader, sink: IO[bytes], secrets: Secrets) -> Scrubbed:
    start = source.peek(HEAD)[:HEAD]
    if start.startswith(OPAQUE):
        return Scrubbed(withheld="packed, not searched for secrets")
    if b"\0" in start:
        return _binary(source, sink, secrets)
    count, inside_key = 0, False
    for block in blocks(source, secrets):
        clean, more, inside_key = redact(block, secrets, inside_key=inside_key)
        sink.write(clean)
        count += more
    return Scrubbed(redactions=count)


def _binary(source: io.BufferedReader, sink: IO[bytes], secrets: Secrets) -> Scrubbed:
    overlap = max(secrets.longest, HEAD)
    before = b""
    while block := source.read(BLOCK):
        seen = before + block
        if secrets.within(seen) or PEM_BEGIN.search(seen):
            return Scrubbed(withheld="not text, and a secret is in it")
        sink.write(block)
        before = seen[-overlap:]
    return Scrubbed()


def _between_secrets(text: bytes, secrets: Secrets) -> int:
    """Return where to cut text without an end of line: not inside a known secret."""
    cut = limit = max(1, len(text) - secrets.longest)
    if secrets.exact is None or not secrets.occur_in(text):
        return cut
    for found in secrets.exact.finditer(text):
        if found.start() >= limit:
            break
        cut = max(limit, found.end())
    return cut


def buffered(source: object) -> io.BufferedReader:
    """Return any readable object, `io.BytesIO` for one, as a buffered reader."""
    return io.BufferedReader(cast("io.RawIOBase", source), BLOCK)
