"""The addresses of a machine that others can reach it by."""

import json
from typing import Any

from enos_static import reach

from enos.config.constraints import NetworkConstraints
from enos.netem import pairs_to_measure, plan_emulation
from enos.testbed import Host, Network, Testbed
from enos.units import Duration

API = Network(name="api", cidr="10.9.0.0/24", roles=("api",))


def link(device: str, *addresses: str, **flags: bool) -> dict[str, Any]:
    several = []
    for one in addresses:
        local, _, length = one.partition("/")
        family = "inet6" if ":" in local else "inet"
        scope = "link" if local.startswith("fe80") else "global"
        told = {"family": family, "local": local, "prefixlen": int(length)}
        several.append({**told, "scope": scope, **flags})
    return {"ifname": device, "link_type": "ether", "addr_info": several}


def host(number: int, group: str) -> Host:
    told = [
        link(
            "eno1",
            "fe80::1/64",
            f"2001:db8::{number}/64",
            f"10.9.0.{number}/24",
            f"fd00::{number}/64",
        ),
        link("eno2", f"2001:db8:2::{number}/64"),
        link("eno3", f"2001:db8:3::{number}/64", dadfailed=True),
    ]
    nics = reach.interfaces(json.dumps(told), [API])
    address = f"10.9.0.{number}"
    return Host(name=f"n{number}", address=address, groups=(group,), nics=nics)


def test_ipv6_comes_after_ipv4_and_what_nobody_reaches_is_left_out() -> None:
    first, second, third = host(1, "a").nics

    assert first.addresses == ("10.9.0.1/24", "2001:db8::1/64", "fd00::1/64")
    assert (first.network, second.network, third.network) == ("api", "", "")
    assert second.addresses == ("2001:db8:2::1/64",)
    assert third.addresses == ()


def test_ipv6_between_machines_is_shaped_as_ipv4_is_and_measured_by_that() -> None:
    bed = Testbed(
        provider="static", hosts=(host(1, "a"), host(2, "b")), networks=(API,)
    )
    asked = NetworkConstraints(default_delay=Duration(ms=5))

    plan = plan_emulation(asked, bed)

    shaped = [rule.destination for rule in plan.rules() if rule.host == "n1"]
    assert shaped == ["10.9.0.2", "2001:db8::2", "fd00::2"]
    (pair,) = pairs_to_measure(plan, bed)
    assert (pair.address, pair.back_address) == ("10.9.0.2", "10.9.0.1")


def test_a_machine_reached_by_ipv6_names_no_subnet_of_its_own() -> None:
    one = Host(name="n", address="2001:db8::1", nics=host(1, "a").nics)

    assert reach.own_network([one]) is None
    own = reach.own_network([host(1, "a"), host(2, "b")])
    assert own is not None
    assert own.cidr == "10.9.0.0/24"
