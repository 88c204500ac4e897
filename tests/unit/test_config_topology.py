from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enos.config.constraints import expand, pairs
from enos.config.experiment import Experiment, load_experiment
from enos.demand import MachineDemand
from enos.errors import ConfigError
from enos.provider import Provider

Load = Callable[[str], Experiment]


@pytest.fixture
def load(tmp_path: Path, providers: Mapping[str, type[Provider]]) -> Load:
    def loaded(text: str) -> Experiment:
        file = tmp_path / "experiment.yml"
        file.write_text(text, encoding="utf-8")
        return load_experiment(file, providers=providers, environ={})

    return loaded


def machine(group: str, role: str, flavour: str = "", number: int = 1) -> MachineDemand:
    return MachineDemand(group=group, roles=(role,), flavour=flavour, number=number)


def test_two_levels_are_flavour_and_role(load: Load) -> None:
    demand = load("resources: {a: {control: 1}, b: {compute: 50}}").demand
    assert demand.machines == (
        machine("default_group", "control", "a"),
        machine("default_group", "compute", "b", 50),
    )


def test_three_levels_are_group_flavour_and_role(load: Load) -> None:
    demand = load("resources: {g: {a: {control: 1}}, h: {b: {compute: 2}}}").demand
    assert demand.machines == (
        machine("g", "control", "a"),
        machine("h", "compute", "b", 2),
    )


def test_one_level_is_a_role_of_the_default_flavour(load: Load) -> None:
    demand = load("resources: {control: 1, compute: 2}").demand
    assert demand.machines == (
        machine("default_group", "control"),
        machine("default_group", "compute", number=2),
    )


def test_each_group_of_a_range_gets_everything(load: Load) -> None:
    demand = load('topology: {"grp[2-4]": {a: {compute: 7, util: 1}}}').demand
    assert demand.machines == (
        machine("grp2", "compute", "a", 7),
        machine("grp3", "compute", "a", 7),
        machine("grp4", "compute", "a", 7),
        machine("grp2", "util", "a"),
        machine("grp3", "util", "a"),
        machine("grp4", "util", "a"),
    )


def test_a_topology_may_leave_out_the_flavour(load: Load) -> None:
    demand = load("topology: {core: {control: 1}, edge: {compute: 2}}").demand
    assert demand.machines == (
        machine("core", "control"),
        machine("edge", "compute", number=2),
    )


def test_a_topology_takes_the_place_of_resources(load: Load) -> None:
    found = load("resources: {a: {compute: 9}}\ntopology: {g: {a: {control: 1}}}")
    assert found.demand.machines == (machine("g", "control", "a"),)
    assert [one.partition(": ")[2] for one in found.warnings] == [
        "`resources` is not used: `topology` takes its place"
    ]


def test_any_role_is_legal(load: Load) -> None:
    found = load("resources: {a: {control: 1, nova-conductor: 5, util: 1}}")
    assert found.roles == ("control", "nova-conductor", "util")
    assert found.groups == ("default_group",)


def test_the_advanced_form_gives_one_machine_several_roles(load: Load) -> None:
    text = """
provider:
  type: local
  resources:
    machines:
      - {roles: [control, network], group: core, cluster: a, nodes: 2}
      - role: compute
        flavor: b
        primary_network: n1
        secondary_networks: [n2, n3]
"""
    assert load(text).demand.machines == (
        MachineDemand(
            group="core", roles=("control", "network"), flavour="a", number=2
        ),
        MachineDemand(
            group="default_group",
            roles=("compute",),
            flavour="b",
            networks=("n1", "n2", "n3"),
        ),
    )


def test_the_advanced_form_expands_groups(load: Load) -> None:
    machines = "[{role: [control], group: 'g[1-2]'}]"
    text = f"provider: {{type: local, resources: {{machines: {machines}}}}}"
    assert load(text).groups == ("g1", "g2")


def test_networks_of_the_advanced_form_are_a_key_of_the_provider(load: Load) -> None:
    text = """
provider:
  type: static
  resources:
    networks: [{id: n1, roles: api}]
    machines: [{roles: [control], address: 10.0.0.1}]
"""
    found = load(text)
    assert found.settings == {"networks": [{"id": "n1", "roles": "api"}]}
    assert found.demand.machines[0].extra == {"address": "10.0.0.1"}


def test_machines_that_exist_are_written_out(load: Load) -> None:
    text = """
provider: static
resources:
  control: {address: 10.0.0.1, alias: a, user: me, port: 2222, keyfile: k, sudo: yes}
  compute:
    - {address: 10.0.0.2, jump: gate}
    - {address: 10.0.0.3, extra: {rack: 7}}
"""
    found = [(one.roles, dict(one.extra)) for one in load(text).demand.machines]
    assert found == [
        (
            ("control",),
            {
                "address": "10.0.0.1",
                "alias": "a",
                "user": "me",
                "port": 2222,
                "keyfile": "k",
                "sudo": True,
            },
        ),
        (("compute",), {"address": "10.0.0.2", "jump": "gate"}),
        (("compute",), {"address": "10.0.0.3", "extra": {"rack": "7"}}),
    ]


def test_written_out_machines_can_be_in_groups(load: Load) -> None:
    text = """
provider: static
topology:
  core: {control: {address: 10.0.0.1}}
  edge: {compute: [{address: 10.0.0.2}, {address: 10.0.0.3}]}
"""
    assert load(text).groups == ("core", "edge")


def test_one_machine_under_two_roles_is_one_machine(load: Load) -> None:
    text = """
provider: static
hosts: &one {address: 10.0.0.1}
resources: {control: *one, network: *one, compute: [*one, {address: 10.0.0.2}]}
"""
    assert [one.roles for one in load(text).demand.machines] == [
        ("control", "network", "compute"),
        ("compute",),
    ]


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_range_has_as_many_names_as_numbers(first: int, length: int) -> None:
    names = expand(f"grp[{first}-{first + length}]")
    assert len(set(names)) == length + 1
    assert names[0].removeprefix("grp").isdigit()


@given(st.text("abc0-9[]", max_size=12))
def test_a_name_is_expanded_or_refused(name: str) -> None:
    if not set(name) & set("[]"):
        assert expand(name) == (name,)
        return
    with suppress(ValueError):
        assert all(not set(one) & set("[]") for one in expand(name))


@given(st.integers(1, 6), st.integers(1, 6))
def test_pairs_of_two_ranges_leave_out_only_a_group_with_itself(m: int, n: int) -> None:
    found = pairs(f"g[1-{m}]", f"g[1-{n}]")
    assert len(found) == len(set(found)) == max(m * n - min(m, n), m == n == 1)


def test_a_single_group_may_be_paired_with_itself() -> None:
    assert pairs("grp1", "grp1") == (("grp1", "grp1"),)


def test_a_range_of_groups_must_not_run_backwards(load: Load) -> None:
    with pytest.raises(ConfigError) as failed:
        load('topology: {"g[3-1]": {a: {control: 1}}}')
    assert ":1:12: `g[3-1]` runs backwards" in failed.value.details
