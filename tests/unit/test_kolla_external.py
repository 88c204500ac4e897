from collections.abc import Mapping

import pytest

from enos.ansible.inventory import Group, Inventory
from enos.errors import ConfigError
from enos.kolla.external import require_external

DEFAULTS = {
    "enable_neutron": "{{ enable_openstack_core | bool }}",
    "enable_openstack_core": True,
    "neutron_external_interface": "eth1",
    "computes_need_external_bridge": "{{ enable_neutron_dvr | bool }}",
    "enable_neutron_dvr": False,
}
BOTH = {"network_interface": "eth0", "neutron_external_interface": "eth1"}
ONE = {"network_interface": "eth0"}


def inventory(
    network: Mapping[str, str], compute: Mapping[str, str] = ONE
) -> Inventory:
    return Inventory(
        hosts={"control-1": network, "compute-1": compute},
        groups=(
            Group(name="control", hosts=("control-1",)),
            Group(name="network", hosts=("control-1",)),
            Group(name="compute", hosts=("compute-1",)),
        ),
    )


def test_an_interface_nobody_named_is_not_kollas_to_guess() -> None:
    with pytest.raises(ConfigError, match="is not known of `control-1`") as failed:
        require_external(inventory(ONE), {}, DEFAULTS)
    assert "`extra: {neutron_external_interface: eth1}`" in failed.value.hint


@pytest.mark.parametrize(
    ("network", "chosen"),
    [
        (BOTH, {}),
        (ONE, {"neutron_external_interface": "eth7"}),
        (ONE, {"enable_neutron": "no"}),
    ],
)
def test_a_named_interface_or_no_neutron_is_enough(
    network: Mapping[str, str], chosen: Mapping[str, str]
) -> None:
    require_external(inventory(network), chosen, DEFAULTS)


def test_computes_need_one_too_when_routers_are_spread_over_them() -> None:
    spread = {"enable_neutron_dvr": "yes"}
    with pytest.raises(ConfigError, match="is not known of `compute-1`"):
        require_external(inventory(BOTH), spread, DEFAULTS)
    require_external(inventory(BOTH, BOTH), spread, DEFAULTS)


@pytest.mark.parametrize("external", ["eth0", "eth1,eth0"])
def test_the_interface_that_ssh_uses_is_not_neutrons(external: str) -> None:
    same = {**ONE, "neutron_external_interface": external}
    with pytest.raises(ConfigError, match="interface SSH uses of `control-1`"):
        require_external(inventory(same), {}, DEFAULTS)
