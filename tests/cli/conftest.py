"""The command line called in-process, with its outside replaced at the ports."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from enos.cli import main
from enos.kolla.releases import release
from enos.testing import Answer, Call, RecordingProgress, RecordingShell
from enos.toolenvs import ToolEnvironments

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that has ended; what differs from run to run has been replaced."""

    code: int
    out: str
    err: str


Enos = Callable[..., Ended]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder the test's commands are typed in, its cache beside it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ENOS_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def enos(here: Path, capsys: pytest.CaptureFixture[str]) -> Enos:
    """Run a command line: `enos("info", "--json")`."""

    def stable(text: str) -> str:
        text = text.replace(str(here.parent), "<dir>")
        text = re.sub(r"enos-[0-9a-f]{6}\b", "enos-<id>", text)
        text = re.sub(r"(kolla-ansible-[\d.]+)-[0-9a-f]{12}", r"\1-<hash>", text)
        return re.sub(r" *\d+\.\d( ?s\b)", r" <time>\1", text)

    def run(*argv: str) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(argv)
        seen = capsys.readouterr()
        code = int(stopped.value.code or 0)
        return Ended(code=code, out=stable(seen.out), err=stable(seen.err))

    return run


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> RecordingShell:
    """Return what answers in place of every program the command line starts."""
    recording = RecordingShell()
    monkeypatch.setattr("enos.phases.session.LocalShell", lambda **_: recording)
    return recording


@pytest.fixture
def kolla_ansible(here: Path) -> Path:
    """Return the environment of a kolla-ansible that has a few services only."""
    maker = RecordingShell()

    def made(call: Call) -> Answer:
        place = Path(call.argv[-1])
        target = place / "share" / "kolla-ansible" / "ansible"
        shutil.copytree(HERE / "kolla-ansible", target)
        return Answer()

    maker.script("*uv venv *", made)
    tools = ToolEnvironments(
        cache=here.parent / "cache", shell=maker, progress=RecordingProgress()
    )
    return tools.ensure(release("2026.1").lock).parent
