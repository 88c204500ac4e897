"""The testbed an experiment would get, before anything is acquired.

`enos check` and `--dry-run` print inventories and network plans from it. Addresses
come from ranges nobody uses (RFC 2544, RFC 5737) in the order of the file;
they only stand for the ones the provider will hand out.
"""

from collections.abc import Collection
from ipaddress import ip_address, ip_network

from enos.demand import Demand, host_names
from enos.testbed import Host, Network, Nic, Testbed

API = ip_network("198.18.0.0/16")
TUNNEL = ip_network("198.19.0.0/16")
EXTERNAL = ip_network("203.0.113.0/24")
POOL = ("198.18.255.1", "198.18.255.254")
"""Stands for the addresses a provider leaves free on its API network."""
FLOATING = ("203.0.113.100", "203.0.113.199")
"""Likewise on its external network."""


def planned_testbed(
    provider: str, demand: Demand, *, without_external: Collection[str] = ()
) -> Testbed:
    """Return hosts with the right names, roles and groups and stand-in addresses.

    Args:
        provider: name of the provider.
        demand: the machines.
        without_external: names of those that get no interface Neutron may take over.

    """
    hosts = tuple(
        Host(
            name=name,
            address=str(API[number]),
            groups=(machine.group,),
            roles=machine.roles,
            nics=_nics(number, external=name not in without_external),
        )
        for number, (name, machine) in enumerate(host_names(demand), start=2)
    )
    outside = str(EXTERNAL)
    networks = (
        Network(name="api", cidr=str(API), roles=("api",), pool=POOL),
        Network(name="external", cidr=outside, roles=("external",), pool=FLOATING),
        Network(name="tunnel", cidr=str(TUNNEL), roles=("tunnel",)),
    )
    return Testbed(provider=provider, hosts=hosts, networks=networks)


def _nics(number: int, *, external: bool) -> tuple[Nic, ...]:
    return (
        Nic(device="eth0", network="api", addresses=(f"{ip_address(API[number])}/16",)),
        *([Nic(device="eth1", network="external")] if external else ()),
        Nic(
            device="eth2",
            network="tunnel",
            addresses=(f"{ip_address(TUNNEL[number])}/16",),
        ),
    )
