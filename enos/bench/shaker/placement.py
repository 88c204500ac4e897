"""Which nodes exchange traffic with which, as Shaker's static agents. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any

from enos.errors import ConfigError, one_of
from enos.testbed import Host, Network, Testbed

PRIMARY, MINION = "primary", "minion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent on a node.

    Attributes:
        id: for Shaker.
        host: name of the node.
        address: on the network that is measured.
        mode: `primary` sends, `minion` answers.
        peer: id of the other one of the pair.

    """

    id: str
    host: str
    address: str
    mode: str
    peer: str


def agents(
    between: tuple[str, str], testbed: Testbed, network: str = ""
) -> tuple[Agent, ...]:
    """Return pairs of agents: the first host of one side with the first of the other.

    Hosts of the longer side that find no partner send and receive nothing. Two names
    for the same hosts pair the first half with the second.

    Args:
        between: groups, roles or hosts.
        testbed: what was acquired.
        network: name or role of the network, by default `tunnel`, else `api`.

    Raises:
        ConfigError: a name is unknown, a host has no address there, no pair is left.

    """
    on = network_of(testbed, network)
    here, there = (named(testbed, name) for name in between)
    if {host.name for host in here} == {host.name for host in there}:
        half = len(here) // 2
        here, there = here[:half], here[half:]
    pairs = [
        (one, other)
        for one, other in zip(here, there, strict=False)
        if one.name != other.name
    ]
    if not pairs:
        raise ConfigError(
            f"`between: [{', '.join(between)}]` leaves no two different hosts",
            hint="name two groups, roles or hosts",
        )
    return tuple(
        agent
        for number, (one, other) in enumerate(pairs, 1)
        for agent in _pair(number, (one, other), on)
    )


def named(testbed: Testbed, name: str) -> tuple[Host, ...]:
    """Return the hosts of a group, of a role, or the one of that name."""
    host = testbed.host(name)
    found = (
        testbed.in_group(name) or testbed.with_role(name) or ((host,) if host else ())
    )
    if not found:
        known = dict.fromkeys(
            name
            for one in testbed.hosts
            for name in (*one.groups, *one.roles, one.name)
        )
        raise ConfigError(
            f"`between` names `{name}`, which is no group, role or host",
            hint=one_of(name, known),
        )
    return found


def network_of(testbed: Testbed, wanted: str) -> Network:
    """Return the network of that name or role; ConfigError when there is none."""
    by_name = {network.name: network for network in testbed.networks}
    if wanted:
        found = by_name.get(wanted) or testbed.network(wanted)
    else:
        found = testbed.network("tunnel") or testbed.network("api")
    if found is None:
        roles = {role for network in testbed.networks for role in network.roles}
        raise ConfigError(
            f"there is no network `{wanted or 'api'}`",
            hint=one_of(wanted, (*by_name, *sorted(roles - set(by_name)))),
        )
    return found


def address_on(host: Host, network: Network) -> str:
    """Return a host's first IPv4 address on a network, else its first address."""
    nic = host.nic_on(network.name)
    found = [ip_interface(one).ip for one in nic.addresses] if nic else []
    if not found:
        raise ConfigError(
            f"`{host.name}` has no address on the network `{network.name}`",
            hint="name another `network:`",
        )
    return str(min(found, key=lambda address: address.version))


def specification(several: Iterable[Agent]) -> list[dict[str, Any]]:
    """Return agents as `deployment: agents:` of a Shaker scenario."""
    listed = []
    for one in several:
        other = "minion_id" if one.mode == PRIMARY else "primary_id"
        listed.append(
            {
                "id": one.id,
                "ip": one.address,
                "mode": one.mode,
                "node": one.host,
                other: one.peer,
            }
        )
    return listed


def _pair(
    number: int, hosts: tuple[Host, Host], network: Network
) -> tuple[Agent, Agent]:
    names = tuple(
        f"{number}-{mode}-{host.name}"
        for mode, host in zip((PRIMARY, MINION), hosts, strict=True)
    )
    primary, minion = (
        Agent(
            id=own,
            host=host.name,
            address=address_on(host, network),
            mode=mode,
            peer=peer,
        )
        for own, peer, host, mode in zip(
            names, reversed(names), hosts, (PRIMARY, MINION), strict=True
        )
    )
    return primary, minion
