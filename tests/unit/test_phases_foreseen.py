"""What the file alone tells of a deployment is refused before anything is touched."""

from pathlib import Path

import pytest

from enos import plugins
from enos.config.experiment import load_experiment
from enos.errors import ConfigError
from enos.kolla import site
from enos.kolla.inventory import parse_multinode
from enos.kolla.plan import Installed
from enos.phases import foreseen
from enos.testing import RecordingProgress, RecordingShell
from enos.toolenvs import ToolEnvironments

FILE = """\
provider:
  type: static
  networks:
    - {{roles: [api], cidr: 10.9.0.0/24}}
{networks}
resources:
  control: {{address: 10.9.0.1}}
  network: {{address: 10.9.0.2}}
  compute: {{address: 10.9.0.3}}
{more}
"""
EXTERNAL = "    - {roles: [external], cidr: 10.9.1.0/24}"
SITE = "- {name: Apply role kolla_toolbox, hosts: all, roles: [{role: kolla_toolbox}]}"
GROUPS = "[control]\n[network]\n[compute]\n"


def variables(tmp_path: Path, **parts: str) -> dict[str, object]:
    """What the file comes to."""
    file = tmp_path / "mine.yml"
    file.write_text(FILE.format(**{"networks": "", "more": "", **parts}))
    experiment = load_experiment(file, providers=plugins.providers())
    tools = ToolEnvironments(
        cache=tmp_path, shell=RecordingShell(), progress=RecordingProgress()
    )
    return dict(foreseen.foreseen(experiment, tools).variables)


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = Installed(
        bin=Path("/tool/bin"),
        ansible=Path("/tool/ansible"),
        groups=parse_multinode(GROUPS),
        plays=site.read_site(SITE, lambda _: ""),
        defaults={},
    )
    monkeypatch.setattr(foreseen, "brought", lambda *_: installed)


def test_machines_without_an_interface_for_neutron_are_refused_from_the_file(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="not known of `network-1`") as refused:
        variables(tmp_path)
    assert "neutron_external_interface" in refused.value.hint


@pytest.mark.parametrize(
    "parts",
    [
        {"networks": EXTERNAL},
        {"more": "kolla: {neutron_external_interface: eth9}"},
        {"more": "kolla: {enable_neutron: 'no'}"},
    ],
)
def test_a_file_that_names_one_or_needs_none_is_taken(
    tmp_path: Path, parts: dict[str, str]
) -> None:
    assert variables(tmp_path, **parts)
