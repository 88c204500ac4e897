import bz2
import gzip
import io
import lzma
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enos.archive import scrub as module
from enos.archive.redaction import prepare
from enos.archive.scrub import blocks, buffered, scrub

SECRET = b"S3cretOfTheDatabase0123456789"
SECRETS = prepare([SECRET.decode()])


def through(data: bytes, path: str = "a.log") -> tuple[bytes, int, str]:
    sink = io.BytesIO()
    done = scrub(path, buffered(io.BytesIO(data)), sink, SECRETS)
    return sink.getvalue(), done.redactions, done.withheld


def test_text_is_redacted() -> None:
    assert through(b"a " + SECRET + b" b\n") == (b"a [redacted] b\n", 1, "")


def test_text_in_another_encoding_is_left_as_it_is() -> None:
    assert through(b"\xe9t\xe9\r\nlast") == (b"\xe9t\xe9\r\nlast", 0, "")


def test_binary_without_a_secret_stays_intact() -> None:
    data = bytes(range(256)) * 5000
    assert through(data) == (data, 0, "")


@pytest.mark.parametrize("at", [100, module.BLOCK - 7, 3 * module.BLOCK - 1])
def test_binary_with_a_secret_is_left_out(at: int) -> None:
    data = bytearray(4 * module.BLOCK)
    data[at : at + len(SECRET)] = SECRET
    _, _, withheld = through(bytes(data))
    assert withheld == "not text, and a secret is in it"


@pytest.mark.parametrize("packed", [gzip, bz2, lzma])
def test_packed_text_is_redacted_inside(packed: type[gzip]) -> None:
    data, count, _ = through(packed.compress(b"x\n" + SECRET + b"\n"), "a.log.1.gz")
    assert count == 1
    assert packed.decompress(data) == b"x\n[redacted]\n"


def test_packing_again_gives_the_same_bytes_each_time() -> None:
    packed = gzip.compress(b"hello\n")
    assert through(packed) == through(packed)


def test_a_packed_file_that_was_cut_off_is_left_out() -> None:
    _, _, withheld = through(gzip.compress(b"hello world " * 100)[:-12])
    assert withheld == "packed and damaged, not searched for secrets"


def test_what_is_packed_twice_is_left_out() -> None:
    _, _, withheld = through(gzip.compress(gzip.compress(SECRET)))
    assert withheld == "packed twice, not searched for secrets"


@pytest.mark.parametrize("magic", module.OPAQUE)
def test_what_cannot_be_looked_into_is_left_out(magic: bytes) -> None:
    _, _, withheld = through(magic + b"rest")
    assert withheld == "packed, not searched for secrets"


def test_a_sink_that_fails_is_told_of() -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(OSError, match="space"),
    ):
        scrub("a", buffered(io.BytesIO(b"text\n")), full, SECRETS)


def test_a_sink_that_fails_is_told_of_for_packed_files_too() -> None:
    data = gzip.compress(b"text\n" * 100_000)
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(OSError, match="space"),
    ):
        scrub("a", buffered(io.BytesIO(data)), full, SECRETS)


def test_blocks_end_at_the_end_of_a_line() -> None:
    data = b"0123456789\n" * 100_000
    found = list(blocks(buffered(io.BytesIO(data)), SECRETS))
    assert b"".join(found) == data
    assert len(found) > 3
    assert all(block.endswith(b"\n") for block in found)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 80), st.integers(1, 4))
def test_no_secret_survives_in_a_line_without_end(shift: int, every: int) -> None:
    line = b"z" * shift + (SECRET + b"-" * (every * 1013)) * (
        3 * (1 << 20) // 1024 // every
    )
    data, count, _ = through(line)
    assert SECRET not in data
    assert count == line.count(SECRET)


def test_overlapping_secrets_are_cut_nowhere() -> None:
    secrets = prepare(["abababababababababab", "babababababababababa"])
    line = b"ab" * (1 << 20)
    sink = io.BytesIO()
    scrub("a", buffered(io.BytesIO(line)), sink, secrets)
    assert not secrets.within(sink.getvalue())
