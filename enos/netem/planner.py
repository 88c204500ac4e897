"""Constraints and a testbed in, one rule per interface and destination out. Pure.

Which constraint holds between two hosts on a network they share:

1. A constraint that names one of their groups (or, where no group is called so, a
   role) on each side; one that names the network wins over one that does not, and
   among equals the later in the file wins.
2. Else the defaults, if the hosts are in groups and have none in common. Where the
   defaults list names, those are the groups that count, and roles may be among them.
3. Overrides are laid over either, in their order; what they leave out stays.

A constraint inherits the defaults for the quantities it does not name, where the
defaults would hold. Hosts of one group meet nothing unless a constraint names that
group on both sides. Link-local addresses and interfaces without address are left
alone, and so is whoever is not a host of the testbed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network

from enos.config.constraints import NetworkConstraints
from enos.errors import EmulationError
from enos.netem.plan import EmulationPlan, Flow, Interface, Peer, Vip
from enos.netem.selection import Held, Names, Selection, is_on
from enos.testbed import Host, Network, Nic, Testbed


def plan_emulation(
    constraints: NetworkConstraints,
    testbed: Testbed,
    *,
    vips: Sequence[Vip] = (),
    controller: Sequence[str] = (),
) -> EmulationPlan:
    """Return the plan that gives each pair of hosts what the constraints ask.

    Args:
        constraints: what the experiment asks for.
        testbed: the hosts with their groups, interfaces and addresses.
        vips: addresses that a host answers for beyond those of its interfaces.
        controller: addresses of the machine that runs enos.

    Raises:
        EmulationError: a constraint names no group, role or network of the testbed;
            two hosts claim one address; a VIP is on no network of its host; a
            constraint is between hosts that share no network it holds on.

    """
    if not constraints.enable:
        constraints = NetworkConstraints(overrides=constraints.overrides)
    selection = Selection.of(constraints, testbed)
    alike = selection.alike(testbed)
    if constraints.empty:
        return EmulationPlan(interfaces=(), alike=alike)
    _check_vips(vips, testbed)
    members = {
        network: tuple(_members(network, testbed, vips, selection))
        for network in testbed.networks
    }
    _check_reach(selection, members)
    interfaces = [
        interface
        for network, several in members.items()
        for interface in _on_network(network, several, selection)
    ]
    order = {host.name: place for place, host in enumerate(testbed.hosts)}
    interfaces.sort(key=lambda one: order[one.host])  # stable: networks keep theirs
    return EmulationPlan(
        interfaces=tuple(interfaces),
        alike=alike,
        spared_ports=_spared_ports(testbed, controller),
    )


def idle_defaults(constraints: NetworkConstraints, testbed: Testbed) -> str:
    """Return why defaults that are asked shape nothing, "" where they do.

    Raises EmulationError for names the testbed lacks.
    """
    selection = Selection.of(constraints, testbed)
    if not (constraints.enable and selection.defaults):
        return ""
    why = selection.idle_among(testbed.hosts)
    for network in testbed.networks:
        several = [
            host
            for host in testbed.hosts
            if any(_own(nic) for nic in host.nics_on(network.name))
        ]
        if is_on(constraints.network, network) and not selection.idle_among(several):
            return ""
    return f"the defaults shape nothing: {why or 'the machines share no network'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """An interface of a host on a network, its names, and the host as a peer."""

    host: Host
    device: str
    names: Names
    peer: Peer


Candidate = tuple[tuple[Peer, ...], Held]


def _on_network(
    network: Network, members: Sequence[_Member], selection: Selection
) -> Iterator[Interface]:
    _check_addresses(member.peer for member in members)
    alike: dict[Names, list[_Member]] = {}
    for member in members:
        alike.setdefault(member.names, []).append(member)
    peers = {
        names: tuple(dict.fromkeys(member.peer for member in several))
        for names, several in alike.items()
    }
    leaving: dict[Names, list[Candidate]] = {names: [] for names in alike}
    entering: dict[Names, list[Candidate]] = {names: [] for names in alike}
    for src, dst in selection.pairs_of(tuple(alike)):
        held = selection.between(src, dst, network)
        if held is not None and not held[0].idle:
            leaving[src].append((peers[dst], held))
            entering[dst].append((peers[src], held))
    for names, several in alike.items():
        for member in several:
            leaves = _flows(leaving[names], member)
            enters = _flows(entering[names], member)
            if leaves or enters:
                yield Interface(
                    host=member.host.name,
                    device=member.device,
                    network=network.name,
                    outgoing=leaves,
                    incoming=enters,
                )


def _members(
    network: Network, testbed: Testbed, vips: Sequence[Vip], selection: Selection
) -> Iterator[_Member]:
    extra = _vips_on(network, testbed, vips)
    for host in testbed.hosts:
        nics = {nic.device: _own(nic) for nic in host.nics_on(network.name)}
        several = [*nics.values(), extra.get(host.name, ())]
        addresses = tuple(dict.fromkeys(one for own in several for one in own))
        for device in (device for device, own in nics.items() if own):
            yield _Member(
                host=host,
                device=device,
                names=selection.names_of(host),
                peer=Peer(host=host.name, addresses=addresses),
            )


def _own(nic: Nic) -> tuple[str, ...]:
    found = (ip_interface(one).ip for one in nic.addresses)
    return tuple(str(one) for one in found if not one.is_link_local)


def _flows(candidates: Iterable[Candidate], member: _Member) -> tuple[Flow, ...]:
    flows = []
    for peers, (shaping, asked, priority) in candidates:
        others = peers
        if member.peer in peers:
            place = peers.index(member.peer)
            others = peers[:place] + peers[place + 1 :]
        if others:
            flows.append(
                Flow(peers=others, shaping=shaping, asked=asked, priority=priority)
            )
    return tuple(flows)


def _vips_on(
    network: Network, testbed: Testbed, vips: Sequence[Vip]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    cidr = ip_network(network.cidr, strict=False)
    for vip in vips:
        holder = testbed.host(vip.host)
        if holder and holder.nic_on(network.name) and ip_address(vip.address) in cidr:
            found[vip.host] = (*found.get(vip.host, ()), vip.address)
    return found


def _spared_ports(testbed: Testbed, controller: Sequence[str]) -> tuple[int, ...]:
    """Return the SSH ports to spare when enos reaches hosts through shaped links."""
    here = frozenset(controller)
    jumps = frozenset(_jump_host(host.jump) for host in testbed.hosts if host.jump)
    for host in testbed.hosts:
        addresses = {
            one.partition("/")[0] for nic in host.nics for one in nic.addresses
        }
        addresses |= {host.address, host.name}
        if addresses & (here | jumps):
            return tuple(sorted({one.port for one in testbed.hosts}))
    return ()


def _jump_host(jump: str) -> str:
    place = jump.rpartition("@")[2]
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition(":")[0] if place.count(":") == 1 else place


def _check_reach(
    selection: Selection, members: Mapping[Network, Sequence[_Member]]
) -> None:
    """Refuse a constraint that would come to nothing."""
    present: dict[str, set[Network]] = {}
    for network, several in members.items():
        for name in {name for member in several for name in member.names}:
            present.setdefault(name, set()).add(network)
    for src, dst, wanted in selection.wishes():
        shared = present.get(src, set()) & present.get(dst, set())
        if not any(is_on(wanted, network) for network in shared):
            place = f"network `{wanted}`" if wanted else "network with addresses"
            raise EmulationError(
                f"the constraint from `{src}` to `{dst}` comes to nothing: the hosts "
                f"share no {place}",
                hint="see the interfaces of the hosts in `enos info`",
            )


def _check_vips(vips: Sequence[Vip], testbed: Testbed) -> None:
    for vip in vips:
        reached = any(_vips_on(net, testbed, (vip,)) for net in testbed.networks)
        if not reached:
            raise EmulationError(
                f"VIP `{vip.address}` is on no network of a host named `{vip.host}`",
                hint="check the address and the host against `enos info`",
            )


def _check_addresses(peers: Iterable[Peer]) -> None:
    holders: dict[str, str] = {}
    for peer in peers:
        for address in peer.addresses:
            other = holders.setdefault(address, peer.host)
            if other != peer.host:
                raise EmulationError(
                    f"`{address}` belongs to both `{other}` and `{peer.host}`",
                    hint="give each host and VIP an address of its own",
                )
