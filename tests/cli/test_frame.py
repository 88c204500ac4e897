"""The command line itself: help is light, failures have a shape and a code."""

import subprocess
import sys
from pathlib import Path

import pytest

from enos import errors
from enos.cli import COMMANDS, main

HEAVY = ("pydantic", "ansible", "openstack", "rich", "yaml", "jinja2")
ROOT = Path(__file__).parents[2]


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    return int(stopped.value.code or 0)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0

    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.integration
def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom enos.cli import cli\n"
        "try: cli(['--help'])\nexcept SystemExit: pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(name, "--help") == 0
    assert f"Usage: enos {name}" in capsys.readouterr().out


def test_a_mistyped_command_is_recognised(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("destory") == 2
    assert "did you mean `destroy`?" in capsys.readouterr().err


def test_a_command_without_an_experiment_says_how_to_start(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run("info") == errors.StateError.exit_code

    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"error: there is no experiment in `{tmp_path}`"
    assert told[1] == "hint: start one: `enos up -f FILE`"


def test_a_bug_is_called_a_bug_and_its_traceback_is_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("two cores, no room")

    monkeypatch.setenv("ENOS_CACHE", str(tmp_path))
    monkeypatch.setattr("enos.cli.cli.main", broken)

    assert run("info") == 70
    assert "two cores, no room" in (tmp_path / "last-bug.log").read_text()
    assert "bug: ZeroDivisionError" in capsys.readouterr().err


def test_exit_codes_are_unique_and_documented() -> None:
    classes = errors.EnosError.__subclasses__()
    kinds = {kind.__name__: kind.exit_code for kind in classes}
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text()

    assert len(set(kinds.values())) == len(kinds)
    assert all(f"| {code} | `{name}` |" in page for name, code in kinds.items())
    assert all(f"{name} " in (errors.__doc__ or "") for name in kinds)
