"""`enos new` and `enos check`: whole outputs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enos import content, plugins
from enos.config.experiment import load_experiment
from enos.errors import ConfigError

Enos = Callable[..., Any]
Golden = Callable[[str, str], None]


@pytest.mark.parametrize("provider", ["local", "static"])
def test_new_prints_a_file_that_can_be_used_as_it_is(
    enos: Enos, here: Path, provider: str, golden: Golden
) -> None:
    told = enos("new", "--provider", provider, "-")
    (here / "mine.yml").write_text(told.out)
    found = load_experiment(Path("mine.yml"), providers=plugins.providers())

    assert (told.code, told.err) == (0, "")
    golden(f"cli/new-{provider}.yml", told.out)
    assert (found.provider, found.warnings) == (provider, ())


def test_new_writes_the_file_and_names_the_next_command(enos: Enos, here: Path) -> None:
    told = enos("new", "mine.yml")

    assert (told.code, told.out) == (0, "")
    assert told.err == "next: enos check -f mine.yml\n"
    assert (here / "mine.yml").read_text() == plugins.provider("local").sample


def test_new_never_overwrites_a_file(enos: Enos, here: Path) -> None:
    (here / "experiment.yml").write_text("precious: true\n")

    told = enos("new")

    assert told.code == ConfigError.exit_code
    assert told.err == (
        "error: `experiment.yml` already exists\n"
        "hint: name another file, or remove it\n"
    )
    assert (here / "experiment.yml").read_text() == "precious: true\n"


@pytest.mark.usefixtures("kolla_ansible")
@pytest.mark.parametrize("name", content.names("topologies"))
def test_check_prints_all_a_topology_comes_to(
    enos: Enos, here: Path, name: str, golden: Golden
) -> None:
    told = enos("check", "-f", name)

    assert told.code == 0
    assert told.err.endswith(f"next: enos deploy -f {name}\n")
    golden(f"cli/check-{name}.txt", told.out)
    assert list(here.iterdir()) == []


@pytest.mark.usefixtures("kolla_ansible")
def test_check_warns_of_what_has_no_effect(enos: Enos, here: Path) -> None:
    file = here / "flat.yml"
    file.write_text(
        "resources: {control: 1, compute: 1}\n"
        "network_constraints: {default_delay: 5ms}\n"
        "monitoring: {interval: 10s}\n"
    )

    told = enos("check", "-f", str(file))

    assert told.code == 0
    assert "flat.yml:3:1: `monitoring` has no effect without" in told.err
    assert "the defaults shape nothing: no two machines are of different" in told.err


def test_check_prints_the_schema_an_editor_wants(enos: Enos) -> None:
    told = enos("check", "--schema")

    assert told.code == 0
    assert json.loads(told.out)["title"]
