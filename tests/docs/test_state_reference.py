"""The reference of the experiment directory names its files, and the environment."""

from pathlib import Path

import pytest

from enos.metrics import database
from enos.phases import byhand, metrics, since
from enos.state.directory import Directory

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "state.md"


def test_every_file_of_a_new_directory_is_in_the_table(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    directory.create(provider="local")
    with directory.locked():
        directory.journal.append("decision", "nothing")
        made = {path.name + "/" * path.is_dir() for path in tmp_path.iterdir()}

    text = PAGE.read_text(encoding="utf-8")
    assert {".lock", "state.json", "kolla/", "results/"} <= made
    assert [name for name in sorted(made) if f"| `{name}` |" not in text] == []


@pytest.mark.parametrize(
    "name",
    [
        "images.json",
        "changed.json",
        byhand.FILE,
        f"{metrics.PASSWORD.parent}/",
        metrics.PASSWORD.name,
        since.FILE.name,
        "NAME-TIME.tar.zst",
    ],
)
def test_what_comes_later_is_there_too(name: str) -> None:
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "variable", ["ENOS_CACHE", "XDG_CACHE_HOME", database.PASSWORD]
)
def test_every_variable_of_the_environment_is_explained(variable: str) -> None:
    assert f"| `{variable}` |" in PAGE.read_text(encoding="utf-8")
