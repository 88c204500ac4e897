"""Locks between several enos on one machine."""

import fcntl
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLong
from pathlib import Path

import pytest

from enos.state.locks import locked


def _taken(path: Path) -> bool:
    with path.open() as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_lock_is_held_inside_only_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "tools.lock"
    with locked(path):
        assert _taken(path)
    assert not _taken(path)


def test_whoever_fails_inside_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), locked(path):
        raise ZeroDivisionError
    assert not _taken(path)


def test_the_second_one_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    def second() -> str:
        with locked(path):
            return "had it"

    with ThreadPoolExecutor(1) as pool:
        with locked(path):
            waiting = pool.submit(second)
            with pytest.raises(TooLong):
                waiting.result(timeout=0.2)
        assert waiting.result(timeout=30) == "had it"
