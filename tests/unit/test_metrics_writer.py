"""Points on their way to the database: which wait, and which are lost."""

import io
from email.message import Message
from pathlib import Path
from urllib.error import HTTPError

import pytest

from enos.metrics.agent import writer as module
from enos.metrics.agent.samples import Sample
from enos.metrics.agent.writer import Writer


def writer() -> Writer:
    return Writer(host="a", url="http://-", database="-", user="-", password="-")


def points(count: int, first: int = 0) -> list[Sample]:
    return [Sample(f"m{number}", 1.0, "B") for number in range(first, first + count)]


def answering(monkeypatch: pytest.MonkeyPatch, code: int, said: str) -> None:
    def refuse(self: Writer, _: str) -> None:
        body = io.BytesIO(said.encode())
        raise HTTPError(self.url, code, "-", Message(), body)

    monkeypatch.setattr(Writer, "_post", refuse)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ('{"error":"partial write: field type conflict: … dropped=3"}', 3),
        (
            '{"error":"partial write: unable to parse\\nunable to parse y dropped=0"}',
            2,
        ),
        ('{"error":"partial write: points beyond retention policy dropped=99"}', 5),
        ('{"error":"database is required"}', 5),
        ("", 5),
    ],
)
def test_only_the_points_that_were_refused_are_counted_as_such(
    said: str, refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, 400, said)
    one = writer()
    one.take(1, points(5))

    one.send()

    assert (one.refused, one.waiting) == (refused, 0)


def test_points_wait_while_the_database_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answering(monkeypatch, 500, "no space left")
    one = writer()
    one.take(1, points(5))

    one.send()

    assert (one.refused, one.waiting, one.left) == (0, 5, 5)


def test_of_more_points_than_are_kept_the_oldest_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 4)
    first, second, file = writer(), writer(), tmp_path / "waiting.lp"
    first.take(1, points(3))
    first.save(file)
    second.take(2, points(2, first=3))

    second.load(file)

    kept = [line.partition(",")[0] for line in second._waiting]
    assert kept == ["m1", "m2", "m3", "m4"]
    assert second.dropped == 1
    assert not file.exists()


def test_memory_that_is_used_up_already_takes_no_earlier_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    second, file = writer(), tmp_path / "waiting.lp"
    file.write_text("a\nb\nc\n")
    second.take(2, points(2, first=3))

    second.load(file)

    assert second.dropped == 3
    assert [line[:2] for line in second._waiting] == ["m3", "m4"]
