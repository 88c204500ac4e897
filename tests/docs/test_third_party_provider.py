"""The provider of the how-to guide is installed, listed, used and passes its test."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from enos.toolenvs import find_uv

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-provider.md"
FILE = re.compile(
    r"^`(?P<name>[\w.]+)`:\n\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
FILES = {
    match["name"]: match["text"]
    for match in FILE.finditer(PAGE.read_text(encoding="utf-8"))
}

pytestmark = [pytest.mark.integration]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files of the page, installed below `site`."""
    folder = tmp_path_factory.mktemp("enos-lab")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    install = (find_uv(), "pip", "install", "--quiet", "--no-deps")
    subprocess.run([*install, "--target", folder / "site", folder], check=True)
    (folder / "enos_lab.py").unlink()  # what is installed is what is tested
    return folder


def run(project: Path, *words: str) -> str:
    """Run a Python module that sees the plug-in, return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "site")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_plug_in_is_listed_with_its_first_line(project: Path) -> None:
    listed = dict(
        line.split(maxsplit=1)
        for line in run(project, "enos", "providers").splitlines()
    )

    assert (
        listed["lab"]
        == "Machines of a rack, booked for as long as the experiment lasts."
    )
    assert {"local", "static"} < set(listed)


def test_its_sample_becomes_a_plan(project: Path) -> None:
    run(project, "enos", "new", "--provider", "lab", "lab.yml")
    told = run(project, "enos", "up", "-f", "lab.yml", "--dry-run").splitlines()

    assert told == [
        "book a machine as control-1",
        "book a machine as compute-1",
        "book a machine as compute-2",
    ]


def test_it_passes_the_contract(project: Path) -> None:
    # In the folder all tests share it would also clear what earlier runs left there.
    own = ("--basetemp", str(project / "tmp"))
    told = run(project, "pytest", "-q", "-p", "no:randomly", *own, "test_enos_lab.py")

    assert re.search(r"^[7-9] passed", told, re.MULTILINE)
