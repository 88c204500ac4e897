"""Between which hosts the defaults hold, and when they hold between none."""

import re
from typing import Any

import pytest

from enos.config.constraints import NetworkConstraints
from enos.errors import EmulationError
from enos.netem import idle_defaults, plan_emulation
from enos.testbed import Host, Network, Nic, Testbed
from enos.units import Duration

NETWORKS = (
    Network(name="api", cidr="10.0.0.0/24", roles=("api",)),
    Network(name="ext", cidr="10.1.0.0/24", roles=("external",)),
)
FLAT = "default_group"


def host(number: int, group: str, *roles: str) -> Host:
    nics = (
        Nic(device="eth0", network="api", addresses=(f"10.0.0.{number}/24",)),
        Nic(device="eth1", network="ext"),
    )
    name = f"{roles[0]}{number}"
    return Host(name=name, address=name, groups=(group,), roles=roles, nics=nics)


def bed_of(*hosts: Host) -> Testbed:
    return Testbed(provider="t", hosts=hosts, networks=NETWORKS)


FLAT_BED = bed_of(
    host(1, FLAT, "control"),
    host(2, FLAT, "compute"),
    host(3, FLAT, "compute"),
    host(4, FLAT, "network"),
)
GROUPS = bed_of(
    host(1, "g1", "control"),
    host(2, "g2", "compute"),
    host(3, "g3", "compute"),
    host(4, "g3", "network"),
)


def asked(**more: Any) -> NetworkConstraints:  # noqa: ANN401 - of NetworkConstraints
    return NetworkConstraints(**{"default_delay": Duration(ms=5), **more})


def shaped(bed: Testbed, **more: Any) -> set[str]:  # noqa: ANN401 - likewise
    """Return the pairs of hosts the defaults hold between, both ways."""
    rules = list(plan_emulation(asked(**more), bed).rules())
    found = {(rule.host, rule.target) for rule in rules}
    assert found == {(target, source) for source, target in found}
    return {f"{one} {other}" for one, other in found if one < other}


def test_a_role_under_except_is_left_alone_as_a_group_is() -> None:
    assert shaped(GROUPS, exclude=("control",)) == {
        "compute2 compute3",
        "compute2 network4",
    }
    assert shaped(GROUPS, exclude=("g1",)) == shaped(GROUPS, exclude=("control",))


def test_roles_under_groups_are_what_the_defaults_hold_between() -> None:
    found = shaped(FLAT_BED, groups=("control", "compute"))

    assert found == {"compute2 control1", "compute3 control1"}


def test_groups_and_roles_may_stand_together_under_groups() -> None:
    found = shaped(GROUPS, groups=("g1", "compute"))

    assert found == {"compute2 control1", "compute3 control1"}


def test_a_host_with_two_of_the_roles_is_apart_from_neither() -> None:
    both = bed_of(*FLAT_BED.hosts, host(5, FLAT, "control", "compute"))

    assert shaped(both, groups=("control", "compute")) == {
        "compute2 control1",
        "compute3 control1",
    }


def test_an_unknown_name_under_except_is_an_error() -> None:
    with pytest.raises(EmulationError, match="`g9`"):
        plan_emulation(asked(exclude=("g9",)), GROUPS)


@pytest.mark.parametrize(
    ("bed", "more", "why"),
    [
        (FLAT_BED, {}, r"no two machines are of different groups \(`default_group`\);"),
        (GROUPS, {"exclude": ("g1", "g2")}, r"no two machines .* \(`g3`\);"),
        (GROUPS, {"groups": ("g1", "control")}, r"\(`control`, `g1`\);"),
        (GROUPS, {"exclude": ("control", "compute", "network")}, "leave no machine"),
        (GROUPS, {"network": "external"}, "the machines share no network"),
        (GROUPS, {}, ""),
        (FLAT_BED, {"enable": False}, ""),
        (FLAT_BED, {"default_delay": Duration(ms=0)}, ""),
        (FLAT_BED, {"default_delay": None}, ""),
        (FLAT_BED, {"groups": ("control", "compute")}, ""),
    ],
)
def test_defaults_that_shape_nothing_are_told_with_the_reason(
    bed: Testbed, more: dict[str, Any], why: str
) -> None:
    found = idle_defaults(asked(**more), bed)

    assert re.match(f"the defaults shape nothing: .*{why}" if why else "$", found)
    if {"enable", "default_delay"}.isdisjoint(more):
        assert bool(shaped(bed, **more)) == (not why)
