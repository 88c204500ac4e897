"""Constraints and a testbed in, one rule per interface and destination out. Pure.

Which constraint holds between two hosts on a network they share:

1. A constraint that names one of their groups (or, where no group is called so, a
   role) on each side; one that names the network wins over one that does not, and
   among equals the later in the file wins.
2. Else the defaults, if the hosts are in groups and have none in common.

A constraint inherits the defaults for the quantities it does not name, where the
defaults would hold. Hosts of one group meet nothing unless a constraint names that
group on both sides. Link-local addresses and interfaces without address are left
alone, and so is whoever is not a host of the testbed.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface, ip_network

from enos.config.constraints import ConstraintSpec, NetworkConstraints, pairs
from enos.errors import EmulationError
from enos.netem.plan import EmulationPlan, Flow, Interface, Peer, Vip
from enos.netem.shaping import NO_DELAY, NO_LOSS, Shaping
from enos.testbed import Host, Network, Testbed

SPECIFIC, DEFAULT = 1, 2
Names = frozenset[str]


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
            two hosts claim one address; a VIP is on no network of its host.

    """
    if not constraints.enable or constraints.empty:
        return EmulationPlan(interfaces=())
    choice = _Choice.of(constraints, testbed)
    _check_vips(vips, testbed)
    interfaces = [
        interface
        for network in testbed.networks
        for interface in _on_network(network, testbed, vips, choice)
    ]
    order = {host.name: place for place, host in enumerate(testbed.hosts)}
    interfaces.sort(key=lambda one: order[one.host])  # stable: networks keep theirs
    return EmulationPlan(
        interfaces=tuple(interfaces),
        spared_ports=_spared_ports(testbed, controller),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A constraint for one ordered pair of names, and where it stands in the file."""

    spec: ConstraintSpec
    place: int
    network: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """Decides which constraint holds between two sets of names on a network."""

    constraints: NetworkConstraints
    asked: Mapping[tuple[str, str], tuple[_Asked, ...]]
    names: Names  # that constraints use: other roles tell no two hosts apart
    groups: Names

    @classmethod
    def of(cls, constraints: NetworkConstraints, testbed: Testbed) -> "_Choice":
        groups = frozenset(group for host in testbed.hosts for group in host.groups)
        roles = frozenset(role for host in testbed.hosts for role in host.roles)
        table: dict[tuple[str, str], tuple[_Asked, ...]] = {}
        for place, spec in enumerate(constraints.constraints):
            one = _Asked(
                spec=spec, place=place, network=spec.network or constraints.network
            )
            for pair in _directions(spec):
                table[pair] = (*table.get(pair, ()), one)
        named = {name for pair in table for name in pair}
        _check_names({*named, *constraints.groups}, groups | roles)
        networks = {constraints.network, *(s.network for s in constraints.constraints)}
        _check_networks(networks - {""}, testbed.networks)
        return cls(
            constraints=constraints,
            asked=table,
            names=groups | (named & roles),
            groups=groups,
        )

    def names_of(self, host: Host) -> Names:
        """Return what constraints may call a host: its groups, then its roles."""
        roles = frozenset(host.roles) & self.names - self.groups
        return frozenset(host.groups) | roles

    def between(
        self, src: Names, dst: Names, network: Network
    ) -> tuple[Shaping, str, int] | None:
        """Return what holds from one set of names to another, None for nothing."""
        default = self._default(src, dst, network)
        candidates = [
            (bool(one.spec.network), one.place, pair, one.spec)
            for pair in ((s, d) for s in src for d in dst)
            for one in self.asked.get(pair, ())
            if _is_on(one.network, network)
        ]
        if candidates:
            _, _, (source, target), spec = max(candidates, key=lambda one: one[:3])
            return _overlaid(default, spec), f"{source} > {target}", SPECIFIC
        return None if default.idle else (default, "default", DEFAULT)

    def _default(self, src: Names, dst: Names, network: Network) -> Shaping:
        asked = self.constraints
        sides = (src & self.groups, dst & self.groups)
        among = frozenset(asked.groups) or self.groups
        outside = (
            not all(side & among for side in sides)
            or bool(sides[0] & sides[1])
            or any(side & frozenset(asked.exclude) for side in sides)
            or not _is_on(asked.network, network)
        )
        if outside:
            return Shaping()
        return Shaping(
            delay=asked.default_delay or NO_DELAY,
            loss=asked.default_loss or NO_LOSS,
            rate=asked.default_rate,
        )


def _directions(spec: ConstraintSpec) -> Iterator[tuple[str, str]]:
    for src, dst in pairs(spec.src, spec.dst):
        yield src, dst
        if spec.symmetric and src != dst:
            yield dst, src


def _overlaid(default: Shaping, spec: ConstraintSpec) -> Shaping:
    return replace(
        default,
        delay=default.delay if spec.delay is None else spec.delay,
        jitter=default.jitter if spec.jitter is None else spec.jitter,
        loss=default.loss if spec.loss is None else spec.loss,
        rate=default.rate if spec.rate is None else spec.rate,
    )


def _is_on(wanted: str, network: Network) -> bool:
    return not wanted or wanted == network.name or wanted in network.roles


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A host on a network: its interface, its names, and itself as a peer."""

    host: Host
    device: str
    names: Names
    peer: Peer


def _on_network(
    network: Network, testbed: Testbed, vips: Sequence[Vip], choice: _Choice
) -> Iterator[Interface]:
    members = tuple(_members(network, testbed, vips, choice))
    _check_addresses(member.peer for member in members)
    alike: dict[Names, list[_Member]] = {}
    for member in members:
        alike.setdefault(member.names, []).append(member)
    peers = {names: tuple(m.peer for m in several) for names, several in alike.items()}
    table = {
        (src, dst): choice.between(src, dst, network) for src in alike for dst in alike
    }
    for names, several in alike.items():
        outgoing = [(peers[other], table[names, other]) for other in alike]
        incoming = [(peers[other], table[other, names]) for other in alike]
        for member in several:
            leaves, enters = _flows(outgoing, member), _flows(incoming, member)
            if leaves or enters:
                yield Interface(
                    host=member.host.name,
                    device=member.device,
                    network=network.name,
                    outgoing=leaves,
                    incoming=enters,
                )


def _members(
    network: Network, testbed: Testbed, vips: Sequence[Vip], choice: _Choice
) -> Iterator[_Member]:
    extra = _vips_on(network, testbed, vips)
    for host in testbed.hosts:
        nic = host.nic_on(network.name)
        own = [str(ip_interface(one).ip) for one in nic.addresses] if nic else []
        own = [one for one in own if not ip_address(one).is_link_local]
        if nic and own:
            addresses = tuple(dict.fromkeys((*own, *extra.get(host.name, ()))))
            yield _Member(
                host=host,
                device=nic.device,
                names=choice.names_of(host),
                peer=Peer(host=host.name, addresses=addresses),
            )


def _flows(
    candidates: Iterable[tuple[tuple[Peer, ...], tuple[Shaping, str, int] | None]],
    member: _Member,
) -> tuple[Flow, ...]:
    flows = []
    for peers, chosen in candidates:
        if chosen is None or chosen[0].idle:
            continue
        others = peers
        if member.peer in peers:
            place = peers.index(member.peer)
            others = peers[:place] + peers[place + 1 :]
        if others:
            shaping, asked, priority = chosen
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


def _check_names(asked: Iterable[str], known: Names) -> None:
    for name in sorted(asked):
        if name not in known:
            raise _unknown("group or role", name, sorted(known))


def _check_networks(asked: Iterable[str], networks: Sequence[Network]) -> None:
    known = [word for one in networks for word in (one.name, *one.roles)]
    for name in sorted(asked):
        if name not in known:
            raise _unknown("network", name, list(dict.fromkeys(known)))


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


def _unknown(kind: str, name: str, known: Sequence[str]) -> EmulationError:
    near = difflib.get_close_matches(name, known, n=1)
    guess = f"did you mean `{near[0]}`? " if near else ""
    listed = ", ".join(f"`{one}`" for one in known)
    return EmulationError(
        f"a network constraint names `{name}`, which is no {kind} of the testbed",
        hint=f"{guess}known: {listed}" if listed else "the testbed has none",
    )
