from pathlib import Path

import pytest

from enos import content
from enos.errors import ConfigError


def test_a_shipped_topology_is_found_by_name() -> None:
    assert (
        content.find("topologies", "demo") == content.folder("topologies") / "demo.yml"
    )


def test_a_path_wins_over_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo").touch()
    assert content.find("topologies", "demo") == Path("demo")


def test_a_folder_stands_for_the_run_in_it(tmp_path: Path) -> None:
    (tmp_path / "run.yml").touch()
    assert content.find("workloads", tmp_path) == tmp_path / "run.yml"
    assert content.find("workloads", tmp_path / "run.yml") == tmp_path / "run.yml"


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no `run.yml`"):
        content.find("workloads", tmp_path)


def test_a_misspelt_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(ConfigError, match="there is no file `dmeo`") as failed:
        content.find("topologies", "dmeo")
    assert failed.value.hint == "did you mean `demo`?"


def test_names_are_in_alphabetical_order() -> None:
    for kind in ("workloads", "topologies"):
        assert list(content.names(kind)) == sorted(content.names(kind))
