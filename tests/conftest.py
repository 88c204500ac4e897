"""What all tests share: golden files, and a guard that keeps unit tests pure."""

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an input takes says how busy the machine is, not whether the code is right.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# The same inputs each time: a change fails for what it changes, not for its luck.
settings.register_profile(
    "repeatable", settings.get_profile("unhurried"), derandomize=True
)
# New inputs each time, and many: `make explore`.
settings.register_profile(
    "explore", settings.get_profile("unhurried"), max_examples=1000, print_blob=True
)
settings.load_profile("repeatable")  # --hypothesis-profile comes after this

HERE = Path(__file__).parent
collect_ignore = [  # programs that tests run elsewhere, with another Python
    "integration/netem_guest.py",
    "integration/rally_syntax.py",
]
Golden = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite the files under tests/golden instead of comparing with them",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what may take longest: what the workers end with is then short."""
    items.sort(key=_allowed, reverse=True)


def _allowed(item: pytest.Item) -> int:
    mark = item.get_closest_marker("timeout")
    return int(mark.args[0]) if mark else 0


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with a golden file: `golden("area/name.txt", text)`."""
    update = request.config.getoption("--update-golden")

    def compare(name: str, actual: str) -> None:
        file = HERE / "golden" / name
        if update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(actual, encoding="utf-8")
        assert file.exists(), f"no golden file {file}: run with --update-golden"
        expected = file.read_text(encoding="utf-8")
        assert expected == actual

    return compare


@pytest.fixture
def processes() -> None:
    """Let a unit test start programs: for those that test starting programs."""


@pytest.fixture(autouse=True)
def _pure(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make programs and connections impossible in unit tests."""
    if (HERE / "unit") not in request.path.parents:
        return
    if "processes" in request.fixturenames:
        return

    def refuse(*args: object, **_: object) -> None:
        raise AssertionError(f"a unit test reached outside: {args[1:]}")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
