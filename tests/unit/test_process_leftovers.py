"""Whom a signal is sent to when an earlier enos was killed."""

import os
import signal
from collections.abc import Sequence

import pytest

from enos import process

TERM, KILL = signal.SIGTERM, signal.SIGKILL


def sent(
    marked: Sequence[set[int]], patch: pytest.MonkeyPatch
) -> tuple[list[tuple[int, int]], tuple[int, ...]]:
    """Return the signals, and who was ended, when looks find these one by one."""
    looks = iter(marked)
    signals: list[tuple[int, int]] = []
    patch.setattr(process, "_marked", lambda _: frozenset(next(looks, ())))
    patch.setattr(os, "kill", lambda *told: signals.append(told))
    return signals, process.end_leftovers("enos-1", grace=0.0)


def test_a_process_that_obeys_is_not_killed_whoever_has_its_id_by_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signals, ended = sent([{500_001, 500_002}, set()], monkeypatch)

    assert sorted(signals) == [(500_001, TERM), (500_002, TERM)]
    assert ended == (500_001, 500_002)


def test_what_does_not_obey_is_killed_with_what_it_started_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    still = {500_002, 500_003}
    signals, ended = sent([{500_001, 500_002}, still, still], monkeypatch)

    assert sorted(signals[2:]) == [(500_002, KILL), (500_003, KILL)]
    assert ended == (500_001, 500_002, 500_003)


def test_enos_and_what_started_it_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = {os.getpid(), os.getppid()}

    assert sent([mine] * 4, monkeypatch) == ([], ())
