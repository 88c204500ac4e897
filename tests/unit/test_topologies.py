from pathlib import Path

import pytest

from enos import content, plugins
from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.config.experiment import Experiment, load_experiment
from enos.demand import MachineDemand
from enos.provider import Surroundings
from enos.testing import RecordingProgress, RecordingShell
from enos.units import Duration, Percent, Rate

GIVEN = {
    "basic": (
        ("default_group", ("control",), "clusterA", 1),
        ("default_group", ("network",), "clusterA", 1),
        ("default_group", ("compute",), "clusterB", 50),
    ),
    "advanced": (
        ("default_group", ("control",), "clusterA", 1),
        ("default_group", ("network",), "clusterA", 1),
        ("default_group", ("nova-conductor",), "clusterA", 5),
        ("default_group", ("compute",), "clusterB", 50),
    ),
    "network-topo": (
        ("grp1", ("control",), "clusterA", 1),
        ("grp1", ("network",), "clusterA", 1),
        ("grp1", ("nova-conductor",), "clusterA", 5),
        ("grp2", ("compute",), "clusterB", 50),
    ),
    "wan-exp1": (
        ("grp1", ("control",), "clusterA", 1),
        ("grp2", ("compute",), "clusterA", 10),
    ),
    "wan-exp2": (
        ("grp1", ("control",), "clusterA", 1),
        ("grp2", ("compute",), "clusterA", 10),
    ),
    "demo": (
        ("core", ("control", "network"), "", 1),
        ("edge1", ("compute",), "", 1),
        ("edge2", ("compute",), "", 1),
    ),
    "partition": (
        ("core", ("control", "network"), "", 1),
        ("edge1", ("compute",), "", 1),
        ("edge2", ("compute",), "", 1),
    ),
}
SLIDE = {"src": "grp1", "dst": "grp2", "symmetric": True}
FAST = {"rate": Rate(1e10), "loss": Percent(0)}
WAN = ConstraintSpec(delay=Duration(0), **SLIDE, **FAST)
CONSTRAINED = {
    "network-topo": NetworkConstraints(
        constraints=(ConstraintSpec(delay=Duration(100), **SLIDE, **FAST),)
    ),
    "wan-exp1": NetworkConstraints(constraints=(WAN,)),
    "wan-exp2": NetworkConstraints(constraints=(WAN,)),
    "demo": NetworkConstraints(default_delay=Duration(12.5)),
    "partition": NetworkConstraints(default_delay=Duration(5)),
}


def loaded(name: str) -> Experiment:
    file = content.find("topologies", name)
    return load_experiment(file, providers=plugins.providers(), environ={})


def test_every_shipped_topology_is_expected_here() -> None:
    assert set(content.names("topologies")) == set(GIVEN)


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_a_shipped_topology_asks_for_the_right_machines(name: str) -> None:
    expected = tuple(
        MachineDemand(group=group, roles=roles, flavour=flavour, number=number)
        for group, roles, flavour, number in GIVEN[name]
    )
    found = loaded(name)
    assert found.demand.machines == expected
    assert found.warnings == ()


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_a_shipped_topology_asks_for_the_right_network(name: str) -> None:
    assert loaded(name).constraints == CONSTRAINED.get(name, NetworkConstraints())


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_a_shipped_topology_plans(name: str, tmp_path: Path) -> None:
    found = loaded(name)
    kind = plugins.provider(found.provider)
    around = Surroundings(
        session="enos-test",
        directory=tmp_path,
        cache=tmp_path,
        shell=RecordingShell(),
        progress=RecordingProgress(),
    )
    plan = kind(kind.Settings.model_validate(found.settings), around).plan(found.demand)
    nodes = [line for line in plan if line.startswith("node ")]
    assert sum(" group " in line for line in nodes) == found.demand.number


def test_the_last_slide_turns_on_distributed_routing() -> None:
    assert loaded("wan-exp2").kolla == {"enable_neutron_dvr": True}


@pytest.mark.parametrize("name", sorted(plugins.providers()))
def test_what_enos_new_writes_is_a_valid_experiment(name: str, tmp_path: Path) -> None:
    file = tmp_path / "experiment.yml"
    file.write_text(plugins.provider(name).sample, encoding="utf-8")
    found = load_experiment(file, providers=plugins.providers(), environ={})
    assert found.provider == name
    assert found.demand.number > 0
    assert found.warnings == ()
